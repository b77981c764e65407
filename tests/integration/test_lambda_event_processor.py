"""The event processor in a container of its own: what EventBridge and SQS invoke it with."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest
from tests.support.bus_events import confirmed, created
from tests.support.lambda_container import Container, FunctionFailedError, container

HANDLER: Final = "reservation_api.entrypoints.lambdas.event_processor.handler"


@pytest.fixture
def function(tmp_path: Path) -> Iterator[Container]:
    with container(HANDLER, tmp_path) as started:
        yield started


def message(name: str, body: Any, receive_count: int = 1) -> dict[str, Any]:
    """A record of a batch, as Lambda makes it from a message."""
    return {
        "messageId": name,
        "receiptHandle": f"receipt of {name}",
        "body": body if isinstance(body, str) else json.dumps(body),
        "attributes": {"ApproximateReceiveCount": str(receive_count), "SentTimestamp": "1700000000000"},
        "messageAttributes": {},
        "eventSource": "aws:sqs",
    }


def failed(*names: str) -> dict[str, Any]:
    return {"batchItemFailures": [{"itemIdentifier": name} for name in names]}


def ids(function: Container) -> list[str]:
    return [line["id"] for line in function.output()]


def test_events_of_the_bus_have_a_line_each_from_one_invocation_to_the_next(function: Container) -> None:
    assert function.invoke(created()) is None
    assert function.invoke(confirmed()) is None
    assert function.invoke(created(id="delivered again")) is None
    assert ids(function) == ["rsv_1.1", "rsv_1.2"]
    assert [line["audit"] for line in function.output()] == [
        "Reservation Created",
        "Reservation Status Changed",
    ]


@pytest.mark.parametrize(
    "event",
    [{}, [], None, created(source="somebody.else"), created(detail={"id": "rsv_1.1"})],
    ids=["empty", "list", "null", "foreign", "not to its schema"],
)
def test_a_poisoned_event_fails_its_invocation_and_no_other(function: Container, event: Any) -> None:
    with pytest.raises(FunctionFailedError) as caught:
        function.invoke(event)
    assert caught.value.kind in {"UnreadableEventError", "TypeError"}
    function.invoke(created())
    assert ids(function) == ["rsv_1.1"]


def test_of_a_batch_only_the_poisoned_messages_come_again(function: Container) -> None:
    batch = [
        message("m1", created("rsv_a")),
        message("m2", "no json"),
        message("m3", created("rsv_b"), 2),
        message("m4", created("rsv_c", source="somebody.else")),
        message("m5", created("rsv_a")),
    ]
    assert function.invoke({"Records": batch}) == failed("m2", "m4")
    assert ids(function) == ["rsv_a.1", "rsv_b.1"]
    assert [line["redelivered"] for line in function.output()] == [False, True]
    assert "message m2: " in function.log_text()


def test_a_batch_without_faults_fails_nothing(function: Container) -> None:
    assert function.invoke({"Records": [message("m1", created())]}) == failed()


def test_a_batch_that_is_none_fails_as_a_whole(function: Container) -> None:
    with pytest.raises(FunctionFailedError):
        function.invoke({"Records": [{"messageId": "m1"}]})
