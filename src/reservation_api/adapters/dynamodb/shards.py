"""Statuses as they are stored: the plain word, or the word with one of N shards behind it (`HOLD#07`).

An index by status has one partition for each status, and a partition takes 1,000 writes a second. N shards
take N times that. Names of tables, keys and attributes stay the document's, and conditions compare the
beginning of a status, so rows written with any N are moved alike.

    N = 1     written: HOLD       read: HOLD
    N > 1     written: HOLD#07    read: HOLD, HOLD#00 … HOLD#(N-1)

Readers must know every shard that is written: how N is changed while the service runs is in
docs/decisions/0007-an-index-is-a-hint.md.
"""

from collections.abc import Sequence
from zlib import crc32

MAX_SHARDS = 100
"""Two digits."""


class StatusShards:
    """N shards; one is none."""

    def __init__(self, count: int = 1) -> None:
        """Raise ValueError for a number that two digits do not hold."""
        if not 1 <= count <= MAX_SHARDS:
            raise ValueError(f"1 to {MAX_SHARDS} shards, not {count}")
        shards = [f"#{number:02d}" for number in range(count)]
        self._suffixes = shards if count > 1 else [""]
        self._read = ["", *shards] if count > 1 else [""]

    def stored(self, status: str, row_id: str) -> str:
        """Return a status as it is written; a row keeps its shard for life."""
        return status + self._suffixes[crc32(row_id.encode()) % len(self._suffixes)]

    def all_of(self, status: str) -> Sequence[str]:
        """Return every form in which a status may stand in an index: the plain word first."""
        return [status + suffix for suffix in self._read]


def word_of(stored: str) -> str:
    """Return the status without its shard."""
    return stored.partition("#")[0]
