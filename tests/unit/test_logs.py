import io
import json
import logging
import sys
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

import msgspec
import pytest
from tests.support.tokens import make_claims, make_key, mint

from reservation_api.adapters.system_clock import SystemClock
from reservation_api.telemetry.logs import JsonFormatter, LineHandler, StructLog, StructRecord, configure_logs
from reservation_api.telemetry.repeats import LINES_PER_WINDOW, MAX_KINDS, WINDOW_SECONDS, Repeats


@pytest.fixture
def stream() -> Iterator[io.BytesIO]:
    root, quiet = logging.getLogger(), [logging.getLogger(name) for name in ("httpx", "httpcore", "asyncio")]
    before = (root.handlers[:], root.level, [logger.level for logger in quiet])
    switches = (logging.logThreads, logging.logProcesses, logging.logMultiprocessing)
    hooks = (sys.excepthook, threading.excepthook)
    source_file = vars(logging)["_srcfile"]
    stream = io.BytesIO()
    configure_logs("INFO", {"process": "serve"}, stream.write)
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
    configure_logs("INFO", {}, stream.write)
    logging.getLogger("a").error("x")
    assert len(lines(stream)) == 1


class Told(msgspec.Struct, frozen=True):
    reason: str
    n: int = 1


@contextmanager
def nobody_else_listening() -> Iterator[None]:
    """Leave out pytest's own handlers, as in a process of ours: then lines need no record."""
    root = logging.getLogger()
    before = root.handlers[:]
    root.handlers[:] = [handler for handler in before if isinstance(handler, LineHandler)]
    try:
        yield
    finally:
        root.handlers[:] = before


LISTENING = pytest.mark.parametrize("listening", [nullcontext, nobody_else_listening])
Listening = Callable[[], AbstractContextManager[None]]


@LISTENING
def test_a_structs_fields_are_a_line_like_any_other(stream: io.BytesIO, listening: Listening) -> None:
    with listening():
        StructLog("a", logging.INFO, "x").write(Told("why"))
    logging.getLogger("a").info("x", extra={"fields": {"reason": "why", "n": 1}})
    one, other = ({**line, "time": None} for line in lines(stream))
    assert one == other
    assert list(one) == ["time", "level", "logger", "message", "process", "reason", "n"]


def test_structs_below_the_level_are_not_asked_for(stream: io.BytesIO) -> None:
    levels = (logging.DEBUG, logging.INFO, logging.ERROR)
    assert [StructLog("a", level, "x").is_on() for level in levels] == [False, True, True]


@LISTENING
def test_a_token_in_a_text_of_a_struct_is_not_written(stream: io.BytesIO, listening: Listening) -> None:
    with listening():
        StructLog("a", logging.INFO, "x").write(Told("got Bearer abc.def"))
    (line,) = lines(stream)
    assert line["reason"] == "got Bearer [redacted]"


@LISTENING
def test_a_struct_that_is_no_json_becomes_a_line_all_the_same(
    stream: io.BytesIO, listening: Listening
) -> None:
    with listening():
        StructLog("a", logging.INFO, "x").write(Told("\ud800"))
    (line,) = lines(stream)
    assert "ud800" in str(line)


def test_other_handlers_can_format_it() -> None:
    record = StructRecord(("a", logging.INFO, "x"), Told("why"))
    text = logging.Formatter("%(asctime)s %(levelname)s %(name)s:%(filename)s:%(lineno)d %(message)s")
    assert text.format(record).endswith("INFO a::0 x")


class Watch:
    seconds = 100.0

    def __call__(self) -> float:
        return self.seconds


@pytest.mark.parametrize("end", [".000Z", ".250Z", ".999Z"])
def test_a_structs_line_has_its_instant_to_the_millisecond(stream: io.BytesIO, end: str) -> None:
    """Forth over the end of a second, and back: clocks are set."""
    watch, begin = Watch(), 1795435200.0
    log = StructLog("a", logging.INFO, "x", watch)
    for seconds in (0.0, 0.9, 1.0, 2.5, 2.0, 0.5, -1.0):
        watch.seconds = begin + int(seconds // 1) + float(end[:-1])
        with nobody_else_listening():
            log.write(Told("why"))
    written = [line["time"] for line in lines(stream)]
    assert written == [
        f"2026-11-23T{clock}{end}"
        for clock in ("12:00:00", "12:00:00", "12:00:01", "12:00:02", "12:00:02", "12:00:00", "11:59:59")
    ]


def test_a_structs_line_goes_to_all_who_listen_when_it_is_written(stream: io.BytesIO) -> None:
    log, root, other = StructLog("a", logging.INFO, "x", Watch()), logging.getLogger(), io.BytesIO()
    with nobody_else_listening():
        log.write(Told("one"))
        root.addHandler(LineHandler(JsonFormatter({}), other.write))
        log.write(Told("two"))
        del root.handlers[0]
        log.write(Told("three"))
    assert [line["reason"] for line in lines(stream)] == ["one", "two"]
    assert [line["reason"] for line in lines(other)] == ["two", "three"]


def record_of(message: str, level: int = logging.WARNING, **fields: object) -> logging.LogRecord:
    return logging.makeLogRecord({"name": "a", "msg": message, "levelno": level, "fields": fields})


def test_what_is_said_again_and_again_is_counted_and_told_with_the_next(stream: io.BytesIO) -> None:
    watch = Watch()
    repeats = Repeats(watch)
    for n in range(LINES_PER_WINDOW + 7):
        assert repeats.is_one_too_many(record_of("x waits")) is (n >= LINES_PER_WINDOW)
    watch.seconds += WINDOW_SECONDS
    record = record_of("x waits")
    assert not repeats.is_one_too_many(record)
    assert record.__dict__["left_out"] == 7
    assert json.loads(JsonFormatter({}).format(record))["left_out"] == 7
    assert not repeats.is_one_too_many(after := record_of("x waits"))
    assert "left_out" not in after.__dict__


def test_kinds_do_not_count_for_each_other_and_information_never_does() -> None:
    repeats = Repeats(Watch())
    for n in range(3 * LINES_PER_WINDOW):
        assert not repeats.is_one_too_many(record_of(f"kind {n}"))
        assert not repeats.is_one_too_many(record_of("%s waits", work=str(n)))
        assert not repeats.is_one_too_many(record_of("x", logging.INFO))


@pytest.mark.parametrize("message", [{"code": 7}, ["a"], ValueError("x")])
def test_a_message_that_is_no_text_is_written_and_not_kept(stream: io.BytesIO, message: object) -> None:
    for _ in range(LINES_PER_WINDOW + 1):
        logging.getLogger("a.library").error(message)
    assert [line["message"] for line in lines(stream)] == [str(message)] * LINES_PER_WINDOW


def test_kinds_without_end_take_no_memory_without_end() -> None:
    repeats = Repeats(Watch())
    for n in range(3 * MAX_KINDS):
        repeats.is_one_too_many(record_of(f"kind {n}"))
        assert len(repeats._kinds) <= MAX_KINDS


def test_repeats_are_left_out_of_the_log_and_requests_never(stream: io.BytesIO) -> None:
    for _ in range(5 * LINES_PER_WINDOW):
        logging.getLogger("a").error("%s failed", "x")
        StructLog("a", logging.WARNING, "request").write(Told("why"))
    messages = [line["message"] for line in lines(stream)]
    assert messages.count("x failed") == LINES_PER_WINDOW
    assert messages.count("request") == 5 * LINES_PER_WINDOW
