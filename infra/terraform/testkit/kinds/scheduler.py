"""Schedules of EventBridge Scheduler, and their groups."""

import re
from collections.abc import Iterable
from typing import Any, Final

from testkit.aws import Aws
from testkit.calls import found, params
from testkit.fields import Fields, block, one
from testkit.kind import Fault, Kind, Rules
from testkit.patterns import is_reserved
from testkit.tagging import SCHEDULER
from testkit.values import State, only

_MISSING: Final = "ResourceNotFoundException"
_EXPRESSION: Final = re.compile(
    r"rate\(\d+ (minute|minutes|hour|hours|day|days)\)"
    r"|cron\(\S+ \S+ \S+ \S+ \S+ \S+\)"
    r"|at\(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\)"
)
_TARGET: Final = Fields(
    "arn",
    "input",
    "role_arn",
    dead_letter_config=one("arn"),
    eventbridge_parameters=one("detail_type", "source", name="EventBridgeParameters"),
    kinesis_parameters=one("partition_key"),
    retry_policy=one("maximum_event_age_in_seconds", "maximum_retry_attempts"),
    sqs_parameters=one("message_group_id"),
)
_SCHEDULE: Final = Fields(
    "action_after_completion",
    "description",
    "group_name",
    "kms_key_arn",
    "name",
    "schedule_expression",
    "schedule_expression_timezone",
    "state",
    flexible_time_window=one("maximum_window_in_minutes", "mode"),
    target=block(_TARGET),
)


def _settings(schedule: State) -> dict[str, Any]:
    times = params(StartDate=schedule["start_date"], EndDate=schedule["end_date"])
    return _SCHEDULE.to_aws(schedule) | times


def _create(aws: Aws, schedule: State) -> State:
    aws.client("scheduler").create_schedule(**_settings(schedule))
    group = only([schedule["group_name"]]) or "default"
    return {"id": f"{group}/{schedule['name']}"}


def _read(aws: Aws, state: State) -> State | None:
    group, _, name = state["id"].partition("/")
    answer = found(aws.client("scheduler").get_schedule, _MISSING, GroupName=group, Name=name)
    if answer is None:
        return None
    read = _SCHEDULE.to_state(answer)
    read["action_after_completion"] = read["action_after_completion"] or "NONE"
    times = {"start_date": _time(answer.get("StartDate")), "end_date": _time(answer.get("EndDate"))}
    return read | times | {"arn": answer["Arn"]}


def _time(instant: Any) -> str:
    return instant.strftime("%Y-%m-%dT%H:%M:%SZ") if instant else ""


def _update(aws: Aws, _prior: State, planned: State) -> None:
    aws.client("scheduler").update_schedule(**_settings(planned))


def _delete(aws: Aws, state: State) -> None:
    group, _, name = state["id"].partition("/")
    aws.client("scheduler").delete_schedule(GroupName=group, Name=name)


def _faults(schedule: State) -> Iterable[Fault]:
    expression = schedule["schedule_expression"]
    if isinstance(expression, str) and not _EXPRESSION.fullmatch(expression):
        yield Fault(f"{expression!r} is no rate(), cron() or at()", "schedule_expression")
    for window in schedule["flexible_time_window"] or []:
        minutes = window["maximum_window_in_minutes"]
        if window["mode"] == "OFF" and minutes:
            yield Fault("a window that is OFF has no maximum", "flexible_time_window")
        if window["mode"] == "FLEXIBLE" and minutes is None:
            yield Fault("a FLEXIBLE window needs maximum_window_in_minutes", "flexible_time_window")

    for target in schedule["target"] or []:
        for event in target["eventbridge_parameters"] or []:
            if is_reserved(event["source"]):
                yield Fault(f"nobody may publish events of {event['source']}", "target")


def _create_group(aws: Aws, group: State) -> State:
    tags = params(Tags=SCHEDULER.written(group["tags_all"]))
    aws.client("scheduler").create_schedule_group(Name=group["name"], **tags)
    return {"id": group["name"]}


def _read_group(aws: Aws, state: State) -> State | None:
    answer = found(aws.client("scheduler").get_schedule_group, _MISSING, Name=state["id"])
    if answer is None or answer.get("State") == "DELETING":
        return None
    return {
        "name": answer["Name"],
        "arn": answer["Arn"],
        "state": answer["State"],
        "creation_date": _time(answer.get("CreationDate")),
        "last_modification_date": _time(answer.get("LastModificationDate")),
        "tags_all": SCHEDULER.read(aws, answer["Arn"]),
    }


def _update_group(aws: Aws, prior: State, planned: State) -> None:
    SCHEDULER.update(aws, prior["arn"], prior, planned)


def _delete_group(aws: Aws, state: State) -> None:
    aws.client("scheduler").delete_schedule_group(Name=state["id"])


KINDS: Final = (
    Kind(
        "aws_scheduler_schedule",
        _create,
        _read,
        _delete,
        _update,
        Rules(
            defaults={
                "schedule_expression_timezone": "UTC",
                "state": "ENABLED",
                "target.retry_policy.maximum_event_age_in_seconds": 86_400,
                "target.retry_policy.maximum_retry_attempts": 185,
            },
            force_new=frozenset({"group_name", "name", "name_prefix", "region"}),
            computed_blocks=frozenset({"target.retry_policy"}),
        ),
        _faults,
    ),
    Kind(
        "aws_scheduler_schedule_group",
        _create_group,
        _read_group,
        _delete_group,
        _update_group,
        Rules(force_new=frozenset({"name", "name_prefix", "region"})),
    ),
)
