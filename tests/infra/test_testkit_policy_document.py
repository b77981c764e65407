"""`aws_iam_policy_document` writes what the real one writes, to the last character."""

import json
from typing import Any

import pytest
from tests.support.terraform_configs import data_config_of

from testkit.aws import Aws
from testkit.kinds import DATA_SOURCES
from testkit.schema import Schema

NOWHERE = Aws({"*": "http://127.0.0.1:1"})


AS_THE_PROVIDER_WRITES_IT = """{
  "Version": "2012-10-17",
  "Id": "tables",
  "Statement": [
    {
      "Sid": "Tables",
      "Effect": "Allow",
      "Action": [
        "dynamodb:Query",
        "dynamodb:PutItem",
        "dynamodb:GetItem"
      ],
      "Resource": "arn:aws:dynamodb:*:*:table/a",
      "Principal": {
        "Service": "ecs-tasks.amazonaws.com"
      },
      "Condition": {
        "ArnLike": {
          "aws:SourceArn": "arn"
        },
        "StringEquals": {
          "aws:SourceAccount": [
            "1",
            "2"
          ]
        }
      }
    }
  ]
}"""


def rendered(schema: Schema, **values: Any) -> Any:
    config = data_config_of(schema, "aws_iam_policy_document", **values)
    return DATA_SOURCES["aws_iam_policy_document"].read(NOWHERE, config)


def test_a_document_is_indented_and_its_members_stand_in_the_order_of_the_provider(schema: Schema) -> None:
    document = rendered(
        schema,
        policy_id="tables",
        statement=[
            {
                "sid": "Tables",
                "actions": ["dynamodb:GetItem", "dynamodb:PutItem", "dynamodb:Query"],
                "resources": ["arn:aws:dynamodb:*:*:table/a"],
                "principals": [{"type": "Service", "identifiers": ["ecs-tasks.amazonaws.com"]}],
                "condition": [
                    {"test": "StringEquals", "variable": "aws:SourceAccount", "values": ["1", "2"]},
                    {"test": "ArnLike", "variable": "aws:SourceArn", "values": ["arn"]},
                ],
            }
        ],
    )
    assert document["json"] == AS_THE_PROVIDER_WRITES_IT


def test_the_minified_document_has_no_space(schema: Schema) -> None:
    document = rendered(schema, statement=[{"actions": ["s3:*"], "resources": ["*"], "effect": "Deny"}])
    assert document["minified_json"] == (
        '{"Version":"2012-10-17","Statement":[{"Effect":"Deny","Action":"s3:*","Resource":"*"}]}'
    )
    assert json.loads(document["json"]) == json.loads(document["minified_json"])


def principal(kind: str, *who: str) -> dict[str, Any]:
    return {"type": kind, "identifiers": list(who)}


@pytest.mark.parametrize(
    ("principals", "written"),
    [
        ([principal("*", "*")], "*"),
        ([principal("AWS", "*")], {"AWS": "*"}),
        ([principal("AWS", "a", "b")], {"AWS": ["b", "a"]}),
        ([principal("AWS", "a"), principal("AWS", "b")], {"AWS": ["a", "b"]}),
        ([principal("Service", "s"), principal("AWS", "a")], {"AWS": "a", "Service": "s"}),
        ([principal("*", "*"), principal("AWS", "a")], {"*": "*", "AWS": "a"}),
    ],
)
def test_principals_are_written_by_type(
    schema: Schema, principals: list[dict[str, Any]], written: Any
) -> None:
    document = rendered(schema, statement=[{"actions": ["a:b"], "principals": principals}])
    assert json.loads(document["json"])["Statement"][0]["Principal"] == written


def test_variables_of_iam_are_written_with_a_dollar(schema: Schema) -> None:
    statement = {"actions": ["s3:*"], "resources": ["arn:aws:s3:::b/&{aws:username}"]}
    assert "${aws:username}" in rendered(schema, statement=[statement])["json"]
    with pytest.raises(ValueError, match="2008-10-17"):
        rendered(schema, statement=[statement], version="2008-10-17")


def test_what_a_browser_might_read_is_escaped(schema: Schema) -> None:
    condition = {"test": "StringLike", "variable": "x", "values": ["<a> & b"]}
    document = rendered(schema, statement=[{"actions": ["a:b"], "condition": [condition]}])
    assert r"\u003ca\u003e \u0026 b" in document["json"]


def test_values_of_one_variable_are_put_together_in_their_order(schema: Schema) -> None:
    conditions = [
        {"test": "StringEquals", "variable": "x", "values": ["b", "a"]},
        {"test": "StringEquals", "variable": "x", "values": ["c"]},
    ]
    document = rendered(schema, statement=[{"actions": ["a:b"], "condition": conditions}])
    assert json.loads(document["json"])["Statement"][0]["Condition"] == {
        "StringEquals": {"x": ["b", "a", "c"]}
    }


def policy(*statements: dict[str, Any]) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": list(statements)})


def test_documents_are_merged_and_the_last_of_a_sid_wins(schema: Schema) -> None:
    document = rendered(
        schema,
        source_policy_documents=[policy({"Sid": "A", "Effect": "Allow"}, {"Effect": "Deny"})],
        statement=[{"sid": "B", "actions": ["a:b"]}, {"sid": "A", "actions": ["own:a"]}],
        override_policy_documents=[
            policy({"Sid": "B", "Effect": "Deny", "Action": "c:d"}, {"Sid": "C", "Effect": "Deny"})
        ],
    )
    assert [
        (statement.get("Sid"), statement["Effect"], statement.get("Action"))
        for statement in json.loads(document["json"])["Statement"]
    ] == [
        ("A", "Allow", "own:a"),
        (None, "Deny", None),
        ("B", "Deny", "c:d"),
        ("C", "Deny", None),
    ]


def test_two_statements_of_one_sid_are_refused(schema: Schema) -> None:
    twice = [{"sid": "A", "actions": ["a:b"]}] * 2
    with pytest.raises(ValueError, match="duplicate Sid"):
        rendered(schema, statement=twice)
    with pytest.raises(ValueError, match="duplicate Sid"):
        rendered(schema, source_policy_documents=[policy({"Sid": "A"}), policy({"Sid": "A"})])
