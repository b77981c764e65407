"""Secrets, their values, and who may read them."""

import base64
from collections.abc import Iterable
from typing import Any, Final

from testkit.aws import Aws
from testkit.calls import found, params
from testkit.choices import at_most_one, within
from testkit.fields import Fields
from testkit.kind import Fault, Kind, Rules
from testkit.policies import faults_of, resource_policy_faults
from testkit.tagging import SECRETS
from testkit.values import State, given

_MISSING: Final = "ResourceNotFoundException"
_SECRET: Final = Fields("name", "description", "kms_key_id", "type")


def _create_secret(aws: Aws, secret: State) -> State:
    replicas = [
        params(Region=replica["region"], KmsKeyId=replica["kms_key_id"]) for replica in secret["replica"]
    ]
    answer = aws.client("secretsmanager").create_secret(
        **_SECRET.to_aws(secret),
        **params(AddReplicaRegions=replicas, Tags=SECRETS.written(secret["tags_all"])),
    )
    arn = answer["ARN"]
    if given(secret["policy"]):
        aws.client("secretsmanager").put_resource_policy(SecretId=arn, ResourcePolicy=secret["policy"])
    return {"id": arn}


def _read_secret(aws: Aws, state: State) -> State | None:
    client, arn = aws.client("secretsmanager"), state["id"]
    secret = found(client.describe_secret, _MISSING, SecretId=arn)
    if secret is None or secret.get("DeletedDate"):
        return None
    policy = found(client.get_resource_policy, _MISSING, SecretId=arn) or {}
    return _SECRET.to_state(secret) | {
        "arn": secret["ARN"],
        "policy": policy.get("ResourcePolicy") or "",
        "replica": [_read_replica(status) for status in secret.get("ReplicationStatus", [])],
        "tags_all": SECRETS.listed(secret.get("Tags")),
    }


def _read_replica(status: dict[str, Any]) -> State:
    return {
        "region": status["Region"],
        "kms_key_id": status.get("KmsKeyId"),
        "status": status.get("Status"),
        "status_message": status.get("StatusMessage"),
        "last_accessed_date": "",
    }


def _update_secret(aws: Aws, prior: State, planned: State) -> None:
    client, arn = aws.client("secretsmanager"), prior["id"]
    settings = {
        "Description": planned["description"] or "",
        **params(KmsKeyId=planned["kms_key_id"]),
    }
    client.update_secret(SecretId=arn, **settings)
    if prior["policy"] != planned["policy"]:
        if planned["policy"]:
            client.put_resource_policy(SecretId=arn, ResourcePolicy=planned["policy"])
        else:
            client.delete_resource_policy(SecretId=arn)
    SECRETS.update(aws, arn, prior, planned)


def _delete_secret(aws: Aws, state: State) -> None:
    days = state["recovery_window_in_days"]
    how = {"RecoveryWindowInDays": days} if days else {"ForceDeleteWithoutRecovery": True}
    aws.client("secretsmanager").delete_secret(SecretId=state["id"], **how)


def _secret_faults(secret: State) -> Iterable[Fault]:
    if secret["recovery_window_in_days"] != 0:  # which is to delete at once
        yield from within(secret, "recovery_window_in_days", 7, 30)
    yield from at_most_one(secret, "name", "name_prefix")
    yield from faults_of(secret, "policy", resource_policy_faults)


def _put_version(aws: Aws, version: State) -> State:
    if version["secret_binary"]:
        value: dict[str, Any] = {"SecretBinary": base64.b64decode(version["secret_binary"])}
    else:
        value = {"SecretString": version["secret_string"] or version["secret_string_wo"]}
    stages = params(VersionStages=version["version_stages"])
    answer = aws.client("secretsmanager").put_secret_value(SecretId=version["secret_id"], **value, **stages)
    return {"id": f"{answer['ARN']}|{answer['VersionId']}"}


def _read_version(aws: Aws, state: State) -> State | None:
    arn, _, version = state["id"].partition("|")
    answer = found(
        aws.client("secretsmanager").get_secret_value,
        _MISSING,
        "InvalidRequestException",
        SecretId=arn,
        VersionId=version,
    )
    if answer is None:
        return None
    binary = answer.get("SecretBinary")
    write_only = bool(state.get("secret_string_wo_version"))
    return {
        "arn": answer["ARN"],
        "secret_arn": answer["ARN"],
        "secret_id": state.get("secret_id") or arn,
        "secret_string": "" if write_only else answer.get("SecretString", ""),
        "secret_binary": base64.b64encode(binary).decode() if binary else "",
        "has_secret_string_wo": write_only,
        "version_id": version,
        "version_stages": sorted(answer["VersionStages"]),
    }


def _delete_version(aws: Aws, state: State) -> None:
    """Take the stages away, as far as AWS lets one: AWSCURRENT stays until another version has it."""
    arn, _, version = state["id"].partition("|")
    for stage in state["version_stages"]:
        if stage != "AWSCURRENT":
            aws.client("secretsmanager").update_secret_version_stage(
                SecretId=arn, VersionStage=stage, RemoveFromVersionId=version
            )


def _update_version(aws: Aws, prior: State, planned: State) -> None:
    arn, _, version = prior["id"].partition("|")
    for stage in set(planned["version_stages"]) - set(prior["version_stages"]):
        aws.client("secretsmanager").update_secret_version_stage(
            SecretId=arn, VersionStage=stage, MoveToVersionId=version
        )


def _version_faults(version: State) -> Iterable[Fault]:
    yield from at_most_one(version, "secret_string", "secret_binary", "secret_string_wo")


def _put_policy(aws: Aws, state: State) -> State:
    arn = state["secret_arn"]
    aws.client("secretsmanager").put_resource_policy(
        SecretId=arn,
        ResourcePolicy=state["policy"],
        **params(BlockPublicPolicy=state["block_public_policy"]),
    )
    return {"id": arn}


def _read_policy(aws: Aws, state: State) -> State | None:
    answer = found(aws.client("secretsmanager").get_resource_policy, _MISSING, SecretId=state["id"])
    if answer is None or not answer.get("ResourcePolicy"):
        return None
    return {"secret_arn": state["id"], "policy": answer["ResourcePolicy"]}


def _update_policy(aws: Aws, _prior: State, planned: State) -> None:
    _put_policy(aws, planned)


def _delete_policy(aws: Aws, state: State) -> None:
    aws.client("secretsmanager").delete_resource_policy(SecretId=state["id"])


def _policy_faults(config: State) -> Iterable[Fault]:
    yield from faults_of(config, "policy", resource_policy_faults)


KINDS: Final = (
    Kind(
        "aws_secretsmanager_secret",
        _create_secret,
        _read_secret,
        _delete_secret,
        _update_secret,
        Rules(
            defaults={"recovery_window_in_days": 30, "force_overwrite_replica_secret": False},
            force_new=frozenset({"name", "name_prefix", "region"}),
            json_texts=frozenset({"policy"}),
            kept=frozenset({"recovery_window_in_days", "force_overwrite_replica_secret"}),
            identity={"replica": "region"},
        ),
        _secret_faults,
    ),
    Kind(
        "aws_secretsmanager_secret_version",
        _put_version,
        _read_version,
        _delete_version,
        _update_version,
        Rules(
            force_new=frozenset(
                {"secret_id", "secret_string", "secret_binary", "secret_string_wo_version", "region"}
            ),
            kept=frozenset({"secret_string_wo", "secret_string_wo_version"}),
        ),
        _version_faults,
    ),
    Kind(
        "aws_secretsmanager_secret_policy",
        _put_policy,
        _read_policy,
        _delete_policy,
        _update_policy,
        Rules(
            force_new=frozenset({"secret_arn", "region"}),
            json_texts=frozenset({"policy"}),
            kept=frozenset({"block_public_policy"}),
        ),
        _policy_faults,
    ),
)
