"""The tables are the document's (section 1), and Terraform's are the same."""

import re
from pathlib import Path

import pytest

from reservation_api.adapters.dynamodb.tables import INDEXES, TTL, TableNames, create_table_requests

ROOT = Path(__file__).parents[2]
TERRAFORM = ROOT / "infra" / "terraform" / "modules" / "dynamodb" / "main.tf"
NAMES = TableNames("r", "o", "i", "x")


def test_keys_and_indexes_are_the_documents() -> None:
    found = {
        request["TableName"]: (
            [key["AttributeName"] for key in request["KeySchema"]],
            {
                index["IndexName"]: [key["AttributeName"] for key in index["KeySchema"]]
                for index in request.get("GlobalSecondaryIndexes", [])
            },
        )
        for request in create_table_requests(NAMES)
    }
    assert found == {
        "r": (
            ["pk", "sk"],
            {
                "user-status-index": ["user_id", "status"],
                "status-created-index": ["status", "created_at"],
            },
        ),
        "o": (
            ["pk", "sk"],
            {
                "user-created-index": ["user_id", "created_at"],
                "event-created-index": ["event_id", "created_at"],
            },
        ),
        "i": (["pk"], {}),
        "x": (["pk", "sk"], {"status-created_at-index": ["status", "created_at"]}),
    }
    assert TTL == "ttl"


def test_tables_are_paid_by_request_and_define_just_their_keys() -> None:
    for request in create_table_requests(NAMES):
        assert request["BillingMode"] == "PAY_PER_REQUEST"
        schemas = [request["KeySchema"], *(i["KeySchema"] for i in request.get("GlobalSecondaryIndexes", []))]
        keys = {key["AttributeName"] for schema in schemas for key in schema}
        assert {a["AttributeName"] for a in request["AttributeDefinitions"]} == keys


def test_an_index_shows_what_its_readers_choose_by_and_no_more() -> None:
    projections = {
        index["IndexName"]: index["Projection"]
        for request in create_table_requests(NAMES)
        for index in request.get("GlobalSecondaryIndexes", [])
    }
    shown = {name: projection.get("NonKeyAttributes") for name, projection in projections.items()}
    assert shown == {
        "user-status-index": ["created_at"],
        "status-created-index": ["hold_expires_at", "intent_order_id"],
        "user-created-index": None,
        "event-created-index": None,
        "status-created_at-index": ["type", "next_retry_at"],
    }
    kinds = {projection["ProjectionType"] for projection in projections.values()}
    assert kinds == {"INCLUDE", "KEYS_ONLY"}


@pytest.mark.parametrize("table", INDEXES)
def test_terraform_makes_the_same_indexes(table: str) -> None:
    line = re.compile(r'([\w-]+-index) += \{ hash = "(\w+)", range = "(\w+)", include = \[(.*)\] \}')
    (block,) = re.findall(rf"\n    {table} = \{{\n(.*?)\n    \}}\n", TERRAFORM.read_text(), re.DOTALL)[:1]
    found = {
        (name, hash_key, range_key, tuple(re.findall(r'"(\w+)"', include)))
        for name, hash_key, range_key, include in line.findall(block)
    }
    assert found == {(i.name, i.hash_key, i.range_key, i.also) for i in INDEXES[table]}
