"""The check of a peer finds each broken obligation over the wire, and nothing where all are kept."""

from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from tests.contract.inventories import InventoryUnderTest, one_process
from tests.support.clock import FakeClock
from tests.support.grpc_peers import ScriptedPeer, connected, listening, served
from tests.support.venues import EVENT, venue

from reservation_api.domain.errors import SeatsTakenError
from reservation_api.domain.values import EventId, Money, ReservationId, Seat, SeatId
from reservation_api.entrypoints.grpc.inventory_check import OBLIGATIONS, Finding, check_inventory
from reservation_api.ports.inventory import (
    Availability,
    CommitOutcome,
    CommitSeats,
    Inventory,
    InventoryStatus,
    ReleaseOutcome,
    ReleaseSeats,
    ReserveSeats,
    SeatHold,
)


class Bending:
    """An inventory as it should be; those below bend one rule of it."""

    def __init__(self, kept: Inventory) -> None:
        self.kept = kept
        self.known: dict[ReservationId, ReserveSeats] = {}
        self.ended: set[ReservationId] = set()
        self.holder: dict[SeatId, ReservationId] = {}

    def admission(self) -> AbstractAsyncContextManager[None]:
        return self.kept.admission()

    async def reserve(self, request: ReserveSeats) -> SeatHold:
        hold = await self.kept.reserve(request)
        self.known.setdefault(request.reservation_id, request)
        self.holder |= dict.fromkeys((seat.seat_id for seat in hold.seats), request.reservation_id)
        return hold

    async def commit(self, request: CommitSeats) -> CommitOutcome:
        return await self.kept.commit(request)

    async def release(self, request: ReleaseSeats) -> ReleaseOutcome:
        self.ended.add(request.reservation_id)
        return await self.kept.release(request)

    async def availability(
        self, event_id: EventId, *, seat_ids: Sequence[SeatId] = (), section: str | None = None
    ) -> Availability:
        return await self.kept.availability(event_id, seat_ids=seat_ids, section=section)

    async def status(self, event_id: EventId, *, section: str | None = None) -> InventoryStatus:
        return await self.kept.status(event_id, section=section)

    async def under_a_new_id(self, request: ReserveSeats, mark: str) -> SeatHold:
        other = ReservationId(f"{request.reservation_id}-{mark}")
        return await self.kept.reserve(replace(request, reservation_id=other))


class NamesNoPrices(Bending):
    async def reserve(self, request: ReserveSeats) -> SeatHold:
        hold = await super().reserve(request)
        return replace(hold, seats=tuple(replace(seat, price=Money(0, "")) for seat in hold.seats))


class NamesOneSeatOfTwo(Bending):
    async def reserve(self, request: ReserveSeats) -> SeatHold:
        hold = await super().reserve(request)
        return replace(hold, seats=hold.seats[:1])


class SellsTwice(Bending):
    async def reserve(self, request: ReserveSeats) -> SeatHold:
        try:
            return await super().reserve(request)
        except SeatsTakenError:
            return await self.kept.reserve(replace(request, seat_ids=()))


class NamesNoConflicts(Bending):
    async def reserve(self, request: ReserveSeats) -> SeatHold:
        try:
            return await super().reserve(request)
        except SeatsTakenError as refusal:
            raise SeatsTakenError("taken", conflicts=[]) from refusal


class TakesNewSeatsForARepeatedRequest(Bending):
    async def reserve(self, request: ReserveSeats) -> SeatHold:
        if request.reservation_id in self.known and not request.seat_ids:
            return await self.under_a_new_id(request, "again")
        return await super().reserve(request)


class TakesWhatAKnownIdWishes(Bending):
    async def reserve(self, request: ReserveSeats) -> SeatHold:
        if request.reservation_id in self.known and request.seat_ids:
            return await self.under_a_new_id(request, "more")
        return await super().reserve(request)


class TakesWhatAKnownIdWishesInSilence(Bending):
    async def reserve(self, request: ReserveSeats) -> SeatHold:
        hold = await super().reserve(request)
        if request.seat_ids and request.seat_ids != tuple(seat.seat_id for seat in hold.seats):
            await self.under_a_new_id(request, "more")
        return hold


class NamesWhatAKnownIdWishes(Bending):
    async def reserve(self, request: ReserveSeats) -> SeatHold:
        hold = await super().reserve(request)
        if not request.seat_ids:
            return hold
        wished = zip(hold.seats, request.seat_ids, strict=True)
        return replace(hold, seats=tuple(replace(seat, seat_id=wish) for seat, wish in wished))


class PromisesALaterExpiry(Bending):
    async def reserve(self, request: ReserveSeats) -> SeatHold:
        hold = await super().reserve(replace(request, idempotency_key=f"{request.reservation_id}:one"))
        return replace(hold, expires_at=max(hold.expires_at, request.expires_at))


class ExtendsInSilence(Bending):
    async def reserve(self, request: ReserveSeats) -> SeatHold:
        first = self.known.get(request.reservation_id, request)
        return replace(await super().reserve(request), expires_at=first.expires_at)


class MovesTheExpiryIn(Bending):
    async def reserve(self, request: ReserveSeats) -> SeatHold:
        is_known = request.reservation_id in self.known
        hold = await super().reserve(request)
        return replace(hold, expires_at=hold.expires_at - timedelta(seconds=30)) if is_known else hold


class ShortensTheHoldAndSaysSo(Bending):
    async def reserve(self, request: ReserveSeats) -> SeatHold:
        first = self.known.get(request.reservation_id, request)
        hold = await super().reserve(first)
        if request.idempotency_key == first.idempotency_key:
            return hold
        await self.kept.release(ReleaseSeats(first.reservation_id, first.event_id, (), "", "k"))
        seats = tuple(seat.seat_id for seat in hold.seats)
        sooner = hold.expires_at - timedelta(seconds=1)
        return await self.under_a_new_id(replace(first, seat_ids=seats, expires_at=sooner), "short")


class RevivesAReleasedId(Bending):
    async def reserve(self, request: ReserveSeats) -> SeatHold:
        if request.reservation_id in self.ended:
            return await self.under_a_new_id(request, "revived")
        return await super().reserve(request)


class RevivesAReleasedIdForANewKey(Bending):
    async def reserve(self, request: ReserveSeats) -> SeatHold:
        if request.reservation_id in self.ended and request.idempotency_key.endswith(":1"):
            return await self.under_a_new_id(request, "revived")
        return await super().reserve(request)


class CommitsOnce(Bending):
    async def commit(self, request: CommitSeats) -> CommitOutcome:
        if request.reservation_id in self.ended:
            return CommitOutcome.HOLD_EXPIRED
        self.ended.add(request.reservation_id)
        return await super().commit(request)


class FreesWhatIsSold(Bending):
    def __init__(self, kept: Inventory) -> None:
        super().__init__(kept)
        self.freed: list[Seat] = []

    async def release(self, request: ReleaseSeats) -> ReleaseOutcome:
        outcome = await super().release(request)
        if outcome is not ReleaseOutcome.FAILED:
            return outcome
        self.freed += [Seat(seat_id, "A", "1", "1", Money(1, "KRW")) for seat_id in request.seat_ids]
        return ReleaseOutcome.RELEASED

    async def availability(
        self, event_id: EventId, *, seat_ids: Sequence[SeatId] = (), section: str | None = None
    ) -> Availability:
        answer = await super().availability(event_id, seat_ids=seat_ids, section=section)
        freed = tuple(seat for seat in self.freed if seat.seat_id in answer.unavailable_seat_ids)
        return replace(answer, available_seats=answer.available_seats + freed)


class CommitsTheExpired(Bending):
    async def commit(self, request: CommitSeats) -> CommitOutcome:
        outcome = await super().commit(request)
        is_over = outcome is CommitOutcome.HOLD_EXPIRED and request.reservation_id not in self.ended
        return CommitOutcome.SOLD if is_over else outcome


class CommitsTheReleased(Bending):
    async def commit(self, request: CommitSeats) -> CommitOutcome:
        outcome = await super().commit(request)
        return CommitOutcome.SOLD if request.reservation_id in self.ended else outcome


class ReleasesAnybodysSeats(Bending):
    async def release(self, request: ReleaseSeats) -> ReleaseOutcome:
        for seat_id in request.seat_ids:
            await super().release(replace(request, reservation_id=self.holder[seat_id]))
        return await super().release(request)


class ReleasesTheNextBuyersSeatsWhenAskedAgain(Bending):
    async def release(self, request: ReleaseSeats) -> ReleaseOutcome:
        if request.reservation_id in self.ended:
            for seat_id in request.seat_ids:
                await super().release(replace(request, reservation_id=self.holder[seat_id]))
        return await super().release(request)


class ReleasesOnce(Bending):
    async def release(self, request: ReleaseSeats) -> ReleaseOutcome:
        again = request.reservation_id in self.ended
        outcome = await super().release(request)
        return ReleaseOutcome.FAILED if again else outcome


class ReleasesNothing(Bending):
    async def release(self, request: ReleaseSeats) -> ReleaseOutcome:
        del request
        return ReleaseOutcome.NOT_FOUND


NAMES = "a hold names its seats, with prices"
ONCE = "a seat is held by one id only, and the refusal names it"
SAME = "a known id answers with its hold"
NO_OTHERS = "a known id never takes other seats"
EXPIRY = "a reply says the expiry that counts, also when it was to move out"
RELEASED = "a released id is refused"
COMMITS = "a commit may be repeated, and answers the same"
COMMIT_EXPIRED = "a commit after expiry is refused"
COMMIT_RELEASED = "a commit after release is refused"
OWN_SEATS = "a release frees the seats of its own id only"
RELEASES = "a release may be repeated, and frees nothing more"

BENT: dict[type[Bending], set[str]] = {
    Bending: set(),
    NamesNoPrices: set(OBLIGATIONS),
    NamesOneSeatOfTwo: {NAMES},
    SellsTwice: {ONCE, EXPIRY},
    NamesNoConflicts: {ONCE},
    TakesNewSeatsForARepeatedRequest: {SAME, EXPIRY, RELEASED},
    TakesWhatAKnownIdWishes: {NO_OTHERS},
    TakesWhatAKnownIdWishesInSilence: {NO_OTHERS},
    NamesWhatAKnownIdWishes: {NO_OTHERS},
    PromisesALaterExpiry: {EXPIRY},
    ExtendsInSilence: {EXPIRY},
    MovesTheExpiryIn: {SAME, EXPIRY},
    ShortensTheHoldAndSaysSo: {EXPIRY},
    RevivesAReleasedId: {RELEASED},
    RevivesAReleasedIdForANewKey: {RELEASED},
    CommitsOnce: {COMMITS},
    FreesWhatIsSold: {COMMITS},
    CommitsTheExpired: {COMMIT_EXPIRED},
    CommitsTheReleased: {COMMIT_RELEASED},
    ReleasesAnybodysSeats: {OWN_SEATS, RELEASES},
    ReleasesTheNextBuyersSeatsWhenAskedAgain: {RELEASES},
    ReleasesOnce: {RELEASES},
    ReleasesNothing: {NO_OTHERS, RELEASED, COMMIT_RELEASED, OWN_SEATS, RELEASES},
}


@pytest.fixture
async def local(tmp_path: Path) -> AsyncIterator[InventoryUnderTest]:
    async with one_process(tmp_path) as opened:
        await opened.load_event(venue({"A": ["." * 10, "." * 10]}))
        yield opened


async def check(address: str, clock: FakeClock) -> list[Finding]:
    async def sleep(seconds: float) -> None:
        clock.advance(seconds)

    async with connected(address) as client:
        return await check_inventory(client, EVENT, clock, sleep)


@pytest.mark.parametrize("bent", BENT, ids=lambda bent: bent.__name__)
async def test_each_broken_obligation_is_found_over_the_wire(
    local: InventoryUnderTest, bent: type[Bending]
) -> None:
    async with served(bent(local.inventory), local.clock) as address:
        findings = await check(address, local.clock)
    assert [finding.obligation for finding in findings] == list(OBLIGATIONS)
    assert {finding.obligation for finding in findings if not finding.ok} == BENT[bent]
    assert all(bool(finding.detail) is not finding.ok for finding in findings)


async def test_a_check_sells_one_seat_and_gives_back_the_others(local: InventoryUnderTest) -> None:
    async with served(local.inventory, local.clock) as address:
        await check(address, local.clock)
    (section,) = (await local.inventory.status(EVENT)).sections
    assert (section.available, section.held, section.sold) == (19, 0, 1)


async def test_four_free_seats_are_enough(local: InventoryUnderTest) -> None:
    await local.load_event(venue({"A": ["...."]}, "evt_2"))

    async def sleep(seconds: float) -> None:
        local.clock.advance(seconds)

    findings = await check_inventory(local.inventory, EventId("evt_2"), local.clock, sleep)
    assert all(finding.ok for finding in findings)


async def test_a_peer_without_the_event_keeps_nothing(local: InventoryUnderTest) -> None:
    findings = await check_inventory(local.inventory, EventId("evt_other"), local.clock)
    assert {finding.ok for finding in findings} == {False}
    assert all("NotFoundError" in finding.detail for finding in findings)


async def test_a_peer_that_is_no_inventory_keeps_nothing() -> None:
    async with listening(ScriptedPeer({})) as port:
        findings = await check(f"127.0.0.1:{port}", FakeClock())
    assert {finding.ok for finding in findings} == {False}
    assert all("UNIMPLEMENTED" in finding.detail for finding in findings)
