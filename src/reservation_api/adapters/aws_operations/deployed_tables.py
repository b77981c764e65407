"""A table of DynamoDB, as the document speaks of tables."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from reservation_api.adapters.aws_operations.asking import ask, fact
from reservation_api.ports.deployment import AbsentError, Facts

AWS_MANAGED_KEY: Final = "alias/aws/dynamodb"


def table_facts(dynamodb: Any, kms: Any, name: str) -> Facts:
    """Return what a table is; raises AbsentError, UnreadableError."""
    table = ask(dynamodb.describe_table, TableName=name)["Table"]
    types = {one["AttributeName"]: one["AttributeType"] for one in table["AttributeDefinitions"]}
    indexes = sorted(table.get("GlobalSecondaryIndexes") or [], key=lambda index: str(index["IndexName"]))
    billing = table.get("BillingModeSummary", {})
    return {
        "keys": _keys(table["KeySchema"], types),
        "indexes": [index["IndexName"] for index in indexes],
        **{index["IndexName"]: _keys(index["KeySchema"], types) for index in indexes},
        "index projections": [
            f"{index['IndexName']}: {index['Projection']['ProjectionType']}" for index in indexes
        ],
        "billing mode": billing.get("BillingMode", "PROVISIONED"),
        "deletion protection": table.get("DeletionProtectionEnabled", False),
        "encryption": fact(lambda: _encryption(kms, table.get("SSEDescription") or {})),
        "ttl": fact(lambda: _ttl(dynamodb, name)),
        "point-in-time recovery": fact(lambda: _is_recoverable(dynamodb, name)),
        "resource policy": fact(lambda: _has_policy(dynamodb, table["TableArn"])),
    }


def _keys(schema: Sequence[Mapping[str, str]], types: Mapping[str, str]) -> list[str]:
    return [f"{key['AttributeName']} {key['KeyType']} {types.get(key['AttributeName'])}" for key in schema]


def _encryption(kms: Any, described: Mapping[str, Any]) -> str:
    """Return whose key it is: of a key's ARN alone one can not tell whether AWS manages it."""
    key = str(described.get("KMSMasterKeyArn", ""))
    if described.get("SSEType") != "KMS" or described.get("Status") not in {"ENABLED", "UPDATING"}:
        return "DynamoDB's own key"
    if key.endswith(f":{AWS_MANAGED_KEY}"):
        return "AWS managed key"
    try:
        managed = ask(kms.describe_key, KeyId=AWS_MANAGED_KEY)["KeyMetadata"]["Arn"]
    except AbsentError:  # no table of this account has ever used it
        managed = None
    return "AWS managed key" if key == managed else f"key {key}"


def _ttl(dynamodb: Any, name: str) -> str:
    found = ask(dynamodb.describe_time_to_live, TableName=name)["TimeToLiveDescription"]
    is_on = found.get("TimeToLiveStatus") in {"ENABLED", "ENABLING"}
    return f"on {found.get('AttributeName')}" if is_on else "off"


def _is_recoverable(dynamodb: Any, name: str) -> bool:
    found = ask(dynamodb.describe_continuous_backups, TableName=name)["ContinuousBackupsDescription"]
    recovery = found.get("PointInTimeRecoveryDescription", {})
    return bool(recovery.get("PointInTimeRecoveryStatus") == "ENABLED")


def _has_policy(dynamodb: Any, arn: str) -> bool:
    try:
        return bool(ask(dynamodb.get_resource_policy, ResourceArn=arn).get("Policy"))
    except AbsentError:
        return False
