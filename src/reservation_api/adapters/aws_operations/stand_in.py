"""What the service needs of AWS, made on a stand-in for development; Terraform makes it elsewhere."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from reservation_api.adapters.aws_operations.client import told

RULES: Final[Mapping[str, Mapping[str, Any]]] = {
    "created": {
        "source": ["reservation.service"],
        "detail-type": ["Reservation Created"],
        "detail": {"status": ["HOLD"]},
    },
    "status-changed": {
        "source": ["reservation.service"],
        "detail-type": ["Reservation Status Changed"],
        "detail": {"status": ["CONFIRMED", "CANCELLED", "EXPIRED"]},
    },
}
"""Document section 2.2, by the end of the rules' names."""


@dataclass(frozen=True, slots=True)
class StandIn:
    """botocore's clients of one stand-in."""

    dynamodb: Any
    events: Any
    sqs: Any

    def make_tables(self, requests: Sequence[Mapping[str, Any]], ttl_table: str) -> None:
        """Make tables that are not there yet, with a time to live on one; raises OperationFailedError."""
        with told("making tables"):
            there = set(self.dynamodb.list_tables()["TableNames"])
            for request in requests:
                if request["TableName"] not in there:
                    self.dynamodb.create_table(**request)
            if ttl_table not in there:
                self.dynamodb.update_time_to_live(
                    TableName=ttl_table,
                    TimeToLiveSpecification={"Enabled": True, "AttributeName": "ttl"},
                )

    def make_bus(self, env: str) -> str:
        """Make the bus, its rules, and the queue that they fill, with its dead-letter queue; all may exist.

        Returns the queue's URL; raises OperationFailedError.
        """
        bus = f"{env}-reservation-events"
        with told("making the event bus"):
            if bus not in {found["Name"] for found in self.events.list_event_buses()["EventBuses"]}:
                self.events.create_event_bus(Name=bus)
            dead_letters = self._queue(f"{bus}-dlq", {"MessageRetentionPeriod": "1209600"})
            policy = {"deadLetterTargetArn": self._arn(dead_letters), "maxReceiveCount": 5}
            queue = self._queue(f"{bus}-queue", {"RedrivePolicy": json.dumps(policy)})
            for name, pattern in RULES.items():
                rule = f"{env}-reservation-{name}"
                self.events.put_rule(Name=rule, EventBusName=bus, EventPattern=json.dumps(pattern))
                target = {"Id": "queue", "Arn": self._arn(queue)}
                self.events.put_targets(Rule=rule, EventBusName=bus, Targets=[target])
        return queue

    def _queue(self, name: str, attributes: Mapping[str, str]) -> str:
        return str(self.sqs.create_queue(QueueName=name, Attributes=dict(attributes))["QueueUrl"])

    def _arn(self, url: str) -> str:
        found = self.sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])
        return str(found["Attributes"]["QueueArn"])
