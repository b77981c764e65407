"""The OpenAPI document says what the code does."""

import json
from pathlib import Path
from typing import Any

import jsonschema
import msgspec
import pytest

from reservation_api.domain.errors import ReservationApiError
from reservation_api.entrypoints.http.openapi import openapi_document
from reservation_api.entrypoints.http.operations import Access, Operation
from reservation_api.entrypoints.http.problems import KINDS
from reservation_api.entrypoints.http.routes import OPERATIONS
from reservation_api.entrypoints.http.wire import HoldBody

DOCUMENT: dict[str, Any] = json.loads(openapi_document())
COMMITTED = Path(__file__).parents[2] / "docs" / "openapi.json"
COMMANDS = [operation for operation in OPERATIONS if operation.is_command]

each_operation = pytest.mark.parametrize("operation", OPERATIONS, ids=lambda part: part.operation_id)


def described(operation: Operation) -> dict[str, Any]:
    found: dict[str, Any] = DOCUMENT["paths"][operation.template][operation.method.lower()]
    return found


def resolved(part: dict[str, Any]) -> dict[str, Any]:
    while "$ref" in part:
        found = DOCUMENT
        for name in part["$ref"].removeprefix("#/").split("/"):
            found = found[name]
        part = found
    return part


def validator(schema: dict[str, Any]) -> jsonschema.Draft202012Validator:
    return jsonschema.Draft202012Validator({**schema, "components": DOCUMENT["components"]})


def references(part: Any) -> set[str]:
    if isinstance(part, dict):
        own = {part["$ref"]} if isinstance(part.get("$ref"), str) else set()
        return own.union(*map(references, part.values()))
    return set().union(*map(references, part)) if isinstance(part, list) else set()


def test_the_committed_document_is_the_generated_one() -> None:
    assert COMMITTED.read_bytes() == openapi_document(), "run `make openapi`"


def test_the_document_is_the_same_each_time() -> None:
    assert openapi_document() == openapi_document()


def test_every_reference_leads_somewhere_and_every_schema_is_one() -> None:
    for reference in references(DOCUMENT):
        assert resolved({"$ref": reference})
    for schema in DOCUMENT["components"]["schemas"].values():
        jsonschema.Draft202012Validator.check_schema(schema)


def test_operation_ids_are_unique() -> None:
    ids = [operation.operation_id for operation in OPERATIONS]
    assert len(set(ids)) == len(ids)


@each_operation
def test_every_answer_and_refusal_of_an_operation_is_documented(operation: Operation) -> None:
    expected = {operation.status, *operation.also, *(KINDS[error].status for error in operation.refusals)}
    if operation.access is not Access.PUBLIC:
        expected |= {400, 401, 500, 503}
        if not operation.is_probe:
            expected.add(429)
    elif not operation.is_probe:
        expected.add(503)
    if operation.is_command:
        expected |= {408, 413, 415, 422}
    if operation.access is Access.OPERATOR:
        expected.add(403)
    if operation.parameter is not None:
        expected.add(404)
    assert {int(status) for status in described(operation)["responses"]} == expected


@each_operation
def test_every_refusal_is_a_problem_with_its_codes(operation: Operation) -> None:
    for status, reference in described(operation)["responses"].items():
        response = resolved(reference)
        if int(status) >= 400 and int(status) not in operation.also:
            [(media_type, media)] = response["content"].items()
            assert media_type == "application/problem+json"
            for example in media["examples"].values():
                problem = resolved(example)["value"]
                assert problem["status"] == int(status)
                assert f"`{problem['code']}`" in response["description"]
                validator(media["schema"]).validate(problem)


def test_every_code_has_an_example() -> None:
    assert {error.code for error in KINDS} == set(DOCUMENT["components"]["examples"])
    assert ReservationApiError.code in DOCUMENT["components"]["examples"]


@each_operation
def test_every_example_keeps_to_its_schema(operation: Operation) -> None:
    part = described(operation)
    media = [
        *part.get("requestBody", {}).get("content", {}).values(),
        *part["responses"][str(operation.status)]["content"].values(),
    ]
    for item in media:
        if "schema" in item:
            validator(item["schema"]).validate(item["example"])
    for parameter in map(resolved, part.get("parameters", [])):
        if "example" in parameter:
            validator(parameter["schema"]).validate(parameter["example"])


@each_operation
def test_tokens_and_keys_are_documented_where_they_are_asked_for(operation: Operation) -> None:
    part = described(operation)
    security = {
        Access.PUBLIC: [],
        Access.SUBJECT: [{"bearer": []}],
        Access.OPERATOR: [{"bearer": ["reservation:ops"]}],
    }
    assert part.get("security", DOCUMENT["security"]) == security[operation.access]
    names = {resolved(parameter)["name"] for parameter in part.get("parameters", [])}
    assert ("Idempotency-Key" in names) is operation.is_command
    if operation.access is not Access.PUBLIC:
        assert "WWW-Authenticate" in resolved(part["responses"]["401"])["headers"]
        assert "Retry-After" in resolved(part["responses"]["503"])["headers"]
    if "429" in part["responses"]:
        assert "Retry-After" in resolved(part["responses"]["429"])["headers"]


def test_what_was_held_links_to_what_can_be_done_with_it() -> None:
    created = DOCUMENT["paths"]["/v1/reservations"]["post"]["responses"]["201"]
    assert "Location" in created["headers"]
    assert set(created["links"]) == {
        "getReservation",
        "confirmReservation",
        "cancelReservation",
        "extendReservation",
    }
    by_id = {operation.operation_id: operation for operation in OPERATIONS}
    for operation in OPERATIONS:
        response = described(operation)["responses"][str(operation.status)]
        for link in response.get("links", {}).values():
            [(name, source)] = link["parameters"].items()
            assert by_id[link["operationId"]].parameter == name
            schema = resolved(response["content"]["application/json"]["schema"])
            assert source.removeprefix("$response.body#/") in schema["required"]


@pytest.mark.parametrize("operation", COMMANDS, ids=lambda part: part.operation_id)
def test_request_bodies_refuse_unknown_fields(operation: Operation) -> None:
    assert operation.body is not None
    schema = DOCUMENT["components"]["schemas"][operation.body.__name__]
    assert schema["additionalProperties"] is False


@pytest.mark.parametrize(
    "body",
    [
        {"qty": 2},
        {"qty": 2, "seat_ids": None},
        {"qty": 2, "seat_ids": ["A", "B"]},
        {"qty": 10, "seat_ids": list("ABCDEFGHIJ")},
        {"qty": 2, "seat_ids": ["A"]},
        {"qty": 1, "seat_ids": ["A", "B"]},
        {"qty": 2, "seat_ids": ["A", "A"]},
        {"qty": 2, "seat_ids": []},
        {"qty": 0},
        {"qty": 11},
        {"qty": 2, "event_id": "a b"},
        {"qty": 2, "event_id": "x" * 65},
        {"qty": 2, "reservation_token": ""},
        {"qty": 2, "reservation_token": "x" * 4096},
        {"qty": 2, "reservation_token": "x" * 4097},
        {"qty": 2, "reservation_token": "é"},
        {"qty": 2, "other": 1},
    ],
    ids=lambda body: repr(body)[:50],
)
def test_the_documented_hold_is_the_hold_that_is_taken(body: dict[str, Any]) -> None:
    body = {"event_id": "evt_1", **body}
    schema = {"$ref": "#/components/schemas/HoldBody"}
    try:
        msgspec.json.decode(json.dumps(body), type=HoldBody)
    except msgspec.ValidationError:
        taken = False
    else:
        taken = True
    assert validator(schema).is_valid(body) is taken
