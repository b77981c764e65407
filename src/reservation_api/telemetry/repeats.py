"""Log lines that say the same again and again: a few are written, the rest are counted in the next one."""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from time import monotonic
from typing import Final

WINDOW_SECONDS: Final = 10.0
LINES_PER_WINDOW: Final = 10
"""Of one kind: an outage that every request meets is told of, and does not fill the disk."""
MAX_KINDS: Final = 1_000
"""Messages are constants of the code; should a library make them up, all is forgotten at so many."""


@dataclass(slots=True)
class _Kind:
    began_at: float
    written: int = 0
    left_out: int = 0


class Repeats:
    """Counts warnings and errors by their kind; what is below is never a repeat.

    A kind is a message before its arguments are put in, and the work it is about.
    """

    def __init__(self, seconds: Callable[[], float] = monotonic) -> None:
        self._seconds = seconds
        self._kinds: dict[tuple[object, ...], _Kind] = {}

    def is_one_too_many(self, record: logging.LogRecord) -> bool:
        """Say whether to leave it out; the next that is not gets their number, `left_out`."""
        if record.levelno < logging.WARNING:
            return False
        now = self._seconds()
        kind = self._kind_of(record, now)
        if now - kind.began_at >= WINDOW_SECONDS:
            kind.began_at, kind.written = now, 0
        if kind.written >= LINES_PER_WINDOW:
            kind.left_out += 1
            return True
        kind.written += 1
        if kind.left_out:
            record.__dict__["left_out"], kind.left_out = kind.left_out, 0
        return False

    def _kind_of(self, record: logging.LogRecord, now: float) -> _Kind:
        fields = record.__dict__.get("fields") or {}
        message = record.msg if isinstance(record.msg, str) else type(record.msg)  # others may hold much
        key = (record.name, record.levelno, message, fields.get("work"))
        kind = self._kinds.get(key)
        if kind is None:
            if len(self._kinds) >= MAX_KINDS:
                self._kinds.clear()
            kind = self._kinds[key] = _Kind(now)
        return kind
