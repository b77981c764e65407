"""Whatever is sent as a token or a key set, it is refused in one way only."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from joserfc.util import urlsafe_b64encode
from tests.support.clock import FakeClock
from tests.support.tokens import ISSUER, jwks, make_claims, make_key, mint

from reservation_api.adapters.jwt.claims import TokenRules
from reservation_api.adapters.jwt.jwks import parse_jwks
from reservation_api.adapters.jwt.key_sources import StaticKeys
from reservation_api.adapters.jwt.verifier import JwtVerifier
from reservation_api.ports.identity import Caller, InvalidTokenError

CLOCK = FakeClock()
ALGORITHMS = ["ES256", "RS256", "PS256", "EdDSA"]
KEYS = {algorithm: make_key(algorithm, algorithm) for algorithm in ALGORITHMS}
TOKENS = [mint(key, make_claims(CLOCK.now())) for key in KEYS.values()]

plain_values = st.none() | st.booleans() | st.integers() | st.text()
json_values = st.recursive(
    plain_values | st.floats(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)
claim_names = st.sampled_from(["iss", "sub", "aud", "exp", "nbf", "iat", "scope", "scp", "x"])
header_names = st.sampled_from(["alg", "kid", "typ", "crit", "jwk", "jku", "b64", "zip", "x"])
jwk_names = st.sampled_from(["kty", "kid", "use", "alg", "key_ops", "crv", "n", "e", "x", "y", "d", "k"])
edits = st.lists(
    st.tuples(st.integers(0, 700), st.integers(0, 3), st.characters(max_codepoint=0x17F)),
    min_size=1,
    max_size=4,
)

unhurried = settings(deadline=None)
"""Signing on a busy machine may take longer than Hypothesis likes."""


async def judge(token: str) -> Caller | None:
    """Verify with fresh keys; anything but a caller or a refusal is an error of ours."""
    verifier = JwtVerifier(StaticKeys(jwks(*KEYS.values())), TokenRules(ISSUER), CLOCK)
    try:
        return await verifier.verify(token)
    except InvalidTokenError as refusal:
        reason = str(refusal)
        assert reason.isascii()
        assert len(reason) < 60
        return None


@unhurried
@given(st.text())
async def test_arbitrary_text_is_refused(text: str) -> None:
    assert await judge(text) is None


@unhurried
@given(st.lists(st.binary(max_size=200), min_size=2, max_size=4))
async def test_arbitrary_segments_are_refused(segments: list[bytes]) -> None:
    assert await judge(".".join(urlsafe_b64encode(segment).decode() for segment in segments)) is None


@unhurried
@given(st.sampled_from(TOKENS), edits)
async def test_a_token_with_characters_changed_is_refused(
    token: str, changes: list[tuple[int, int, str]]
) -> None:
    mutated = token
    for position, length, character in changes:
        mutated = mutated[:position] + character + mutated[position + length :]

    if mutated != token:
        assert await judge(mutated) is None


@unhurried
@given(st.sampled_from(ALGORITHMS), st.dictionaries(claim_names, json_values))
async def test_signed_claims_of_any_shape_are_a_caller_or_a_refusal(
    algorithm: str, claims: dict[str, Any]
) -> None:
    token = mint(KEYS[algorithm], {**make_claims(CLOCK.now()), **claims})

    caller = await judge(token)

    assert caller is None or 1 <= len(caller.subject) <= 255


@unhurried
@given(st.sampled_from(ALGORITHMS), st.dictionaries(header_names, json_values))
async def test_headers_of_any_shape_are_a_caller_or_a_refusal(
    algorithm: str, headers: dict[str, Any]
) -> None:
    caller = await judge(mint(KEYS[algorithm], make_claims(CLOCK.now()), **headers))

    assert caller is None or "alg" not in headers or headers["alg"] == algorithm


@unhurried
@given(st.binary(max_size=400))
async def test_signed_payloads_of_any_bytes_are_refused(payload: bytes) -> None:
    assert await judge(mint(KEYS["ES256"], payload)) is None


@unhurried
@given(st.text() | st.binary())
def test_arbitrary_key_sets_are_refused(text: str | bytes) -> None:
    with pytest.raises(ValueError, match="the key set is no JSON object"):
        parse_jwks(text)


@unhurried
@given(st.sampled_from(ALGORITHMS), st.dictionaries(jwk_names, plain_values | st.lists(plain_values)))
def test_keys_of_any_shape_leave_the_good_ones_in_use(algorithm: str, members: dict[str, Any]) -> None:
    evil = {**KEYS[algorithm].public_jwk(kid="evil"), **members}

    assert "good" in parse_jwks(jwks(make_key(kid="good"), evil)).keys


@unhurried
@given(st.sampled_from(ALGORITHMS), st.sampled_from(["n", "e", "x", "y"]), st.binary(max_size=300))
def test_key_numbers_of_any_size_leave_the_good_ones_in_use(algorithm: str, name: str, number: bytes) -> None:
    evil = KEYS[algorithm].public_jwk(**{name: urlsafe_b64encode(number).decode()}, kid="evil")

    assert "good" in parse_jwks(jwks(make_key(kid="good"), evil)).keys
