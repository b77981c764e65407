"""The JSON Schemas of the published events, from the very types that are published."""

from collections.abc import Mapping
from typing import Any

import msgspec

from reservation_api.domain.events import (
    RESERVATION_CREATED,
    RESERVATION_STATUS_CHANGED,
    ReservationCreated,
    ReservationStatusChanged,
)

DIALECT = "https://json-schema.org/draft/2020-12/schema"
_INSTANT = r"^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}\.\d{3}Z$"
_EVENTS: Mapping[str, tuple[str, type]] = {
    "reservation-created.schema.json": (RESERVATION_CREATED, ReservationCreated),
    "reservation-status-changed.schema.json": (RESERVATION_STATUS_CHANGED, ReservationStatusChanged),
}


def schema_files() -> dict[str, bytes]:
    """Return each file's name and contents."""
    return {name: _file(name, title, detail) for name, (title, detail) in _EVENTS.items()}


def _file(name: str, title: str, detail: type) -> bytes:
    _, definitions = msgspec.json.schema_components([detail], ref_template="#/$defs/{name}")
    schema = definitions.pop(detail.__name__)
    for properties in (schema["properties"], *(part["properties"] for part in definitions.values())):
        _mark_instants(properties)
    whole = {"$schema": DIALECT, "$id": name, **schema, "title": title, "$defs": definitions}
    return msgspec.json.format(msgspec.json.encode(whole), indent=2) + b"\n"


def _mark_instants(properties: dict[str, Any]) -> None:
    for name, property_ in properties.items():
        if name.endswith("_at"):
            property_.update(format="date-time", pattern=_INSTANT)
