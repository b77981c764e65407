"""A pipe between a parent and its children: whoever is killed, the others notice.

The parent keeps the writing end, which only it has; when it dies, however it dies, the kernel closes that
end and the children read the end of the pipe.
"""

import os
import threading
from collections.abc import Callable


class Lifeline:
    """The parent's side."""

    def __init__(self) -> None:
        self.read_end, self._write_end = os.pipe()  # neither is inherited unless it is passed on

    def close(self) -> None:
        """Let go: the children end."""
        os.close(self._write_end)
        os.close(self.read_end)


def watch_lifeline(read_end: int, on_parent_death: Callable[[], None]) -> None:
    """Call back, from another thread, when the parent is gone."""

    def watch() -> None:
        while os.read(read_end, 1):
            pass
        on_parent_death()

    threading.Thread(target=watch, name="lifeline", daemon=True).start()
