"""Tasks: tables of labelled places on which encoders are compared, from your own files or from published ones."""

from geotether.tasks.paper import paper_tasks
from geotether.tasks.specification import BUILDERS, read_tasks, write_tasks
from geotether.tasks.task import Task

__all__ = ["BUILDERS", "Task", "paper_tasks", "read_tasks", "write_tasks"]
