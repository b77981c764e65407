"""The audit log of reservations: a JSON line on standard output for each event, which Lambda keeps as logs.

What it guarantees: each event that was delivered has at least one line, and one process writes one line for
an event as long as it remembers its id. It is not exactly once: the bus and the queues deliver at least once,
another process remembers ids of its own, and there is no table to share them in. So a line is about the event
whose `id` it has, whoever counts lines counts ids (`| dedup id` in CloudWatch Logs Insights), and a delivery
that is known to be another one says so: `redelivered`.
"""

from collections import OrderedDict
from typing import BinaryIO

import msgspec

from reservation_api.application.received_events import ReceivedEvent, read_event

MAX_REMEMBERED_IDS = 20_000
"""A few megabytes. Repeats come within minutes, mostly: so many events are minutes at 100 a second."""

_LEFT_OUT = frozenset({"reservation_token"})
"""Opaque to us: it may be somebody's permission to do something, and logs are read by many."""
_encode = msgspec.json.Encoder().encode


class AuditLog:
    """Writes a line for an event unless it has just done so."""

    def __init__(self, stream: BinaryIO, max_remembered: int = MAX_REMEMBERED_IDS) -> None:
        self._stream = stream
        self._max_remembered = max_remembered
        self._written: OrderedDict[str, None] = OrderedDict()

    def record(self, body: str | bytes, receive_count: int = 1) -> bool:
        """Write the line of an event; return False for a repeat.

        Raises UnreadableEventError for what is no event of ours, OSError if the line could not be written:
        then the event counts as not recorded.
        """
        event = read_event(body)
        if event.detail.id in self._written:
            self._written.move_to_end(event.detail.id)
            return False
        self._stream.write(_line_of(event, receive_count) + b"\n")
        self._stream.flush()
        self._remember(event.detail.id)
        return True

    def _remember(self, event_id: str) -> None:
        self._written[event_id] = None
        if len(self._written) > self._max_remembered:
            self._written.popitem(last=False)


def _line_of(event: ReceivedEvent, receive_count: int) -> bytes:
    """Return all of an event but its token, and what is known of its delivery."""
    detail = msgspec.to_builtins(event.detail)
    if detail["traceparent"] is None:
        del detail["traceparent"]  # as in the event: the trace is not recorded
    return _encode(
        {
            "audit": event.envelope.detail_type,
            **{name: value for name, value in detail.items() if name not in _LEFT_OUT},
            "bus_event_id": event.envelope.id,
            "replay_name": event.envelope.replay_name,
            "redelivered": receive_count > 1 or event.envelope.replay_name is not None,
        }
    )
