"""The API: a request in, a response out; no server, no socket."""

import asyncio
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from time import perf_counter

from reservation_api.application.health import Health
from reservation_api.application.use_cases import UseCases
from reservation_api.domain.errors import NotFoundError, OverloadedError, ReservationApiError
from reservation_api.entrypoints.http.actuator import ActuatorHandlers
from reservation_api.entrypoints.http.authentication import ANONYMOUS, Authenticator, require_scope
from reservation_api.entrypoints.http.decoding import decode_query
from reservation_api.entrypoints.http.docs import DocsHandlers
from reservation_api.entrypoints.http.events import EventHandlers
from reservation_api.entrypoints.http.message import target_of
from reservation_api.entrypoints.http.operations import Access, Handler, Operation
from reservation_api.entrypoints.http.orders import OrderHandlers
from reservation_api.entrypoints.http.plain import plain_request
from reservation_api.entrypoints.http.problems import problem_response
from reservation_api.entrypoints.http.queries import NoQuery
from reservation_api.entrypoints.http.request import Answer, Call, Request, Response
from reservation_api.entrypoints.http.request_log import FIRST_SERVER_ERROR, RequestLog, log_surprise
from reservation_api.entrypoints.http.reservations import ReservationHandlers
from reservation_api.entrypoints.http.router import Router
from reservation_api.entrypoints.http.routes import OPERATIONS
from reservation_api.entrypoints.http.shedding import SHED_STATUS, shed_bytes, shed_response
from reservation_api.entrypoints.http.trace_context import Headers as TraceHeaders
from reservation_api.entrypoints.http.trace_context import RequestTraces, Told, told_of_http
from reservation_api.entrypoints.http.wire import is_id
from reservation_api.entrypoints.overload.guards import open_guards
from reservation_api.ports.clock import Clock
from reservation_api.ports.identity import ADMIN_SCOPE, OPS_SCOPE, TokenVerifier
from reservation_api.ports.request_context import RequestContext
from reservation_api.telemetry.instruments import Histogram
from reservation_api.telemetry.metrics import Metrics
from reservation_api.telemetry.spans import Tracer

_NOWHERE = RequestLog(None)


@dataclass(frozen=True, slots=True)
class _Endpoint:
    """An operation, bound to what serves it."""

    operation: Operation
    handler: Handler
    latency: Histogram
    log: RequestLog
    is_public: bool
    is_command: bool
    is_urgent: bool
    needs_operator: bool
    has_parameter: bool
    is_of_a_reservation: bool
    """Its parameter is a reservation's id."""
    takes_query: bool
    is_counted: bool
    """Among the requests that alarms and limits are about: probes are no traffic. They refuse while nothing
    is wrong, and are answered however much else there is to do."""


class Api:
    """Routes, authenticates, calls a handler, and turns every refusal into a problem."""

    def __init__(
        self, use_cases: UseCases, tokens: TokenVerifier, health: Health, clock: Clock, metrics: Metrics
    ) -> None:
        self._authenticator = Authenticator(tokens)
        self._metrics = metrics
        self._traces = RequestTraces()
        self.guards = open_guards()
        """Those of the defaults; a process has its own for all that it serves."""
        reservations = ReservationHandlers(use_cases, clock)
        actuator = ActuatorHandlers(health, metrics, self._authenticator)
        handlers = _handlers(use_cases, reservations, actuator)
        self._endpoints = [_endpoint(operation, handlers, metrics) for operation in OPERATIONS]
        self._router = _router(self._endpoints)

    def leave_operators_to_another_port(self) -> None:
        """Answer operators' requests as if there were no such paths."""
        self._router = _router(endpoint for endpoint in self._endpoints if not endpoint.needs_operator)

    def trace_by(self, tracer: Tracer | None) -> None:
        """Record requests with it, from now on."""
        self._traces = RequestTraces(tracer)

    def __call__(self, request: Request) -> Answer:
        """Refuse at once what leads nowhere or has no room; begin to answer the rest when that is awaited.

        Never raises but for cancellation.
        """
        began = perf_counter()
        try:
            endpoint, parameter = self._router.find(request.method, request.path)
        except ReservationApiError as refusal:
            return self._nowhere(request, refusal, began)
        gate = self.guards.gate
        if endpoint.is_counted and not gate.admit(urgent=endpoint.is_urgent):
            return shed_response(gate.shed_so_far, self._shed(endpoint, request.headers, began))
        return self._let_in(endpoint, parameter, request, began)

    def turn_away(self, packet: bytes) -> bytes | None:
        """Return the refusal of a packet that is one plain request, if there is no room for it.

        None: it is to be looked at properly, and then the gate decides again.
        """
        gate = self.guards.gate
        if not gate.is_full() or (plain := plain_request(packet)) is None:
            return None
        began = perf_counter()
        try:
            endpoint, _ = self._router.find(plain.method, target_of(plain.target)[0])
        except ReservationApiError:
            return None
        if not endpoint.is_counted or not gate.is_full(urgent=endpoint.is_urgent):
            return None
        gate.turn_away(urgent=endpoint.is_urgent)
        return shed_bytes(gate.shed_so_far, self._shed(endpoint, plain.headers, began))

    async def _let_in(self, endpoint: _Endpoint, parameter: str, request: Request, began: float) -> Response:
        trace = self._traces.of(request.headers)
        call = Call(request, trace.trace_id, parameter, ANONYMOUS)
        error: ReservationApiError | None = None
        try:
            with RequestContext(trace):  # HTTP tells no deadline: a client that gives up hangs up
                response = await self._answer(endpoint, call)
        except ReservationApiError as refusal:
            error = refusal
            response = problem_response(refusal, trace.trace_id)
        except asyncio.CancelledError:
            self._traces.keep(trace, began, _told_of(endpoint, call, None, "CancelledError"))
            raise
        except Exception as surprise:  # noqa: BLE001 (a process's edge: it answers 500 and goes on)
            log_surprise(endpoint.operation, call, surprise)
            error = ReservationApiError("something failed here; the trace id leads to it")
            response = problem_response(error, trace.trace_id)
        milliseconds = (perf_counter() - began) * 1000
        endpoint.latency.observe(milliseconds)
        if endpoint.is_counted:
            self._count(response.status)
        if endpoint.is_command and (call.replayed or (error is not None and error.replayed)):
            self._metrics.replays.inc()
        endpoint.log.write(call, response.status, milliseconds, error)
        if trace.is_sampled:
            code = None if error is None else error.code
            self._traces.keep(trace, began, _told_of(endpoint, call, response.status, code))
        return response

    def _nowhere(self, request: Request, refusal: ReservationApiError, began: float) -> Response:
        """Answer what no route leads to: it counts as a request, and has no latency of its own."""
        self._metrics.requests.inc()
        trace = self._traces.of(request.headers)
        response = problem_response(refusal, trace.trace_id)
        call, milliseconds = Call(request, trace.trace_id, "", ANONYMOUS), (perf_counter() - began) * 1000
        _NOWHERE.write(call, response.status, milliseconds, refusal)
        self._traces.keep(trace, began, told_of_http(request.method, None, response.status))
        return response

    def _count(self, status: int) -> None:
        self._metrics.requests.inc()
        if status >= FIRST_SERVER_ERROR:
            self._metrics.errors.inc()

    def _shed(self, endpoint: _Endpoint, headers: TraceHeaders, began: float) -> str:
        """Count a refusal, without a line or a latency that would flatter others; return its trace's id."""
        self._count(SHED_STATUS)
        trace = self._traces.of(headers)
        if trace.is_sampled:
            operation = endpoint.operation
            told = told_of_http(operation.method, operation.template, SHED_STATUS)
            self._traces.keep(trace, began, replace(told, error=OverloadedError.code))
        return trace.trace_id

    async def _answer(self, endpoint: _Endpoint, call: Call) -> Response:
        """Authenticate, and only then look at anything else of the request."""
        if endpoint.is_public:
            return await endpoint.handler(call)
        call.caller = await self._authenticator.caller_of(call.request.headers)
        if not endpoint.is_counted:
            return await self._serve(endpoint, call)
        if ADMIN_SCOPE not in call.caller.scopes:
            self.guards.rates.take(call.caller.subject)
        gate = self.guards.gate
        gate.enter()
        try:
            return await self._serve(endpoint, call)
        finally:
            gate.leave()

    async def _serve(self, endpoint: _Endpoint, call: Call) -> Response:
        if endpoint.needs_operator:
            require_scope(call.caller, OPS_SCOPE)
        if endpoint.has_parameter and not is_id(call.parameter):
            raise NotFoundError("no such resource")
        if endpoint.is_of_a_reservation:
            call.reservation_id = call.parameter
        if call.request.query and not endpoint.takes_query:
            decode_query(call.request.query, NoQuery)
        return await endpoint.handler(call)


def _handlers(
    use_cases: UseCases, reservations: ReservationHandlers, actuator: ActuatorHandlers
) -> Mapping[str, Handler]:
    """Say who serves each operation of the route table."""
    orders = OrderHandlers(use_cases.queries)
    events = EventHandlers(use_cases.queries)
    documents = DocsHandlers()
    return {
        "holdSeats": reservations.hold,
        "listReservations": reservations.list,
        "getReservation": reservations.get,
        "confirmReservation": reservations.confirm,
        "cancelReservation": reservations.cancel,
        "extendReservation": reservations.extend,
        "listOrders": orders.list,
        "getOrder": orders.get,
        "listOrdersOfEvent": orders.list_of_event,
        "getAvailability": events.availability,
        **actuator.by_operation(),
        "openapi": documents.openapi,
        "docs": documents.page,
    }


def _endpoint(operation: Operation, handlers: Mapping[str, Handler], metrics: Metrics) -> _Endpoint:
    return _Endpoint(
        operation=operation,
        handler=handlers[operation.operation_id],
        latency=metrics.latency_of(operation.endpoint),
        log=RequestLog(operation),
        is_public=operation.access is Access.PUBLIC,
        is_command=operation.is_command,
        is_urgent=operation.is_urgent,
        needs_operator=operation.access is Access.OPERATOR,
        has_parameter=operation.parameter is not None,
        is_of_a_reservation=operation.parameter == "reservation_id",
        takes_query=operation.query is not NoQuery,
        is_counted=not operation.is_probe,
    )


def _router(endpoints: Iterable[_Endpoint]) -> Router[_Endpoint]:
    return Router((one.operation.method, one.operation.template, one) for one in endpoints)


def _told_of(endpoint: _Endpoint, call: Call, status: int | None, code: str | None) -> Told:
    """Say what the request's span tells: the id that it was about, and never who asked."""
    operation = endpoint.operation
    told = told_of_http(operation.method, operation.template, status)
    if call.reservation_id is not None:
        told.attributes["reservation.id"] = call.reservation_id
    is_ours = status is None or status >= FIRST_SERVER_ERROR
    return replace(told, error=code if is_ours else None)
