"""Every refusal that a command documents: with its error, and without any effect."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final

import pytest
from tests.support.clock import FakeClock
from tests.support.process import EVENT, Process, command, run_named
from tests.support.runtimes import OpenProcess, sqlite_on_disk

from reservation_api.adapters.sqlite.inventory_plan import Grid, grid_plan
from reservation_api.application.confirm import Confirm, Payment
from reservation_api.application.finish_confirm import FinishConfirm
from reservation_api.domain.errors import (
    HoldExpiredError,
    IdempotencyMismatchError,
    InvalidRequestError,
    InventoryUnavailableError,
    NotFoundError,
    PaymentAlreadyUsedError,
    PaymentRefusedError,
    PaymentUnavailableError,
    ReservationApiError,
    SeatsTakenError,
    SoldOutError,
    WrongStateError,
)
from reservation_api.domain.reservation import NewHold, abandoned
from reservation_api.domain.values import EventId, PaymentIntentId, RecordKey, ReservationId, UserId
from reservation_api.ports.inventory import CommitOutcome, CommitSeats, Inventory, ReleaseSeats
from reservation_api.ports.payment import PaymentClaim
from reservation_api.ports.store import InsertReservation

SEATS: Final = 4
REFUSED: Final = "the key of the refused command"
MOVES: Final[Mapping[str, tuple[Any, ...]]] = {"confirm": ("pi_1",), "cancel": (), "extend": (30,)}
END_OF_HOLD: Final = {"hold_expires_at": "2026-11-23T12:01:00.000Z"}


@pytest.fixture
async def open_process(tmp_path: Path) -> AsyncIterator[OpenProcess]:
    async with sqlite_on_disk(tmp_path) as opened:
        yield opened


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
async def process(open_process: OpenProcess, clock: FakeClock) -> Process:
    ports = open_process(clock)
    grid = Grid(prices={"A": 1000}, rows=1, seats_per_row=SEATS)
    await ports.load_event(grid_plan(EVENT, "Test", "KRW", grid))
    return Process(ports, clock)


@asynccontextmanager
async def refused(
    process: Process, error: type[ReservationApiError], data: Mapping[str, Any] | None = None
) -> AsyncIterator[None]:
    """Expect this very error, nothing durable changed, and no record of alice's refused command."""
    ports, offered = process.ports, list(process.offered)
    before = ports.look(), await ports.inventory.status(EVENT)
    with pytest.raises(ReservationApiError) as caught:
        yield
    assert type(caught.value) is error
    assert caught.value.data == (data or {})
    assert (ports.look(), await ports.inventory.status(EVENT)) == before
    assert process.offered == offered
    key = command("alice", REFUSED).record_key
    assert await ports.store.find_record(key, process.clock.now()) is None


async def held(process: Process, *seats: str, by: str = "alice") -> ReservationId:
    answer = await process.hold(by, f"hold {seats}", seats or ("A-1-1",))
    assert answer.reservation is not None
    return answer.reservation.reservation_id


# -- hold -----------------------------------------------------------------------------------------


async def test_a_hold_of_taken_seats_is_told_which(process: Process) -> None:
    await held(process, "A-1-2", "A-1-3", by="bob")
    async with refused(process, SeatsTakenError, {"conflicts": ["A-1-2", "A-1-3"]}):
        await process.hold("alice", REFUSED, ["A-1-1", "A-1-2", "A-1-3"])


async def test_a_hold_of_sold_seats_is_told_so(process: Process) -> None:
    await process.confirm("bob", "pay", await held(process, by="bob"), "pi_1")
    async with refused(process, SeatsTakenError, {"conflicts": ["A-1-1"]}):
        await process.hold("alice", REFUSED, ["A-1-1"])


async def test_a_hold_of_more_than_is_free_is_told_how_many_are(process: Process) -> None:
    await held(process, "A-1-1", by="bob")
    async with refused(process, SoldOutError, {"remaining": SEATS - 1}):
        await process.hold("alice", REFUSED, qty=SEATS)


async def test_a_hold_of_a_seat_that_is_not_there_is_refused(process: Process) -> None:
    async with refused(process, InvalidRequestError, {"errors": ["seat_ids: unknown seat Z-9-9"]}):
        await process.hold("alice", REFUSED, ["A-1-1", "Z-9-9"])


async def test_a_hold_for_an_event_that_is_not_there_is_refused(
    open_process: OpenProcess, clock: FakeClock
) -> None:
    empty = Process(open_process(clock), clock)
    with pytest.raises(NotFoundError):
        await empty.hold("alice", REFUSED, qty=1)
    world = empty.ports.look()
    assert (world.reservations, world.outbox, empty.offered) == ([], [], [])


# -- confirm, cancel and extend alike -------------------------------------------------------------


@pytest.mark.parametrize("name", MOVES)
async def test_a_move_of_no_reservation_finds_nothing(process: Process, name: str) -> None:
    async with refused(process, NotFoundError):
        await run_named(process, name, ("alice", REFUSED, "rsv_none", *MOVES[name]))


@pytest.mark.parametrize("name", MOVES)
async def test_a_move_of_anothers_reservation_finds_nothing(process: Process, name: str) -> None:
    bobs = await held(process, by="bob")
    async with refused(process, NotFoundError):
        await run_named(process, name, ("alice", REFUSED, bobs, *MOVES[name]))


@pytest.mark.parametrize("name", MOVES)
async def test_a_move_of_an_abandoned_id_finds_nothing(process: Process, name: str) -> None:
    hold = NewHold(ReservationId("rsv_gone"), EVENT, UserId("alice"), RecordKey("k"))
    await process.ports.store.transact([InsertReservation(abandoned(hold, process.clock.now()))])
    async with refused(process, NotFoundError):
        await run_named(process, name, ("alice", REFUSED, "rsv_gone", *MOVES[name]))


@pytest.mark.parametrize("name", MOVES)
async def test_a_move_of_a_cancelled_hold_is_refused(process: Process, name: str) -> None:
    hold = await held(process)
    await process.cancel("alice", "cancel", hold)
    async with refused(process, WrongStateError, {"status": "CANCELLED"}):
        await run_named(process, name, ("alice", REFUSED, hold, *MOVES[name]))


@pytest.mark.parametrize("name", MOVES)
async def test_a_move_of_a_confirmed_reservation_is_refused(process: Process, name: str) -> None:
    hold = await held(process)
    await process.confirm("alice", "confirm", hold, "pi_1")
    async with refused(process, WrongStateError, {"status": "CONFIRMED"}):
        await run_named(process, name, ("alice", REFUSED, hold, *MOVES[name]))


@pytest.mark.parametrize("name", MOVES)
async def test_a_move_at_the_end_of_the_hold_comes_too_late(
    process: Process, clock: FakeClock, name: str
) -> None:
    hold = await held(process)
    clock.advance(60)
    async with refused(process, HoldExpiredError, END_OF_HOLD):
        await run_named(process, name, ("alice", REFUSED, hold, *MOVES[name]))


@pytest.mark.parametrize("name", MOVES)
async def test_a_move_after_a_worker_has_expired_the_hold_comes_too_late(
    process: Process, clock: FakeClock, name: str
) -> None:
    hold = await held(process)
    clock.advance(61)
    await process.run_workers()
    async with refused(process, HoldExpiredError, END_OF_HOLD):
        await run_named(process, name, ("alice", REFUSED, hold, *MOVES[name]))


@pytest.mark.parametrize("name", MOVES)
async def test_a_key_of_another_request_is_refused(process: Process, name: str) -> None:
    hold, other = await held(process, "A-1-1"), await held(process, "A-1-2")
    await process.extend("alice", "used", hold, 15)
    async with refused(process, IdempotencyMismatchError):
        await run_named(process, name, ("alice", "used", other, *MOVES[name]))


@pytest.mark.parametrize("name", MOVES)
async def test_a_move_while_a_confirm_is_under_way_is_refused(process: Process, name: str) -> None:
    hold = await held(process)
    await leave_an_intent(process, hold)
    async with refused(process, WrongStateError, {"status": "HOLD"}):
        await run_named(process, name, ("alice", REFUSED, hold, *MOVES[name]))


@pytest.mark.parametrize("payment", ["pi_1", "pi_2"])
async def test_a_key_whose_confirm_is_under_way_is_good_for_no_other(process: Process, payment: str) -> None:
    hold, other = await held(process, "A-1-1"), await held(process, "A-1-2")
    await leave_an_intent(process, hold)
    async with refused(process, IdempotencyMismatchError):
        await process.confirm("alice", "confirm", other, payment)
    async with refused(process, IdempotencyMismatchError):
        await process.confirm("alice", "confirm", hold, "pi_2")


class UnheardInventory:
    """An inventory whose commits are lost on their way."""

    def __init__(self, inventory: Inventory) -> None:
        self._inventory = inventory

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inventory, name)

    async def commit(self, request: CommitSeats) -> CommitOutcome:
        raise InventoryUnavailableError(f"nobody heard of {request.reservation_id}")


async def leave_an_intent(process: Process, hold: ReservationId) -> None:
    ports, clock = process.ports, process.clock
    finish = FinishConfirm(ports.store, UnheardInventory(ports.inventory), clock, process.offered.extend)
    confirm = Confirm(ports.store, Verdict(None), clock, finish)
    with pytest.raises(InventoryUnavailableError):
        await confirm(
            command("alice", "confirm", "confirm", hold, "pi_1"), Payment(hold, PaymentIntentId("pi_1"))
        )
    fenced = await ports.store.get_reservation(hold)
    assert fenced is not None
    assert fenced.intent is not None


# -- confirm --------------------------------------------------------------------------------------


class Verdict:
    """A payment service that answers with this error, or with yes."""

    def __init__(self, error: ReservationApiError | None) -> None:
        self._error = error
        self.claims: list[PaymentClaim] = []

    async def verify(self, claim: PaymentClaim) -> None:
        self.claims.append(claim)
        if self._error is not None:
            raise self._error


@pytest.mark.parametrize("error", [PaymentRefusedError, PaymentUnavailableError])
async def test_a_payment_that_is_not_verified_confirms_nothing(
    process: Process, error: type[ReservationApiError]
) -> None:
    hold = await held(process, "A-1-1", "A-1-2")
    ports, clock, verdict = process.ports, process.clock, Verdict(error("no"))
    finish = FinishConfirm(ports.store, ports.inventory, clock, process.offered.extend)
    async with refused(process, error):
        await Confirm(ports.store, verdict, clock, finish)(
            command("alice", REFUSED, hold), Payment(hold, PaymentIntentId("pi_1"))
        )
    (claim,) = verdict.claims
    assert (claim.payment_intent_id, claim.reservation_id, claim.user_id) == ("pi_1", hold, "alice")
    assert (claim.amount.amount, claim.amount.currency) == (2000, "KRW")


@pytest.mark.parametrize("payer", ["alice", "bob"])
async def test_a_payment_pays_for_one_reservation_only(process: Process, payer: str) -> None:
    await process.confirm(payer, "confirm", await held(process, "A-1-1", by=payer), "pi_1")
    second = await held(process, "A-1-2")
    async with refused(process, PaymentAlreadyUsedError):
        await process.confirm("alice", REFUSED, second, "pi_1")


async def test_a_confirm_refused_for_its_payment_may_be_paid_otherwise(process: Process) -> None:
    await process.confirm("bob", "confirm", await held(process, "A-1-1", by="bob"), "pi_1")
    second = await held(process, "A-1-2")
    async with refused(process, PaymentAlreadyUsedError):
        await process.confirm("alice", REFUSED, second, "pi_1")
    answer = await process.confirm("alice", REFUSED, second, "pi_2")
    assert answer.order is not None
    assert answer.order.payment_intent_id == "pi_2"


# -- extend ---------------------------------------------------------------------------------------


async def test_a_third_extension_is_refused(process: Process) -> None:
    hold = await held(process)
    await process.extend("alice", "first", hold, 10)
    await process.extend("alice", "second", hold, 10)
    async with refused(process, WrongStateError, {"status": "HOLD"}):
        await process.extend("alice", REFUSED, hold, 10)


async def test_an_extension_beyond_the_cap_is_refused_once_the_cap_is_reached(process: Process) -> None:
    hold = await held(process)
    await process.extend("alice", "first", hold, 600)
    async with refused(process, WrongStateError, {"status": "HOLD"}):
        await process.extend("alice", REFUSED, hold, 10)


async def test_an_extension_of_a_hold_that_the_inventory_has_ended_is_refused(process: Process) -> None:
    hold = await held(process)
    lost = ReleaseSeats(hold, EventId(EVENT), (), "by mistake", f"{hold}:release:0")
    await process.ports.inventory.release(lost)
    async with refused(process, HoldExpiredError, END_OF_HOLD):
        await process.extend("alice", REFUSED, hold, 10)
