"""The target of the two status rules: `reservation_api.entrypoints.lambdas.event_processor.handler`.

EventBridge invokes it with an event, or an SQS queue with a batch of messages, each with an event for its
body. An event that can not be processed is an error: the invocation fails, or its message is named as failed,
and it ends in the dead-letter queue of the function or of the queue, where it is not lost.
"""

import logging
import sys
from collections.abc import Mapping
from functools import cache
from typing import Any

import msgspec

from reservation_api.application.received_events import UnreadableEventError
from reservation_api.entrypoints.lambdas.audit import AuditLog
from reservation_api.telemetry.logs import configure_logs

_log = logging.getLogger(__name__)


def handler(event: Mapping[str, Any], context: object) -> Mapping[str, Any] | None:
    """Record an event, or each of a queue's; raises UnreadableEventError for what is no event of ours."""
    del context
    if "Records" in event:
        return {"batchItemFailures": [{"itemIdentifier": name} for name in _failures(event["Records"])]}
    _audit_log().record(msgspec.json.encode(event))
    return None


def _failures(records: list[Mapping[str, Any]]) -> list[str]:
    """Record each message's event; return the ids of those that have none.

    Any other error is not a message's fault: the whole batch fails, and comes again.
    """
    failed = []
    for record in records:
        try:
            _audit_log().record(record["body"], int(record["attributes"]["ApproximateReceiveCount"]))
        except UnreadableEventError as error:
            _log.error("message %s: %s", record["messageId"], error)
            failed.append(record["messageId"])
    return failed


@cache
def _audit_log() -> AuditLog:
    """Return this container's own; it remembers ids from one invocation to the next."""
    configure_logs("INFO", {"process": "event processor"})
    return AuditLog(sys.stdout.buffer)
