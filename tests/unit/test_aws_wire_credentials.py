"""Who looks credentials up, how often, and who waits; the places to look are another test's."""

import asyncio
import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import NamedTuple

import pytest
from botocore.exceptions import ConfigParseError, CredentialRetrievalError
from tests.support.aws_service import PATIENT_SECONDS, steps, until

from reservation_api.adapters.aws_wire.credentials import (
    CHECK_SECONDS,
    NOTHING_FOUND,
    PAUSE_SECONDS,
    RENEWAL_PAUSE_SECONDS,
    CredentialChain,
    Found,
    NoCredentialsError,
)
from reservation_api.adapters.aws_wire.signing import AwsCredentials

MINUTE = 60.0
ADVISORY_SECONDS = 15 * MINUTE
HOUR = 60 * MINUTE


class Frozen(NamedTuple):
    access_key: str
    secret_key: str
    token: str | None


@dataclass
class Time:
    seconds: float = 1000.0

    def __call__(self) -> float:
        return self.seconds


@dataclass
class Role:
    """botocore's credentials that expire: asked for, they renew themselves; each renewal may be held up."""

    time: Time
    lives_seconds: float = HOUR
    expires_at: float = 0.0
    renewals: int = 0
    error: Exception | None = None
    gate: threading.Event = field(default_factory=threading.Event)
    threads: set[int] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.gate.set()

    def refresh_needed(self, refresh_in: float = ADVISORY_SECONDS) -> bool:
        return self.expires_at - self.time() < refresh_in

    def get_frozen_credentials(self) -> Frozen:
        self.threads.add(threading.get_ident())
        assert self.gate.wait(PATIENT_SECONDS)
        if self.error:
            raise self.error
        if self.refresh_needed():
            self.renewals += 1
            self.expires_at = self.time() + self.lives_seconds
        return Frozen(f"AKID{self.renewals}", "a-secret", f"token-{self.renewals}")


@dataclass
class Places:
    """Where a chain looks; counts how often."""

    found: Found | Exception | None
    looked: int = 0

    def __call__(self) -> Found | None:
        self.looked += 1
        if isinstance(self.found, Exception):
            raise self.found
        return self.found


@dataclass
class Fixed:
    """botocore's credentials that do not expire."""

    frozen: Frozen = field(default_factory=lambda: Frozen("AKIDFIXED", "a-secret", None))

    def get_frozen_credentials(self) -> Frozen:
        return self.frozen


def chain_of(found: Found | Exception | None, time: Callable[[], float]) -> tuple[CredentialChain, Places]:
    places = Places(found)
    return CredentialChain(places, time), places


async def test_all_first_callers_share_one_lookup_in_another_thread() -> None:
    role = Role(Time())
    role.gate.clear()
    chain, places = chain_of(role, role.time)
    assert chain.current() is None
    callers = [asyncio.create_task(chain.wait()) for _ in range(100)]
    await until(lambda: role.threads)
    role.gate.set()
    assert {found.access_key for found in await asyncio.gather(*callers)} == {"AKID1"}
    assert (places.looked, role.renewals, len(role.threads)) == (1, 1, 1)
    assert role.threads != {threading.get_ident()}
    assert chain.current() == AwsCredentials("AKID1", "a-secret", "token-1")


async def test_a_caller_that_gives_up_leaves_the_lookup_to_the_others() -> None:
    role = Role(Time())
    role.gate.clear()
    chain, places = chain_of(role, role.time)
    first, second = asyncio.create_task(chain.wait()), asyncio.create_task(chain.wait())
    await until(lambda: role.threads)
    first.cancel()
    with pytest.raises(asyncio.CancelledError):
        await first
    role.gate.set()
    assert (await second).access_key == "AKID1"
    assert places.looked == 1


async def test_a_renewal_well_before_the_end_holds_nobody_up() -> None:
    role = Role(Time())
    chain, places = chain_of(role, role.time)
    first = await chain.wait()
    role.time.seconds += role.lives_seconds - ADVISORY_SECONDS + 1
    role.gate.clear()
    assert [chain.current() for _ in range(100)] == [first] * 100
    role.time.seconds += ADVISORY_SECONDS - 3 * MINUTE  # the renewal takes very long
    assert [chain.current() for _ in range(100)] == [first] * 100
    role.gate.set()
    await until(lambda: chain.current() is not first)
    assert chain.current() == AwsCredentials("AKID2", "a-secret", "token-2")
    assert (places.looked, role.renewals) == (1, 2)


async def test_credentials_that_are_good_for_long_are_not_renewed() -> None:
    role = Role(Time())
    chain, _ = chain_of(role, role.time)
    first = await chain.wait()
    for _ in range(int((role.lives_seconds - ADVISORY_SECONDS) // CHECK_SECONDS) - 1):
        role.time.seconds += CHECK_SECONDS
        assert chain.current() is first
    assert role.renewals == 1


async def test_a_renewal_that_fails_is_tried_again_while_the_old_ones_are_used(
    caplog: pytest.LogCaptureFixture,
) -> None:
    role = Role(Time())
    chain, _ = chain_of(role, role.time)
    first = await chain.wait()
    role.time.seconds += role.lives_seconds - ADVISORY_SECONDS + 1
    role.error = OSError("no route")
    assert chain.current() is first
    await until(lambda: "no route" in caplog.text)
    assert chain.current() is first
    role.error = None
    role.time.seconds += CHECK_SECONDS
    chain.current()
    await until(lambda: chain.current() is not first)
    assert role.renewals == 2


async def test_spent_credentials_are_not_used_and_calls_wait_for_others() -> None:
    role = Role(Time())
    chain, _ = chain_of(role, role.time)
    await chain.wait()
    role.time.seconds += role.lives_seconds - 59
    assert chain.current() is None
    assert (await chain.wait()).access_key == "AKID2"
    assert chain.current() is not None


async def test_spent_credentials_that_can_not_be_renewed_are_an_error() -> None:
    role = Role(Time())
    chain, _ = chain_of(role, role.time)
    await chain.wait()
    role.time.seconds += role.lives_seconds
    role.error = OSError("no route")
    assert chain.current() is None
    with pytest.raises(NoCredentialsError, match="no route"):
        await chain.wait()


async def test_equal_credentials_stay_the_same_object() -> None:
    role = Role(Time())
    chain, _ = chain_of(role, role.time)
    first = await chain.wait()
    role.time.seconds += role.lives_seconds - ADVISORY_SECONDS + 1
    role.renewals, role.lives_seconds = 0, 2 * HOUR  # it will give the same again
    chain.current()
    await until(lambda: role.expires_at > role.time() + HOUR)
    await until(lambda: chain._lookup is None)
    assert chain.current() is first


async def test_an_empty_chain_says_what_to_do() -> None:
    chain, _ = chain_of(None, Time())
    with pytest.raises(NoCredentialsError, match=r"role.*AWS_ACCESS_KEY_ID.*AWS_PROFILE") as caught:
        await chain.wait()
    assert str(caught.value) == NOTHING_FOUND


async def test_a_chain_that_found_nothing_is_left_alone_for_a_moment() -> None:
    time = Time()
    chain, places = chain_of(None, time)
    for _ in range(5):
        with pytest.raises(NoCredentialsError):
            await chain.wait()
    assert places.looked == 1
    places.found = Fixed()
    time.seconds += PAUSE_SECONDS
    assert (await chain.wait()).access_key == "AKIDFIXED"
    assert places.looked == 2


async def test_refused_credentials_are_looked_up_afresh_once_for_all_who_were_refused() -> None:
    role = Role(Time())
    chain, places = chain_of(role, role.time)
    refused = await chain.wait()
    places.found = Fixed()
    assert all(await asyncio.gather(*(chain.renew(refused) for _ in range(100))))
    assert chain.current() == AwsCredentials("AKIDFIXED", "a-secret")
    assert places.looked == 2
    assert await chain.renew(refused)  # late: there are others by now
    assert places.looked == 2


async def test_refused_credentials_are_looked_up_afresh_though_a_renewal_is_under_way() -> None:
    role = Role(Time())
    chain, places = chain_of(role, role.time)
    refused = await chain.wait()
    role.time.seconds += role.lives_seconds - ADVISORY_SECONDS + 1
    role.gate.clear()
    role.error = OSError("it was revoked")
    chain.current()
    renewals = [asyncio.create_task(chain.renew(refused)) for _ in range(10)]
    await steps(3)
    places.found = Fixed()
    role.gate.set()
    assert all(await asyncio.gather(*renewals))
    assert chain.current() == AwsCredentials("AKIDFIXED", "a-secret")
    assert places.looked == 2


async def test_credentials_that_stay_the_same_are_not_looked_up_at_every_refusal() -> None:
    time = Time()
    chain, places = chain_of(Fixed(), time)
    refused = await chain.wait()
    assert not any([await chain.renew(refused) for _ in range(100)])
    assert places.looked == 2
    time.seconds += RENEWAL_PAUSE_SECONDS
    assert not await chain.renew(refused)
    assert places.looked == 3
    assert chain.current() is refused


async def test_a_renewal_after_a_refusal_that_fails_leaves_what_there_is() -> None:
    chain, places = chain_of(Fixed(), Time())
    refused = await chain.wait()
    places.found = OSError("no route")
    assert not await chain.renew(refused)
    assert chain.current() is refused


@pytest.mark.parametrize("frozen", [Frozen("AK", "hidden\n", None), Frozen("AK", "hid den", "token")])
async def test_credentials_that_no_request_can_carry_are_an_error(frozen: Frozen) -> None:
    chain, _ = chain_of(Fixed(frozen), Time())
    with pytest.raises(NoCredentialsError, match="secret_key") as caught:
        await chain.wait()
    assert "hid" not in str(caught.value)


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (OSError("no route to host"), "OSError: no route to host"),
        (
            CredentialRetrievalError(provider="p", error_msg="503"),
            "Error when retrieving credentials from p: 503",
        ),
        (ConfigParseError(path="/x", error="[line 2]: hidden"), "Unable to parse config file: /x"),
        (ValueError("hidden"), "ValueError"),
    ],
    ids=lambda value: type(value).__name__,
)
async def test_an_error_is_told_but_for_what_may_quote_a_file(
    error: Exception, told: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    chain, _ = chain_of(error, Time())
    with pytest.raises(NoCredentialsError) as caught:
        await chain.wait()
    assert told in str(caught.value)
    assert told in caplog.text
    assert "hidden" not in str(caught.value) + caplog.text


def test_a_lookup_that_outlives_its_event_loop_harms_nobody() -> None:
    """pytest turns an error in a thread into a failure of this test."""
    role = Role(Time())
    role.gate.clear()
    chain, _ = chain_of(role, role.time)

    async def give_up() -> None:
        waiter = asyncio.create_task(chain.wait())
        await until(lambda: role.threads)
        waiter.cancel()

    asyncio.run(give_up())
    thread = next(thread for thread in threading.enumerate() if thread.name == "aws-credentials")
    role.gate.set()
    thread.join(PATIENT_SECONDS)
    assert (thread.daemon, thread.is_alive()) == (True, False)
