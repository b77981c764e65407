"""Who may do what, asked of every route of the OpenAPI document: a new route is asked, too, by itself."""

import hashlib
import json
import sqlite3
from base64 import b64encode
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path
from typing import Any

import httpx
import pytest
from joserfc.jwk import ECKey
from tests.support.processes import Running, running, wait_until
from tests.support.tokens import (
    ABSENT,
    SigningKey,
    make_claims,
    make_key,
    mint,
    mint_by,
    mint_hmac,
    mint_unsigned,
)

from reservation_api.adapters.jwt.embedded_issuer import EMBEDDED_ISSUER
from reservation_api.config import load
from reservation_api.config.tree import EmbeddedKeys
from reservation_api.ports.identity import ADMIN_SCOPE, OPS_SCOPE

pytestmark = pytest.mark.e2e

DOCUMENT = json.loads((Path(__file__).parents[2] / "docs" / "openapi.json").read_text())
EVENT = "evt_demo"
SERVER = {
    "APP_HOLD_SECONDS": "1200",
    "APP_HOLD_MAX_SECONDS": "1800",
    "APP_JWT_CLOCK_SKEW_SECONDS": "0",
}
ALL_SCOPES = f"{ADMIN_SCOPE} {OPS_SCOPE}"

_numbers = count(1)
_seats = count(1)


@dataclass(frozen=True)
class Operation:
    """A method of a path, as the document has it."""

    method: str
    path: str
    definition: Mapping[str, Any]

    def __str__(self) -> str:
        return f"{self.method} {self.path}"

    @property
    def scopes(self) -> list[str] | None:
        """What a token must have; None: no token is needed."""
        security = self.definition.get("security", DOCUMENT["security"])
        return (
            [scope for way in security for scopes in way.values() for scope in scopes] if security else None
        )

    def target(self, ids: Mapping[str, str]) -> str:
        """Fill in the path: with these ids, or with the document's own examples."""
        path = self.path
        for parameter in self.definition.get("parameters", []):
            if parameter.get("in") == "path":
                name = parameter["name"]
                path = path.replace(f"{{{name}}}", ids.get(name, parameter["example"]))
        return path

    def options(self) -> dict[str, Any]:
        """Return what makes a good request of it, but for the token."""
        if self.method != "POST":
            return {}
        body = self.definition["requestBody"]["content"]["application/json"]["example"]
        return {"json": body, "headers": {"idempotency-key": f"key-{next(_numbers)}"}}


OPERATIONS = [
    Operation(method.upper(), path, definition)
    for path, methods in DOCUMENT["paths"].items()
    for method, definition in methods.items()
]
PROTECTED = [operation for operation in OPERATIONS if operation.scopes is not None]
PUBLIC = [operation for operation in OPERATIONS if operation.scopes is None]
SCOPED = [operation for operation in PROTECTED if operation.scopes]
OWNED = [o for o in PROTECTED if "{reservation_id}" in o.path or "{order_id}" in o.path]
LISTS = [o for o in PROTECTED if o.method == "GET" and "{" not in o.path and not o.scopes]

each_protected = pytest.mark.parametrize("operation", PROTECTED, ids=str)
each_public = pytest.mark.parametrize("operation", PUBLIC, ids=str)
each_owned = pytest.mark.parametrize("operation", OWNED, ids=str)


def flipped(token: str) -> str:
    """Change one letter in the middle of the signature."""
    at = token.rindex(".") + 40
    return f"{token[:at]}{'A' if token[at] != 'A' else 'B'}{token[at + 1 :]}"


def seconds(offset: float) -> int:
    return int((datetime.now(UTC) + timedelta(seconds=offset)).timestamp())


def claims(**changes: Any) -> dict[str, Any]:
    """Return alice's claims with all scopes: good ones, but for the changes."""
    good = {"iss": EMBEDDED_ISSUER, "aud": ABSENT, "sub": "alice", "scope": ALL_SCOPES}
    return make_claims(datetime.now(UTC), **{**good, **changes})


def swapped(key: SigningKey) -> str:
    """Put alice's claims under the signature of mallory's."""
    head, _, signature = mint(key, claims(sub="mallory")).split(".")
    return ".".join([head, mint(key, claims()).split(".")[1], signature])


def with_its_own_key(key: SigningKey) -> str:
    stranger = make_key(kid=key.kid)
    return mint(stranger, claims(), jwk=stranger.public_jwk())


FORGERIES: Mapping[str, Callable[[SigningKey], str | None]] = {
    "no header": lambda _: None,
    "no token": lambda _: "Bearer",
    "another scheme": lambda _: f"Basic {b64encode(b'alice:alice').decode()}",
    "the token without its scheme": lambda key: mint(key, claims()),
    "garbage": lambda _: "Bearer garbage",
    "garbage in three parts": lambda _: "Bearer e30.e30.e30",
    "expired": lambda key: bearer(key, exp=seconds(-5)),
    "no expiry": lambda key: bearer(key, exp=ABSENT),
    "not yet valid": lambda key: bearer(key, nbf=seconds(60)),
    "issued in the future": lambda key: bearer(key, iat=seconds(60)),
    "another issuer": lambda key: bearer(key, iss="https://auth.example/realms/tacos"),
    "no issuer": lambda key: bearer(key, iss=ABSENT),
    "no subject": lambda key: bearer(key, sub=ABSENT),
    "another key": lambda key: f"Bearer {mint(make_key(kid=key.kid), claims())}",
    "another key that it brings along": lambda key: f"Bearer {with_its_own_key(key)}",
    "a key of another type": lambda key: f"Bearer {mint(make_key('RS256', key.kid), claims())}",
    "a signature with a letter changed": lambda key: f"Bearer {flipped(mint(key, claims()))}",
    "a signature of other claims": lambda key: f"Bearer {swapped(key)}",
    "an unknown key id": lambda key: f"Bearer {mint(key, claims(), kid='other')}",
    "alg none": lambda key: f"Bearer {mint_unsigned(claims(), kid=key.kid)}",
    "alg nOnE": lambda key: f"Bearer {mint_unsigned(claims(), 'nOnE', kid=key.kid)}",
    "HS256 by the public key as PEM": lambda key: hmac_token(key, key.public_pem()),
    "HS256 by the public key as JWK": lambda key: hmac_token(key, json.dumps(key.public_jwk()).encode()),
    "HS256 by nothing": lambda key: hmac_token(key, b""),
    "another algorithm of the key's family": lambda key: (
        f"Bearer {mint_by(make_key('ES384', key.kid), 'ES384', claims())}"
    ),
}


def bearer(key: SigningKey, **changes: Any) -> str:
    return f"Bearer {mint(key, claims(**changes))}"


def hmac_token(key: SigningKey, secret: bytes) -> str:
    return f"Bearer {mint_hmac(secret, claims(), kid=key.kid)}"


class Service:
    """A running service, its store, and alice's things in it: a hold, and an order."""

    def __init__(self, server: Running, http: httpx.Client) -> None:
        self.http = http
        config = load(server.environment)
        assert isinstance(config.identity.source, EmbeddedKeys)
        private = ECKey.import_key(config.identity.source.key_file.read_bytes())
        self.key = SigningKey(private.thumbprint(), "ES256", private)
        self._database = config.store.database_file
        held = self.hold(["A-2-1"])
        sold = self.hold(["A-2-2"])
        path = f"/v1/reservations/{sold['reservation_id']}/confirm"
        order = self.post(path, {"payment_intent_id": "pi_1"}).json()
        self.ids = {
            "reservation_id": held["reservation_id"],
            "order_id": order["order_id"],
            "event_id": EVENT,
        }
        self.secrets = [held["reservation_id"], sold["reservation_id"], order["order_id"]]

    def ask(self, operation: Operation, authorization: str | None, **ids: str) -> httpx.Response:
        """Send a good request, but for the authorization."""
        options = operation.options()
        headers = {**options.pop("headers", {})}
        if authorization is not None:
            headers["authorization"] = authorization
        target = operation.target({**self.ids, **ids})
        return self.http.request(operation.method, target, headers=headers, **options)

    def post(self, path: str, body: Any, sub: str = "alice", key: str | None = None) -> httpx.Response:
        key = key or f"key-{next(_numbers)}"
        headers = {"authorization": bearer(self.key, sub=sub), "idempotency-key": key}
        return self.http.post(path, json=body, headers=headers)

    def hold(self, seat_ids: list[str]) -> Any:
        body = {"event_id": EVENT, "qty": len(seat_ids), "seat_ids": seat_ids}
        answer = self.post("/v1/reservations", body)
        assert answer.status_code == 201, answer.text
        return answer.json()

    def digest(self) -> str:
        """Tell by one text what is in the store, once the relay has done with it."""
        with closing(sqlite3.connect(self._database)) as connection:
            wait_until(lambda: not connection.execute("SELECT 1 FROM outbox").fetchall())
            return hashlib.sha256("\n".join(connection.iterdump()).encode()).hexdigest()


@pytest.fixture(scope="module")
def service() -> Iterator[Service]:
    with running(["serve"], SERVER) as server:
        server.command("events", "create", EVENT, "--section", "A:4x20:1000")
        with httpx.Client(base_url=server.url, trust_env=False) as http:
            yield Service(server, http)


def check_problem(answer: httpx.Response, status: int, code: str) -> None:
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["code"] == code


def test_the_server_serves_the_document_that_these_tests_are_made_from(service: Service) -> None:
    assert service.http.get("/openapi.json").json() == DOCUMENT
    assert len(PROTECTED) >= 14
    assert len(OWNED) >= 5


@each_protected
@pytest.mark.parametrize("name", FORGERIES)
def test_a_forged_token_opens_nothing_and_changes_nothing(
    service: Service, operation: Operation, name: str
) -> None:
    authorization = FORGERIES[name](service.key)
    before = service.digest()
    answer = service.ask(operation, authorization)

    check_problem(answer, 401, "unauthenticated")
    challenge = answer.headers["www-authenticate"]
    assert challenge.startswith("Bearer")
    assert ("invalid_token" in challenge) == (authorization or "").startswith("Bearer ")
    assert service.digest() == before


@each_protected
def test_the_token_that_the_forgeries_are_made_from_opens_everything(
    service: Service, operation: Operation
) -> None:
    ids = {}
    if operation.method == "POST" and "{reservation_id}" in operation.path:
        ids["reservation_id"] = service.hold([f"A-3-{next(_seats)}"])["reservation_id"]
    before = service.digest()
    answer = service.ask(operation, bearer(service.key), **ids)

    assert answer.is_success, answer.text
    assert (service.digest() != before) == (operation.method == "POST")


@pytest.mark.parametrize("operation", [o for o in PROTECTED if o.method == "GET"], ids=str)
def test_head_is_no_way_around_it(service: Service, operation: Operation) -> None:
    head = Operation("HEAD", operation.path, operation.definition)
    assert service.ask(head, None).status_code == 401
    assert service.ask(head, bearer(service.key)).status_code == 200


def test_a_token_that_was_good_ends_with_its_time(service: Service) -> None:
    short = bearer(service.key, exp=seconds(2))
    operation = LISTS[0]
    assert service.ask(operation, short).status_code == 200
    wait_until(lambda: service.ask(operation, short).status_code == 401, seconds=5)


@each_public
@pytest.mark.parametrize("name", ["no header", "garbage", "expired", "alg none"])
def test_health_and_documents_are_open_to_anybody(service: Service, operation: Operation, name: str) -> None:
    answer = service.ask(operation, FORGERIES[name](service.key))
    assert answer.status_code == 200, answer.text


def test_nothing_but_health_and_documents_is_open() -> None:
    open_paths = {operation.path for operation in PUBLIC}
    assert all(
        path.startswith("/actuator/health") or path in {"/openapi.json", "/docs"} for path in open_paths
    )


def test_health_tells_details_to_operators_only(service: Service) -> None:
    health = next(operation for operation in PUBLIC if operation.path == "/actuator/health")
    assert '"details"' in service.ask(health, bearer(service.key, scope=OPS_SCOPE)).text
    for authorization in (None, bearer(service.key, scope=ADMIN_SCOPE), "Bearer garbage"):
        assert '"details"' not in service.ask(health, authorization).text


@each_owned
@pytest.mark.parametrize("scope", ["", ALL_SCOPES], ids=["no scope", "all scopes"])
def test_what_is_anothers_is_not_there(service: Service, operation: Operation, scope: str) -> None:
    """And not to be told from what never was; no scope helps."""
    mallory = bearer(service.key, sub="mallory", scope=scope)
    before = service.digest()
    answer = service.ask(operation, mallory)
    nowhere = service.ask(operation, mallory, reservation_id="rsv_none", order_id="ord_none")

    check_problem(answer, 404, "not_found")
    assert {**answer.json(), "trace_id": ""} == {**nowhere.json(), "trace_id": ""}
    assert service.digest() == before


@pytest.mark.parametrize("operation", LISTS, ids=str)
def test_a_list_shows_ones_own_only(service: Service, operation: Operation) -> None:
    alices = service.ask(operation, bearer(service.key, scope="")).text
    assert any(secret in alices for secret in service.secrets)
    mallorys = service.ask(operation, bearer(service.key, sub="mallory"))
    assert mallorys.status_code == 200
    assert not [secret for secret in service.secrets if secret in mallorys.text]


def test_a_cursor_is_of_no_use_to_anybody_else(service: Service) -> None:
    pages = {"limit": 1}
    alice = {"authorization": bearer(service.key)}
    cursor = service.http.get("/v1/reservations", params=pages, headers=alice).json()["next_cursor"]
    mallory = {"authorization": bearer(service.key, sub="mallory")}
    answer = service.http.get("/v1/reservations", params={"cursor": cursor}, headers=mallory)
    check_problem(answer, 400, "invalid_request")


def test_the_orders_of_an_event_are_for_administrators(service: Service) -> None:
    operation = next(o for o in PROTECTED if o.path == "/v1/events/{event_id}/orders")
    for scope in ("", OPS_SCOPE, "reservation:admins", "RESERVATION:ADMIN"):
        answer = service.ask(operation, bearer(service.key, sub="mallory", scope=scope))
        check_problem(answer, 404, "not_found")
    answer = service.ask(operation, bearer(service.key, sub="mallory", scope=ADMIN_SCOPE))
    assert service.ids["order_id"] in [item["order_id"] for item in answer.json()["items"]]


@pytest.mark.parametrize("operation", SCOPED, ids=str)
def test_the_actuator_is_for_operators(service: Service, operation: Operation) -> None:
    assert operation.scopes == [OPS_SCOPE]
    for scope in ("", ADMIN_SCOPE, "reservation:op"):
        answer = service.ask(operation, bearer(service.key, scope=scope))
        check_problem(answer, 403, "forbidden")
        assert 'error="insufficient_scope"' in answer.headers["www-authenticate"]
    assert service.ask(operation, bearer(service.key, scope=OPS_SCOPE)).status_code == 200


def test_everything_of_the_actuator_but_health_is_for_operators() -> None:
    actuator = {o.path for o in OPERATIONS if o.path.startswith("/actuator")}
    assert {o.path for o in SCOPED} == {path for path in actuator if not path.startswith("/actuator/health")}


def test_anothers_key_does_not_fetch_the_others_answer(service: Service) -> None:
    body = {"event_id": EVENT, "qty": 1, "seat_ids": ["A-4-1"]}
    assert service.post("/v1/reservations", body, key="shared").status_code == 201
    answer = service.post("/v1/reservations", body, sub="mallory", key="shared")
    check_problem(answer, 409, "seats_taken")
    assert "idempotency-replayed" not in answer.headers
