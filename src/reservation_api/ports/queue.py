"""A queue of messages: what the bus could not deliver, or what a consumer is to work off."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

MAX_BATCH_MESSAGES = 10
"""SQS gives, deletes and releases up to ten messages a call."""
MAX_WAIT_SECONDS = 20
"""The longest wait of a receive that finds nothing."""


@dataclass(frozen=True, slots=True)
class QueueMessage:
    """A message as it was received."""

    message_id: str
    receipt: str
    """Deletes or releases this delivery of it."""
    body: str
    receive_count: int
    """This delivery included; approximate."""
    sent_at: datetime
    attributes: Mapping[str, str]


class Queue(Protocol):
    """At least once, in no order. Every method raises EventBusUnavailableError: no answer, or a refusal."""

    async def receive(self, limit: int, *, wait_seconds: int, hidden_seconds: int) -> Sequence[QueueMessage]:
        """Return up to `limit` messages, at most MAX_BATCH_MESSAGES; wait for the first of them.

        For `hidden_seconds` nobody else receives them; then they come again, unless they are deleted.
        """
        ...

    async def delete(self, messages: Sequence[QueueMessage]) -> Sequence[QueueMessage]:
        """Delete messages; return those that could not be, and come again."""
        ...

    async def release(self, messages: Sequence[QueueMessage]) -> None:
        """Let messages be received again at once; those that can not be come when their time is over."""
        ...
