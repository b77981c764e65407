"""When a row that was not delivered is tried again, and when it is given up."""

from dataclasses import replace
from datetime import timedelta
from typing import Final

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.support.examples import START, outbox_entry

from reservation_api.application.deliver import Delivery, Verdict
from reservation_api.application.relay import BACKOFF_CAP_SECONDS, MAX_ERROR_LENGTH, RetryPolicy, retried
from reservation_api.ports.outbox import OutboxEntry, OutboxStatus

NOW: Final = START + timedelta(seconds=100)
ENDLESS: Final = RetryPolicy(max_attempts=1_000)


def refused(attempts: int = 0, error: str | None = "no") -> Delivery:
    return Delivery(outbox_entry(attempts=attempts), Verdict.REFUSED, error)


def outage(attempts: int = 0) -> Delivery:
    return Delivery(outbox_entry(attempts=attempts), Verdict.OUTAGE, "unreachable")


def wait(entry: OutboxEntry) -> float:
    return (entry.next_retry_at - NOW).total_seconds()


@given(st.integers(0, 60))
def test_each_refusal_doubles_the_wait_up_to_the_cap_and_jitter_halves_it_at_most(attempts: int) -> None:
    whole = min(BACKOFF_CAP_SECONDS, 2**attempts)
    after = ENDLESS.after(refused(attempts), NOW)
    assert whole / 2 <= wait(after) <= whole
    assert (after.attempts, after.status) == (attempts + 1, OutboxStatus.PENDING)


def test_the_jitter_uses_the_whole_of_its_range() -> None:
    waits = [wait(ENDLESS.after(refused(), NOW)) for _ in range(300)]
    assert 0.5 <= min(waits) < 0.6
    assert 0.9 < max(waits) <= 1.0


def test_the_wait_begins_with_what_the_policy_says() -> None:
    assert 5 <= wait(RetryPolicy(backoff_seconds=10).after(refused(), NOW)) <= 10
    assert 20 <= wait(RetryPolicy(backoff_seconds=10).after(refused(2), NOW)) <= 40


@given(st.integers(0, 9))
def test_an_outage_counts_no_attempt_and_waits_not_long(attempts: int) -> None:
    after = RetryPolicy().after(outage(attempts), NOW)
    assert (after.attempts, after.status) == (attempts, OutboxStatus.PENDING)
    assert 1.5 <= wait(after) <= 3.0
    assert after.last_error == "unreachable"


def test_outages_never_end_in_failure() -> None:
    entry = outbox_entry(attempts=9)
    for _ in range(100):
        entry = RetryPolicy().after(Delivery(entry, Verdict.OUTAGE, "unreachable"), NOW)
    assert (entry.attempts, entry.status) == (9, OutboxStatus.PENDING)


def test_the_last_attempt_fails_the_row_and_says_why() -> None:
    before_last = RetryPolicy().after(refused(8, "not yet"), NOW)
    last = RetryPolicy().after(refused(9, "never"), NOW)
    assert (before_last.attempts, before_last.status) == (9, OutboxStatus.PENDING)
    assert (last.attempts, last.status, last.last_error) == (10, OutboxStatus.FAILED, "never")


def test_a_policy_of_one_attempt_fails_at_once() -> None:
    assert RetryPolicy(max_attempts=1).after(refused(), NOW).status is OutboxStatus.FAILED


@pytest.mark.parametrize(
    ("error", "kept"),
    [("e" * 501, "e" * MAX_ERROR_LENGTH), ("short", "short"), (None, "unknown"), ("", "unknown")],
)
def test_the_last_error_is_kept_but_not_at_any_length(error: str | None, kept: str) -> None:
    assert RetryPolicy().after(refused(error=error), NOW).last_error == kept


def test_nothing_but_the_state_of_a_row_changes() -> None:
    before = outbox_entry()
    after = RetryPolicy().after(Delivery(before, Verdict.REFUSED, "no"), NOW)
    assert after.updated_at == NOW
    undone = replace(after, next_retry_at=before.next_retry_at, updated_at=before.updated_at)
    assert replace(undone, attempts=0, last_error=None) == before


def test_a_retried_row_is_due_at_once_with_all_its_attempts() -> None:
    failed = replace(RetryPolicy().after(refused(9, "never"), START), next_retry_at=NOW + timedelta(days=1))
    again = retried(failed, NOW)
    assert (again.status, again.attempts, again.next_retry_at) == (OutboxStatus.PENDING, 0, NOW)
    assert again.last_error == "never"
