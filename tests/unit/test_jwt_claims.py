"""What a token must say: issuer, audience, times, subject, scopes."""

import pytest
from tests.support.clock import FakeClock
from tests.support.tokens import ABSENT, AUDIENCE, ISSUER, jwks, make_claims, make_key, mint

from reservation_api.adapters.jwt.claims import TokenRules
from reservation_api.adapters.jwt.key_sources import StaticKeys
from reservation_api.adapters.jwt.verifier import JwtVerifier
from reservation_api.ports.identity import Caller, InvalidTokenError

SKEW_SECONDS = 5
EXPIRES_IN_SECONDS = 300


async def verify(
    token: str, clock: FakeClock | None = None, audience: str | None = AUDIENCE, skew: float = SKEW_SECONDS
) -> Caller:
    rules = TokenRules(ISSUER, audience, clock_skew_seconds=skew)
    verifier = JwtVerifier(StaticKeys(jwks(make_key())), rules, clock or FakeClock())
    return await verifier.verify(token)


async def refusal(token: str, clock: FakeClock | None = None, audience: str | None = AUDIENCE) -> str:
    with pytest.raises(InvalidTokenError) as caught:
        await verify(token, clock, audience)
    return str(caught.value)


def token_with(**changes: object) -> str:
    return mint(make_key(), make_claims(FakeClock().now(), **changes))


def seconds_from_now(seconds: float) -> float:
    return FakeClock().now().timestamp() + seconds


@pytest.mark.parametrize("exp", [ABSENT, None])
async def test_a_token_without_expiry_is_refused(exp: object) -> None:
    assert await refusal(token_with(exp=exp)) == "the token has no expiry"


async def test_a_token_is_good_until_just_before_expiry_and_skew() -> None:
    clock = FakeClock()
    token = token_with(exp=int(seconds_from_now(EXPIRES_IN_SECONDS)))

    clock.advance(EXPIRES_IN_SECONDS + SKEW_SECONDS - 0.001)
    assert (await verify(token, clock)).subject == "user-1"
    clock.advance(0.001)
    assert await refusal(token, clock) == "the token has expired"


async def test_without_skew_a_token_ends_at_its_expiry() -> None:
    clock = FakeClock()
    clock.advance(EXPIRES_IN_SECONDS - 0.001)
    assert (await verify(token_with(), clock, skew=0)).subject == "user-1"

    clock.advance(0.001)
    with pytest.raises(InvalidTokenError, match="expired"):
        await verify(token_with(), clock, skew=0)


@pytest.mark.parametrize(
    ("claim", "reason"), [("nbf", "the token is not valid yet"), ("iat", "the token is from the future")]
)
async def test_a_token_is_good_from_its_start_less_the_skew(claim: str, reason: str) -> None:
    clock = FakeClock()
    token = token_with(**{"nbf": ABSENT, "iat": ABSENT, claim: int(seconds_from_now(60))})

    clock.advance(60 - SKEW_SECONDS - 0.001)
    assert await refusal(token, clock) == reason
    clock.advance(0.001)
    assert (await verify(token, clock)).subject == "user-1"


async def test_start_times_may_be_absent() -> None:
    assert (await verify(token_with(nbf=ABSENT, iat=None))).subject == "user-1"


async def test_times_may_have_fractions() -> None:
    clock = FakeClock()
    token = token_with(exp=seconds_from_now(10.5))

    clock.advance(10.5 + SKEW_SECONDS - 0.001)
    assert (await verify(token, clock)).subject == "user-1"
    clock.advance(0.001)
    assert await refusal(token, clock) == "the token has expired"


@pytest.mark.parametrize("exp", [10**20, 10**400, 1e300])
async def test_an_expiry_in_another_geological_age_is_good(exp: float) -> None:
    assert (await verify(token_with(exp=exp))).subject == "user-1"


@pytest.mark.parametrize("exp", [0, -1, -(10**400), -1e300])
async def test_an_expiry_before_anything_is_past(exp: float) -> None:
    assert await refusal(token_with(exp=exp)) == "the token has expired"


@pytest.mark.parametrize("claim", ["exp", "nbf", "iat"])
@pytest.mark.parametrize("value", [True, "1900000000", [1900000000], float("inf"), float("nan")])
async def test_a_time_that_is_no_number_is_refused(claim: str, value: object) -> None:
    assert await refusal(token_with(**{claim: value})) == "the claims are malformed"


@pytest.mark.parametrize("iss", [ABSENT, None, "", ISSUER + "/", ISSUER.upper(), "https://evil.example"])
async def test_another_issuer_is_refused_to_the_letter(iss: object) -> None:
    assert await refusal(token_with(iss=iss)) == "the issuer is another"


@pytest.mark.parametrize("aud", [AUDIENCE, [AUDIENCE], ["account", AUDIENCE]])
async def test_our_audience_is_found_as_text_or_in_a_list(aud: object) -> None:
    assert (await verify(token_with(aud=aud))).subject == "user-1"


@pytest.mark.parametrize(
    "aud", [ABSENT, None, "", [], "account", ["account"], AUDIENCE + "-2", [AUDIENCE[:-1]]]
)
async def test_another_audience_is_refused(aud: object) -> None:
    assert await refusal(token_with(aud=aud)) == "the token is for another audience"


@pytest.mark.parametrize("aud", [ABSENT, "account", ["account"]])
async def test_without_a_configured_audience_any_is_good(aud: object) -> None:
    assert (await verify(token_with(aud=aud), audience=None)).subject == "user-1"


@pytest.mark.parametrize("sub", [ABSENT, None, ""])
async def test_a_token_without_subject_is_refused(sub: object) -> None:
    assert await refusal(token_with(sub=sub)) == "the token has no subject"


@pytest.mark.parametrize(
    "sub", ["x" * 256, "user\n1", "user\x00", "user\u2028", "user\u200b", "\ufeffuser", "\x7f"]
)
async def test_a_subject_that_can_not_be_an_id_is_refused(sub: str) -> None:
    assert await refusal(token_with(sub=sub)) == "the subject is too long or not printable"


@pytest.mark.parametrize("sub", ["x" * 255, "auth0|user", "f3b0-4c1d", "사용자"])
async def test_a_printable_subject_of_up_to_255_characters_is_the_caller(sub: str) -> None:
    assert (await verify(token_with(sub=sub))).subject == sub


@pytest.mark.parametrize("sub", [1, ["user-1"], {"id": "user-1"}, True])
async def test_a_subject_that_is_no_text_is_refused(sub: object) -> None:
    assert await refusal(token_with(sub=sub)) == "the claims are malformed"


@pytest.mark.parametrize(
    ("changes", "scopes"),
    [
        ({"scope": "a b  c"}, {"a", "b", "c"}),
        ({"scope": ""}, set()),
        ({"scope": ABSENT}, set()),
        ({"scope": ABSENT, "scp": "a b"}, {"a", "b"}),
        ({"scope": ABSENT, "scp": ["a", "b"]}, {"a", "b"}),
        ({"scope": ABSENT, "scp": []}, set()),
        ({"scope": "a", "scp": ["b"]}, {"a"}),
        ({"scope": None, "scp": ["b"]}, {"b"}),
    ],
)
async def test_scopes_are_read_from_scope_or_scp(changes: dict[str, object], scopes: set[str]) -> None:
    assert (await verify(token_with(**changes))).scopes == scopes


@pytest.mark.parametrize(
    "changes", [{"scope": ["a"]}, {"scope": 1}, {"scp": 1}, {"scp": [1]}, {"scp": {"a": 1}}]
)
async def test_scopes_of_another_shape_are_refused(changes: dict[str, object]) -> None:
    assert await refusal(token_with(**changes)) == "the claims are malformed"


@pytest.mark.parametrize(
    "payload", [b"", b"null", b"[]", b'"x"', b"{", b"{}{}", b"\xff", b'{"x":' + b"[" * 4000]
)
async def test_a_payload_that_is_no_object_is_refused(payload: bytes) -> None:
    assert await refusal(mint(make_key(), payload)) == "the claims are malformed"


async def test_a_refusal_never_shows_the_token_or_what_it_says() -> None:
    secrets = {
        "iss": "s3cr3t-iss",
        "sub": "s3cr3t\n",
        "aud": "s3cr3t-aud",
        "scp": ["s3cr3t", 1],
        "exp": "s3cr3t",
    }

    reasons = [await refusal(token_with(**{claim: value})) for claim, value in secrets.items()]

    assert len(reasons) == len(secrets)
    assert not any("s3cr3t" in reason or "ey" in reason for reason in reasons)


@pytest.mark.parametrize(
    ("rules", "reason"),
    [
        ({"issuer": ""}, "the issuer is empty"),
        ({"issuer": ISSUER, "audience": ""}, "the audience is empty"),
        ({"issuer": ISSUER, "clock_skew_seconds": -1}, "the clock skew is negative"),
    ],
)
def test_rules_that_would_check_nothing_are_refused_at_start(rules: dict[str, object], reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        TokenRules(**rules)  # type: ignore[arg-type]
