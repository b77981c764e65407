"""Statuses in shards: a row keeps its shard, readers ask for all of them, and no word begins another."""

from collections import Counter

import pytest

from reservation_api.adapters.dynamodb.shards import MAX_SHARDS, StatusShards, word_of
from reservation_api.domain.reservation import Status
from reservation_api.ports.outbox import OutboxStatus


def test_one_shard_is_the_plain_word() -> None:
    shards = StatusShards()
    assert shards.stored("HOLD", "rsv_1") == "HOLD"
    assert shards.all_of("HOLD") == ["HOLD"]


def test_a_row_keeps_its_shard_through_all_its_statuses() -> None:
    shards = StatusShards(16)
    for n in range(50):
        found = {shards.stored(status, f"rsv_{n}").partition("#")[2] for status in Status}
        assert len(found) == 1
        assert found.pop() in {f"{shard:02d}" for shard in range(16)}


def test_a_shard_is_the_same_in_every_process() -> None:
    assert StatusShards(8).stored("HOLD", "rsv_1") == "HOLD#03"
    assert StatusShards(100).stored("PENDING", "rsv_1.1") == "PENDING#81"


def test_rows_spread_over_all_shards() -> None:
    shards = StatusShards(8)
    counted = Counter(shards.stored("HOLD", f"rsv_{n:032x}") for n in range(8000))
    assert len(counted) == 8
    assert max(counted.values()) < 1.3 * min(counted.values())


def test_readers_ask_for_the_plain_word_and_every_shard() -> None:
    assert StatusShards(3).all_of("HOLD") == ["HOLD", "HOLD#00", "HOLD#01", "HOLD#02"]
    assert len(StatusShards(MAX_SHARDS).all_of("HOLD")) == MAX_SHARDS + 1


def test_whatever_is_written_is_read() -> None:
    for written, read in ((1, 1), (1, 4), (2, 4), (4, 4), (100, 100)):
        stored = {StatusShards(written).stored("HOLD", f"rsv_{n}") for n in range(500)}
        assert stored <= set(StatusShards(read).all_of("HOLD"))


@pytest.mark.parametrize("count", [-1, 0, 101])
def test_a_number_that_two_digits_do_not_hold_is_refused(count: int) -> None:
    with pytest.raises(ValueError, match="shards"):
        StatusShards(count)


@pytest.mark.parametrize("stored", ["HOLD", "HOLD#00", "HOLD#99"])
def test_the_word_is_what_stands_before_the_shard(stored: str) -> None:
    assert word_of(stored) == "HOLD"


@pytest.mark.parametrize("statuses", [Status, OutboxStatus])
def test_no_status_begins_another(statuses: type[Status] | type[OutboxStatus]) -> None:
    """Conditions compare the beginning of what is stored."""
    words = [status.value for status in statuses]
    assert not [(a, b) for a in words for b in words if a != b and b.startswith(a)]
