"""The event processor on a queue: receive, record, delete what is recorded.

What can not be processed is left in the queue: it comes again when it is not hidden any more, and after as
many times as the queue's redrive policy allows it is in the dead-letter queue. A process that dies between
recording and deleting leaves messages that come again, to another one: at least once, as everywhere.
"""

import asyncio
import logging
from collections.abc import Sequence

from reservation_api.application.received_events import UnreadableEventError
from reservation_api.entrypoints.lambdas.audit import AuditLog
from reservation_api.entrypoints.workers.loops import Work
from reservation_api.ports.queue import MAX_BATCH_MESSAGES, MAX_WAIT_SECONDS, Queue, QueueMessage

HIDDEN_SECONDS = 60
"""A batch is recorded and deleted in milliseconds; so soon it comes again when its process has died."""

_log = logging.getLogger(__name__)


class Consumer:
    """Works off one queue; several loops may share one, each with a batch of its own."""

    def __init__(self, queue: Queue, audit: AuditLog, stopping: asyncio.Event) -> None:
        self._queue = queue
        self._audit = audit
        self._stopping = stopping

    @property
    def work(self) -> Work:
        """Describe it to a loop that goes on until `stopping`: it waits in the queue, not in the loop."""
        return Work("consuming events", self.run_once, MAX_BATCH_MESSAGES, pause_seconds=0.0)

    async def run_once(self, wait_seconds: int = MAX_WAIT_SECONDS) -> int:
        """Work off one batch, and return how many messages it had.

        Raises EventBusUnavailableError, and OSError if lines can not be written: nothing was deleted.
        """
        messages = await self._receive(wait_seconds)
        left = await self._queue.delete([message for message in messages if self._is_recorded(message)])
        if left:
            _log.warning("%d messages were not deleted and come again", len(left))
        return len(messages)

    async def _receive(self, wait_seconds: int) -> Sequence[QueueMessage]:
        """Receive until there is something or a stop: what a queue hands out just then comes again."""
        receiving = asyncio.ensure_future(
            self._queue.receive(MAX_BATCH_MESSAGES, wait_seconds=wait_seconds, hidden_seconds=HIDDEN_SECONDS)
        )
        stopping = asyncio.ensure_future(self._stopping.wait())
        try:
            await asyncio.wait([receiving, stopping], return_when=asyncio.FIRST_COMPLETED)
            return receiving.result() if receiving.done() else ()
        finally:
            for task in (receiving, stopping):
                task.cancel()
            await asyncio.wait([receiving, stopping])

    def _is_recorded(self, message: QueueMessage) -> bool:
        try:
            self._audit.record(message.body, message.receive_count)
        except UnreadableEventError as error:
            told = {"fields": {"message_id": message.message_id, "receive_count": message.receive_count}}
            _log.error("a message is no event and stays in the queue: %s", error, extra=told)
            return False
        return True
