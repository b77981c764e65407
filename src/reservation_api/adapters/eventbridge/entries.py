"""Events as PutEvents takes them: what an entry is, how large it counts, and which go in one call."""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from reservation_api.ports.event_bus import MAX_BATCH_ENTRIES, OutgoingEvent

SIZE_LIMIT_BYTES = 256 * 1024
"""The entries of a call together must stay below it, and so must one by itself (EventBridge User Guide,
"Calculating PutEvents event entry size")."""
_TIME_BYTES = 14
"""What the guide counts for a `Time`, however it is written."""
_TRACE_ID = re.compile(r"[0-9a-f]{32}")

Entry = Mapping[str, Any]


def entry_of(event: OutgoingEvent, bus_name: str) -> Entry:
    """Write an event as an entry. `Time` has whole seconds, as the bus keeps it; the detail has the rest."""
    entry = {
        "EventBusName": bus_name,
        "Time": int(event.occurred_at.timestamp()),
        "Source": event.source,
        "DetailType": event.detail_type,
        "Detail": event.detail,
    }
    if _TRACE_ID.fullmatch(event.trace_id):
        entry["TraceHeader"] = trace_header(event.trace_id, event.span_id)
    return entry


def trace_header(trace_id: str, span_id: str | None = None) -> str:
    """Write a trace id of 32 hexadecimal digits, and the span of a trace that is recorded, as X-Ray's header.

    Of a trace that is not, it says nothing of sampling, which is X-Ray's word for "not decided": each
    consumer's own rule applies, where a 0 of ours would overrule it.
    """
    root = f"Root=1-{trace_id[:8]}-{trace_id[8:]}"
    return root if span_id is None else f"{root};Parent={span_id};Sampled=1"


def size_of(entry: Entry) -> int:
    """Return an entry's size in bytes as EventBridge counts it: bus name and trace header count nothing."""
    text: str = entry["Source"] + entry["DetailType"] + entry["Detail"]
    return _TIME_BYTES + len(text.encode())


def batches_of(sizes: Sequence[int]) -> Iterator[range]:
    """Cut entries of these sizes, each of which fits, into calls that fit; yield the indexes of each."""
    start, bytes_so_far = 0, 0
    for index, size in enumerate(sizes):
        if index - start == MAX_BATCH_ENTRIES or bytes_so_far + size >= SIZE_LIMIT_BYTES:
            yield range(start, index)
            start, bytes_so_far = index, 0
        bytes_so_far += size
    if start < len(sizes):
        yield range(start, len(sizes))
