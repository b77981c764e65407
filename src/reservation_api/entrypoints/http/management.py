"""The actuator on a port of its own: no token is asked for, since only operators reach that port."""

import logging

from reservation_api.application.health import Health
from reservation_api.domain.errors import ReservationApiError
from reservation_api.entrypoints.http.actuator import ActuatorHandlers
from reservation_api.entrypoints.http.authentication import ANONYMOUS
from reservation_api.entrypoints.http.decoding import decode_query
from reservation_api.entrypoints.http.operations import Handler, Operation
from reservation_api.entrypoints.http.problems import problem_response
from reservation_api.entrypoints.http.queries import NoQuery
from reservation_api.entrypoints.http.request import Call, Headers, Request, Response
from reservation_api.entrypoints.http.router import Router
from reservation_api.entrypoints.http.routes import OPERATIONS
from reservation_api.entrypoints.http.trace_context import RequestTraces
from reservation_api.telemetry.metrics import Metrics

_log = logging.getLogger(__name__)


class ManagementApi:
    """The actuator's routes and nothing else; it counts itself nowhere."""

    def __init__(self, health: Health, metrics: Metrics) -> None:
        handlers = ActuatorHandlers(health, metrics, _Everybody()).by_operation()
        self._traces = RequestTraces()
        self._router = Router(
            (one.method, one.template, (one, handlers[one.operation_id]))
            for one in OPERATIONS
            if one.is_probe
        )

    async def __call__(self, request: Request) -> Response:
        """Answer a request; never raises but for cancellation."""
        trace_id = self._traces.of(request.headers).trace_id
        try:
            (operation, handler), parameter = self._router.find(request.method, request.path)
            return await _serve(operation, handler, Call(request, trace_id, parameter, ANONYMOUS))
        except ReservationApiError as refusal:
            return problem_response(refusal, trace_id)
        except Exception as error:  # noqa: BLE001 (a process's edge: it answers 500 and goes on)
            _log.error("unexpected failure", exc_info=error, extra={"fields": {"trace_id": trace_id}})
            return problem_response(ReservationApiError("something failed here"), trace_id)


async def _serve(operation: Operation, handler: Handler, call: Call) -> Response:
    if call.request.query and operation.query is NoQuery:
        decode_query(call.request.query, NoQuery)
    return await handler(call)


class _Everybody:
    """Whoever reaches the port is an operator."""

    async def has_scope(self, headers: Headers, scope: str) -> bool:
        del headers, scope
        return True
