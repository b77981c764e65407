"""Whose cancellation it is: a task's own, or that of a client which it has called."""

import asyncio


def is_being_cancelled() -> bool:
    """Tell whether a cancellation is meant for this task: clients raise it, too, when they are closed."""
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0
