"""A read of AWS's control plane: an answer, nothing there, or no leave to know."""

from collections.abc import Callable, Sequence
from typing import Any, Final, TypeVar

from reservation_api.ports.deployment import AbsentError, Unreadable, UnreadableError

T = TypeVar("T")

MAX_ENTRIES: Final = 10_000
"""Of one list: far more than one account has of what is listed here."""

_ABSENT: Final = frozenset(
    {
        "AWS.SimpleQueueService.NonExistentQueue",
        "NoSuchEntity",
        "NotFound",
        "NotFoundException",
        "PolicyNotFoundException",
        "QueueDoesNotExist",
        "ResourceNotFoundException",
        "TableNotFoundException",
    }
)
"""How each service says that there is no such thing."""


def ask(call: Callable[..., T], **arguments: Any) -> T:
    """Make a call of botocore's; raises AbsentError, UnreadableError.

    Whatever else goes wrong means that nothing is known: no leave, no answer, no such region.
    """
    from botocore.exceptions import BotoCoreError, ClientError  # noqa: PLC0415 (see client.py)

    operation = getattr(call, "__name__", "call")
    try:
        return call(**arguments)
    except ClientError as error:
        found = error.response.get("Error", {})
        if found.get("Code") in _ABSENT:
            raise AbsentError(str(error)) from error
        message = f"{error.operation_name}: {found.get('Code')}: {found.get('Message')}"
        raise UnreadableError(message) from error
    except BotoCoreError as error:
        raise UnreadableError(f"{operation}: {error}") from error


def ask_all(client: Any, operation: str, key: str, **arguments: Any) -> Sequence[Any]:
    """Make the calls for all pages of a list; raises as `ask` does."""
    pages = client.get_paginator(operation).paginate(**arguments, PaginationConfig={"MaxItems": MAX_ENTRIES})
    return list(ask(pages.build_full_result).get(key, []))


def fact(read: Callable[[], T]) -> T | Unreadable:
    """Return one fact of many: that it may not be read leaves the others readable."""
    try:
        return read()
    except UnreadableError as error:
        return Unreadable(str(error))
