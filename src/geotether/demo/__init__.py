"""The main job, end to end, on the demo planet."""

from geotether.demo.run import run_demo

__all__ = ["run_demo"]
