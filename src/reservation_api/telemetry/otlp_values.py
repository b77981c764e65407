"""What all signals of OTLP are written with: attributes, instants, and who tells."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Final

from opentelemetry.proto.common.v1.common_pb2 import AnyValue, ArrayValue, InstrumentationScope, KeyValue
from opentelemetry.proto.resource.v1.resource_pb2 import Resource

SCOPE: Final = InstrumentationScope(name="reservation_api")
EPOCH: Final = datetime.fromtimestamp(0, UTC)


def resource_of(attributes: Mapping[str, str]) -> Resource:
    """Say who tells."""
    return Resource(attributes=attributes_of(attributes))


def attributes_of(values: Mapping[str, str | int | Sequence[str]]) -> list[KeyValue]:
    """Write attributes, each as what it is."""
    return [KeyValue(key=key, value=_any_value(value)) for key, value in values.items()]


def nanoseconds_of(at: datetime) -> int:
    """Return nanoseconds since 1970; whole microseconds, since a float could not hold more."""
    return (at - EPOCH) // timedelta(microseconds=1) * 1000


def _any_value(value: str | int | Sequence[str]) -> AnyValue:
    if isinstance(value, str):
        return AnyValue(string_value=value)
    if isinstance(value, int):
        return AnyValue(int_value=value)
    return AnyValue(array_value=ArrayValue(values=map(_any_value, value)))
