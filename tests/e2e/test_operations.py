"""An operator's command that is interrupted leaves nothing half done, and says what goes on without it."""

import json
from collections.abc import Iterator
from signal import SIGINT

import pytest
from tests.support.aws_between import AwsBetween, Reply, between
from tests.support.aws_environment import aws_environment
from tests.support.bus_events import created
from tests.support.eventbridge import Bus, create_bus, create_queue
from tests.support.ministack import Ministack, ministack
from tests.support.processes import running, wait_until

pytestmark = pytest.mark.e2e

INTERRUPTED = 130


@pytest.fixture(scope="module")
def aws() -> Iterator[Ministack]:
    with ministack() as started:
        yield started


@pytest.fixture
def way(aws: Ministack) -> Iterator[AwsBetween]:
    with between(aws.url) as opened:
        yield opened


@pytest.fixture
def bus(aws: Ministack) -> Iterator[Bus]:
    made = create_bus(aws.url)
    yield made
    made.sqs.close()
    made.events.close()


def test_an_interrupted_redrive_lets_go_of_its_letters(way: AwsBetween, bus: Bus) -> None:
    url, _ = create_queue(bus.sqs, f"{bus.name}-dlq")
    bus.sqs.send_message(QueueUrl=url, MessageBody=json.dumps(created()))
    way.holds("PutEvents")
    environment = aws_environment(way.url, bus.name)
    with running(["dlq", "redrive"], environment, until_ready=False) as process:
        wait_until(lambda: "PutEvents" in way.operations(), process.log_text)
        assert process.stop(SIGINT) == INTERRUPTED
        assert "Traceback" not in process.log_text()
    names = ["ApproximateNumberOfMessages"]
    found = bus.sqs.get_queue_attributes(QueueUrl=url, AttributeNames=names)["Attributes"]
    assert found == {"ApproximateNumberOfMessages": "1"}


def test_an_interrupted_wait_says_that_the_replay_goes_on(way: AwsBetween, bus: Bus) -> None:
    bus.events.create_archive(ArchiveName=f"{bus.name}-archive", EventSourceArn=bus.arn)
    way.answers_always("DescribeReplay", Reply(200, {"State": "RUNNING"}))
    period = ["--from", "2020-01-01T00:00:00Z", "--to", "2020-01-02T00:00:00Z", "--name", "of-the-test"]
    environment = aws_environment(way.url, bus.name)
    with running(["archive", "replay", *period], environment, until_ready=False) as process:
        wait_until(lambda: "RUNNING" in process.log_text(), process.log_text)
        assert process.stop(SIGINT) == INTERRUPTED
        assert "of-the-test goes on" in process.log_text()
        assert "Traceback" not in process.log_text()
