"""The audit log: one line for each event, as far as one process can tell."""

import io
import json
from typing import Any

import pytest
from tests.support.bus_events import BUS_EVENT_ID, confirmed, created

from reservation_api.application.received_events import UnreadableEventError
from reservation_api.entrypoints.lambdas.audit import AuditLog


def lines(stream: io.BytesIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_a_line_tells_all_of_an_event_but_its_token() -> None:
    stream, event = io.BytesIO(), confirmed()
    assert event["detail"]["reservation_token"] == "secret"
    assert AuditLog(stream).record(json.dumps(event))
    detail = {name: value for name, value in event["detail"].items() if name != "reservation_token"}
    assert lines(stream) == [
        {
            "audit": "Reservation Status Changed",
            **detail,
            "bus_event_id": BUS_EVENT_ID,
            "replay_name": None,
            "redelivered": False,
        }
    ]
    assert stream.getvalue().endswith(b"}\n")


def test_a_repeat_is_dropped_although_the_bus_gives_it_another_id() -> None:
    stream = io.BytesIO()
    audit = AuditLog(stream)
    assert audit.record(json.dumps(created()))
    assert not audit.record(json.dumps(created(id="another")))
    assert audit.record(json.dumps(confirmed()))
    assert [line["id"] for line in lines(stream)] == ["rsv_1.1", "rsv_1.2"]


@pytest.mark.parametrize(("changes", "count"), [({"replay-name": "again"}, 1), ({}, 2)])
def test_a_delivery_that_is_known_not_to_be_the_first_says_so(changes: dict[str, str], count: int) -> None:
    stream = io.BytesIO()
    assert AuditLog(stream).record(json.dumps(created(**changes)), count)
    (line,) = lines(stream)
    assert line["redelivered"] is True
    assert line["replay_name"] == changes.get("replay-name")


def test_of_many_ids_the_latest_seen_are_remembered() -> None:
    stream = io.BytesIO()
    audit = AuditLog(stream, max_remembered=2)
    a, b, c = (json.dumps(created(f"rsv_{name}")) for name in "abc")
    assert [audit.record(event) for event in (a, b, a, c)] == [True, True, False, True]
    assert [audit.record(event) for event in (a, c)] == [False, False]
    assert audit.record(b)


def test_an_unreadable_event_writes_nothing() -> None:
    stream = io.BytesIO()
    with pytest.raises(UnreadableEventError):
        AuditLog(stream).record("{}")
    assert stream.getvalue() == b""


def test_a_line_that_could_not_be_written_is_written_when_the_event_comes_again() -> None:
    class Full(io.BytesIO):
        is_full = True

        def flush(self) -> None:
            if self.is_full:
                self.truncate(0)
                self.seek(0)
                raise OSError("no space left on device")

    stream = Full()
    audit = AuditLog(stream)
    with pytest.raises(OSError, match="no space"):
        audit.record(json.dumps(created()))
    stream.is_full = False
    assert audit.record(json.dumps(created()))
    assert len(lines(stream)) == 1
