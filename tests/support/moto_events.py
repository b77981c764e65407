"""moto's EventBridge, delivering as AWS does: to each target alone, and what fails is a dead letter.

moto invokes no Lambda function, stops at the first target that fails, and does not look at its
`DeadLetterConfig`. Here an event that a target does not get goes to the queue that the target names, if that
queue's policy lets the rule send; otherwise it is lost, as on AWS, and standard output says so. AWS would try
for a while before it gives up.
"""

import copy
import json
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any


def deliver_as_aws_does() -> None:
    """Change moto's rules in this process."""
    from moto.events.models import Rule  # noqa: PLC0415 (moto takes a second to import)

    changed: Any = Rule
    to_all = changed.send_to_targets

    def send_to_each(rule: Any, event: Mapping[str, Any], **options: Any) -> None:
        for target in rule.targets:
            alone = copy.copy(rule)
            alone.targets = [target]
            try:
                to_all(alone, copy.deepcopy(event), **options)
            except Exception as error:
                _give_up(rule, target, event, error)

    changed.send_to_targets = send_to_each


def _give_up(rule: Any, target: Mapping[str, Any], event: Mapping[str, Any], error: Exception) -> None:
    from moto.sqs.models import sqs_backends  # noqa: PLC0415

    arn = target.get("DeadLetterConfig", {}).get("Arn", "")
    name = arn.rpartition(":")[2]
    sqs = sqs_backends[rule.account_id][rule.region_name]
    queue = sqs.queues.get(name)
    if queue is None or queue.queue_arn != arn or not lets_send(queue.policy, arn, rule.arn):
        sys.stdout.write(f"lost {rule.arn} {target['Arn']}\n")
        sys.stdout.flush()
        return
    told = {
        "ERROR_CODE": "SDK_CLIENT_ERROR",
        "ERROR_MESSAGE": repr(error),
        "RULE_ARN": rule.arn,
        "TARGET_ARN": target["Arn"],
    }
    attributes = {key: {"DataType": "String", "StringValue": value} for key, value in told.items()}
    when = datetime.fromtimestamp(float(event["time"]), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    sqs.send_message(name, json.dumps({**event, "time": when}), message_attributes=attributes)


def lets_send(policy: str | None, queue_arn: str, rule_arn: str) -> bool:
    """Say whether a queue's policy lets EventBridge send for a rule."""
    statements = json.loads(policy)["Statement"] if policy else []
    return any(
        statement["Effect"] == "Allow"
        and statement["Principal"] == {"Service": "events.amazonaws.com"}
        and "sqs:SendMessage" in _list(statement["Action"])
        and queue_arn in _list(statement["Resource"])
        and rule_arn in _list(statement["Condition"]["ArnEquals"]["aws:SourceArn"])
        for statement in statements
    )


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]
