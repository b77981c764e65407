"""Update expressions for rows some of whose attributes may be absent."""

from collections.abc import Sequence
from functools import cache
from typing import Final

from reservation_api.adapters.dynamodb.items import Item

STATUS_NAME: Final = {"#status": "status"}
"""`status` is a reserved word; of all that is set here it alone is one."""


def update_of(attributes: Item, optional: Sequence[str]) -> tuple[str, Item]:
    """Return what sets all the attributes, and removes those of the optional ones that are not among them.

    That is an expression, and the values that it speaks of by their attributes' names: `:attempts` for
    `attempts`.
    """
    expression, names = _expression(tuple(attributes), optional)
    return expression, dict(zip(names, attributes.values(), strict=True))


@cache  # as many as there are choices of optional attributes: a dozen
def _expression(names: Sequence[str], optional: Sequence[str]) -> tuple[str, Sequence[str]]:
    settings = (f"{'#status' if name == 'status' else name} = :{name}" for name in names)
    absent = ", ".join(name for name in optional if name not in names)
    removal = f" REMOVE {absent}" if absent else ""
    return f"SET {', '.join(settings)}{removal}", [f":{name}" for name in names]
