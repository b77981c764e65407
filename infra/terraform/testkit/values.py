"""Terraform's values as Python's: JSON types, and UNKNOWN for what is known only after apply."""

import json
from typing import Any, Final, TypeAlias

import msgspec

State: TypeAlias = dict[str, Any]
"""One object of a resource: attributes and nested blocks by their names in Terraform."""


class Unknown:
    """What Terraform prints as `(known after apply)`. It is false, so that `or` passes over it."""

    def __repr__(self) -> str:
        return "(known after apply)"

    def __bool__(self) -> bool:
        return False


UNKNOWN: Final = Unknown()
_UNKNOWN_ON_THE_WIRE: Final = msgspec.msgpack.Ext(0, b"\x00")


def _encoded(value: object) -> object:
    if isinstance(value, Unknown):
        return _UNKNOWN_ON_THE_WIRE
    raise NotImplementedError(type(value))


def _decoded(_code: int, _data: memoryview) -> Unknown:
    """Read every extension as unknown: 0 is plain, 12 says more of what it will be."""
    return UNKNOWN


_ENCODER: Final = msgspec.msgpack.Encoder(enc_hook=_encoded)
_DECODER: Final = msgspec.msgpack.Decoder(ext_hook=_decoded)


def encode(value: object) -> bytes:
    """Write a value as Terraform's MessagePack."""
    return _ENCODER.encode(value)


def decode(packed: bytes, text: bytes = b"") -> Any:
    """Read a value that came as MessagePack, or as JSON; neither is null."""
    if packed:
        return _DECODER.decode(packed)
    return json.loads(text) if text else None


def is_known(value: object) -> bool:
    """Say whether nothing in the value is left to be known after apply."""
    if isinstance(value, dict):
        return all(is_known(inner) for inner in value.values())
    if isinstance(value, list):
        return all(is_known(inner) for inner in value)
    return not isinstance(value, Unknown)


def is_zero(value: object) -> bool:
    """Say whether the value is what the AWS provider can not tell from one that was left out."""
    return value is None or (not isinstance(value, Unknown) and value in ("", 0, [], {}))


def given(value: object) -> bool:
    """Say whether somebody set the value: neither null nor unknown nor an empty list or text."""
    return not isinstance(value, Unknown) and value is not None and value not in ("", [], {})


def only(values: list[Any] | None) -> Any:
    """Return the element of a block that may be there once, or None."""
    return values[0] if values else None
