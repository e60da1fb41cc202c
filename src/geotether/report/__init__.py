"""The report: one HTML file that a stranger can read, print and pass on."""

from geotether.report.evaluation import write_report

__all__ = ["write_report"]
