"""An SQS queue over its JSON protocol."""

import logging
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from reservation_api.adapters.aws_wire.errors import AwsCaller, AwsCallError
from reservation_api.domain.errors import EventBusUnavailableError
from reservation_api.ports.queue import MAX_BATCH_MESSAGES, QueueMessage

_COUNT, _SENT = "ApproximateReceiveCount", "SentTimestamp"
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_log = logging.getLogger(__name__)


class SqsQueue:
    """Implements ports.queue.Queue. All it does may be done twice, and so is tried again."""

    def __init__(self, sqs: AwsCaller, url: str) -> None:
        self._sqs = sqs
        self._url = url

    async def receive(self, limit: int, *, wait_seconds: int, hidden_seconds: int) -> Sequence[QueueMessage]:
        """Receive messages; those of a lost answer come again when they are not hidden any more."""
        answer = await self._call(
            "ReceiveMessage",
            {
                "MaxNumberOfMessages": min(limit, MAX_BATCH_MESSAGES),
                "WaitTimeSeconds": wait_seconds,
                "VisibilityTimeout": hidden_seconds,
                "MessageSystemAttributeNames": [_COUNT, _SENT],
                "MessageAttributeNames": ["All"],
            },
        )
        return [_message_of(message) for message in answer.get("Messages") or ()]

    async def delete(self, messages: Sequence[QueueMessage]) -> Sequence[QueueMessage]:
        """Delete messages; see the port."""
        left = []
        for batch in _batches(messages):
            failed = await self._each("DeleteMessageBatch", batch, {})
            left += [message for message in batch if message.message_id in failed]
        return left

    async def release(self, messages: Sequence[QueueMessage]) -> None:
        """Let messages be received again at once; see the port."""
        for batch in _batches(messages):
            failed = await self._each("ChangeMessageVisibilityBatch", batch, {"VisibilityTimeout": 0})
            if failed:
                _log.warning("%d messages stay hidden until their time is over", len(failed))

    async def _each(
        self, operation: str, batch: Sequence[QueueMessage], more: Mapping[str, Any]
    ) -> frozenset[str]:
        """Do something with each message; return the ids of those with which it failed."""
        entries = [
            {"Id": str(n), "ReceiptHandle": message.receipt, **more} for n, message in enumerate(batch)
        ]
        answer = await self._call(operation, {"Entries": entries})
        return frozenset(batch[int(entry["Id"])].message_id for entry in answer.get("Failed") or ())

    async def _call(self, operation: str, request: Mapping[str, Any]) -> Any:
        try:
            return await self._sqs.call(operation, {"QueueUrl": self._url, **request}, repeatable=True)
        except AwsCallError as error:
            raise _unavailable(error) from error


async def find_queue(sqs: AwsCaller, name: str) -> str:
    """Return the URL of the queue that is named so in this account; raises EventBusUnavailableError."""
    try:
        answer = await sqs.call("GetQueueUrl", {"QueueName": name}, repeatable=True)
    except AwsCallError as error:
        raise _unavailable(error) from error
    return str(answer["QueueUrl"])


def _unavailable(error: AwsCallError) -> EventBusUnavailableError:
    return EventBusUnavailableError(f"the queue: {error}")


def _batches(messages: Sequence[QueueMessage]) -> Iterator[Sequence[QueueMessage]]:
    for start in range(0, len(messages), MAX_BATCH_MESSAGES):
        yield messages[start : start + MAX_BATCH_MESSAGES]


def _message_of(message: Mapping[str, Any]) -> QueueMessage:
    system = message.get("Attributes") or {}
    attributes = message.get("MessageAttributes") or {}
    return QueueMessage(
        message_id=message["MessageId"],
        receipt=message["ReceiptHandle"],
        body=message.get("Body") or "",
        receive_count=int(system.get(_COUNT) or 1),
        sent_at=_EPOCH + timedelta(milliseconds=int(system.get(_SENT) or 0)),
        attributes={name: str(value.get("StringValue", "")) for name, value in attributes.items()},
    )
