"""The demo: pre-training, evaluation and report on the demo planet."""

from geotether.demo.run import run_demo

__all__ = ["run_demo"]
