"""The route table: all that this API can be asked, and how each is described."""

from reservation_api.domain import errors
from reservation_api.entrypoints.http import actuator, queries, wire
from reservation_api.entrypoints.http.operations import ACTUATOR, Access, Operation

_RESERVATION = "/v1/reservations/{reservation_id}"
_MOVES = (errors.NotFoundError, errors.WrongStateError, errors.HoldExpiredError)

_RESERVATIONS = (
    Operation(
        operation_id="holdSeats",
        method="POST",
        template="/v1/reservations",
        tag="reservations",
        summary="Hold seats of an event",
        description="Holds the seats named, or the best available, for a minute. Safe to retry with the"
        " same Idempotency-Key: the seats are never taken twice.",
        body=wire.HoldBody,
        status=201,
        answer=wire.HeldReservation,
        refusals=(
            errors.NotFoundError,
            errors.SeatsTakenError,
            errors.SoldOutError,
            errors.WrongStateError,
        ),
    ),
    Operation(
        operation_id="listReservations",
        method="GET",
        template="/v1/reservations",
        tag="reservations",
        summary="List one's own reservations",
        description="Newest first within a status; may lag behind the last writes.",
        query=queries.ReservationsQuery,
        answer=wire.ReservationList,
    ),
    Operation(
        operation_id="getReservation",
        method="GET",
        template=_RESERVATION,
        tag="reservations",
        summary="Look at one of one's own reservations",
        answer=wire.ReservationAnswer,
        refusals=(errors.NotFoundError,),
    ),
    Operation(
        operation_id="confirmReservation",
        method="POST",
        template=_RESERVATION + "/confirm",
        tag="reservations",
        summary="Confirm a hold that is paid for",
        description="Sells the seats. 402: the payment does not cover them; the hold stands. 410: the hold"
        " is over. 503: nobody knows yet; a retry with the same key finds out.",
        is_urgent=True,
        body=wire.ConfirmBody,
        answer=wire.OrderAnswer,
        refusals=(*_MOVES, errors.PaymentRefusedError, errors.PaymentAlreadyUsedError),
    ),
    Operation(
        operation_id="cancelReservation",
        method="POST",
        template=_RESERVATION + "/cancel",
        tag="reservations",
        summary="Cancel a hold",
        description="The seats are normally free at once, and within 5 seconds for certain.",
        is_urgent=True,
        body=wire.CancelBody,
        answer=wire.ReservationAnswer,
        refusals=_MOVES,
    ),
    Operation(
        operation_id="extendReservation",
        method="POST",
        template=_RESERVATION + "/extend",
        tag="reservations",
        summary="Make a hold last longer",
        description="By as much as was asked, or less: a hold lasts 300 seconds from its creation at most,"
        " and can be extended twice. 409 when it can not be made to last longer.",
        body=wire.ExtendBody,
        answer=wire.ReservationAnswer,
        refusals=_MOVES,
    ),
)

_ORDERS = (
    Operation(
        operation_id="listOrders",
        method="GET",
        template="/v1/orders",
        tag="orders",
        summary="List one's own orders",
        description="Newest first; may lag behind the last writes.",
        query=queries.PageQuery,
        answer=wire.OrderList,
    ),
    Operation(
        operation_id="getOrder",
        method="GET",
        template="/v1/orders/{order_id}",
        tag="orders",
        summary="Look at one of one's own orders",
        answer=wire.OrderAnswer,
        refusals=(errors.NotFoundError,),
    ),
    Operation(
        operation_id="listOrdersOfEvent",
        method="GET",
        template="/v1/events/{event_id}/orders",
        tag="orders",
        summary="List all orders of an event",
        description="Needs the scope `reservation:admin`; 404 without it. Newest first.",
        query=queries.PageQuery,
        answer=wire.OrderList,
        refusals=(errors.NotFoundError,),
    ),
)

_EVENTS = (
    Operation(
        operation_id="getAvailability",
        method="GET",
        template="/v1/events/{event_id}/availability",
        tag="events",
        summary="Count an event's seats, and list free ones",
        description="Counts by section; with `section` or `seat_ids` up to 500 free seats by id, best first."
        " What is free now may be taken a moment later: only a hold keeps it.",
        query=queries.AvailabilityQuery,
        answer=wire.AvailabilityAnswer,
        refusals=(errors.NotFoundError,),
    ),
)

_HEALTH = (
    Operation(
        operation_id="health",
        method="GET",
        template="/actuator/health",
        tag=ACTUATOR,
        summary="This process's health, and what it sees of its dependencies",
        description="Details of components are shown to callers with the scope `reservation:ops` only.",
        access=Access.PUBLIC,
        answer=actuator.HealthAnswer,
        also={503: "DOWN or OUT_OF_SERVICE."},
    ),
    Operation(
        operation_id="liveness",
        method="GET",
        template="/actuator/health/liveness",
        tag=ACTUATOR,
        summary="Whether the process lives",
        description="Touches no dependency.",
        access=Access.PUBLIC,
        answer=actuator.ProbeAnswer,
    ),
    Operation(
        operation_id="readiness",
        method="GET",
        template="/actuator/health/readiness",
        tag=ACTUATOR,
        summary="Whether the process takes traffic",
        description="Its own state only: starting, serving or draining.",
        access=Access.PUBLIC,
        answer=actuator.ProbeAnswer,
        also={503: "OUT_OF_SERVICE: starting or draining."},
    ),
)

_OPERATIONS = (
    Operation(
        operation_id="info",
        method="GET",
        template="/actuator/info",
        tag=ACTUATOR,
        summary="What runs here",
        access=Access.OPERATOR,
        answer=actuator.InfoAnswer,
    ),
    Operation(
        operation_id="listMetrics",
        method="GET",
        template="/actuator/metrics",
        tag=ACTUATOR,
        summary="Which metrics there are",
        access=Access.OPERATOR,
        answer=actuator.MetricNamesAnswer,
    ),
    Operation(
        operation_id="getMetric",
        method="GET",
        template="/actuator/metrics/{name}",
        tag=ACTUATOR,
        summary="One metric, of all processes on this port",
        access=Access.OPERATOR,
        query=queries.MetricQuery,
        answer=actuator.MetricAnswer,
        refusals=(errors.NotFoundError,),
    ),
    Operation(
        operation_id="prometheus",
        method="GET",
        template="/actuator/prometheus",
        tag=ACTUATOR,
        summary="All metrics of all processes on this port, for Prometheus",
        access=Access.OPERATOR,
        media_type="text/plain",
    ),
)

_DOCUMENTS = (
    Operation(
        operation_id="openapi",
        method="GET",
        template="/openapi.json",
        tag="documents",
        summary="This document",
        access=Access.PUBLIC,
    ),
    Operation(
        operation_id="docs",
        method="GET",
        template="/docs",
        tag="documents",
        summary="This document, to read",
        access=Access.PUBLIC,
        media_type="text/html",
    ),
)

OPERATIONS: tuple[Operation, ...] = (
    *_RESERVATIONS,
    *_ORDERS,
    *_EVENTS,
    *_HEALTH,
    *_OPERATIONS,
    *_DOCUMENTS,
)
