"""`reservation-api consume`: a process that is asked to end, is killed, or finds no queue."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from tests.support.aws_between import AwsBetween, between
from tests.support.aws_environment import aws_environment
from tests.support.bus_events import created
from tests.support.eventbridge import control, create_queue
from tests.support.ministack import Ministack, ministack, unique
from tests.support.processes import Running, run_command, running, wait_until

pytestmark = pytest.mark.e2e


@pytest.fixture(scope="module")
def aws() -> Iterator[Ministack]:
    with ministack() as started:
        yield started


@pytest.fixture(scope="module")
def sqs(aws: Ministack) -> Iterator[Any]:
    client = control("sqs", aws.url)
    yield client
    client.close()


@pytest.fixture
def way(aws: Ministack) -> Iterator[AwsBetween]:
    with between(aws.url) as opened:
        yield opened


@pytest.fixture
def queue(sqs: Any) -> str:
    url, _ = create_queue(sqs, unique("events"))
    return url


def send(sqs: Any, queue: str, *names: str) -> None:
    for name in names:
        sqs.send_message(QueueUrl=queue, MessageBody=json.dumps(created(name)))


def recorded(process: Running) -> list[str]:
    return sorted(json.loads(line)["id"] for line in process.output().splitlines())


def messages(sqs: Any, queue: str) -> int:
    """How many there are, hidden ones included."""
    names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
    found = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=names)["Attributes"]
    return sum(map(int, found.values()))


def consuming(way: AwsBetween, queue: str, *more: str) -> Any:
    return running(["consume", "--queue", queue, *more], aws_environment(way.url))


def test_it_records_what_is_there_and_what_comes_and_ends_when_it_is_asked(
    sqs: Any, way: AwsBetween, queue: str
) -> None:
    send(sqs, queue, "rsv_a")
    with consuming(way, queue, "--batches", "3") as process:
        wait_until(lambda: recorded(process) == ["rsv_a.1"], process.log_text)
        send(sqs, queue, "rsv_b", "rsv_c")
        wait_until(lambda: recorded(process) == ["rsv_a.1", "rsv_b.1", "rsv_c.1"], process.log_text)
        wait_until(lambda: messages(sqs, queue) == 0, process.log_text)
        assert process.stop() == 0
        assert process.logs()[-1]["message"] == "ended"


def test_a_killed_process_loses_no_event(sqs: Any, way: AwsBetween, queue: str) -> None:
    send(sqs, queue, "rsv_a", "rsv_b")
    way.rewrites["ReceiveMessage"] = {"VisibilityTimeout": 1}
    way.holds("DeleteMessageBatch")
    with running(["consume", "--queue", queue], aws_environment(way.url), until_ready=False) as killed:
        wait_until(lambda: "DeleteMessageBatch" in way.operations(), killed.log_text)
        killed.kill()
        assert recorded(killed) == ["rsv_a.1", "rsv_b.1"]
    way.rewrites.clear()
    # The held calls of the killed process are not let through: it was killed before it sent them.
    way.drops_held("DeleteMessageBatch")
    with consuming(way, queue) as process:
        wait_until(lambda: recorded(process) == ["rsv_a.1", "rsv_b.1"], process.log_text)
        wait_until(lambda: messages(sqs, queue) == 0, process.log_text)
        assert all(json.loads(line)["redelivered"] for line in process.output().splitlines())


def test_a_queue_that_is_not_there_is_a_sentence_and_an_exit_code(way: AwsBetween, aws: Ministack) -> None:
    environment = aws_environment(way.url)
    written = run_command(
        "consume", "--queue", f"{aws.url}/000000000000/none", environment=environment, code=1
    )
    assert "Error: the queue: ReceiveMessage: " in written
    assert "Traceback" not in written


def test_without_an_aws_runtime_there_is_no_queue() -> None:
    written = run_command("consume", "--queue", "q", environment={}, code=2)
    assert "Configuration: this is for the AWS runtime" in written
