"""Statuses as they are stored: the plain word, or the word with one of N shards behind it (`HOLD#07`).

An index by status has one partition for each status, and a partition takes 1,000 writes a second. N shards
take N times that. Names of tables, keys and attributes stay the document's, and conditions compare the
beginning of a status, so rows written with any N are moved alike.

    written      read                   raise N: first `read` everywhere, then `written`
    HOLD         HOLD                   lower N: first `written` everywhere; `read` once no row is left behind
    HOLD#07      HOLD, HOLD#00 … #nn    (docs/decisions/0007-dynamodb.md)
"""

from collections.abc import Sequence
from zlib import crc32

MAX_SHARDS = 100
"""Two digits."""


class StatusShards:
    """How many shards statuses are written to, and how many are read."""

    def __init__(self, written: int = 1, read: int | None = None) -> None:
        """Read as many as are written, unless `read` says more; raises ValueError for what can not be."""
        read = written if read is None else read
        if not 1 <= written <= read <= MAX_SHARDS:
            raise ValueError(f"1 <= written <= read <= {MAX_SHARDS} shards, not {written} and {read}")
        self._suffixes = _suffixes(written)
        self._read = ("", *_suffixes(read)) if read > 1 else ("",)

    def stored(self, status: str, row_id: str) -> str:
        """Return a status as it is written; a row keeps its shard for life."""
        suffixes = self._suffixes
        if len(suffixes) == 1:
            return status
        return status + suffixes[crc32(row_id.encode()) % len(suffixes)]

    def all_of(self, status: str) -> Sequence[str]:
        """Return every form in which a status may stand in an index: the plain word first."""
        return [status + suffix for suffix in self._read]


def word_of(stored: str) -> str:
    """Return the status without its shard."""
    return stored.partition("#")[0]


def _suffixes(count: int) -> Sequence[str]:
    return ("",) if count == 1 else tuple(f"#{number:02d}" for number in range(count))
