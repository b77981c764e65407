"""How large DynamoDB takes an item to be, and what it charges by that.

Developer Guide, "DynamoDB item sizes and formats" and "DynamoDB read and write operations".
"""

from collections.abc import Mapping
from math import ceil
from typing import Any, Final

from reservation_api.adapters.dynamodb.items import Item

WRITE_UNIT_BYTES: Final = 1024
READ_UNIT_BYTES: Final = 4096
OVERHEAD_BYTES: Final = 100
"""Added to each item, and each entry of an index, in what is charged for storage."""
_CONTAINER_BYTES: Final = 3
_ELEMENT_BYTES: Final = 1


def item_bytes(item: Item) -> int:
    """Add up the names and values of an item."""
    return sum(len(name.encode()) + _value_bytes(value) for name, value in item.items())


def write_units(bytes_written: int) -> int:
    """Return what one write of an item of this size takes; 0 for no item."""
    return ceil(bytes_written / WRITE_UNIT_BYTES)


def read_units(bytes_read: int) -> int:
    """Return what a consistent read of so much takes; finding nothing takes one, too."""
    return max(1, ceil(bytes_read / READ_UNIT_BYTES))


def _value_bytes(value: Mapping[str, Any]) -> int:
    ((kind, content),) = value.items()
    match kind:
        case "S":
            return len(content.encode())
        case "N":
            return (len(content.strip("-").replace(".", "")) + 1) // 2 + 1  # two digits a byte, and one more
        case "L":
            return _CONTAINER_BYTES + sum(_ELEMENT_BYTES + _value_bytes(each) for each in content)
        case "M":
            return _CONTAINER_BYTES + item_bytes(content) + _ELEMENT_BYTES * len(content)
        case _:
            raise ValueError(f"no row of ours has a value of the kind {kind}")
