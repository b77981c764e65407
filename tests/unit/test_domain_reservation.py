"""The state machine: every state against every move, and what a move may change."""

from collections.abc import Callable, Sequence
from dataclasses import fields, replace
from datetime import datetime, timedelta
from typing import Final

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.support.examples import START, intent, reservation, seat

from reservation_api.domain.errors import HoldExpiredError, RefusedError, WrongStateError
from reservation_api.domain.reservation import (
    NOTHING,
    HoldPolicy,
    NewHold,
    Reservation,
    Status,
    abandoned,
    held,
)
from reservation_api.domain.values import EventId, Money, RecordKey, ReservationId, UserId

POLICY = HoldPolicy()
END = START + timedelta(seconds=60)
IN_TIME = START + timedelta(seconds=10)
TOO_LATE = END
ENDLESS = START + timedelta(days=1)

Move = Callable[[Reservation, datetime], Reservation]

MOVES: Final[dict[str, Move]] = {
    "fence": lambda r, now: r.with_intent(replace(intent("ord_2", "pi_2"), created_at=now)),
    "confirm": lambda r, now: r.confirmed(now),
    "refuse payment": lambda r, now: r.payment_refused(now),
    "find seats gone": lambda r, now: r.seats_gone(now),
    "cancel": lambda r, now: r.cancelled(now),
    "expire": lambda r, now: r.expired(now),
    "extend": lambda r, now: r.extended(r.extension_target(30, now, POLICY), now),
    "extend as told": lambda r, now: r.extended(ENDLESS, now),
}
HELD = reservation()
FENCED = HELD.with_intent(intent())
STATES: Final[dict[str, tuple[Reservation, datetime]]] = {
    "held": (HELD, IN_TIME),
    "held, past its end": (HELD, TOO_LATE),
    "fenced": (FENCED, IN_TIME),
    "fenced, past its end": (FENCED, TOO_LATE),
    "confirmed": (FENCED.confirmed(START), IN_TIME),
    "cancelled": (HELD.cancelled(START), IN_TIME),
    "expired": (HELD.expired(END), END),
    "abandoned": (reservation(status=Status.ABANDONED), IN_TIME),
}
ALLOWED: Final[dict[tuple[str, str], Status]] = {
    ("held", "fence"): Status.HOLD,
    ("held", "cancel"): Status.CANCELLED,
    ("held", "extend"): Status.HOLD,
    ("held", "extend as told"): Status.HOLD,
    ("held, past its end", "expire"): Status.EXPIRED,
    ("fenced", "confirm"): Status.CONFIRMED,
    ("fenced", "refuse payment"): Status.HOLD,
    ("fenced", "find seats gone"): Status.EXPIRED,
    ("fenced, past its end", "confirm"): Status.CONFIRMED,
    ("fenced, past its end", "refuse payment"): Status.HOLD,
    ("fenced, past its end", "find seats gone"): Status.EXPIRED,
}
OF_A_SUBJECT: Final = ("fence", "cancel", "extend", "extend as told")
OVER: Final = ("held, past its end", "expired")
PAIRS: Final = [(state, move) for state in STATES for move in MOVES]
REFUSED: Final = [pair for pair in PAIRS if pair not in ALLOWED]
MAY_CHANGE: Final = {
    "fence": {"intent", "updated_at"},
    "confirm": {"status", "intent", "order_id", "payment_intent_id", "version", "updated_at"},
    "refuse payment": {"intent", "updated_at"},
    "find seats gone": {"status", "intent", "payment_intent_id", "version", "updated_at"},
    "cancel": {"status", "version", "updated_at"},
    "expire": {"status", "version", "updated_at"},
    "extend": {"hold_expires_at", "extensions", "updated_at"},
    "extend as told": {"hold_expires_at", "extensions", "updated_at"},
}


def changed(before: Reservation, after: Reservation) -> set[str]:
    return {f.name for f in fields(before) if getattr(before, f.name) != getattr(after, f.name)}


@pytest.mark.parametrize(("state", "move"), ALLOWED)
def test_a_move_that_the_drawing_shows_leads_where_it_points(state: str, move: str) -> None:
    before, now = STATES[state]
    assert MOVES[move](before, now).status is ALLOWED[state, move]


@pytest.mark.parametrize(("state", "move"), REFUSED)
def test_every_other_move_is_refused_and_says_why(state: str, move: str) -> None:
    before, now = STATES[state]
    over = state in OVER and move in OF_A_SUBJECT
    with pytest.raises(RefusedError) as caught:
        MOVES[move](before, now)
    assert type(caught.value) is (HoldExpiredError if over else WrongStateError)
    expected = {"hold_expires_at": "2026-11-23T12:01:00.000Z"} if over else {"status": before.status.value}
    assert caught.value.data == expected


@pytest.mark.parametrize(("state", "move"), ALLOWED)
def test_a_move_changes_what_it_is_about_and_nothing_else(state: str, move: str) -> None:
    before, now = STATES[state]
    now += timedelta(seconds=1) if "past" in state else timedelta()
    after = MOVES[move](before, now)
    assert changed(before, after) == MAY_CHANGE[move]
    assert after.updated_at == now


@pytest.mark.parametrize(("state", "move"), ALLOWED)
def test_the_version_counts_changes_of_status_and_nothing_else(state: str, move: str) -> None:
    before, now = STATES[state]
    after = MOVES[move](before, now)
    assert after.version - before.version == int(after.status is not before.status)


@given(
    st.lists(st.tuples(st.sampled_from(sorted(MOVES)), st.integers(0, 400_000)), min_size=1, max_size=12).map(
        lambda steps: sorted(steps, key=lambda step: step[1])
    )
)
def test_a_hold_moves_once_and_never_back(steps: Sequence[tuple[str, int]]) -> None:
    current, seen = HELD, [HELD.status]
    for move, milliseconds in steps:
        try:
            current = MOVES[move](current, START + timedelta(milliseconds=milliseconds))
        except RefusedError:
            continue
        if current.status is not seen[-1]:
            seen.append(current.status)
    assert len(seen) <= 2
    assert current.version == len(seen)
    assert current.intent is None or current.status is Status.HOLD


def test_a_hold_begins_with_the_price_of_its_seats_and_version_1() -> None:
    new = NewHold(ReservationId("rsv_9"), EventId("evt"), UserId("bob"), RecordKey("k"), "token")
    fresh = held(new, (seat("A-1-1", 1_000), seat("A-1-2", 234)), START, END)
    assert fresh.total_amount == Money(1_234, "KRW")
    assert (fresh.status, fresh.version, fresh.extensions, fresh.intent) == (Status.HOLD, 1, 0, None)
    assert (fresh.qty, fresh.seat_ids) == (2, ("A-1-1", "A-1-2"))
    assert (fresh.created_at, fresh.updated_at, fresh.hold_expires_at) == (START, START, END)
    assert (fresh.order_id, fresh.payment_intent_id, fresh.reservation_token) == (None, None, "token")


def test_an_abandoned_id_has_no_seats_no_price_no_events_and_is_never_live() -> None:
    new = NewHold(ReservationId("rsv_9"), EventId("evt"), UserId("bob"), RecordKey("k"))
    given_up = abandoned(new, START)
    assert (given_up.status, given_up.seats, given_up.version) == (Status.ABANDONED, (), 0)
    assert given_up.total_amount == NOTHING
    assert not given_up.is_live(START)
    assert not given_up.is_live(START - timedelta(days=1))


@pytest.mark.parametrize("state", STATES)
def test_confirmed_ones_and_holds_in_time_keep_their_seats_from_others(state: str) -> None:
    one, now = STATES[state]
    assert one.is_live(now) is (state in {"held", "fenced", "confirmed"})


def test_a_hold_is_over_at_the_very_instant_of_its_end_and_not_a_millisecond_before() -> None:
    last = END - timedelta(milliseconds=1)
    assert HELD.is_live(last)
    assert not HELD.is_live(END)
    assert HELD.cancelled(last).status is Status.CANCELLED
    with pytest.raises(HoldExpiredError):
        HELD.cancelled(END)
    assert HELD.expired(END).status is Status.EXPIRED
    with pytest.raises(WrongStateError):
        HELD.expired(last)


def test_a_confirm_takes_order_and_payment_from_its_intent() -> None:
    sold = FENCED.confirmed(END)
    assert (sold.order_id, sold.payment_intent_id, sold.intent) == ("ord_1", "pi_1", None)
    assert sold.total_amount == HELD.total_amount


def test_a_hold_whose_seats_are_gone_keeps_the_payment_to_refund_and_has_no_order() -> None:
    gone = FENCED.seats_gone(END)
    assert (gone.payment_intent_id, gone.order_id, gone.intent) == ("pi_1", None, None)


def test_after_a_refused_payment_another_may_be_tried() -> None:
    again = FENCED.payment_refused(IN_TIME).with_intent(replace(intent("ord_2", "pi_2"), created_at=IN_TIME))
    assert again.confirmed(IN_TIME).payment_intent_id == "pi_2"


def test_an_extension_is_counted_from_the_end_of_the_hold() -> None:
    assert HELD.extension_target(45, IN_TIME, POLICY) == END + timedelta(seconds=45)


def test_no_extension_reaches_beyond_the_cap_from_creation() -> None:
    cap = START + timedelta(seconds=300)
    assert HELD.extension_target(240, IN_TIME, POLICY) == cap
    assert HELD.extension_target(241, IN_TIME, POLICY) == cap
    late = HELD.extended(START + timedelta(seconds=290), IN_TIME)
    assert late.extension_target(60, IN_TIME, POLICY) == cap
    assert HELD.extension_target(239, IN_TIME, POLICY) == cap - timedelta(seconds=1)


def test_a_hold_is_extended_twice_at_most() -> None:
    once = HELD.extended(END + timedelta(seconds=1), IN_TIME)
    twice = once.extended(END + timedelta(seconds=2), IN_TIME)
    assert (once.extensions, twice.extensions) == (1, 2)
    with pytest.raises(WrongStateError, match="as often as it may"):
        twice.extension_target(1, IN_TIME, POLICY)
    assert twice.extension_target(1, IN_TIME, HoldPolicy(max_extensions=3)) == END + timedelta(seconds=3)


@pytest.mark.parametrize("later_by_milliseconds", [-1, 0])
def test_an_extension_that_is_no_later_is_refused(later_by_milliseconds: int) -> None:
    with pytest.raises(WrongStateError, match="can not be made to last longer"):
        HELD.extended(END + timedelta(milliseconds=later_by_milliseconds), IN_TIME)


def test_the_policy_is_that_of_the_design() -> None:
    assert HoldPolicy() == HoldPolicy(60, 60, 300, 2)
    assert HoldPolicy(grace_seconds=7).grace == timedelta(seconds=7)
