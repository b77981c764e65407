"""The stand-in that `tests/infra` has for EventBridge delivers as AWS does, and loses what AWS would lose."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from tests.support.bus_events import created
from tests.support.ministack import unique
from tests.support.moto_iam import REGION, MotoIam, moto_with_iam

ACCOUNT = "123456789012"
FUNCTION = f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:nobody"


@pytest.fixture(scope="module")
def aws() -> Iterator[MotoIam]:
    with moto_with_iam() as server:
        yield server


def arn(service: str, name: str) -> str:
    return f"arn:aws:{service}:{REGION}:{ACCOUNT}:{name}"


class Delivery:
    """A rule with a target that fails before one that does not, and a queue for dead letters."""

    def __init__(self, aws: MotoIam, **policy: Any) -> None:
        self.events, self.sqs = aws.client("events"), aws.client("sqs")
        self.bus, self.rule, self.dead = unique("bus"), unique("rule"), unique("dead")
        self.rule_arn = arn("events", f"rule/{self.bus}/{self.rule}")
        statement = {
            "Effect": "Allow",
            "Principal": {"Service": "events.amazonaws.com"},
            "Action": "sqs:SendMessage",
            "Resource": arn("sqs", self.dead),
            "Condition": {"ArnEquals": {"aws:SourceArn": [self.rule_arn]}},
            **policy,
        }
        document = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
        self.dead_url = self.sqs.create_queue(QueueName=self.dead, Attributes={"Policy": document})[
            "QueueUrl"
        ]
        target = unique("target")
        self.target_url = self.sqs.create_queue(QueueName=target)["QueueUrl"]
        self.events.create_event_bus(Name=self.bus)
        pattern = json.dumps({"detail-type": ["Reservation Created"]})
        self.events.put_rule(Name=self.rule, EventBusName=self.bus, EventPattern=pattern)
        dead = {"DeadLetterConfig": {"Arn": arn("sqs", self.dead)}}
        targets = [{"Id": "a", "Arn": FUNCTION, **dead}, {"Id": "b", "Arn": arn("sqs", target), **dead}]
        self.events.put_targets(Rule=self.rule, EventBusName=self.bus, Targets=targets)

    def put(self, event: dict[str, Any]) -> None:
        entry = {
            "Source": event["source"],
            "DetailType": event["detail-type"],
            "Detail": json.dumps(event["detail"]),
            "EventBusName": self.bus,
        }
        assert self.events.put_events(Entries=[entry])["FailedEntryCount"] == 0

    def letters(self) -> list[dict[str, Any]]:
        answer = self.sqs.receive_message(QueueUrl=self.dead_url, MessageAttributeNames=["All"])
        return list(answer.get("Messages", []))

    def delivered(self) -> int:
        return len(self.sqs.receive_message(QueueUrl=self.target_url).get("Messages", []))


def test_what_a_target_does_not_get_is_a_dead_letter_and_the_next_target_has_it(aws: MotoIam) -> None:
    delivery = Delivery(aws)
    event = created()
    delivery.put(event)
    [letter] = delivery.letters()
    assert json.loads(letter["Body"])["detail"] == event["detail"]
    told = {name: value["StringValue"] for name, value in letter["MessageAttributes"].items()}
    assert (told["RULE_ARN"], told["TARGET_ARN"]) == (delivery.rule_arn, FUNCTION)
    assert delivery.delivered() == 1
    assert not any(delivery.rule_arn in line for line in aws.lost())


def test_what_a_rule_does_not_match_is_nobodys(aws: MotoIam) -> None:
    delivery = Delivery(aws)
    delivery.put(created(**{"detail-type": "Something Else"}))
    assert (delivery.letters(), delivery.delivered()) == ([], 0)


@pytest.mark.parametrize(
    "policy",
    [
        {"Principal": {"Service": "lambda.amazonaws.com"}},
        {"Action": "sqs:ReceiveMessage"},
        {"Resource": arn("sqs", "other")},
        {"Condition": {"ArnEquals": {"aws:SourceArn": arn("events", "rule/other")}}},
        {"Effect": "Deny"},
    ],
)
def test_a_queue_that_does_not_let_the_rule_send_gets_nothing(aws: MotoIam, policy: dict[str, Any]) -> None:
    delivery = Delivery(aws, **policy)
    delivery.put(created())
    assert delivery.letters() == []
    assert f"{delivery.rule_arn} {FUNCTION}" in aws.lost()
    assert delivery.delivered() == 1
