"""Bus, archive, rules, schedule and dead-letter queue, as the document speaks of them."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from reservation_api.adapters.aws_operations.asking import ask, ask_all, fact
from reservation_api.ports.deployment import AbsentError, Facts, Unreadable


def bus_facts(events: Any, name: str) -> Facts:
    """Return what a bus is; raises AbsentError, UnreadableError, as all here."""
    found = ask(events.describe_event_bus, Name=name)
    return {"resource policy": bool(found.get("Policy"))}


def archive_facts(events: Any, name: str) -> Facts:
    """Return what an archive is."""
    found = ask(events.describe_archive, ArchiveName=name)
    return {
        "state": found.get("State"),
        "source": found.get("EventSourceArn"),
        "retention days": found.get("RetentionDays"),
        "pattern": _pattern(found.get("EventPattern")),
    }


def rule_facts(events: Any, name: str) -> Facts:
    """Return what a rule of a bus is, by `bus/rule`, or one of the default bus by its name."""
    bus, _, rule = name.rpartition("/")
    at = {"EventBusName": bus or "default"}
    found = ask(events.describe_rule, Name=rule, **at)
    targets = fact(lambda: ask_all(events, "list_targets_by_rule", "Targets", Rule=rule, **at))
    return {
        "state": found.get("State"),
        "pattern": _pattern(found.get("EventPattern")),
        "expression": found.get("ScheduleExpression"),
        **_target_facts(targets),
    }


def schedule_facts(events: Any, scheduler: Any, name: str) -> Facts:
    """Return what a scheduled rule is, or the schedule of EventBridge Scheduler in its stead."""
    try:
        return rule_facts(events, name)
    except AbsentError:
        found = ask(scheduler.get_schedule, Name=name)
    return {
        "state": found.get("State"),
        "expression": found.get("ScheduleExpression"),
        **_target_facts([found["Target"]]),
        "targets": [f"EventBridge Scheduler to {found['Target']['Arn']}"],
    }


def queue_facts(sqs: Any, name: str) -> Facts:
    """Return what a queue is."""
    url = ask(sqs.get_queue_url, QueueName=name)["QueueUrl"]
    found = ask(sqs.get_queue_attributes, QueueUrl=url, AttributeNames=["All"])["Attributes"]
    return {
        "retention seconds": int(found["MessageRetentionPeriod"]),
        "visibility timeout seconds": int(found["VisibilityTimeout"]),
        "encryption": _encryption(found),
        "policy": _pattern(found.get("Policy")),
    }


def _pattern(text: str | None) -> Any:
    """Return a JSON document; None if there is none, and what is no JSON as it is."""
    try:
        return json.loads(text) if text else None
    except ValueError:
        return text


def _target_facts(targets: Sequence[Mapping[str, Any]] | Unreadable) -> Facts:
    if isinstance(targets, Unreadable):
        return dict.fromkeys(("targets", "retry policy", "dead letters"), targets)
    return {
        "targets": [target["Arn"] for target in targets],
        "retry policy": [f"{_name(target)}: {_retries(target)}" for target in targets],
        "dead letters": [
            f"{_name(target)}: {target.get('DeadLetterConfig', {}).get('Arn', 'none')}" for target in targets
        ],
    }


def _name(target: Mapping[str, Any]) -> str:
    """Return the target's id; a schedule's only target has none."""
    return str(target.get("Id", "target"))


def _retries(target: Mapping[str, Any]) -> str:
    found = target.get("RetryPolicy")
    if not found:
        return "none"
    return f"{found.get('MaximumRetryAttempts')} times within {found.get('MaximumEventAgeInSeconds')} s"


def _encryption(found: Mapping[str, str]) -> str:
    if found.get("KmsMasterKeyId"):
        return f"key {found['KmsMasterKeyId']}"
    return "SQS managed" if found.get("SqsManagedSseEnabled") == "true" else "none"
