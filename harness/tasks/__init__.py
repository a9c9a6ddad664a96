"""Tasks: what is measured, from the shipped definitions, a user's YAML, or plain samples."""

from harness.tasks.strict import build, read_yaml
from harness.tasks.task import DEFAULT_METRICS, HELD_OUT, Task, TaskFile, load_task, make_task, shipped_tasks

__all__ = [
    "DEFAULT_METRICS",
    "HELD_OUT",
    "Task",
    "TaskFile",
    "build",
    "load_task",
    "make_task",
    "read_yaml",
    "shipped_tasks",
]
