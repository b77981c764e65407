"""Tables as they are in AWS, in the shape that Terraform has of them."""

from typing import Any

from testkit.aws import Aws
from testkit.calls import found, tag_map
from testkit.values import State, only


def read(aws: Aws, state: State) -> State | None:
    """Read a whole table, or None when there is none."""
    client, name = aws.client("dynamodb"), state["id"]
    answer = found(client.describe_table, "ResourceNotFoundException", TableName=name)
    if answer is None:
        return None
    table = answer["Table"]
    tags = client.list_tags_of_resource(ResourceArn=table["TableArn"])["Tags"]
    return {
        **_read_settings(table),
        "attribute": [
            {"name": a["AttributeName"], "type": a["AttributeType"]} for a in table["AttributeDefinitions"]
        ],
        "global_secondary_index": [
            _read_index(index, state) for index in table.get("GlobalSecondaryIndexes", [])
        ],
        "local_secondary_index": [_read_local(index) for index in table.get("LocalSecondaryIndexes", [])],
        "point_in_time_recovery": _read_recovery(client, name),
        "ttl": _read_ttl(client, name, state),
        "replica": [
            _read_replica(aws, name, replica)
            for replica in table.get("Replicas", [])
            if replica["RegionName"] != aws.region
        ],
        "tags_all": tag_map(tags),
    }


def _keys(schema: list[dict[str, str]]) -> tuple[str | None, str | None]:
    by_type = {key["KeyType"]: key["AttributeName"] for key in schema}
    return by_type.get("HASH"), by_type.get("RANGE")


def _read_settings(table: dict[str, Any]) -> State:
    hash_key, range_key = _keys(table["KeySchema"])
    stream = table.get("StreamSpecification", {})
    throughput = table.get("ProvisionedThroughput", {})
    encryption = table.get("SSEDescription", {})
    return {
        "name": table["TableName"],
        "arn": table["TableArn"],
        "hash_key": hash_key,
        "range_key": range_key,
        "billing_mode": table.get("BillingModeSummary", {}).get("BillingMode", "PROVISIONED"),
        "deletion_protection_enabled": table.get("DeletionProtectionEnabled", False),
        "read_capacity": throughput.get("ReadCapacityUnits", 0),
        "write_capacity": throughput.get("WriteCapacityUnits", 0),
        "stream_enabled": stream.get("StreamEnabled", False),
        "stream_view_type": stream.get("StreamViewType", ""),
        "stream_arn": table.get("LatestStreamArn", ""),
        "stream_label": table.get("LatestStreamLabel", ""),
        "table_class": table.get("TableClassSummary", {}).get("TableClass", "STANDARD"),
        "server_side_encryption": [{"enabled": True, "kms_key_arn": encryption.get("KMSMasterKeyArn")}]
        if encryption.get("Status") == "ENABLED"
        else [],
        "warm_throughput": _read_warm(table),
        "on_demand_throughput": _read_on_demand(table),
    }


def _read_warm(described: dict[str, Any]) -> list[State]:
    warm = described.get("WarmThroughput")
    if not warm:
        return []
    return [
        {
            "read_units_per_second": warm.get("ReadUnitsPerSecond"),
            "write_units_per_second": warm.get("WriteUnitsPerSecond"),
        }
    ]


def _read_on_demand(described: dict[str, Any]) -> list[State]:
    limit = described.get("OnDemandThroughput")
    if not limit:
        return []
    return [
        {
            "max_read_request_units": limit.get("MaxReadRequestUnits"),
            "max_write_request_units": limit.get("MaxWriteRequestUnits"),
        }
    ]


def _read_index(index: dict[str, Any], state: State) -> State:
    hash_key, range_key = _keys(index["KeySchema"])
    throughput = index.get("ProvisionedThroughput", {})
    listed = any(i["name"] == index["IndexName"] and i["key_schema"] for i in state["global_secondary_index"])
    keys = [{"attribute_name": k["AttributeName"], "key_type": k["KeyType"]} for k in index["KeySchema"]]
    return {
        "name": index["IndexName"],
        "hash_key": None if listed else hash_key,
        "range_key": None if listed else range_key,
        "key_schema": keys if listed else [],
        "projection_type": index["Projection"]["ProjectionType"],
        "non_key_attributes": index["Projection"].get("NonKeyAttributes"),
        "read_capacity": throughput.get("ReadCapacityUnits", 0),
        "write_capacity": throughput.get("WriteCapacityUnits", 0),
        "warm_throughput": _read_warm(index),
        "on_demand_throughput": _read_on_demand(index),
    }


def _read_local(index: dict[str, Any]) -> State:
    return {
        "name": index["IndexName"],
        "range_key": _keys(index["KeySchema"])[1],
        "projection_type": index["Projection"]["ProjectionType"],
        "non_key_attributes": index["Projection"].get("NonKeyAttributes"),
    }


def _read_recovery(client: Any, name: str) -> list[State]:
    backups = client.describe_continuous_backups(TableName=name)["ContinuousBackupsDescription"]
    recovery = backups.get("PointInTimeRecoveryDescription", {})
    return [
        {
            "enabled": recovery.get("PointInTimeRecoveryStatus") == "ENABLED",
            "recovery_period_in_days": recovery.get("RecoveryPeriodInDays"),
        }
    ]


def _read_ttl(client: Any, name: str, state: State) -> list[State]:
    ttl = client.describe_time_to_live(TableName=name)["TimeToLiveDescription"]
    enabled = ttl.get("TimeToLiveStatus") in {"ENABLED", "ENABLING"}
    if enabled:
        return [{"enabled": True, "attribute_name": ttl["AttributeName"]}]
    before = only(state.get("ttl")) or {}  # AWS wants the name to disable, and then does not answer it
    return [{"enabled": False, "attribute_name": before.get("attribute_name")}]


def _read_replica(aws: Aws, table: str, replica: dict[str, Any]) -> State:
    region = replica["RegionName"]
    client = aws.at(region).client("dynamodb")
    there = client.describe_table(TableName=table)["Table"]
    backups = client.describe_continuous_backups(TableName=table)["ContinuousBackupsDescription"]
    recovery = backups.get("PointInTimeRecoveryDescription", {})
    return {
        "region_name": region,
        "arn": there["TableArn"],
        "consistency_mode": "EVENTUAL",
        "deletion_protection_enabled": there.get("DeletionProtectionEnabled", False),
        "kms_key_arn": replica.get("KMSMasterKeyId"),
        "point_in_time_recovery": recovery.get("PointInTimeRecoveryStatus") == "ENABLED",
        "stream_arn": there.get("LatestStreamArn"),
        "stream_label": there.get("LatestStreamLabel"),
    }
