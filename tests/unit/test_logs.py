import io
import json
import logging
import sys
import threading
import time
import warnings
from collections.abc import Iterator
from typing import Any

import pytest
from tests.support.tokens import make_claims, make_key, mint

from reservation_api.adapters.system_clock import SystemClock
from reservation_api.telemetry.logs import JsonFormatter, configure_logs


@pytest.fixture
def stream() -> Iterator[io.BytesIO]:
    root, quiet = logging.getLogger(), [logging.getLogger(name) for name in ("httpx", "httpcore", "asyncio")]
    before = (root.handlers[:], root.level, [logger.level for logger in quiet])
    switches = (logging.logThreads, logging.logProcesses, logging.logMultiprocessing)
    hooks = (sys.excepthook, threading.excepthook)
    source_file = vars(logging)["_srcfile"]
    stream = io.BytesIO()
    configure_logs("INFO", {"process": "serve"}, stream)
    yield stream
    logging.captureWarnings(capture=False)
    sys.excepthook, threading.excepthook = hooks
    logging.logThreads, logging.logProcesses, logging.logMultiprocessing = switches
    vars(logging)["_srcfile"] = source_file
    root.handlers[:], levels = before[0], before[2]
    root.setLevel(before[1])
    for logger, level in zip(quiet, levels, strict=True):
        logger.setLevel(level)


def lines(stream: io.BytesIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def log_failure(message: str, error: Exception, **fields: Any) -> None:
    try:
        raise error
    except type(error):
        logging.getLogger("a").exception(message, extra={"fields": fields})


def test_a_line_is_one_json_object_with_its_fields_merged(stream: io.BytesIO) -> None:
    before = time.time()
    logging.getLogger("a.b").warning("seat %s taken", "A-1", extra={"fields": {"qty": 2, "seats": ["A-1"]}})

    (line,) = lines(stream)
    instant = line.pop("time")
    assert len(instant) == len("2026-11-23T12:00:00.000Z")
    assert instant.endswith("Z")
    read = time.mktime(time.strptime(instant[:19], "%Y-%m-%dT%H:%M:%S")) - time.timezone
    assert abs(read - before) < 2
    assert line == {
        "level": "WARNING",
        "logger": "a.b",
        "message": "seat A-1 taken",
        "process": "serve",
        "qty": 2,
        "seats": ["A-1"],
    }


def test_the_time_is_that_of_the_record_to_the_millisecond() -> None:
    formatter = JsonFormatter({})
    for created, text in [
        (1795435200.0, "2026-11-23T12:00:00.000Z"),
        (1795435200.9996, "2026-11-23T12:00:00.999Z"),
        (1795435201.5, "2026-11-23T12:00:01.500Z"),
        (1795435200.25, "2026-11-23T12:00:00.250Z"),
    ]:
        record = logging.makeLogRecord({"created": created, "msg": "x", "levelname": "INFO", "name": "x"})
        assert json.loads(formatter.format(record))["time"] == text


def test_an_exception_shows_its_error_and_its_stack(stream: io.BytesIO) -> None:
    log_failure("failed", ValueError("no seats"))

    (line,) = lines(stream)
    assert line["error"] == "ValueError('no seats')"
    assert "test_logs.py" in line["stack"]


def test_what_is_below_the_level_is_not_written(stream: io.BytesIO) -> None:
    logging.getLogger("a").debug("x")
    logging.getLogger("httpx").info("GET https://issuer")
    assert lines(stream) == []


def test_no_field_passes_itself_off_as_the_level_or_the_time(stream: io.BytesIO) -> None:
    logging.getLogger("a").error("x", extra={"fields": {"level": "DEBUG", "time": "never", "message": "y"}})
    (line,) = lines(stream)
    assert (line["level"], line["message"]) == ("ERROR", "x")
    assert line["time"] != "never"


def test_a_message_with_line_breaks_stays_one_line(stream: io.BytesIO) -> None:
    logging.getLogger("a").error('x\n{"level":"INFO"}')
    assert len(stream.getvalue().splitlines()) == 1


@pytest.mark.parametrize(
    "shape",
    [
        "{token}",
        "Authorization: Bearer {token}",
        "authorization=bearer {token}",
        "BEARER  {token}",
        "the token ({token}), it seems",
        '{{"access_token": "{token}"}}',
    ],
)
def test_tokens_are_never_written(stream: io.BytesIO, shape: str) -> None:
    token = mint(make_key(), make_claims(SystemClock().now()))
    text = shape.format(token=token)
    log_failure(text, ValueError(text), header=text, headers=[text])

    (line,) = lines(stream)
    written = json.dumps(line)
    assert "[redacted]" in line["message"]
    assert not [segment for segment in token.split(".") if segment in written]


@pytest.mark.parametrize("scheme", ["Bearer", "bearer", "BEARER"])
def test_an_opaque_bearer_token_is_not_written_and_the_rest_of_the_line_is(
    stream: io.BytesIO, scheme: str
) -> None:
    logging.getLogger("a").error('got "%s abc.DEF-_~+/=", and more', scheme)
    (line,) = lines(stream)
    assert line["message"] == f'got "{scheme} [redacted]", and more'


@pytest.mark.parametrize("value", [object(), {1, 2}, b"\xff", "\ud800", {("a", 1): 2}, float("nan"), 2**70])
def test_whatever_is_logged_becomes_a_line(stream: io.BytesIO, value: object) -> None:
    logging.getLogger("a").error("x %s", "y", extra={"fields": {"value": value}})
    (line,) = lines(stream)
    assert "value" in " ".join(line)


def test_a_slip_in_a_log_call_does_not_lose_the_message() -> None:
    record = logging.makeLogRecord({"msg": "x %d", "args": ("y",)})
    assert json.loads(JsonFormatter({}).format(record))["message"] == "x %d ('y',)"


def test_a_stream_that_is_gone_stops_nobody(stream: io.BytesIO) -> None:
    stream.close()
    logging.getLogger("a").error("x")


def test_warnings_are_log_lines(stream: io.BytesIO) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        logging.captureWarnings(capture=True)
        warnings.warn("old", UserWarning, stacklevel=1)
    (line,) = lines(stream)
    assert line["logger"] == "py.warnings"


def test_what_ends_the_process_or_a_thread_is_a_log_line(stream: io.BytesIO) -> None:
    error = RuntimeError("broken")
    sys.excepthook(RuntimeError, error, None)
    thread = threading.Thread(target=lambda: 1 / 0)
    thread.start()
    thread.join()
    assert [line["level"] for line in lines(stream)] == ["CRITICAL", "CRITICAL"]
    assert [line["error"] for line in lines(stream)] == [
        "RuntimeError('broken')",
        "ZeroDivisionError('division by zero')",
    ]


def test_configuring_twice_writes_each_line_once(stream: io.BytesIO) -> None:
    configure_logs("INFO", {}, stream)
    logging.getLogger("a").error("x")
    assert len(lines(stream)) == 1
