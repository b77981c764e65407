"""When the issuer is asked: rarely, by one request for all, and never at the cost of keys that work."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from tests.support.clock import FakeClock
from tests.support.issuer import DISCOVERY_PATH, FakeIssuer
from tests.support.tokens import make_claims, make_key, mint

from reservation_api.adapters.jwt.claims import TokenRules
from reservation_api.adapters.jwt.issuer_documents import IssuerAddress, IssuerDocuments
from reservation_api.adapters.jwt.issuer_keys import DiscoveredKeys
from reservation_api.adapters.jwt.verifier import JwtVerifier
from reservation_api.domain.errors import IdentityUnavailableError
from reservation_api.ports.identity import InvalidTokenError

STORM = 200
MAX_AGE_SECONDS = 600
MIN_INTERVAL_SECONDS = 10


class World:
    """An issuer, and a process that believes it."""

    def __init__(self, issuer: FakeIssuer) -> None:
        self.issuer = issuer
        self.clock = FakeClock()
        address = IssuerAddress(issuer.url, total_timeout_seconds=30)
        self.keys = DiscoveredKeys(IssuerDocuments(address), self.clock)
        self.verifier = JwtVerifier(self.keys, TokenRules(issuer.url), self.clock)

    def token(self, kid: str = "k1", subject: str = "user-1") -> str:
        return self.issuer.mint(make_key(kid=kid), self.clock.now(), sub=subject)

    async def is_let_in(self, kid: str) -> bool:
        try:
            await self.verifier.verify(self.token(kid))
        except InvalidTokenError as refusal:
            assert str(refusal) == "the key is unknown"
            return False
        return True

    async def background_work(self) -> None:
        """Wait for a refresh that nobody waits for."""
        others = asyncio.all_tasks() - {asyncio.current_task()}
        await asyncio.gather(*others)

    async def issuer_is_asked(self, times: int) -> None:
        """Wait until the issuer has been asked so often, answered or not."""
        await asyncio.to_thread(self.issuer.wait_until_asked, times)


@pytest.fixture
async def world() -> AsyncIterator[World]:
    with FakeIssuer(make_key()) as issuer:
        world = World(issuer)
        yield world
        issuer.answer()
        await world.keys.close()


async def test_keys_are_fetched_once_for_many_tokens(world: World) -> None:
    for n in range(20):
        await world.verifier.verify(world.token(subject=f"user-{n}"))

    assert world.issuer.fetches == 1


async def test_a_storm_at_a_cold_start_makes_one_fetch(world: World) -> None:
    tokens = [world.token(subject=f"user-{n}") for n in range(STORM)]

    callers = await asyncio.gather(*map(world.verifier.verify, tokens))

    assert {caller.subject for caller in callers} == {f"user-{n}" for n in range(STORM)}
    assert world.issuer.fetches == 1


async def test_a_storm_of_unknown_kids_makes_one_fetch(world: World) -> None:
    await world.is_let_in("k1")
    world.clock.advance(MIN_INTERVAL_SECONDS)
    tokens = [world.issuer.mint(make_key(), world.clock.now()) for _ in range(3)]
    strange = [world.token(f"strange-{n % 7}", f"user-{n}") for n in range(STORM)]

    answers = await asyncio.gather(*map(world.verifier.verify, strange + tokens), return_exceptions=True)

    assert all(isinstance(answer, InvalidTokenError) for answer in answers[:STORM])
    assert not any(isinstance(answer, BaseException) for answer in answers[STORM:])
    assert world.issuer.fetches == 2


async def test_a_storm_of_unknown_kids_at_a_cold_start_makes_one_fetch(world: World) -> None:
    strange = [world.token("strange", f"user-{n}") for n in range(STORM)]

    answers = await asyncio.gather(*map(world.verifier.verify, strange), return_exceptions=True)

    assert all(isinstance(answer, InvalidTokenError) for answer in answers)
    assert world.issuer.fetches == 1


async def test_unknown_kids_ask_the_issuer_once_in_ten_seconds(world: World) -> None:
    await world.is_let_in("k1")

    world.clock.advance(MIN_INTERVAL_SECONDS - 0.001)
    assert not await world.is_let_in("strange")
    assert world.issuer.fetches == 1

    world.clock.advance(0.001)
    assert not await world.is_let_in("strange")
    assert not await world.is_let_in("stranger")
    assert world.issuer.fetches == 2


async def test_a_new_key_is_found_when_a_token_names_it(world: World) -> None:
    await world.is_let_in("k1")
    world.issuer.publish(make_key(kid="k1"), make_key(kid="k2"))

    world.clock.advance(MIN_INTERVAL_SECONDS)

    assert await world.is_let_in("k2")
    assert await world.is_let_in("k1")


async def test_a_withdrawn_key_is_forgotten_with_its_remembered_tokens(world: World) -> None:
    old = world.token("k1")
    await world.verifier.verify(old)
    world.issuer.publish(make_key(kid="k2"))

    world.clock.advance(MIN_INTERVAL_SECONDS)
    assert world.verifier.cached(old) is not None
    assert await world.is_let_in("k2")

    assert world.verifier.cached(old) is None
    with pytest.raises(InvalidTokenError, match="the key is unknown"):
        await world.verifier.verify(old)


async def test_the_same_keys_again_forget_nothing(world: World) -> None:
    token = world.token()
    await world.verifier.verify(token)

    world.clock.advance(MIN_INTERVAL_SECONDS)
    assert not await world.is_let_in("strange")

    assert world.issuer.fetches == 2
    assert world.verifier.cached(token) is not None


async def test_keys_of_ten_minutes_are_replaced_in_the_background(world: World) -> None:
    await world.is_let_in("k1")
    world.issuer.publish(make_key(kid="k2"))

    world.clock.advance(MAX_AGE_SECONDS - 0.001)
    assert await world.is_let_in("k1")
    await world.background_work()
    assert world.issuer.fetches == 1

    world.clock.advance(0.001)
    assert (await world.verifier.verify(world.token("k1", "not waiting"))).subject == "not waiting"
    await world.background_work()
    assert world.issuer.fetches == 2
    assert not await world.is_let_in("k1")
    assert await world.is_let_in("k2")


async def test_a_hanging_issuer_holds_up_nobody_whose_key_is_known(world: World) -> None:
    await world.is_let_in("k1")
    world.issuer.hang()
    world.clock.advance(MAX_AGE_SECONDS)

    for n in range(20):
        await world.verifier.verify(world.token("k1", f"user-{n}"))

    await world.issuer_is_asked(times=2)
    world.issuer.answer()
    await world.background_work()
    assert world.issuer.fetches == 2


async def test_an_unknown_kid_waits_for_the_answer_already_on_its_way(world: World) -> None:
    await world.is_let_in("k1")
    world.issuer.publish(make_key(kid="k2"))
    world.issuer.hang()
    world.clock.advance(MAX_AGE_SECONDS)
    await world.is_let_in("k1")

    waiting = asyncio.create_task(world.is_let_in("k2"))
    await world.issuer_is_asked(times=2)
    world.issuer.answer()

    assert await waiting
    assert world.issuer.fetches == 2


async def test_a_question_that_hangs_is_not_asked_twice(world: World) -> None:
    await world.is_let_in("k1")
    world.issuer.hang()
    world.clock.advance(MIN_INTERVAL_SECONDS)
    first = asyncio.create_task(world.is_let_in("strange"))
    await world.issuer_is_asked(times=2)

    world.clock.advance(MIN_INTERVAL_SECONDS)
    second = asyncio.create_task(world.is_let_in("stranger"))
    # The second one has run until it waits, for the first one's answer or for one of its own.
    await asyncio.wait([second], timeout=0)
    world.issuer.answer()

    assert not await first
    assert not await second
    assert world.issuer.requests[DISCOVERY_PATH] == 2


@pytest.mark.parametrize("status", [404, 500])
async def test_a_failing_issuer_leaves_the_keys_in_use(world: World, status: int) -> None:
    await world.is_let_in("k1")
    world.issuer.status = status

    for _ in range(3):
        world.clock.advance(MAX_AGE_SECONDS)
        assert await world.is_let_in("k1")
        await world.background_work()
        assert not await world.is_let_in("k2")

    assert world.issuer.requests[DISCOVERY_PATH] == 4


async def test_an_issuer_that_talks_nonsense_leaves_the_keys_in_use(world: World) -> None:
    await world.is_let_in("k1")
    world.issuer.discovery = {"issuer": "https://another.example"}
    world.clock.advance(MAX_AGE_SECONDS)

    assert not await world.is_let_in("k2")
    assert await world.is_let_in("k1")


async def test_after_a_failure_the_issuer_is_asked_again_ten_seconds_later(world: World) -> None:
    await world.is_let_in("k1")
    world.issuer.status = 500
    world.clock.advance(MAX_AGE_SECONDS)
    assert not await world.is_let_in("k2")

    world.issuer.status = 200
    world.issuer.publish(make_key(kid="k2"))
    assert not await world.is_let_in("k2")
    world.clock.advance(MIN_INTERVAL_SECONDS)
    assert await world.is_let_in("k2")


async def test_an_issuer_that_withdraws_every_key_is_taken_at_its_word(world: World) -> None:
    old = world.token("k1")
    await world.verifier.verify(old)
    world.issuer.publish()
    world.clock.advance(MIN_INTERVAL_SECONDS)
    assert not await world.is_let_in("strange")

    assert world.verifier.cached(old) is None
    with pytest.raises(IdentityUnavailableError):
        await world.verifier.verify(old)


async def test_symmetric_and_private_keys_in_the_published_set_are_not_used(world: World) -> None:
    world.issuer.publish(
        {"kty": "oct", "kid": "oct", "k": "c2VjcmV0"}, make_key().private_key.as_dict(private=True)
    )

    assert not await world.is_let_in("oct")

    key = world.keys.find(make_key().private_key.thumbprint())
    assert key is not None
    assert not key.public_key.is_private


async def test_a_cold_start_without_issuer_lets_nobody_in_and_asks_once_a_second(world: World) -> None:
    world.issuer.status = 503
    tokens = [world.token(subject=f"user-{n}") for n in range(STORM)]

    answers = await asyncio.gather(*map(world.verifier.verify, tokens), return_exceptions=True)

    assert all(isinstance(answer, IdentityUnavailableError) for answer in answers)
    assert world.issuer.requests[DISCOVERY_PATH] == 1
    world.issuer.status = 200
    world.clock.advance(0.999)
    with pytest.raises(IdentityUnavailableError):
        await world.verifier.verify(tokens[0])
    world.clock.advance(0.001)
    assert await world.is_let_in("k1")


async def test_garbage_is_refused_without_asking_the_issuer(world: World) -> None:
    with pytest.raises(InvalidTokenError):
        await world.verifier.verify("garbage")

    assert not world.issuer.requests


async def test_a_token_can_not_send_us_anywhere(world: World) -> None:
    with FakeIssuer(make_key(kid="evil")) as evil:
        claims = make_claims(world.clock.now(), iss=world.issuer.url)
        token = mint(make_key(kid="evil"), claims, jku=evil.url + "/jwks", x5u=evil.url + "/jwks")

        with pytest.raises(InvalidTokenError, match="the key is unknown"):
            await world.verifier.verify(token)
        assert not evil.requests


async def test_a_caller_who_hangs_up_does_not_take_the_keys_from_the_others(world: World) -> None:
    world.issuer.hang()
    impatient = asyncio.create_task(world.verifier.verify(world.token(subject="impatient")))
    patient = asyncio.create_task(world.verifier.verify(world.token(subject="patient")))
    await world.issuer_is_asked(times=1)

    impatient.cancel()
    with pytest.raises(asyncio.CancelledError):
        await impatient
    world.issuer.answer()

    assert (await patient).subject == "patient"
    assert world.issuer.fetches == 1


async def test_a_clock_set_back_does_not_stop_the_asking(world: World) -> None:
    await world.is_let_in("k1")
    world.issuer.publish(make_key(kid="k1"), make_key(kid="k2"))

    world.clock.advance(-3600)

    assert await world.is_let_in("k2")


async def test_closing_stops_a_question_that_hangs(world: World) -> None:
    world.issuer.hang()
    waiting = asyncio.create_task(world.verifier.verify(world.token()))
    await world.issuer_is_asked(times=1)

    await world.keys.close()

    with pytest.raises(asyncio.CancelledError):
        await waiting
