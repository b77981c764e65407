"""Logs: one JSON object a line on stderr, through the standard logging module.

`log.info("…", extra={"fields": {"reservation_id": …}})` merges `fields` into the line; a `StructLog` does the
same for a fraction of the cost, for lines that every request writes.
"""

import logging
import re
import sys
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import partial
from typing import Any, Final

import msgspec

from reservation_api.telemetry.line_sink import LineSink
from reservation_api.telemetry.repeats import Repeats

FLUSH_SECONDS: Final = 0.5
"""For the last lines of a process whose log nobody reads."""
REDACTED = b"[redacted]"
QUIET_LOGGERS = ("httpx", "httpcore", "asyncio")
"""They tell of every request at INFO; from them only warnings."""

# A bearer token's characters (RFC 6750 section 2.1), and a JWT's: base64url segments after `{"`.
_TOKEN = re.compile(rb"(?i:(bearer)\s+)[A-Za-z0-9._~+/=-]+|eyJ[A-Za-z0-9_-]*(?:\.[A-Za-z0-9_-]*)+")
_ROOT = logging.getLogger()
_encode = msgspec.json.Encoder(enc_hook=str).encode
_encode_lines = msgspec.json.Encoder(enc_hook=str).encode_lines


_MILLISECONDS = [b"%03d" % n for n in range(1000)]
_BUT_ITS_BRACE = slice(1, None)

Write = Callable[[bytes], object]
"""Takes a line, its end included, from any thread."""
Head = tuple[str, int, str]
"""What is the same in many lines: logger, level, message."""


_UNKNOWN = {
    "args": (),
    "exc_info": None,
    "exc_text": None,
    "stack_info": None,
    "pathname": "",
    "filename": "",
    "module": "",
    "funcName": "",
    "lineno": 0,
    "msecs": 0.0,
}
"""What the handlers of others may ask a record for."""


class StructRecord(logging.LogRecord):
    """A record of what a struct has: what logging finds out about all others takes longer than the rest."""

    fields: msgspec.Struct

    def __init__(self, head: Head, fields: msgspec.Struct) -> None:
        logger, level, message = head
        self.__dict__ = {
            **_UNKNOWN,
            "name": logger,
            "levelno": level,
            "levelname": logging.getLevelName(level),
            "msg": message,
            "created": time.time(),
            "fields": fields,
        }


class StructLog:
    """Lines of one kind: the fields of a struct, under a message that is always the same.

    What comes before the fields is put together once a second, but for the milliseconds.
    """

    def __init__(self, logger: str, level: int, message: str, now: Callable[[], float] = time.time) -> None:
        """Take a clock of seconds since 1970, too."""
        self._logger = logging.getLogger(logger)
        self._now = now
        self._head = (logger, level, message)
        self.is_on: Callable[[], bool] = partial(self._logger.isEnabledFor, level)
        """Whether such lines are written; asked first, since it spares the making of the struct."""
        self._handlers: list[logging.Handler] = []
        self._put: Write = bytes
        self._beginning = (0, b"", b"")

    def write(self, fields: msgspec.Struct, *, is_quoting: bool = True) -> None:
        """Write a line, if such lines are written.

        `is_quoting`: a text in it may be of a client's making, and is looked through for tokens.
        """
        now = self._now()
        second, start, middle = self._beginning  # all at once: another thread may be a second further
        past = now - second
        if not 0.0 <= past < 1.0 or _ROOT.handlers != self._handlers:
            second, start, middle = self._beginning = self._begin(int(now))
            past = now - second
        try:
            told = _encode_lines((fields,))
        except Exception:  # noqa: BLE001 (a lone surrogate in a text)
            told = b""
        if not start or not told:
            self._logger.handle(StructRecord(self._head, fields))
            return
        line = b"".join((start, _MILLISECONDS[int(past * 1000)], middle, told[_BUT_ITS_BRACE]))
        self._put(_without_tokens(line) if is_quoting else line)

    def _begin(self, second: int) -> tuple[int, bytes, bytes]:
        """Find out where lines go, and how they begin in this second: with nothing, if not only we listen."""
        handlers = self._handlers = _ROOT.handlers[:]
        if len(handlers) != 1 or not isinstance(handlers[0], LineHandler):
            return second, b"", b""
        self._put = handlers[0].put
        return second, *handlers[0].around_milliseconds(self._head, second)


class JsonFormatter(logging.Formatter):
    """Writes a record as a JSON object."""

    def __init__(self, context: Mapping[str, Any]) -> None:
        """Add `context` to every line."""
        super().__init__()
        self._context = dict(context)

    def format_line(self, record: logging.LogRecord) -> bytes:
        """Return the record as one line, without tokens."""
        if isinstance(record, StructRecord):
            return self._line(record, msgspec.structs.asdict(record.fields))
        return self._line(record, getattr(record, "fields", None))

    def format(self, record: logging.LogRecord) -> str:
        """Return the line as text, for handlers that want text."""
        return self.format_line(record).decode().rstrip("\n")

    def around_milliseconds(self, head: Head, second: int) -> tuple[bytes, bytes]:
        """Return what comes before and after them, up to the fields, in a line of this kind and second."""
        logger, level, message = head
        told = {"level": logging.getLevelName(level), "logger": logger, "message": message, **self._context}
        return b'{"time":"%b.' % _second_of(second).encode(), b'Z",' + _encode(told)[1:-1] + b","

    def _line(self, record: logging.LogRecord, fields: Mapping[str, Any] | None) -> bytes:
        line: dict[str, Any] = {
            "time": _time_of(record.created),
            "level": record.levelname,
            "logger": record.name,
            "message": _message(record),
            **self._context,
        }
        if fields:
            line = {**line, **fields, **line}  # no field passes itself off as the time or the level
        left_out = getattr(record, "left_out", 0)
        if left_out:
            line["left_out"] = left_out
        if record.exc_info:
            line["error"] = repr(record.exc_info[1])
            line["stack"] = self.formatException(record.exc_info)
        return _without_tokens(_encode_anything(line)) + b"\n"


class LineHandler(logging.Handler):
    """Hands on each line whole, so that lines of several processes do not mix."""

    def __init__(self, formatter: JsonFormatter, write: Write, sink: LineSink | None = None) -> None:
        super().__init__()
        self._line = formatter.format_line
        self.around_milliseconds = formatter.around_milliseconds
        self._write = write
        self._sink = sink
        self._repeats = Repeats()
        self.put: Write = self._try_to_write if sink is None else write
        """Takes a line that needs no turn."""

    def emit(self, record: logging.LogRecord) -> None:
        """Write the record; a stream that is gone is no reason to stop working."""
        if not isinstance(record, StructRecord) and self._repeats.is_one_too_many(record):
            return
        try:
            line = self._line(record)
        except Exception:  # noqa: BLE001 (a value whose repr raises: the logging module's own last resort)
            self.handleError(record)
            return
        self._try_to_write(line)

    def _try_to_write(self, line: bytes) -> None:
        with suppress(OSError, ValueError):
            self._write(line)

    @property
    def dropped(self) -> int:
        """How many lines nobody will see."""
        return 0 if self._sink is None else self._sink.dropped

    def flush(self) -> None:
        """Wait a moment for what is on its way; logging does so at the end of a process, too."""
        if self._sink is not None:
            self._sink.flush(FLUSH_SECONDS)


def configure_logs(level: str, context: Mapping[str, Any], out: Write | LineSink | None = None) -> None:
    """Send all logs of this process somewhere as JSON lines; replaces an earlier configuration.

    By default each is on stderr before the call that logs it returns: for programs that are halted between
    two pieces of work. Who answers requests gives a sink.
    """
    formatter = JsonFormatter(context)
    if isinstance(out, LineSink):
        handler = LineHandler(formatter, out.write, out)
    else:
        handler = LineHandler(formatter, out or _write_to_stderr)
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level)
    for name in QUIET_LOGGERS:
        logging.getLogger(name).setLevel(max(logging.WARNING, root.level))
    # What no line shows need not be found out: it is a third of the cost.
    logging._srcfile = None  # noqa: SLF001 (the logging manual's own advice)
    logging.logThreads = logging.logProcesses = logging.logMultiprocessing = False
    logging.captureWarnings(capture=True)
    sys.excepthook = _log_uncaught
    threading.excepthook = _log_uncaught_in_thread


def flush_logs() -> None:
    """Write what is on its way: for a process that ends without Python's own end."""
    for handler in logging.getLogger().handlers:
        handler.flush()


def dropped_lines() -> int:
    """Return how many lines of this process nobody will see."""
    handlers = logging.getLogger().handlers
    return sum(handler.dropped for handler in handlers if isinstance(handler, LineHandler))


def _write_to_stderr(line: bytes) -> None:
    sys.stderr.buffer.write(line)
    sys.stderr.buffer.flush()


def _time_of(created: float) -> str:
    """Write the time as YYYY-MM-DDTHH:MM:SS.mmmZ."""
    return f"{_second_of(int(created))}.{int(created % 1 * 1000):03d}Z"


def _second_of(second: int) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(second))


def _message(record: logging.LogRecord) -> str:
    try:
        return record.getMessage()
    except Exception:  # noqa: BLE001 (a slip in a log call must not break what is being logged)
        return f"{record.msg} {record.args!r}"


def _encode_anything(line: dict[str, Any]) -> bytes:
    try:
        return _encode(line)
    except Exception:  # noqa: BLE001 (lone surrogates, odd keys, a __str__ that raises)
        return _encode({ascii(key): ascii(value) for key, value in line.items()})


def may_hold_token(text: str) -> bool:
    """Tell, more quickly than the pattern, whether a text is to be looked through."""
    return "eyJ" in text or "earer" in text or "EARER" in text


def _without_tokens(line: bytes) -> bytes:
    if b"eyJ" in line or b"earer" in line or b"EARER" in line:  # quicker than to ask for all at once
        return _TOKEN.sub(lambda found: (found[1] + b" " if found[1] else b"") + REDACTED, line)
    return line


def _log_uncaught(kind: type[BaseException], error: BaseException, traceback: Any) -> None:
    if issubclass(kind, KeyboardInterrupt):
        return
    logging.getLogger(__name__).critical("the process ends", exc_info=(kind, error, traceback))


def _log_uncaught_in_thread(failure: threading.ExceptHookArgs) -> None:
    if failure.exc_value is not None:
        exc_info = (failure.exc_type, failure.exc_value, failure.exc_traceback)
        logging.getLogger(__name__).critical("a thread ends", exc_info=exc_info)
