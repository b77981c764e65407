"""Verified tokens are remembered: for a while, not too many, and not beyond the keys that proved them."""

import pytest
from tests.support.clock import FakeClock
from tests.support.tokens import ISSUER, SigningKey, jwks, make_claims, make_key, mint

from reservation_api.adapters.jwt.claims import TokenRules
from reservation_api.adapters.jwt.jwks import VerificationKey
from reservation_api.adapters.jwt.key_sources import StaticKeys
from reservation_api.adapters.jwt.verifier import JwtVerifier
from reservation_api.ports.identity import InvalidTokenError


class CountingKeys(StaticKeys):
    """Counts how often a key was wanted, that is, how often a token was verified in full."""

    def __init__(self, *keys: SigningKey) -> None:
        super().__init__(jwks(*keys))
        self.looks = 0

    def find(self, kid: str | None) -> VerificationKey | None:
        self.looks += 1
        return super().find(kid)

    def publish(self, *keys: SigningKey) -> None:
        self._ring = StaticKeys(jwks(*keys))._ring
        self.generation += 1


def setup_verifier(
    cache_size: int = 100, cache_seconds: float = 60
) -> tuple[FakeClock, CountingKeys, JwtVerifier]:
    clock, keys = FakeClock(), CountingKeys(make_key())
    rules = TokenRules(ISSUER)
    return clock, keys, JwtVerifier(keys, rules, clock, cache_size=cache_size, cache_seconds=cache_seconds)


async def test_a_stranger_is_not_remembered() -> None:
    clock, _, verifier = setup_verifier()

    assert verifier.cached(mint(make_key(), make_claims(clock.now()))) is None


async def test_a_verified_token_is_remembered_without_another_look_at_the_keys() -> None:
    clock, keys, verifier = setup_verifier()
    token = mint(make_key(), make_claims(clock.now()))

    caller = await verifier.verify(token)

    assert verifier.cached(token) is caller
    assert await verifier.verify(token) is caller
    assert keys.looks == 1


async def test_a_token_is_remembered_for_60_seconds() -> None:
    clock, keys, verifier = setup_verifier()
    token = mint(make_key(), make_claims(clock.now()))
    await verifier.verify(token)

    clock.advance(59.999)
    assert verifier.cached(token) is not None
    clock.advance(0.001)
    assert verifier.cached(token) is None
    await verifier.verify(token)
    assert keys.looks == 2


async def test_a_token_is_not_remembered_beyond_its_expiry() -> None:
    clock, _, verifier = setup_verifier()
    token = mint(make_key(), make_claims(clock.now(), exp=int(clock.now().timestamp()) + 10))
    await verifier.verify(token)

    clock.advance(9.999)
    assert verifier.cached(token) is not None
    clock.advance(0.001)
    assert verifier.cached(token) is None


async def test_a_token_that_lives_by_the_skew_alone_is_not_remembered() -> None:
    clock, keys, verifier = setup_verifier()
    token = mint(make_key(), make_claims(clock.now(), exp=int(clock.now().timestamp())))

    await verifier.verify(token)
    await verifier.verify(token)

    assert verifier.cached(token) is None
    assert keys.looks == 2


async def test_a_remembered_token_is_refused_once_it_has_expired() -> None:
    clock, _, verifier = setup_verifier()
    token = mint(make_key(), make_claims(clock.now(), exp=int(clock.now().timestamp()) + 10))
    await verifier.verify(token)

    clock.advance(15)

    with pytest.raises(InvalidTokenError, match="expired"):
        await verifier.verify(token)


async def test_a_refused_token_is_not_remembered() -> None:
    clock, keys, verifier = setup_verifier()
    token = mint(make_key(kid="evil"), make_claims(clock.now()), kid="k1")

    for _ in range(2):
        with pytest.raises(InvalidTokenError):
            await verifier.verify(token)

    assert verifier.cached(token) is None
    assert keys.looks == 2


async def test_a_token_that_differs_in_one_character_is_not_the_remembered_one() -> None:
    clock, _, verifier = setup_verifier()
    token = mint(make_key(), make_claims(clock.now()))
    await verifier.verify(token)

    for other in (token[:-2], token + "A", token.swapcase()):
        assert verifier.cached(other) is None


async def test_of_too_many_tokens_the_oldest_is_forgotten() -> None:
    clock, _, verifier = setup_verifier(cache_size=3)
    tokens = [mint(make_key(), make_claims(clock.now(), sub=f"user-{n}")) for n in range(5)]

    for token in tokens:
        await verifier.verify(token)

    assert [verifier.cached(token) is not None for token in tokens] == [False, False, True, True, True]


async def test_with_a_cache_of_nothing_every_token_is_verified_in_full() -> None:
    clock, keys, verifier = setup_verifier(cache_size=0)
    token = mint(make_key(), make_claims(clock.now()))

    assert await verifier.verify(token) == await verifier.verify(token)
    assert keys.looks == 2


async def test_old_tokens_are_good_while_the_old_key_is_published() -> None:
    clock, keys, verifier = setup_verifier()
    old, new = make_key(kid="k1"), make_key(kid="k2")
    token = mint(old, make_claims(clock.now()))
    await verifier.verify(token)

    keys.publish(old, new)

    assert verifier.cached(token) is None
    assert (await verifier.verify(token)).subject == "user-1"
    assert (await verifier.verify(mint(new, make_claims(clock.now())))).subject == "user-1"
    assert verifier.cached(token) is not None


async def test_remembered_tokens_are_forgotten_when_their_key_is_withdrawn() -> None:
    clock, keys, verifier = setup_verifier()
    token = mint(make_key(kid="k1"), make_claims(clock.now()))
    await verifier.verify(token)

    keys.publish(make_key(kid="k2"))

    assert verifier.cached(token) is None
    with pytest.raises(InvalidTokenError, match="the key is unknown"):
        await verifier.verify(token)


async def test_keys_that_change_while_a_token_waits_for_them_leave_no_old_token_behind() -> None:
    class LateKeys(CountingKeys):
        async def refresh(self) -> None:
            self.publish(make_key(kid="k2"))

    clock, keys = FakeClock(), LateKeys(make_key())
    verifier = JwtVerifier(keys, TokenRules(ISSUER), clock)
    old = mint(make_key(), make_claims(clock.now()))
    await verifier.verify(old)

    await verifier.verify(mint(make_key(kid="k2"), make_claims(clock.now())))

    assert verifier.cached(old) is None


@pytest.mark.parametrize("bounds", [{"cache_seconds": 60.1}, {"cache_seconds": -1}, {"cache_size": -1}])
def test_a_longer_memory_than_the_design_allows_is_refused_at_start(bounds: dict[str, int]) -> None:
    with pytest.raises(ValueError, match="0 to 60 seconds"):
        setup_verifier(**bounds)
