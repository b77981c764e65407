"""Secrets, and who may read them."""

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
