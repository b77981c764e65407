"""Update expressions for rows some of whose attributes may be absent."""

from collections.abc import Sequence
from functools import cache
from typing import Final

from reservation_api.adapters.dynamodb.items import Item

STATUS_NAME: Final = {"#status": "status"}
"""`status` is a reserved word; of all that is set here it alone is one."""


def update_expression(attributes: Item, optional: Sequence[str]) -> str:
    """Set all the attributes, and remove those of the optional ones that are not among them.

    The values go by their attributes' names: `:attempts` for `attempts`.
    """
    return _expression(tuple(attributes), tuple(name for name in optional if name not in attributes))


def values_of(attributes: Item) -> Item:
    """Return the values that an update expression of these attributes speaks of."""
    return {f":{name}": value for name, value in attributes.items()}


@cache  # as many as there are choices of optional attributes: a dozen
def _expression(names: Sequence[str], absent: Sequence[str]) -> str:
    settings = (f"{'#status' if name == 'status' else name} = :{name}" for name in names)
    removal = f" REMOVE {', '.join(absent)}" if absent else ""
    return f"SET {', '.join(settings)}{removal}"
