"""The log lines of HTTP's requests."""

import logging

from reservation_api.domain.errors import ReservationApiError
from reservation_api.entrypoints.http.operations import Operation
from reservation_api.entrypoints.http.request import Call
from reservation_api.telemetry.logs import log_struct
from reservation_api.telemetry.request_line import REQUEST, RequestLine

FIRST_SERVER_ERROR = 500

log = logging.getLogger("reservation_api.http")


def log_request(
    operation: Operation | None,
    call: Call,
    status: int,
    milliseconds: float,
    error: ReservationApiError | None = None,
) -> None:
    """Write the line of a request that was answered; `operation` is None if its path led nowhere.

    Probes come every few seconds to every process, and are answered with 503 while nothing is wrong.
    """
    if operation is not None and operation.is_probe:
        level = logging.DEBUG
    else:
        level = logging.INFO if status < FIRST_SERVER_ERROR else logging.WARNING
    if not log.isEnabledFor(level):
        return
    line = RequestLine(
        call.trace_id,
        "" if operation is None else operation.endpoint,
        call.caller.subject,
        call.reservation_id,
        status,
        round(milliseconds, 3),
        None if error is None else error.code,
        None if error is None else error.message,
        call.replayed or (error is not None and error.replayed),
    )
    log_struct(log, level, REQUEST, line, is_quoting=error is not None)


def log_surprise(operation: Operation, call: Call, surprise: Exception) -> None:
    """Write what was raised that should not have been, with its stack."""
    fields = {"trace_id": call.trace_id, "route": operation.endpoint, "subject": call.caller.subject}
    log.error("unexpected failure", exc_info=surprise, extra={"fields": fields})
