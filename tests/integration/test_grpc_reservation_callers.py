from pathlib import Path
from typing import Any

import pytest
from tests.integration.test_grpc_reservation_refusals import COMMANDS, GOOD
from tests.support.clock import FakeClock
from tests.support.grpc_reservations import ON_A_FREE_PORT, TRUSTED, Served, named, served
from tests.support.tokens import AUDIENCE, ISSUER, jwks, make_claims, make_key, mint, mint_unsigned

from reservation_api.adapters.jwt.claims import TokenRules
from reservation_api.adapters.jwt.key_sources import StaticKeys
from reservation_api.adapters.jwt.verifier import JwtVerifier

ABOUT_ONE = ["GetReservation", "ConfirmReservation", "CancelReservation", "ExtendHold"]
OWNERS = ["GetReservation", "ConfirmReservation", "CancelReservation"]


async def ask_about(running: Served, reservation_id: str, name: str, token: str | None, **fields: Any) -> str:
    """Return the code of an answer, or OK; the key is a new one."""
    about = {"reservation_id": reservation_id} if name in ABOUT_ONE else {}
    key = {"idempotency_key": f"{name}{token}{fields}"} if name in COMMANDS else {}
    reply = await running.client(token).ask(name, **{**GOOD[name], **about, **key, **fields})
    return named(reply.error) if reply.HasField("error") else "OK"


@pytest.mark.parametrize("name", GOOD)
@pytest.mark.parametrize(
    ("trusted", "token", "user_id", "expected"),
    [
        (False, None, "", "UNAUTHENTICATED"),
        (False, None, "user-1", "UNAUTHENTICATED"),
        (False, "forged", "", "UNAUTHENTICATED"),
        (False, "forged", "user-1", "UNAUTHENTICATED"),
        (False, "user-1", "", "OK"),
        (False, "user-1", "user-1", "OK"),
        (False, "user-1", "user-2", "FORBIDDEN"),
        (False, "user-2", "", "ANOTHERS"),
        (False, "user-2", "user-1", "FORBIDDEN"),
        (False, "user-2+reservation:admin", "user-1", "FORBIDDEN"),
        (True, None, "user-1", "OK"),
        (True, None, "user-2", "ANOTHERS"),
        (True, None, "", "OWNER"),
        (True, "user-1", "", "OK"),
        (True, "user-2", "", "ANOTHERS"),
        (True, "user-2", "user-1", "FORBIDDEN"),
        (True, "forged", "user-1", "UNAUTHENTICATED"),
    ],
)
async def test_who_may_what(
    tmp_path: Path, name: str, *, trusted: bool, token: str | None, user_id: str, expected: str
) -> None:
    """ANOTHERS: not found, if it is about a reservation; OWNER: as its owner, if that is provided for."""
    if expected == "ANOTHERS":
        expected = "NOT_FOUND" if name in ABOUT_ONE else "OK"
    if expected == "OWNER":
        expected = "OK" if name in OWNERS else "INVALID_ARGUMENT"
    async with served(tmp_path, TRUSTED if trusted else ON_A_FREE_PORT) as running:
        mine = (await running.client("user-1").create(key="mine")).reservation_id
        before = running.ports.look()
        assert await ask_about(running, mine, name, token, user_id=user_id) == expected
        if expected != "OK":
            assert running.ports.look() == before


@pytest.mark.parametrize("name", ABOUT_ONE)
async def test_anothers_reservation_and_none_at_all_look_the_same(tmp_path: Path, name: str) -> None:
    async with served(tmp_path) as running:
        mine = (await running.client("user-1").create(key="mine")).reservation_id
        replies = []
        for reservation_id in (mine, "rsv_none"):
            fields = {**GOOD[name], "reservation_id": reservation_id}
            reply = await running.client("user-2").ask(name, **fields)
            reply.error.trace_id = ""
            replies.append(reply)
    assert replies[0] == replies[1]
    assert named(replies[0].error) == "NOT_FOUND"


@pytest.mark.parametrize("name", OWNERS)
async def test_a_gateway_acts_for_the_owner_of_nothing_in_vain(tmp_path: Path, name: str) -> None:
    async with served(tmp_path, TRUSTED) as running:
        assert await ask_about(running, "rsv_none", name, None) == "NOT_FOUND"


@pytest.mark.parametrize("name", GOOD)
async def test_a_name_that_no_user_can_have_is_refused(tmp_path: Path, name: str) -> None:
    async with served(tmp_path, TRUSTED) as running:
        for user_id in ("x" * 256, "a\nb"):
            assert await ask_about(running, "rsv_1", name, None, user_id=user_id) == "INVALID_ARGUMENT"


async def test_without_a_key_a_gateway_gets_another_hold_each_time(tmp_path: Path) -> None:
    async with served(tmp_path, TRUSTED) as running:
        gateway = running.client(token=None)
        ids = {(await gateway.create(key="", user_id="kim")).reservation_id for _ in range(3)}
        again = {(await gateway.create(key="k", user_id="kim")).reservation_id for _ in range(3)}
    assert (len(ids), len(again)) == (3, 1)


async def test_a_key_belongs_to_its_user_whoever_brings_it(tmp_path: Path) -> None:
    async with served(tmp_path, TRUSTED) as running:
        own = await running.client("user-1").create()
        assert await running.client(token=None).create(user_id="user-1") == own
        assert (await running.client(token=None).create(user_id="user-2")) != own


async def test_an_owner_and_the_gateway_that_names_none_share_the_key(tmp_path: Path) -> None:
    async with served(tmp_path, TRUSTED) as running:
        held = (await running.client("user-1").create()).reservation_id
        fields = {"reservation_id": held, "idempotency_key": "c"}
        own = await running.client("user-1").ask("CancelReservation", **fields)
        assert not own.HasField("error")
        assert await running.client(token=None).ask("CancelReservation", **fields) == own


async def test_real_tokens_are_verified(tmp_path: Path) -> None:
    key, clock = make_key(), FakeClock()
    rules = TokenRules(ISSUER, AUDIENCE, 0)
    verifier = JwtVerifier(StaticKeys(jwks(key)), rules, clock)
    claims = make_claims(clock.now(), sub="user-1")
    async with served(tmp_path, tokens=verifier) as running:
        good = await running.client(mint(key, claims)).create(user_id="user-1")
        assert not good.HasField("error")
        for token in (
            mint(make_key(kid="k2"), claims),
            mint_unsigned(claims),
            mint(key, {**claims, "exp": 1}),
            mint(key, {**claims, "iss": "https://evil.example"}),
        ):
            reply = await running.client(token).create(user_id="user-1")
            assert named(reply.error) == "UNAUTHENTICATED"
            assert token not in reply.error.message
