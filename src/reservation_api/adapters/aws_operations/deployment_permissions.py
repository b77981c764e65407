"""What an identity must be allowed to read the deployment: no more than it asks."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

_ALLOWED: Final[Mapping[str, tuple[Sequence[str], Sequence[str]]]] = {
    "ListWhatThereIs": (  # lists, alarms and log groups know no narrower resource
        [
            *("dynamodb:ListTables", "events:ListEventBuses", "iam:ListRoles"),
            *("logs:DescribeLogGroups", "cloudwatch:DescribeAlarms"),
        ],
        ["*"],
    ),
    "ReadTables": (
        [
            *("dynamodb:DescribeTable", "dynamodb:DescribeTimeToLive"),
            *("dynamodb:DescribeContinuousBackups", "dynamodb:GetResourcePolicy"),
        ],
        ["arn:aws:dynamodb:{region}:*:table/{env}-reservation-*"],
    ),
    "ReadWhoseKeyEncryptsThem": (["kms:DescribeKey"], ["arn:aws:kms:{region}:*:key/*"]),
    "ReadBusArchiveAndRules": (
        [
            *("events:DescribeEventBus", "events:DescribeArchive"),
            *("events:DescribeRule", "events:ListTargetsByRule"),
        ],
        [
            "arn:aws:events:{region}:*:event-bus/{env}-reservation-events",
            "arn:aws:events:{region}:*:archive/{env}-reservation-events-archive",
            "arn:aws:events:{region}:*:rule/{env}-reservation-events/{env}-reservation-*",
            "arn:aws:events:{region}:*:rule/{env}-reservation-expiry-scheduler",
        ],
    ),
    "ReadSchedule": (
        ["scheduler:GetSchedule"],
        ["arn:aws:scheduler:{region}:*:schedule/default/{env}-reservation-expiry-scheduler"],
    ),
    "ReadDeadLetterQueue": (
        ["sqs:GetQueueUrl", "sqs:GetQueueAttributes"],
        ["arn:aws:sqs:{region}:*:{env}-reservation-events-dlq"],
    ),
    "ReadRoles": (
        ["iam:GetRole", "iam:ListAttachedRolePolicies", "iam:ListRolePolicies", "iam:GetRolePolicy"],
        ["arn:aws:iam::*:role/{env}-reservation-*"],
    ),
    "ReadTheirPolicies": (["iam:GetPolicy", "iam:GetPolicyVersion"], ["arn:aws:iam::*:policy/*"]),
    "ReadTopics": (["sns:GetTopicAttributes"], ["arn:aws:sns:{region}:*:*"]),
}


def reading_policy(env: str, region: str) -> Mapping[str, Any]:
    """Return the IAM policy."""
    return {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Sid": sid,
                "Effect": "Allow",
                "Action": list(actions),
                "Resource": [resource.format(env=env, region=region) for resource in resources],
            }
            for sid, (actions, resources) in _ALLOWED.items()
        ],
    }
