"""What IAM's documents say, however they are written."""

from collections.abc import Mapping
from typing import Any

import pytest

from reservation_api.application.examination.policies import grants_of, lets, service_of, trusted_by

RULE = "arn:aws:events:ap-northeast-2:123456789012:rule/bus/created"
QUEUE = "arn:aws:sqs:ap-northeast-2:123456789012:dlq"
CONTEXT = {"aws:sourcearn": RULE, "aws:sourceaccount": "123456789012", "aws:securetransport": "true"}


def statement(**changes: Any) -> dict[str, Any]:
    whole = {
        "Effect": "Allow",
        "Principal": {"Service": "events.amazonaws.com"},
        "Action": "sqs:SendMessage",
        "Resource": QUEUE,
        **changes,
    }
    return {key: value for key, value in whole.items() if value is not None}


def let_in(*statements: Mapping[str, Any]) -> bool:
    policy = {"Version": "2012-10-17", "Statement": list(statements)}
    return lets(policy, "events.amazonaws.com", "sqs:SendMessage", QUEUE, CONTEXT)


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"Action": ["sqs:ReceiveMessage", "SQS:Send*"]},
        {"Action": "*", "Resource": "*"},
        {"Principal": "*"},
        {"Principal": {"AWS": "*"}},
        {"Principal": {"Service": ["sns.amazonaws.com", "events.amazonaws.com"]}},
        {"Condition": {"ArnEquals": {"aws:SourceArn": [RULE]}}},
        {"Condition": {"ArnLike": {"AWS:SourceArn": "arn:aws:events:*:*:rule/bus/*"}}},
        {"Condition": {"StringEquals": {"aws:SourceAccount": "123456789012"}}},
        {"Condition": {"StringLike": {"aws:SourceArn": f"{RULE[:-3]}*"}}},
        {"Condition": {"Bool": {"aws:SecureTransport": "true"}}},
        {"Condition": {"StringNotEquals": {"aws:SourceAccount": "999999999999"}}},
    ],
)
def test_a_rule_is_let_in(changes: dict[str, Any]) -> None:
    assert let_in(statement(**changes))


@pytest.mark.parametrize(
    "changes",
    [
        {"Effect": "Deny"},
        {"Action": "sqs:ReceiveMessage"},
        {"Resource": f"{QUEUE}-of-others"},
        {"Principal": {"Service": "sns.amazonaws.com"}},
        {"Principal": {"AWS": "arn:aws:iam::123456789012:root"}},
        {"Condition": {"ArnEquals": {"aws:SourceArn": f"{RULE}-of-others"}}},
        {"Condition": {"StringEquals": {"aws:SourceArn": f"{RULE[:-3]}*"}}},
        {"Condition": {"StringEquals": {"aws:SourceAccount": "999999999999"}}},
        {"Condition": {"StringNotEquals": {"aws:SourceAccount": "123456789012"}}},
        {"Condition": {"StringEquals": {"aws:PrincipalOrgID": "o-1"}}},
        {"Condition": {"IpAddress": {"aws:SourceArn": RULE}}},
    ],
)
def test_a_rule_is_kept_out(changes: dict[str, Any]) -> None:
    assert not let_in(statement(**changes))


def test_a_denial_is_stronger_and_one_of_plain_text_concerns_nobody_with_tls() -> None:
    plain = statement(Effect="Deny", Principal="*", Condition={"Bool": {"aws:SecureTransport": "false"}})
    assert let_in(statement(), plain)
    assert not let_in(statement(), statement(Effect="Deny", Principal="*"))
    unknown = statement(Effect="Deny", Principal="*", Condition={"IpAddress": {"aws:SourceIp": "10.0.0.0/8"}})
    assert not let_in(statement(), unknown)


def test_a_single_statement_needs_no_list() -> None:
    assert lets({"Statement": statement()}, "events.amazonaws.com", "sqs:SendMessage", QUEUE, CONTEXT)
    assert not lets({}, "events.amazonaws.com", "sqs:SendMessage", QUEUE, CONTEXT)


def test_grants_are_the_same_however_they_are_split_up() -> None:
    one = {"Statement": {"Effect": "Allow", "Action": ["a:B", "a:C"], "Resource": ["x", "y"]}}
    four = [
        {"Statement": [{"Sid": "s", "Effect": "Allow", "Action": action, "Resource": place}]}
        for action in ("a:C", "a:B")
        for place in ("y", "x")
    ]
    assert grants_of([one]) == grants_of(four) == sorted(f"Allow a:{a} on {p}" for a in "BC" for p in "xy")


@pytest.mark.parametrize(
    ("said", "grant", "service"),
    [
        ({"NotAction": "iam:*", "Resource": "*"}, "Allow not iam:* on *", "iam"),
        ({"Action": "a:B", "NotResource": "x"}, "Allow a:B on not x", "a"),
        ({"Action": "*", "Resource": "*"}, "Allow * on *", "*"),
        (
            {"Action": "a:B", "Resource": "x", "Condition": {"Bool": {"k": "true"}}},
            'Allow a:B on x if {"Bool":{"k":"true"}}',
            "a",
        ),
        ({"Effect": "Deny", "Action": "SQS:X", "Resource": "*"}, "Deny SQS:X on *", "sqs"),
    ],
)
def test_a_grant_tells_all_that_is_said(said: dict[str, Any], grant: str, service: str) -> None:
    assert grants_of([{"Statement": [{"Effect": "Allow", **said}]}]) == [grant]
    assert service_of(grant) == service


def test_an_identity_of_an_issuer_is_told_with_its_subject_and_audience_or_as_anybody() -> None:
    provider = {"Federated": "arn:aws:iam::1:oidc-provider/host"}
    action = "sts:AssumeRoleWithWebIdentity"
    subject = {"StringEquals": {"host:sub": "system:serviceaccount:n:a", "host:aud": "sts.amazonaws.com"}}
    named = statement(Principal=provider, Action=action, Condition=subject)
    anybody = statement(Principal=provider, Action=action)
    said = "Federated arn:aws:iam::1:oidc-provider/host as"
    assert trusted_by({"Statement": [named]}) == [f"{said} system:serviceaccount:n:a for sts.amazonaws.com"]
    assert trusted_by({"Statement": [anybody]}) == [f"{said} anybody for anybody"]
    assert trusted_by({"Statement": [statement(Effect="Deny")]}) == []
    assert trusted_by({"Statement": [statement(Principal=None)]}) == ["AWS *"]
