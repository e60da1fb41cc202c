"""The command line: `geotether COMMAND ...`."""

from geotether.cli.app import main

__all__ = ["main"]
