"""Keys and their aliases."""

from collections.abc import Iterable
from typing import Final

from testkit.aws import Aws
from testkit.calls import found, params
from testkit.choices import within
from testkit.fields import Fields
from testkit.kind import Fault, Kind, Rules
from testkit.policies import faults_of, resource_policy_faults
from testkit.tagging import KMS
from testkit.values import State, given

_MISSING: Final = "NotFoundException"
_KEY: Final = Fields(
    "description",
    "key_usage",
    "multi_region",
    "custom_key_store_id",
    "xks_key_id",
    "policy",
    customer_master_key_spec="KeySpec",
    bypass_policy_lockout_safety_check="BypassPolicyLockoutSafetyCheck",
)


def _create_key(aws: Aws, key: State) -> State:
    client = aws.client("kms")
    answer = client.create_key(**_KEY.to_aws(key), **params(Tags=KMS.written(key["tags_all"])))
    identifier = answer["KeyMetadata"]["KeyId"]
    _rotate(aws, identifier, key)
    if not key["is_enabled"]:
        client.disable_key(KeyId=identifier)
    return {"id": identifier}


def _rotate(aws: Aws, identifier: str, key: State) -> None:
    if key["enable_key_rotation"]:
        days = params(RotationPeriodInDays=key["rotation_period_in_days"])
        aws.client("kms").enable_key_rotation(KeyId=identifier, **days)
    else:
        aws.client("kms").disable_key_rotation(KeyId=identifier)


def _read_key(aws: Aws, state: State) -> State | None:
    client, identifier = aws.client("kms"), state["id"]
    answer = found(client.describe_key, _MISSING, KeyId=identifier)
    if answer is None or answer["KeyMetadata"]["KeyState"] == "PendingDeletion":
        return None
    key = answer["KeyMetadata"]
    rotation = client.get_key_rotation_status(KeyId=identifier)
    policy = client.get_key_policy(KeyId=identifier, PolicyName="default")["Policy"]
    read = _KEY.to_state(key)
    del read["bypass_policy_lockout_safety_check"]
    return read | {
        "arn": key["Arn"],
        "key_id": identifier,
        "policy": policy,
        "is_enabled": key["Enabled"],
        "multi_region": key.get("MultiRegion", False),
        "enable_key_rotation": rotation["KeyRotationEnabled"],
        "rotation_period_in_days": rotation.get("RotationPeriodInDays"),
        "tags_all": KMS.read(aws, identifier),
    }


def _update_key(aws: Aws, prior: State, planned: State) -> None:
    client, identifier = aws.client("kms"), prior["id"]
    if prior["description"] != planned["description"]:
        client.update_key_description(KeyId=identifier, Description=planned["description"] or "")
    if prior["policy"] != planned["policy"]:
        client.put_key_policy(KeyId=identifier, PolicyName="default", Policy=planned["policy"])
    rotation = ("enable_key_rotation", "rotation_period_in_days")
    if any(prior[name] != planned[name] for name in rotation):
        _rotate(aws, identifier, planned)
    if prior["is_enabled"] != planned["is_enabled"]:
        (client.enable_key if planned["is_enabled"] else client.disable_key)(KeyId=identifier)
    KMS.update(aws, identifier, prior, planned)


def _delete_key(aws: Aws, state: State) -> None:
    days = params(PendingWindowInDays=state["deletion_window_in_days"])
    aws.client("kms").schedule_key_deletion(KeyId=state["id"], **days)


def _key_faults(key: State) -> Iterable[Fault]:
    yield from within(key, "deletion_window_in_days", 7, 30)
    yield from within(key, "rotation_period_in_days", 90, 2560)
    yield from faults_of(key, "policy", resource_policy_faults)


def _create_alias(aws: Aws, alias: State) -> State:
    aws.client("kms").create_alias(AliasName=alias["name"], TargetKeyId=alias["target_key_id"])
    return {"id": alias["name"]}


def _read_alias(aws: Aws, state: State) -> State | None:
    pages = aws.client("kms").get_paginator("list_aliases").paginate()
    aliases = [alias for page in pages for alias in page["Aliases"] if alias["AliasName"] == state["id"]]
    if not aliases:
        return None
    alias = aliases[0]
    key_arn = aws.client("kms").describe_key(KeyId=alias["TargetKeyId"])["KeyMetadata"]["Arn"]
    wanted = state.get("target_key_id")
    as_arn = given(wanted) and str(wanted).startswith("arn:")
    return {
        "name": alias["AliasName"],
        "arn": alias["AliasArn"],
        "target_key_id": key_arn if as_arn else alias["TargetKeyId"],
        "target_key_arn": key_arn,
    }


def _update_alias(aws: Aws, _prior: State, planned: State) -> None:
    aws.client("kms").update_alias(AliasName=planned["name"], TargetKeyId=planned["target_key_id"])


def _delete_alias(aws: Aws, state: State) -> None:
    aws.client("kms").delete_alias(AliasName=state["id"])


def _alias_faults(alias: State) -> Iterable[Fault]:
    name = alias["name"]
    if isinstance(name, str) and (not name.startswith("alias/") or name.startswith("alias/aws/")):
        yield Fault("the name of an alias starts with alias/, and not with alias/aws/", "name")


KINDS: Final = (
    Kind(
        "aws_kms_key",
        _create_key,
        _read_key,
        _delete_key,
        _update_key,
        Rules(
            defaults={
                "bypass_policy_lockout_safety_check": False,
                "customer_master_key_spec": "SYMMETRIC_DEFAULT",
                "enable_key_rotation": False,
                "is_enabled": True,
                "key_usage": "ENCRYPT_DECRYPT",
            },
            force_new=frozenset(
                {
                    "customer_master_key_spec",
                    "custom_key_store_id",
                    "key_usage",
                    "multi_region",
                    "region",
                    "xks_key_id",
                }
            ),
            json_texts=frozenset({"policy"}),
            kept=frozenset({"bypass_policy_lockout_safety_check", "deletion_window_in_days"}),
        ),
        _key_faults,
    ),
    Kind(
        "aws_kms_alias",
        _create_alias,
        _read_alias,
        _delete_alias,
        _update_alias,
        Rules(force_new=frozenset({"name", "name_prefix", "region"})),
        _alias_faults,
    ),
)
