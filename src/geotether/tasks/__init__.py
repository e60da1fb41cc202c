"""Questions that encoders are asked: tables of labelled places, from your own files or from published ones."""

from geotether.tasks.task import Task

__all__ = ["Task"]
