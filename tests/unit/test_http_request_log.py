"""The line of a request as it is written: its level, its numbers, and whether there is one at all."""

import io
import json
import logging
from typing import Any, cast

import pytest

from reservation_api.domain.errors import ReservationApiError, SoldOutError
from reservation_api.entrypoints.http.authentication import ANONYMOUS
from reservation_api.entrypoints.http.request import Call, Request
from reservation_api.entrypoints.http.request_log import RequestLog
from reservation_api.telemetry.logs import JsonFormatter, LineHandler

LOG = RequestLog(None)


class Written:
    """What a process writes in which nobody else listens, pytest neither."""

    def __init__(self) -> None:
        self._stream = io.BytesIO()
        self._root = logging.getLogger()
        self._before = (self._root.handlers[:], self._root.level)

    def after(
        self, status: int, milliseconds: float = 1.0, *, level: str = "INFO", **how: Any
    ) -> list[dict[str, Any]]:
        """Return all lines after one more request."""
        call = Call(cast("Request", None), "t", "", ANONYMOUS, replayed=how.get("replayed", False))
        self._root.handlers[:] = [LineHandler(JsonFormatter({}), self._stream.write)]
        self._root.setLevel(level)
        try:
            LOG.write(call, status, milliseconds, how.get("error"))
        finally:
            self._root.handlers[:] = self._before[0]
            self._root.setLevel(self._before[1])
        return [json.loads(line) for line in self._stream.getvalue().splitlines()]


@pytest.fixture
def written() -> Written:
    return Written()


@pytest.mark.parametrize(("status", "level"), [(200, "INFO"), (499, "INFO"), (500, "WARNING")])
def test_what_is_our_failure_is_a_warning(written: Written, status: int, level: str) -> None:
    [line] = written.after(status)
    assert (line["status"], line["level"]) == (status, level)


def test_a_level_that_changes_counts_from_the_next_line_on(written: Written) -> None:
    assert [line["status"] for line in written.after(200)] == [200]
    assert [line["status"] for line in written.after(201, level="WARNING")] == [200]
    assert [line["status"] for line in written.after(503, level="WARNING")] == [200, 503]
    assert [line["status"] for line in written.after(202)] == [200, 503, 202]


@pytest.mark.parametrize("milliseconds", [1.2344, 1.2349999])
def test_milliseconds_have_three_digits(written: Written, milliseconds: float) -> None:
    [line] = written.after(200, milliseconds)
    assert line["milliseconds"] == 1.234


def refusal(*, replayed: bool) -> ReservationApiError:
    error = SoldOutError("sold out")
    error.replayed = replayed
    return error


@pytest.mark.parametrize(("of_call", "of_error"), [(True, False), (False, True), (False, False)])
def test_a_replay_is_one_whether_an_answer_or_a_refusal_comes_again(
    written: Written, *, of_call: bool, of_error: bool
) -> None:
    [line] = written.after(409, replayed=of_call, error=refusal(replayed=of_error))
    assert (line["replayed"], line["code"], line["reason"]) == (
        of_call or of_error,
        SoldOutError.code,
        "sold out",
    )
