"""Log groups, and who may write to them."""

from collections.abc import Iterable
from typing import Any, Final

from testkit.aws import Aws
from testkit.calls import params
from testkit.choices import at_least_one
from testkit.fields import Fields, lower_camel
from testkit.kind import Fault, Kind, Rules
from testkit.policies import faults_of, resource_policy_faults
from testkit.tagging import LOGS
from testkit.values import State

RETENTION_DAYS: Final = frozenset(
    {0, 1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731}
    | {1096, 1827, 2192, 2557, 2922, 3288, 3653}
)
"""What CloudWatch Logs takes; 0 keeps logs for ever."""

_GROUP: Final = Fields("kms_key_id", "log_group_class", spelling=lower_camel, name="logGroupName")


def _create_group(aws: Aws, group: State) -> State:
    client, name = aws.client("logs"), group["name"]
    client.create_log_group(**_GROUP.to_aws(group), **params(tags=LOGS.written(group["tags_all"])))
    if group["retention_in_days"]:
        client.put_retention_policy(logGroupName=name, retentionInDays=group["retention_in_days"])
    if group["deletion_protection_enabled"] is True:
        _protect(client, name, protected=True)
    return {"id": name}


def _protect(client: Any, name: str, *, protected: bool) -> None:
    client.put_log_group_deletion_protection(logGroupIdentifier=name, deletionProtectionEnabled=protected)


def _read_group(aws: Aws, state: State) -> State | None:
    name = state["id"]
    listed = aws.client("logs").describe_log_groups(logGroupNamePrefix=name)["logGroups"]
    groups = [group for group in listed if group["logGroupName"] == name]
    if not groups:
        return None
    group = groups[0]
    arn = group["arn"].removesuffix(":*")
    read = _GROUP.to_state(group)
    read["log_group_class"] = read["log_group_class"] or "STANDARD"
    return read | {
        "arn": arn,
        "retention_in_days": group.get("retentionInDays", 0),
        "deletion_protection_enabled": group.get("deletionProtectionEnabled", False),
        "tags_all": LOGS.read(aws, arn),
    }


def _update_group(aws: Aws, prior: State, planned: State) -> None:
    client, name = aws.client("logs"), planned["name"]
    if planned["retention_in_days"] != prior["retention_in_days"]:
        if planned["retention_in_days"]:
            client.put_retention_policy(logGroupName=name, retentionInDays=planned["retention_in_days"])
        else:
            client.delete_retention_policy(logGroupName=name)
    if planned["kms_key_id"] != prior["kms_key_id"]:
        if planned["kms_key_id"]:
            client.associate_kms_key(logGroupName=name, kmsKeyId=planned["kms_key_id"])
        else:
            client.disassociate_kms_key(logGroupName=name)
    if planned["deletion_protection_enabled"] != prior["deletion_protection_enabled"]:
        _protect(client, name, protected=bool(planned["deletion_protection_enabled"]))
    LOGS.update(aws, prior["arn"], prior, planned)


def _delete_group(aws: Aws, state: State) -> None:
    if not state["skip_destroy"]:
        aws.client("logs").delete_log_group(logGroupName=state["id"])


def _group_faults(group: State) -> Iterable[Fault]:
    days = group["retention_in_days"]
    if isinstance(days, int) and days not in RETENTION_DAYS:
        yield Fault(f"retention_in_days must be one of {sorted(RETENTION_DAYS)}", "retention_in_days")


def _put_policy(aws: Aws, policy: State) -> State:
    name = policy["policy_name"]
    aws.client("logs").put_resource_policy(policyName=name, policyDocument=policy["policy_document"])
    return {"id": name}


def _read_policy(aws: Aws, state: State) -> State | None:
    listed = aws.client("logs").describe_resource_policies()["resourcePolicies"]
    policies = [policy for policy in listed if policy["policyName"] == state["id"]]
    if not policies:
        return None
    return {
        "policy_name": state["id"],
        "policy_document": policies[0]["policyDocument"],
        "policy_scope": policies[0].get("policyScope", "ACCOUNT"),
        "revision_id": policies[0].get("revisionId", ""),
    }


def _update_policy(aws: Aws, _prior: State, planned: State) -> None:
    _put_policy(aws, planned)


def _delete_policy(aws: Aws, state: State) -> None:
    aws.client("logs").delete_resource_policy(policyName=state["id"])


def _policy_faults(config: State) -> Iterable[Fault]:
    yield from faults_of(config, "policy_document", resource_policy_faults)
    yield from at_least_one(config, "policy_name", "resource_arn")


KINDS: Final = (
    Kind(
        "aws_cloudwatch_log_group",
        _create_group,
        _read_group,
        _delete_group,
        _update_group,
        Rules(
            defaults={"retention_in_days": 0, "skip_destroy": False},
            force_new=frozenset({"name", "log_group_class", "region"}),
            kept=frozenset({"skip_destroy"}),
        ),
        _group_faults,
    ),
    Kind(
        "aws_cloudwatch_log_resource_policy",
        _put_policy,
        _read_policy,
        _delete_policy,
        _update_policy,
        Rules(
            force_new=frozenset({"policy_name", "resource_arn", "region"}),
            json_texts=frozenset({"policy_document"}),
        ),
        _policy_faults,
    ),
)
