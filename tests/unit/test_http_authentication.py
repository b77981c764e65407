import pytest
from tests.support.api import (
    JSON,
    Client,
    MemoryBody,
    MemoryHeaders,
    NamedTokens,
    answer_of,
    answering,
    make_api,
)
from tests.support.clock import FakeClock

from reservation_api.domain.errors import IdentityUnavailableError, NotFoundError
from reservation_api.domain.values import UserId
from reservation_api.entrypoints.http.operations import Access, Operation
from reservation_api.entrypoints.http.request import Request
from reservation_api.entrypoints.http.routes import OPERATIONS
from reservation_api.ports.identity import Caller

PUBLIC = [operation for operation in OPERATIONS if operation.access is Access.PUBLIC]
GUARDED = [operation for operation in OPERATIONS if operation.access is not Access.PUBLIC]


class RememberingTokens(NamedTokens):
    """Knows `known` already, and counts what it has to verify."""

    def __init__(self) -> None:
        self.verified = 0

    def cached(self, token: str) -> Caller | None:
        return Caller(UserId("user-9"), frozenset()) if token == "known" else None

    async def verify(self, token: str) -> Caller:
        self.verified += 1
        return await super().verify(token)


class IssuerAway(NamedTokens):
    async def verify(self, _token: str) -> Caller:
        raise IdentityUnavailableError("the issuer's keys can not be had")


@pytest.fixture
def client() -> Client:
    return Client(make_api(answering(NotFoundError("no such thing")), FakeClock()))


def test_only_health_and_documents_are_public() -> None:
    assert {operation.template for operation in PUBLIC} == {
        "/actuator/health",
        "/actuator/health/liveness",
        "/actuator/health/readiness",
        "/openapi.json",
        "/docs",
    }


@pytest.mark.parametrize("operation", GUARDED, ids=lambda operation: operation.operation_id)
@pytest.mark.parametrize(
    ("header", "challenge"),
    [
        (None, "Bearer"),
        ("Basic dXNlcjpwYXNz", "Bearer"),
        ("Bearer forged", 'Bearer error="invalid_token"'),
        ("Bearer ", 'Bearer error="invalid_token"'),
    ],
)
async def test_every_other_route_refuses_strangers(
    client: Client, operation: Operation, header: str | None, challenge: str
) -> None:
    template = operation.template.replace("{", "").replace("}", "")
    method = operation.method
    answer = await client.send(method, template, headers={"authorization": header})
    assert (answer.status, answer.code) == (401, "unauthenticated")
    assert answer.headers["www-authenticate"] == challenge


@pytest.mark.parametrize("tokens", [("user-1", "user-2"), ("user-1", "user-1"), ("forged", "user-1")])
async def test_of_two_tokens_neither_is_believed(client: Client, tokens: tuple[str, str]) -> None:
    headers = MemoryHeaders([("authorization", f"Bearer {token}") for token in tokens])
    response = await answer_of(client.api, Request("GET", "/v1/orders/ord_1", "", headers, MemoryBody(b"")))
    assert response.status == 401


@pytest.mark.parametrize("operation", PUBLIC, ids=lambda operation: operation.operation_id)
async def test_public_routes_need_no_token_and_mind_no_bad_one(client: Client, operation: Operation) -> None:
    template = operation.template
    for token in ("", "forged"):
        client.token = token
        assert (await client.get(template)).status == 200


@pytest.mark.parametrize("scheme", ["Bearer", "bearer", "BEARER"])
async def test_the_scheme_is_case_insensitive(client: Client, scheme: str) -> None:
    assert (await client.get("/v1/orders/ord_1", authorization=f"{scheme} user-1")).status == 404


async def test_a_stranger_learns_nothing_of_a_resource_and_its_body_is_not_read(client: Client) -> None:
    body = MemoryBody(b"{broken")
    headers = MemoryHeaders([JSON])
    response = await answer_of(
        client.api, Request("POST", "/v1/reservations/no id/cancel", "x=1", headers, body)
    )
    assert (response.status, body.reads) == (401, 0)


async def test_a_remembered_token_is_not_verified_again() -> None:
    tokens = RememberingTokens()
    client = Client(make_api(answering(NotFoundError("nothing")), FakeClock(), tokens=tokens), "known")
    assert (await client.get("/v1/orders/ord_1")).status == 404
    assert tokens.verified == 0
    client.token = "user-2"
    assert (await client.get("/v1/orders/ord_1")).status == 404
    assert tokens.verified == 1


async def test_an_issuer_out_of_reach_is_no_verdict_on_the_token() -> None:
    client = Client(make_api(answering(NotFoundError("nothing")), FakeClock(), tokens=IssuerAway()))
    answer = await client.get("/v1/orders/ord_1")
    assert (answer.status, answer.code) == (503, "identity_unavailable")
    assert answer.headers["retry-after"] == "1"
    assert (await client.get("/actuator/health")).status == 200


@pytest.mark.parametrize("path", ["info", "metrics", "metrics/APILatency", "prometheus"])
async def test_operations_need_their_scope(client: Client, path: str) -> None:
    answer = await client.get(f"/actuator/{path}")
    assert (answer.status, answer.code) == (403, "forbidden")
    assert answer.headers["www-authenticate"] == (
        'Bearer error="insufficient_scope", scope="reservation:ops"'
    )
    client.token = "user-1+reservation:ops"
    assert (await client.get(f"/actuator/{path}")).status == 200


async def test_a_problem_never_shows_the_token(client: Client) -> None:
    answer = await client.get("/v1/orders/ord_1", authorization="Bearer eyJ.secret.part")
    assert b"secret" not in answer.body
