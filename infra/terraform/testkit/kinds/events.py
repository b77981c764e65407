"""EventBridge: buses and who may use them, archives, rules and their targets."""

import json
import re
from collections.abc import Iterable
from typing import Any, Final

from testkit.aws import Aws
from testkit.calls import found, params
from testkit.choices import at_least_one, at_most_one, within
from testkit.fields import Fields, blocks, known, one
from testkit.kind import Fault, Kind, Rules
from testkit.patterns import pattern_faults
from testkit.tagging import EVENTS
from testkit.values import State, Unknown, is_known

_MISSING: Final = "ResourceNotFoundException"
_DEFAULT: Final = "default"

_BUS: Final = Fields(
    "name",
    "description",
    "event_source_name",
    "kms_key_identifier",
    dead_letter_config=one("arn"),
    log_config=one("include_detail", "level"),
)


def _create_bus(aws: Aws, bus: State) -> State:
    tags = params(Tags=EVENTS.written(bus["tags_all"]))
    aws.client("events").create_event_bus(**_BUS.to_aws(bus), **tags)
    return {"id": bus["name"]}


def _read_bus(aws: Aws, state: State) -> State | None:
    answer = found(aws.client("events").describe_event_bus, _MISSING, Name=state["id"])
    if answer is None:
        return None
    tags = EVENTS.read(aws, answer["Arn"])
    return _BUS.to_state(answer) | {"arn": answer["Arn"], "tags_all": tags}


def _update_bus(aws: Aws, prior: State, planned: State) -> None:
    settings = _BUS.to_aws(planned)
    if settings != _BUS.to_aws(prior):
        settings.pop("EventSourceName", None)
        aws.client("events").update_event_bus(**settings)
    EVENTS.update(aws, prior["arn"], prior, planned)


def _delete_bus(aws: Aws, state: State) -> None:
    aws.client("events").delete_event_bus(Name=state["id"])


def _put_bus_policy(aws: Aws, state: State) -> State:
    aws.client("events").put_permission(EventBusName=state["event_bus_name"], Policy=state["policy"])
    return {"id": state["event_bus_name"]}


def _read_bus_policy(aws: Aws, state: State) -> State | None:
    answer = found(aws.client("events").describe_event_bus, _MISSING, Name=state["id"])
    if answer is None or not answer.get("Policy"):
        return None
    return {"event_bus_name": state["id"], "policy": answer["Policy"]}


def _delete_bus_policy(aws: Aws, state: State) -> None:
    aws.client("events").remove_permission(EventBusName=state["id"], RemoveAllPermissions=True)


_ARCHIVE: Final = Fields(
    "description",
    "event_pattern",
    "event_source_arn",
    "retention_days",
    "kms_key_identifier",
    name="ArchiveName",
)


def _create_archive(aws: Aws, archive: State) -> State:
    aws.client("events").create_archive(**_ARCHIVE.to_aws(archive))
    return {"id": archive["name"]}


def _read_archive(aws: Aws, state: State) -> State | None:
    answer = found(aws.client("events").describe_archive, _MISSING, ArchiveName=state["id"])
    if answer is None:
        return None
    return _ARCHIVE.to_state(answer) | {"arn": answer["ArchiveArn"]}


def _update_archive(aws: Aws, _prior: State, planned: State) -> None:
    settings = _ARCHIVE.to_aws(planned)
    del settings["EventSourceArn"]
    aws.client("events").update_archive(**settings)


def _delete_archive(aws: Aws, state: State) -> None:
    aws.client("events").delete_archive(ArchiveName=state["id"])


_SCHEDULE: Final = re.compile(
    r"rate\(1 (minute|hour|day)\)|rate\((?!1 )\d+ (minutes|hours|days)\)|cron\(\S+ \S+ \S+ \S+ \S+ \S+\)"
)
_RULE: Final = Fields(
    "name", "event_bus_name", "description", "event_pattern", "schedule_expression", "role_arn", "state"
)


def _put_rule(aws: Aws, rule: State) -> State:
    tags = params(Tags=EVENTS.written(rule["tags_all"]))
    aws.client("events").put_rule(**_RULE.to_aws(rule), **tags)
    bus, name = rule["event_bus_name"], rule["name"]
    return {"id": name if bus == _DEFAULT else f"{bus}/{name}"}


def _read_rule(aws: Aws, state: State) -> State | None:
    bus, _, name = state["id"].rpartition("/")
    bus = bus or _DEFAULT
    answer = found(aws.client("events").describe_rule, _MISSING, Name=name, EventBusName=bus)
    if answer is None:
        return None
    tags = EVENTS.read(aws, answer["Arn"])
    read = {"arn": answer["Arn"], "tags_all": tags, "event_bus_name": bus}
    return _RULE.to_state(answer) | read


def _update_rule(aws: Aws, prior: State, planned: State) -> None:
    settings = _RULE.to_aws(planned)
    if settings != _RULE.to_aws(prior):
        aws.client("events").put_rule(**settings)
    EVENTS.update(aws, prior["arn"], prior, planned)


def _delete_rule(aws: Aws, state: State) -> None:
    settings = {"Name": state["name"], "EventBusName": state["event_bus_name"]}
    aws.client("events").delete_rule(**settings, **params(Force=state["force_destroy"]))


def _rule_faults(rule: State) -> Iterable[Fault]:
    schedule, pattern, bus = rule["schedule_expression"], rule["event_pattern"], rule["event_bus_name"]
    yield from at_least_one(rule, "event_pattern", "schedule_expression")
    if schedule is not None and known(rule, "event_bus_name") and bus not in {None, _DEFAULT}:
        yield Fault("schedule_expression works on the default bus only", "schedule_expression")
    if not isinstance(schedule, Unknown) and schedule == "" and not pattern:
        yield Fault("an empty schedule_expression is none", "schedule_expression")
    if isinstance(schedule, str) and schedule and not _SCHEDULE.fullmatch(schedule):
        yield Fault(f"{schedule!r} is no rate(1 minute), rate(2 minutes) or cron()", "schedule_expression")
    if isinstance(pattern, str):
        for fault in pattern_faults(
            pattern, custom_bus=known(rule, "event_bus_name") and bus not in {None, _DEFAULT}
        ):
            yield Fault(fault, "event_pattern")


def _archive_faults(archive: State) -> Iterable[Fault]:
    if isinstance(archive["event_pattern"], str):
        for fault in pattern_faults(archive["event_pattern"]):
            yield Fault(fault, "event_pattern")


_TARGET: Final = Fields(
    "arn",
    "role_arn",
    "input",
    "input_path",
    target_id="Id",
    dead_letter_config=one("arn"),
    retry_policy=one("maximum_retry_attempts", maximum_event_age_in_seconds="MaximumEventAgeInSeconds"),
    input_transformer=one("input_template", input_paths="InputPathsMap"),
    sqs_target=one("message_group_id", name="SqsParameters"),
    kinesis_target=one("partition_key_path", name="KinesisParameters"),
    run_command_targets=blocks(Fields("key", "values")),
)


def _put_target(aws: Aws, target: State) -> State:
    target = target | ({"target_id": "terraform-testkit"} if not is_known(target["target_id"]) else {})
    bus, rule = target["event_bus_name"], target["rule"]
    answer = aws.client("events").put_targets(Rule=rule, EventBusName=bus, Targets=[_TARGET.to_aws(target)])
    if answer["FailedEntryCount"]:
        raise RuntimeError(json.dumps(answer["FailedEntries"]))
    prefix = "" if bus == _DEFAULT else f"{bus}-"
    return {"id": f"{prefix}{rule}-{target['target_id']}", "target_id": target["target_id"]}


def _read_target(aws: Aws, state: State) -> State | None:
    bus, rule = state["event_bus_name"], state["rule"]
    answer = found(aws.client("events").list_targets_by_rule, _MISSING, Rule=rule, EventBusName=bus)
    targets = [t for t in (answer or {"Targets": []})["Targets"] if t["Id"] == state["target_id"]]
    return _TARGET.to_state(targets[0]) | {"rule": rule, "event_bus_name": bus} if targets else None


def _update_target(aws: Aws, _prior: State, planned: State) -> None:
    _put_target(aws, planned)


def _delete_target(aws: Aws, state: State) -> None:
    aws.client("events").remove_targets(
        Rule=state["rule"], EventBusName=state["event_bus_name"], Ids=[state["target_id"]]
    )


def _target_faults(target: State) -> Iterable[Fault]:
    """Find what PutTargets refuses, and the stand-ins take."""
    yield from at_most_one(target, "input", "input_path", "input_transformer")
    for policy in target["retry_policy"] or []:
        faults = [
            *within(policy, "maximum_retry_attempts", 0, 185),
            *within(policy, "maximum_event_age_in_seconds", 60, 86_400),
        ]
        yield from (Fault(fault.summary, "retry_policy") for fault in faults)
    for transformer in target["input_transformer"] or []:
        paths, template = transformer["input_paths"] or {}, transformer["input_template"]
        if is_known(paths) and isinstance(template, str):
            for name in _placeholders(template) - set(paths):
                yield Fault(
                    f"input_template uses <{name}>, which input_paths does not have", "input_transformer"
                )


def _placeholders(template: str) -> set[str]:
    names = {part.partition(">")[0] for part in template.split("<")[1:] if ">" in part}
    return {name for name in names if not name.startswith("aws.events.")}


def _imported_target(identifier: str) -> State:
    bus, rule, target = (["default", *identifier.split("/")])[-3:]
    prefix = "" if bus == _DEFAULT else f"{bus}-"
    return {"id": f"{prefix}{rule}-{target}", "event_bus_name": bus, "rule": rule, "target_id": target}


def _update_bus_policy(aws: Aws, _prior: State, planned: State) -> None:
    _put_bus_policy(aws, planned)


def _frozen(*names: str) -> frozenset[str]:
    return frozenset({"region", *names})


_JSON: Final = frozenset({"policy"})
_PATTERN: Final = frozenset({"event_pattern"})
_ON_A_BUS: Final[dict[str, Any]] = {"event_bus_name": _DEFAULT, "force_destroy": False}

KINDS: Final = (
    Kind(
        "aws_cloudwatch_event_bus",
        _create_bus,
        _read_bus,
        _delete_bus,
        _update_bus,
        Rules(force_new=_frozen("name", "event_source_name")),
    ),
    Kind(
        "aws_cloudwatch_event_bus_policy",
        _put_bus_policy,
        _read_bus_policy,
        _delete_bus_policy,
        _update_bus_policy,
        Rules(defaults={"event_bus_name": _DEFAULT}, force_new=_frozen("event_bus_name"), json_texts=_JSON),
    ),
    Kind(
        "aws_cloudwatch_event_archive",
        _create_archive,
        _read_archive,
        _delete_archive,
        _update_archive,
        Rules(force_new=_frozen("name", "event_source_arn"), json_texts=_PATTERN),
        _archive_faults,
    ),
    Kind(
        "aws_cloudwatch_event_rule",
        _put_rule,
        _read_rule,
        _delete_rule,
        _update_rule,
        Rules(
            defaults=_ON_A_BUS,
            force_new=_frozen("name", "event_bus_name"),
            json_texts=_PATTERN,
            sticky=frozenset({"state"}),
            kept=frozenset({"force_destroy"}),
        ),
        _rule_faults,
    ),
    Kind(
        "aws_cloudwatch_event_target",
        _put_target,
        _read_target,
        _delete_target,
        _update_target,
        Rules(
            defaults=_ON_A_BUS,
            force_new=_frozen("rule", "event_bus_name", "target_id"),
            kept=frozenset({"force_destroy"}),
        ),
        _target_faults,
        _imported_target,
    ),
)
