"""The OpenAPI 3.1 document, from the route table and the wire's own types."""

import itertools
from collections.abc import Iterable
from http import HTTPStatus
from importlib.metadata import version
from typing import Any

import msgspec

from reservation_api.domain import errors
from reservation_api.domain.errors import ReservationApiError, UnavailableError
from reservation_api.domain.values import MAX_SEATS_PER_RESERVATION
from reservation_api.entrypoints.http import refusals
from reservation_api.entrypoints.http.actuator import PACKAGE
from reservation_api.entrypoints.http.idempotency import KEY_PATTERN
from reservation_api.entrypoints.http.openapi_examples import EXAMPLES, PARAMETER_EXAMPLES
from reservation_api.entrypoints.http.operations import Access, Operation
from reservation_api.entrypoints.http.problems import KINDS, PROBLEM_TYPE_PREFIX, RETRY_AFTER_SECONDS
from reservation_api.entrypoints.http.queries import NoQuery
from reservation_api.entrypoints.http.routes import OPERATIONS
from reservation_api.entrypoints.http.wire import (
    ID_PATTERN,
    MAX_ID_LENGTH,
    CancelBody,
    HoldBody,
    Problem,
    schema_of,
)
from reservation_api.ports.identity import ADMIN_SCOPE, OPS_SCOPE

Json = dict[str, Any]

_ERROR_MEDIA = "application/problem+json"
_FOR_EVERYBODY_WITH_A_TOKEN: tuple[type[ReservationApiError], ...] = (
    errors.InvalidRequestError,
    refusals.UnauthenticatedError,
    errors.UnavailableError,
    errors.StoreUnavailableError,
    errors.InventoryUnavailableError,
    errors.IdentityUnavailableError,
)
_FOR_COMMANDS: tuple[type[ReservationApiError], ...] = (
    refusals.IdempotencyKeyMissingError,
    refusals.IdempotencyKeyMalformedError,
    errors.IdempotencyMismatchError,
    refusals.IncompleteBodyError,
    refusals.SlowBodyError,
    refusals.PayloadTooLargeError,
    refusals.UnsupportedMediaTypeError,
)
_LINKS = {
    "holdSeats": (
        "reservation_id",
        ("getReservation", "confirmReservation", "cancelReservation", "extendReservation"),
    ),
    "confirmReservation": ("order_id", ("getOrder",)),
}
"""The answer's field that is the path's parameter of the same name, and what one can ask next by it."""
_DESCRIPTION = """\
Seats of an event are *held* for a minute, then *confirmed* into an order after payment, or *cancelled*,
or they *expire*. No seat is sold twice, and no accepted request is lost or done twice.

Every POST needs an `Idempotency-Key`: a retry with the same key and body within 5 minutes is answered
with the same status and body, and `Idempotency-Replayed: true`. After 503, or no answer at all, retry with
the same key, no sooner than `Retry-After` says; `overloaded` and `rate_limited` mean that nothing was
tried. Errors are RFC 9457 problems; decide by `code`, quote `trace_id`.

Money is in minor units of its currency; instants are UTC with milliseconds."""


def openapi_document() -> bytes:
    """Return the document as indented JSON; the same bytes each time."""
    return msgspec.json.format(msgspec.json.encode(_openapi()), indent=2) + b"\n"


def _openapi() -> Json:
    paths: dict[str, Json] = {}
    for operation in OPERATIONS:
        paths.setdefault(operation.template, {})[operation.method.lower()] = _operation(operation)
    shared = _share_responses(paths)
    return {
        "openapi": "3.1.0",
        "info": {"title": "Reservation API", "version": version(PACKAGE), "description": _DESCRIPTION},
        "servers": [{"url": "/"}],
        "security": [{"bearer": []}],
        "tags": [
            {"name": "reservations", "description": "Hold seats, and decide what becomes of them."},
            {"name": "orders", "description": "What was sold."},
            {"name": "events", "description": "Which seats are free."},
            {"name": "actuator", "description": "For whoever runs the service."},
            {"name": "documents", "description": "What you are reading."},
        ],
        "paths": paths,
        "components": {
            "securitySchemes": {
                "bearer": {
                    "type": "http",
                    "scheme": "bearer",
                    "bearerFormat": "JWT",
                    "description": f"`sub` is the user; `scope` may have `{ADMIN_SCOPE}` and `{OPS_SCOPE}`.",
                }
            },
            "parameters": {"IdempotencyKey": _idempotency_key()},
            "headers": _HEADERS,
            "responses": shared,
            "examples": {error.code: _problem_example(error) for error in KINDS},
            "schemas": _schemas(),
        },
    }


def _operation(operation: Operation) -> Json:
    described: Json = {
        "operationId": operation.operation_id,
        "tags": [operation.tag],
        "summary": operation.summary,
    }
    if operation.description:
        described["description"] = operation.description
    if operation.access is Access.PUBLIC:
        described["security"] = []
    if operation.access is Access.OPERATOR:
        described["security"] = [{"bearer": [OPS_SCOPE]}]
    parameters = list(_parameters(operation))
    if parameters:
        described["parameters"] = parameters
    if operation.body is not None:
        described["requestBody"] = {
            "required": operation.body is not CancelBody,
            "content": {"application/json": _media(operation.body)},
        }
    described["responses"] = {str(status): response for status, response in _responses(operation)}
    return described


def _parameters(operation: Operation) -> Iterable[Json]:
    if operation.parameter is not None:
        yield {
            "name": operation.parameter,
            "in": "path",
            "required": True,
            "schema": {"type": "string", "minLength": 1, "maxLength": MAX_ID_LENGTH, "pattern": ID_PATTERN},
            "example": PARAMETER_EXAMPLES[operation.parameter],
        }
    if operation.is_command:
        yield {"$ref": "#/components/parameters/IdempotencyKey"}
    if operation.query is not NoQuery:
        _, components = schema_of([operation.query])
        for name, schema in components[operation.query.__name__]["properties"].items():
            yield _query_parameter(name, schema)


def _query_parameter(name: str, schema: Json) -> Json:
    parameter: Json = {"name": name, "in": "query"}
    description = schema.pop("description", None)
    if description is not None:
        parameter["description"] = description
    if schema.get("type") == "array":
        parameter |= {"style": "form", "explode": False}
    return parameter | {"schema": schema}


def _idempotency_key() -> Json:
    return {
        "name": "Idempotency-Key",
        "in": "header",
        "required": True,
        "description": "1 to 255 printable ASCII characters, bare or in quotes; new for each new request,"
        " the same for each retry.",
        "schema": {"type": "string", "pattern": KEY_PATTERN},
        "example": PARAMETER_EXAMPLES["Idempotency-Key"],
    }


def _responses(operation: Operation) -> Iterable[tuple[int, Json]]:
    yield operation.status, _success(operation)
    for status, meaning in operation.also.items():
        yield status, {"description": meaning, "content": _content(operation)}
    if operation.access is not Access.PUBLIC:
        yield from _problems(_refusals(operation))
    elif not operation.is_probe:
        yield from _problems([errors.OverloadedError])


def _success(operation: Operation) -> Json:
    response: Json = {"description": HTTPStatus(operation.status).phrase, "content": _content(operation)}
    if operation.is_command:
        response["headers"] = {"Idempotency-Replayed": {"$ref": "#/components/headers/IdempotencyReplayed"}}
    if operation.status == HTTPStatus.CREATED:
        response["headers"]["Location"] = {"$ref": "#/components/headers/Location"}
    if operation.operation_id in _LINKS:
        name, targets = _LINKS[operation.operation_id]
        parameters = {name: f"$response.body#/{name}"}
        response["links"] = {target: {"operationId": target, "parameters": parameters} for target in targets}
    return response


def _content(operation: Operation) -> Json:
    return {operation.media_type: {} if operation.answer is None else _media(operation.answer)}


def _media(wire_type: type[msgspec.Struct]) -> Json:
    return {
        "schema": {"$ref": f"#/components/schemas/{wire_type.__name__}"},
        "example": msgspec.to_builtins(EXAMPLES[wire_type]),
    }


def _refusals(operation: Operation) -> list[type[ReservationApiError]]:
    found = [*operation.refusals, *_FOR_EVERYBODY_WITH_A_TOKEN, ReservationApiError]
    if not operation.is_probe:
        found += [errors.OverloadedError, refusals.TooManyRequestsError]
    if operation.is_command:
        found += _FOR_COMMANDS
    if operation.operation_id == "confirmReservation":
        found.append(errors.PaymentUnavailableError)
    if operation.access is Access.OPERATOR:
        found.append(refusals.ForbiddenError)
    if operation.parameter is not None and errors.NotFoundError not in found:
        found.append(errors.NotFoundError)
    return found


def _problems(found: list[type[ReservationApiError]]) -> Iterable[tuple[int, Json]]:
    for status in sorted({KINDS[error].status for error in found}):
        same = [error for error in found if KINDS[error].status == status]
        response: Json = {
            "description": ", ".join(f"`{error.code}`" for error in same),
            "content": {
                _ERROR_MEDIA: {
                    "schema": {"$ref": "#/components/schemas/Problem"},
                    "examples": {
                        error.code: {"$ref": f"#/components/examples/{error.code}"} for error in same
                    },
                }
            },
        }
        if issubclass(same[0], UnavailableError | refusals.TooManyRequestsError):
            response["headers"] = {"Retry-After": {"$ref": "#/components/headers/RetryAfter"}}
        if same[0] in (refusals.UnauthenticatedError, refusals.ForbiddenError):
            response["headers"] = {"WWW-Authenticate": {"$ref": "#/components/headers/WWWAuthenticate"}}
        yield status, response


def _share_responses(paths: dict[str, Json]) -> Json:
    """Replace problems that several operations have by references; return what they refer to."""
    shared: dict[str, Json] = {}
    for path in paths.values():
        for operation in path.values():
            for status, response in operation["responses"].items():
                if _ERROR_MEDIA in response["content"]:
                    name = _share(shared, HTTPStatus(int(status)), response)
                    operation["responses"][status] = {"$ref": f"#/components/responses/{name}"}
    return shared


def _share(shared: dict[str, Json], status: HTTPStatus, response: Json) -> str:
    """Return the name under which this very response is shared: NotFound, or NotFound2 if that is another."""
    phrase = status.name.title().replace("_", "")
    names = (phrase if n == 1 else f"{phrase}{n}" for n in itertools.count(1))
    return next(name for name in names if shared.setdefault(name, response) == response)


def _problem_example(error: type[ReservationApiError]) -> Json:
    kind = KINDS[error]
    problem = Problem(
        type=PROBLEM_TYPE_PREFIX + error.code,
        title=kind.title,
        status=kind.status,
        detail=kind.title + ".",
        code=error.code,
        trace_id="4bf92f3577b34da6a3ce929d0e0e4736",
    )
    return {"value": msgspec.to_builtins(problem)}


def _schemas() -> Json:
    types: list[type[msgspec.Struct]] = [Problem]
    for operation in OPERATIONS:
        types += [wire_type for wire_type in (operation.body, operation.answer) if wire_type is not None]
    _, schemas = schema_of(types)
    schemas[HoldBody.__name__]["anyOf"] = list(_hold_shapes())
    return schemas


def _hold_shapes() -> Iterable[Json]:
    """Say in JSON Schema what HoldBody checks by hand: no seats named, or as many as `qty`."""
    yield {"properties": {"seat_ids": {"type": "null"}}}
    for qty in range(1, MAX_SEATS_PER_RESERVATION + 1):
        yield {
            "properties": {
                "qty": {"const": qty},
                "seat_ids": {"type": "array", "minItems": qty, "maxItems": qty},
            },
            "required": ["seat_ids"],
        }


_HEADERS: Json = {
    "IdempotencyReplayed": {
        "description": "There when the answer is that of an earlier request with this key.",
        "schema": {"const": "true"},
    },
    "Location": {"description": "Where the reservation is.", "required": True, "schema": {"type": "string"}},
    "RetryAfter": {
        "description": "Seconds to wait before the same request, with the same key, is worth a try.",
        "required": True,
        "schema": {"type": "string"},
        "example": str(RETRY_AFTER_SECONDS),
    },
    "WWWAuthenticate": {"description": "RFC 6750.", "required": True, "schema": {"type": "string"}},
}
