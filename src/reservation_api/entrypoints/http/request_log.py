"""The log lines of HTTP's requests."""

import logging

from reservation_api.domain.errors import ReservationApiError
from reservation_api.entrypoints.http.operations import Operation
from reservation_api.entrypoints.http.request import Call
from reservation_api.telemetry.logs import StructLog, may_hold_token
from reservation_api.telemetry.request_line import REQUEST, RequestLine

FIRST_SERVER_ERROR = 500

log = logging.getLogger("reservation_api.http")
_ANSWERED = StructLog(log.name, logging.INFO, REQUEST)
_FAILED = StructLog(log.name, logging.WARNING, REQUEST)
_PROBED = StructLog(log.name, logging.DEBUG, REQUEST)


class RequestLog:
    """Writes the lines of one operation's requests, or (None) of those whose path led nowhere.

    Probes come every few seconds to every process, and are answered with 503 while nothing is wrong.
    """

    def __init__(self, operation: Operation | None) -> None:
        is_probe = operation is not None and operation.is_probe
        self._route = "" if operation is None else operation.endpoint
        self._answered, self._failed = (_PROBED, _PROBED) if is_probe else (_ANSWERED, _FAILED)

    def write(
        self, call: Call, status: int, milliseconds: float, error: ReservationApiError | None = None
    ) -> None:
        """Write the line of a request that was answered."""
        log = self._answered if status < FIRST_SERVER_ERROR else self._failed
        if not log.is_on():
            return
        code = reason = None
        is_quoting, replayed = False, call.replayed
        if error is not None:
            code, reason, replayed = error.code, error.message, replayed or error.replayed
            is_quoting = may_hold_token(f"{reason} {call.reservation_id}")
        line = RequestLine(
            call.trace_id,
            self._route,
            call.caller.subject,
            call.reservation_id,
            status,
            int(milliseconds * 1000) / 1000,
            code,
            reason,
            replayed,
        )
        log.write(line, is_quoting=is_quoting)


def log_surprise(operation: Operation, call: Call, surprise: Exception) -> None:
    """Write what was raised that should not have been, with its stack."""
    fields = {"trace_id": call.trace_id, "route": operation.endpoint, "subject": call.caller.subject}
    log.error("unexpected failure", exc_info=surprise, extra={"fields": fields})
