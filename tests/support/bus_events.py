"""Events as EventBridge delivers them to consumers and keeps them in dead-letter queues."""

import json
from typing import Any

from tests.support.examples import START, TRACE, intent, outbox_entry, reservation

from reservation_api.application.outbox_entries import event_entry
from reservation_api.ports.outbox import OutboxEntry

BUS_EVENT_ID = "17793124-05d4-b198-2fde-7ededc63b103"


def envelope(detail_type: str, detail: Any, **changes: Any) -> dict[str, Any]:
    return {
        "version": "0",
        "id": BUS_EVENT_ID,
        "detail-type": detail_type,
        "source": "reservation.service",
        "account": "111122223333",
        "time": "2026-11-23T12:00:00Z",
        "region": "ap-northeast-2",
        "resources": [],
        "detail": detail,
        **changes,
    }


def created(reservation_id: str = "rsv_1", **changes: Any) -> dict[str, Any]:
    """`Reservation Created`; its id is `rsv_1.1`."""
    return _delivered(outbox_entry(reservation_id), changes)


def confirmed(reservation_id: str = "rsv_1", **changes: Any) -> dict[str, Any]:
    """`Reservation Status Changed`; its id is `rsv_1.2`."""
    one = reservation(reservation_id, reservation_token="secret").with_intent(intent()).confirmed(START)
    return _delivered(event_entry(one, TRACE), changes)


def _delivered(entry: OutboxEntry, changes: dict[str, Any]) -> dict[str, Any]:
    return {**envelope(entry.type.value, json.loads(entry.payload)), **changes}
