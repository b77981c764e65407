"""What the stand-in has after the tables were applied: what the application would have made by itself."""

import json
import os
from typing import Any

from reservation_api.adapters.dynamodb.tables import TableNames, create_table_requests
from testkit.aws import Aws

NAMES = json.loads(os.environ["TESTKIT_OUTPUTS"])["table_names"]

dynamodb = Aws.of_the_environment().client("dynamodb")


def shape(table: Any) -> dict[str, Any]:
    """Return keys, their types, and indexes, from CreateTable's request or DescribeTable's answer."""
    indexes = table.get("GlobalSecondaryIndexes") or []
    return {
        "keys": table["KeySchema"],
        "types": {it["AttributeName"]: it["AttributeType"] for it in table["AttributeDefinitions"]},
        "indexes": {it["IndexName"]: (it["KeySchema"], projection(it["Projection"])) for it in indexes},
    }


def projection(projected: Any) -> tuple[str, frozenset[str]]:
    """Return what an index carries besides keys."""
    return projected["ProjectionType"], frozenset(projected.get("NonKeyAttributes") or ())


wanted = {it["TableName"]: shape(it) for it in create_table_requests(TableNames(**NAMES))}
found = {name: shape(dynamodb.describe_table(TableName=name)["Table"]) for name in NAMES.values()}
assert found == wanted

ttl = dynamodb.describe_time_to_live(TableName=NAMES["idempotency"])["TimeToLiveDescription"]
assert (ttl["TimeToLiveStatus"], ttl["AttributeName"]) == ("ENABLED", "ttl")

row = {name: {"S": name} for name in ("pk", "sk", "user_id", "status", "created_at", "idempotency_key")}
dynamodb.put_item(TableName=NAMES["reservations"], Item=row)
[entry] = dynamodb.query(
    TableName=NAMES["reservations"],
    IndexName="user-status-index",
    KeyConditionExpression="user_id = :user",
    ExpressionAttributeValues={":user": {"S": "user_id"}},
)["Items"]
assert set(entry) == {"pk", "sk", "user_id", "status", "created_at"}
