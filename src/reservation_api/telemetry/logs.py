"""Logs: one JSON object a line on stderr, through the standard logging module.

`log.info("…", extra={"fields": {"reservation_id": …}})` merges `fields` into the line.
"""

import logging
import re
import sys
import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from typing import Any, BinaryIO

import msgspec

REDACTED = b"[redacted]"
QUIET_LOGGERS = ("httpx", "httpcore", "asyncio")
"""They tell of every request at INFO; from them only warnings."""

# A bearer token's characters (RFC 6750 section 2.1), and a JWT's: base64url segments after `{"`.
_TOKEN = re.compile(rb"(?i:(bearer)\s+)[A-Za-z0-9._~+/=-]+|eyJ[A-Za-z0-9_-]*(?:\.[A-Za-z0-9_-]*)+")
_HINTS = (b"eyJ", b"earer", b"EARER")
_encode = msgspec.json.Encoder(enc_hook=str).encode


class JsonFormatter(logging.Formatter):
    """Writes a record as a JSON object."""

    def __init__(self, context: Mapping[str, Any]) -> None:
        """Add `context` to every line."""
        super().__init__()
        self._context = dict(context)
        self._second = -1
        self._second_text = ""

    def format_line(self, record: logging.LogRecord) -> bytes:
        """Return the record as one line, without tokens."""
        line: dict[str, Any] = {
            "time": self._time(record.created),
            "level": record.levelname,
            "logger": record.name,
            "message": _message(record),
            **self._context,
        }
        fields = getattr(record, "fields", None)
        if fields:
            line = {**line, **fields, **line}  # no field passes itself off as the time or the level
        if record.exc_info:
            line["error"] = repr(record.exc_info[1])
            line["stack"] = self.formatException(record.exc_info)
        return _without_tokens(_encode_anything(line)) + b"\n"

    def format(self, record: logging.LogRecord) -> str:
        """Return the line as text, for handlers that want text."""
        return self.format_line(record).decode().rstrip("\n")

    def _time(self, created: float) -> str:
        """Write the time as YYYY-MM-DDTHH:MM:SS.mmmZ; a second's lines share their first part."""
        milliseconds = int(created * 1000)
        second = milliseconds // 1000
        if second != self._second:
            self._second_text = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(second))
            self._second = second
        return f"{self._second_text}.{milliseconds % 1000:03d}Z"


class LineHandler(logging.Handler):
    """Writes each line with one call, so that lines of several processes do not mix."""

    def __init__(self, formatter: JsonFormatter, stream: BinaryIO) -> None:
        super().__init__()
        self._line = formatter.format_line
        self._stream = stream

    def emit(self, record: logging.LogRecord) -> None:
        """Write the record; a stream that is gone is no reason to stop working."""
        try:
            line = self._line(record)
        except Exception:  # noqa: BLE001 (a value whose repr raises: the logging module's own last resort)
            self.handleError(record)
            return
        with suppress(OSError, ValueError):
            self._stream.write(line)
            self._stream.flush()


def configure_logs(level: str, context: Mapping[str, Any], stream: BinaryIO | None = None) -> None:
    """Send all logs of this process to stderr as JSON lines; replaces an earlier configuration."""
    handler = LineHandler(JsonFormatter(context), sys.stderr.buffer if stream is None else stream)
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


def _without_tokens(line: bytes) -> bytes:
    if any(hint in line for hint in _HINTS):
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
