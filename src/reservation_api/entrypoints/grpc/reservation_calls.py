"""From gRPC to the methods and back: who calls, what is refused, and the one line of each request."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any

import grpc
import grpc.aio
from google.protobuf.message import Message

from reservation_api.domain.errors import ReservationApiError
from reservation_api.entrypoints.grpc.reservation_authentication import Doorkeeper, Identity, MetadataHeaders
from reservation_api.entrypoints.grpc.reservation_errors import code_of, error_of, is_our_failure
from reservation_api.entrypoints.grpc.reservation_methods import Call, ReservationMethods
from reservation_api.entrypoints.grpc.reservation_requests import parse
from reservation_api.entrypoints.http.shedding import overloaded
from reservation_api.entrypoints.http.trace_context import RequestTraces, Told, told_of_grpc
from reservation_api.entrypoints.overload.gate import Gate
from reservation_api.ports.request_context import RequestContext
from reservation_api.telemetry.logs import StructLog, may_hold_token
from reservation_api.telemetry.metrics import Metrics
from reservation_api.telemetry.request_line import REQUEST, RequestLine
from reservation_proto.common.v1 import errors_pb2 as codes
from reservation_proto.reservation.v1 import reservation_pb2 as wire

SERVICE = "reservation.v1.ReservationService"
REPLAYED = ("idempotency-replayed", "true")
"""Trailing metadata of a replay: its message is the first one's, to the byte."""

Context = grpc.aio.ServicerContext[Any, Any]
Answer = Callable[[Any, Call], Awaitable[Message]]

NO_REASON = (None, None)
GONE = (None, "the client has gone")

_log = logging.getLogger("reservation_api.grpc")
_ANSWERED = StructLog(_log.name, logging.INFO, REQUEST)
_FAILED = StructLog(_log.name, logging.WARNING, REQUEST)


@dataclass(frozen=True, slots=True)
class Method:
    """A method of the service, bound to what serves it."""

    name: str
    request_type: type[Message]
    reply_type: type[Message]
    answer: Answer
    is_command: bool = True
    is_urgent: bool = False
    """Whether it comes before others when there is too much to do, as over HTTP."""

    @property
    def route(self) -> str:
        """Name it in logs and metrics."""
        return f"{SERVICE}/{self.name}"


def methods_of(methods: ReservationMethods) -> Sequence[Method]:
    """List the service's methods."""
    return (
        Method(
            "CreateReservation",
            wire.CreateReservationRequest,
            wire.CreateReservationResponse,
            methods.create,
        ),
        Method(
            "GetReservation",
            wire.GetReservationRequest,
            wire.GetReservationResponse,
            methods.get,
            is_command=False,
        ),
        Method(
            "ConfirmReservation",
            wire.ConfirmReservationRequest,
            wire.ConfirmReservationResponse,
            methods.confirm,
            is_urgent=True,
        ),
        Method(
            "CancelReservation",
            wire.CancelReservationRequest,
            wire.CancelReservationResponse,
            methods.cancel,
            is_urgent=True,
        ),
        Method(
            "ListReservations",
            wire.ListReservationsRequest,
            wire.ListReservationsResponse,
            methods.list,
            is_command=False,
        ),
        Method("ExtendHold", wire.ExtendHoldRequest, wire.ExtendHoldResponse, methods.extend),
    )


class ReservationCalls:
    """Identifies, calls a method, and turns every refusal into the `error` of its reply."""

    def __init__(
        self,
        methods: ReservationMethods,
        doorkeeper: Doorkeeper,
        gate: Gate,
        metrics: Metrics,
        traces: RequestTraces,
    ) -> None:
        self.in_flight = 0
        self._gate = gate
        self._traces = traces
        self._methods = methods_of(methods)
        self._doorkeeper = doorkeeper
        self._metrics = metrics

    def handler(self) -> grpc.GenericRpcHandler:
        """Return the service, for a grpc.aio server."""
        return grpc.method_handlers_generic_handler(
            SERVICE, {method.name: self._handler_of(method) for method in self._methods}
        )

    def _handler_of(self, method: Method) -> "grpc.RpcMethodHandler[Any, Any]":
        latency = self._metrics.latency_of(method.route)

        async def handle(raw: bytes, context: Context) -> Message:
            self.in_flight += 1
            headers = MetadataHeaders(context.invocation_metadata() or ())
            trace = self._traces.of(headers)
            call = Call(trace.trace_id)
            try:
                if not self._gate.admit(urgent=method.is_urgent):
                    return self._shed(method, call)
                identity = self._doorkeeper.identify(headers, context.auth_context())
                with RequestContext(trace, context.time_remaining()):
                    reply = await self._answer(method, raw, call, identity)
            finally:
                self.in_flight -= 1
                if trace.is_sampled:
                    self._traces.keep(trace, call.began, _told_of(method, call))
            latency.observe(call.milliseconds)
            if call.replayed:
                self._metrics.replays.inc()
                context.set_trailing_metadata((REPLAYED,))
            return reply

        # The message is decoded in here, so that one that can not be is refused like any other.
        return grpc.unary_unary_rpc_method_handler(
            handle, response_serializer=method.reply_type.SerializeToString
        )

    def _shed(self, method: Method, call: Call) -> Message:
        refusal = overloaded(self._gate.shed_so_far)
        call.failure = refusal.code
        return method.reply_type(error=error_of(refusal, call.trace_id))

    async def _answer(self, method: Method, raw: bytes, call: Call, identity: Awaitable[Identity]) -> Message:
        """Admit the caller, and only then look at anything else of the request."""
        try:
            call.identity = await identity
            self._gate.enter()
            try:
                reply = await method.answer(parse(method.request_type, raw), call)
            finally:
                self._gate.leave()
        except ReservationApiError as refusal:
            error = refusal
        except asyncio.CancelledError:
            call.failure = "CancelledError"
            _log_request(method, call, "CANCELLED", GONE)
            raise
        except Exception:  # noqa: BLE001 (gRPC would tell the caller what the exception says)
            _log.exception("unexpected failure", extra={"fields": _fields(method, call)})
            error = ReservationApiError("something failed here; the trace id leads to it")
        else:
            _log_request(method, call, "OK")
            return reply
        call.replayed = error.replayed
        call.failure = error.code if is_our_failure(error) else None
        _log_request(method, call, _status(error), (error.code, error.message), is_ours=is_our_failure(error))
        return method.reply_type(error=error_of(error, call.trace_id))


def _told_of(method: Method, call: Call) -> Told:
    """Say what the call's span tells: the id that it was about, and never who asked."""
    told = told_of_grpc(SERVICE, method.name, call.failure)
    if call.reservation_id is not None:
        told.attributes["reservation.id"] = call.reservation_id
    return told


def _status(error: ReservationApiError) -> str:
    return codes.ErrorCode.Name(code_of(type(error))).removeprefix("ERROR_CODE_")


def _log_request(
    method: Method,
    call: Call,
    status: str,
    why: tuple[str | None, str | None] = NO_REASON,
    *,
    is_ours: bool = False,
) -> None:
    """Write the one line of a request: never its token, never its key."""
    lines = _FAILED if is_ours else _ANSWERED
    if not lines.is_on():
        return
    code, reason = why
    line = RequestLine(
        call.trace_id,
        method.route,
        call.subject,
        call.reservation_id,
        status,
        round(call.milliseconds, 3),
        code,
        reason,
        call.replayed,
    )
    is_quoting = reason is not None and may_hold_token(f"{reason} {call.reservation_id}")
    lines.write(line, is_quoting=is_quoting)


def _fields(method: Method, call: Call) -> dict[str, object]:
    return {
        "trace_id": call.trace_id,
        "reservation_id": call.reservation_id,
        "subject": call.subject,
        "route": method.route,
    }
