"""Prove of an inventory what our safety asks of it, one obligation at a time, with seats of a real event.

The inventory is asked through its port, so that what is proved is what the use cases will see: of a peer,
its replies as the adapter reads them. One seat is sold for good: name an event that is there for tests.
"""

import asyncio
import secrets
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import NamedTuple

from reservation_api.domain.errors import ReservationApiError, SeatsTakenError
from reservation_api.domain.values import EventId, PaymentIntentId, ReservationId, SeatId, UserId
from reservation_api.ports.clock import Clock
from reservation_api.ports.inventory import (
    CommitOutcome,
    CommitSeats,
    HoldEndedError,
    Inventory,
    ReleaseOutcome,
    ReleaseSeats,
    ReserveSeats,
    SeatHold,
)

HOLD = timedelta(seconds=60)
"""As holds usually last: nothing of the check ends by itself but what is meant to."""
SHORT_HOLD = timedelta(seconds=3)
"""For what is meant to expire while the check waits."""
SKEW = timedelta(seconds=1)
"""So far the peer's clock may be from ours; expiry is looked at so long before and after."""
USER = UserId("inventory-check")

Sleep = Callable[[float], Awaitable[None]]


class Finding(NamedTuple):
    """One obligation, whether it is kept, and what was seen if not."""

    obligation: str
    ok: bool
    detail: str


class ViolationError(Exception):
    """What an inventory did that it must not do."""


@dataclass(frozen=True, slots=True)
class Trial:
    """An inventory on trial, and the ids that were used."""

    inventory: Inventory
    event_id: EventId
    clock: Clock
    sleep: Sleep
    used: list[ReserveSeats] = field(default_factory=list)

    def wanted(
        self, qty: int = 1, *, seat_ids: tuple[SeatId, ...] = (), lasts: timedelta = HOLD
    ) -> ReserveSeats:
        """Make the request of a new id."""
        reservation_id = ReservationId(f"check_{secrets.token_hex(8)}")
        request = ReserveSeats(
            reservation_id=reservation_id,
            event_id=self.event_id,
            user_id=USER,
            seat_ids=seat_ids,
            qty=len(seat_ids) or qty,
            expires_at=self.clock.now() + lasts,
            idempotency_key=f"{reservation_id}:hold:0",
        )
        self.used.append(request)
        return request

    async def hold(self, request: ReserveSeats) -> tuple[SeatId, ...]:
        """Reserve and return the seats; they must be as many as wanted."""
        hold = await self.inventory.reserve(request)
        expect(len(hold.seats) == request.qty, f"{len(hold.seats)} seats were held instead of {request.qty}")
        return seat_ids_of(hold)

    async def commit(self, request: ReserveSeats, seat_ids: Sequence[SeatId]) -> CommitOutcome:
        """Commit with the id's one key."""
        return await self.inventory.commit(
            CommitSeats(
                reservation_id=request.reservation_id,
                event_id=self.event_id,
                user_id=USER,
                seat_ids=tuple(seat_ids),
                payment_intent_id=PaymentIntentId(f"pi_{request.reservation_id}"),
                idempotency_key=f"{request.reservation_id}:confirm:0",
            )
        )

    async def release(self, request: ReserveSeats, seat_ids: Sequence[SeatId]) -> ReleaseOutcome:
        """Release with the id's one key."""
        return await self.inventory.release(
            ReleaseSeats(
                reservation_id=request.reservation_id,
                event_id=self.event_id,
                seat_ids=tuple(seat_ids),
                reason="inventory check",
                idempotency_key=f"{request.reservation_id}:release:0",
            )
        )

    async def free(self, seat_ids: Sequence[SeatId]) -> set[SeatId]:
        """Return which of these seats are free."""
        answer = await self.inventory.availability(self.event_id, seat_ids=seat_ids)
        return {seat.seat_id for seat in answer.available_seats}

    async def wait_for(self, seconds: timedelta) -> None:
        """Let so much time pass."""
        await self.sleep(max(seconds.total_seconds(), 0.0))


async def check_inventory(
    inventory: Inventory, event_id: EventId, clock: Clock, sleep: Sleep = asyncio.sleep
) -> list[Finding]:
    """Try every obligation, and give back what was held; takes some ten seconds and at most four seats.

    Raises nothing of the inventory's: what goes wrong is a finding. Other buyers would disturb it.
    """
    findings = []
    for sentence, check in OBLIGATIONS.items():
        trial = Trial(inventory, event_id, clock, sleep)
        violation = await _violation(trial, check)
        findings.append(Finding(sentence, violation is None, violation or ""))
        await _give_back(trial)
    return findings


async def _violation(trial: Trial, check: "Check") -> str | None:
    try:
        await check(trial)
    except ViolationError as violation:
        return str(violation)
    except (ReservationApiError, HoldEndedError) as error:
        return f"{type(error).__name__}: {error}"
    return None


async def _give_back(trial: Trial) -> None:
    for request in trial.used:
        with suppress(ReservationApiError):  # what stays is over within a minute
            await trial.release(request, request.seat_ids)


def expect(is_kept: bool, violation: str) -> None:  # noqa: FBT001 (the condition is what the line reads as)
    """Raise ViolationError unless the obligation is kept."""
    if not is_kept:
        raise ViolationError(violation)


def seat_ids_of(hold: SeatHold) -> tuple[SeatId, ...]:
    """Name the seats of a hold."""
    return tuple(seat.seat_id for seat in hold.seats)


async def _names_seats_with_prices(trial: Trial) -> None:
    request = trial.wanted(2)
    hold = await trial.inventory.reserve(request)
    expect(len(set(seat_ids_of(hold))) == request.qty, f"two seats were wanted, {seat_ids_of(hold)} named")
    expect(all(seat.price.currency for seat in hold.seats), "a seat has no price")
    expect(not await trial.free(seat_ids_of(hold)), "seats are held and listed as free")


async def _takes_no_seat_twice(trial: Trial) -> None:
    seats = await trial.hold(trial.wanted())
    try:
        other = await trial.inventory.reserve(trial.wanted(seat_ids=seats))
    except SeatsTakenError as refusal:
        named = refusal.data.get("conflicts")
        expect(named == list(seats), f"{list(seats)} are taken, the refusal names {named}")
    else:
        raise ViolationError(f"{list(seats)} are held by one id, and {list(seat_ids_of(other))} by another")


async def _answers_a_known_id_with_its_hold(trial: Trial) -> None:
    request = trial.wanted(2)
    first = await trial.inventory.reserve(request)
    again = await trial.inventory.reserve(replace(request, expires_at=request.expires_at + SKEW))
    expect(set(again.seats) == set(first.seats), f"held {seat_ids_of(first)}, then {seat_ids_of(again)}")
    expect(again.expires_at >= first.expires_at, "the expiry moved in when the request was repeated")


async def _never_takes_other_seats(trial: Trial) -> None:
    others = trial.wanted()
    wished = await trial.hold(others)
    await trial.release(others, wished)
    request = trial.wanted()
    own = await _hold_another(trial, request, wished)
    wish = replace(request, seat_ids=wished, idempotency_key=f"{request.reservation_id}:hold:1")
    answer = await trial.inventory.reserve(wish)
    expect(seat_ids_of(answer) == own, f"the id holds {own}, and got {seat_ids_of(answer)} as well")
    expect(await trial.free(wished) == set(wished), f"the id holds {own}, and took {wished} in silence")


async def _hold_another(trial: Trial, request: ReserveSeats, than: Sequence[SeatId]) -> tuple[SeatId, ...]:
    """Hold one seat other than these, which are free."""
    blocker = trial.wanted(seat_ids=tuple(than))
    await trial.hold(blocker)
    own = await trial.hold(request)
    await trial.release(blocker, than)
    return own


async def _says_the_expiry_that_counts(trial: Trial) -> None:
    request = trial.wanted(lasts=SHORT_HOLD)
    first = await trial.inventory.reserve(request)
    later = replace(
        request,
        expires_at=request.expires_at + SHORT_HOLD,
        idempotency_key=f"{request.reservation_id}:extend:0",
    )
    extended = await trial.inventory.reserve(later)
    expect(extended.seats == first.seats, "the hold has other seats after it was extended")
    expect(extended.expires_at >= first.expires_at, "the expiry moved in when it was to move out")
    await trial.wait_for(extended.expires_at - SKEW - trial.clock.now())
    await _expect_taken(trial, extended)
    await trial.wait_for(extended.expires_at + SKEW - trial.clock.now())
    seats = seat_ids_of(extended)
    expect(await trial.free(seats) == set(seats), "the hold outlasts the expiry that its reply named")


async def _expect_taken(trial: Trial, hold: SeatHold) -> None:
    try:
        await trial.inventory.reserve(trial.wanted(seat_ids=seat_ids_of(hold)))
    except SeatsTakenError:
        return
    raise ViolationError("the seats were given to another before the expiry that the reply named")


async def _refuses_a_released_id(trial: Trial) -> None:
    request = trial.wanted()
    seats = await trial.hold(request)
    await trial.release(request, seats)
    for key in ("hold:0", "hold:1"):
        again = replace(request, idempotency_key=f"{request.reservation_id}:{key}")
        try:
            await trial.inventory.reserve(again)
        except HoldEndedError:
            continue
        raise ViolationError(f"a released id holds seats again (key {key})")


async def _repeats_a_commit(trial: Trial) -> None:
    request = trial.wanted()
    seats = await trial.hold(request)
    outcomes = [await trial.commit(request, seats) for _ in range(3)]
    expect(set(outcomes) == {CommitOutcome.SOLD}, f"answered {[outcome.name for outcome in outcomes]}")
    await trial.release(request, seats)
    expect(not await trial.free(seats), "a sold seat was released")


async def _refuses_a_commit_after_expiry(trial: Trial) -> None:
    request = trial.wanted(lasts=SHORT_HOLD)
    hold = await trial.inventory.reserve(request)
    await trial.wait_for(hold.expires_at + SKEW - trial.clock.now())
    await _expect_refused(trial, request, seat_ids_of(hold))


async def _refuses_a_commit_after_release(trial: Trial) -> None:
    request = trial.wanted()
    seats = await trial.hold(request)
    await trial.release(request, seats)
    await _expect_refused(trial, request, seats)


async def _expect_refused(trial: Trial, request: ReserveSeats, seats: Sequence[SeatId]) -> None:
    outcome = await trial.commit(request, seats)
    refused = (CommitOutcome.HOLD_EXPIRED, CommitOutcome.SEATS_CONFLICT)
    expect(outcome in refused, f"a hold that is over was committed: {outcome.name}")


async def _releases_its_own_seats_only(trial: Trial) -> None:
    request, neighbour = trial.wanted(), trial.wanted()
    own, others = await trial.hold(request), await trial.hold(neighbour)
    await trial.release(request, own + others)
    expect(await trial.free(own + others) == set(own), f"{own} were released, the other's are {others}")


async def _repeats_a_release(trial: Trial) -> None:
    request = trial.wanted()
    seats = await trial.hold(request)
    first = await trial.release(request, seats)
    await trial.hold(trial.wanted(seat_ids=seats))
    again = await trial.release(request, seats)
    expect(ReleaseOutcome.FAILED not in (first, again), f"answered {first.name}, then {again.name}")
    expect(not await trial.free(seats), "a repeated release freed the next buyer's seats")


Check = Callable[[Trial], Awaitable[None]]

OBLIGATIONS: dict[str, Check] = {
    "a hold names its seats, with prices": _names_seats_with_prices,
    "a seat is held by one id only, and the refusal names it": _takes_no_seat_twice,
    "a known id answers with its hold": _answers_a_known_id_with_its_hold,
    "a known id never takes other seats": _never_takes_other_seats,
    "a reply says the expiry that counts, also when it was to move out": _says_the_expiry_that_counts,
    "a released id is refused": _refuses_a_released_id,
    "a commit may be repeated, and answers the same": _repeats_a_commit,
    "a commit after expiry is refused": _refuses_a_commit_after_expiry,
    "a commit after release is refused": _refuses_a_commit_after_release,
    "a release frees the seats of its own id only": _releases_its_own_seats_only,
    "a release may be repeated, and frees nothing more": _repeats_a_release,
}
