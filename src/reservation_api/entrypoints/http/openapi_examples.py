"""Examples for the OpenAPI document: one story, from hold to order, in the wire's own types."""

from collections.abc import Mapping

from msgspec import Struct

from reservation_api.domain.values import EventId, PaymentIntentId, SeatId
from reservation_api.entrypoints.http import actuator, wire

_RESERVATION_ID = "rsv_k3v6ox7wqpmrjz2t5ydn4h8f2a"
_ORDER_ID = "ord_019a3f1c77d05be2a1c94f0d8e36"
_EVENT_ID = "evt_demo"
_CREATED_AT = "2026-11-23T12:00:00.000Z"
_EXPIRES_AT = "2026-11-23T12:01:00.000Z"
_SEAT_IDS = ["A-1-12", "A-1-13"]
_PRICE = wire.MoneyAnswer(110_000, "KRW")
_TOTAL = wire.MoneyAnswer(220_000, "KRW")
_SEATS = [wire.SeatAnswer(seat_id, "A", "1", seat_id.rpartition("-")[2], _PRICE) for seat_id in _SEAT_IDS]

PARAMETER_EXAMPLES: Mapping[str, str] = {
    "reservation_id": _RESERVATION_ID,
    "order_id": _ORDER_ID,
    "event_id": _EVENT_ID,
    "name": "APILatency",
    "Idempotency-Key": "7f1d4b1e-6c0b-4a39-9f0e-0d3c3a5d9f55",
}

_RESERVATION = wire.ReservationAnswer(
    reservation_id=_RESERVATION_ID,
    event_id=_EVENT_ID,
    status="HOLD",
    qty=2,
    seat_ids=_SEAT_IDS,
    seats=_SEATS,
    total_amount=_TOTAL,
    hold_expires_at=_EXPIRES_AT,
    expires_in_seconds=42,
    created_at=_CREATED_AT,
    updated_at=_CREATED_AT,
    version=1,
)
_ORDER = wire.OrderAnswer(
    order_id=_ORDER_ID,
    reservation_id=_RESERVATION_ID,
    event_id=_EVENT_ID,
    status="CONFIRMED",
    qty=2,
    seat_ids=_SEAT_IDS,
    total_amount=_TOTAL,
    payment_intent_id="pi_3PqLrs2eZvKYlo2C",
    created_at="2026-11-23T12:00:18.250Z",
)
_SECTION = wire.SectionAnswer("A", 200, 120, 30, 45, 5, _PRICE, _PRICE)

EXAMPLES: Mapping[type[Struct], Struct] = {
    wire.HoldBody: wire.HoldBody(EventId(_EVENT_ID), 2, tuple(map(SeatId, _SEAT_IDS))),
    wire.ConfirmBody: wire.ConfirmBody(PaymentIntentId("pi_3PqLrs2eZvKYlo2C")),
    wire.ExtendBody: wire.ExtendBody(60),
    wire.CancelBody: wire.CancelBody(),
    wire.HeldReservation: wire.HeldReservation(
        reservation_id=_RESERVATION_ID,
        event_id=_EVENT_ID,
        status="HOLD",
        qty=2,
        seat_ids=_SEAT_IDS,
        total_amount=_TOTAL,
        hold_expires_at=_EXPIRES_AT,
        expires_in_seconds=60,
        created_at=_CREATED_AT,
    ),
    wire.ReservationAnswer: _RESERVATION,
    wire.OrderAnswer: _ORDER,
    wire.ReservationList: wire.ReservationList([_RESERVATION]),
    wire.OrderList: wire.OrderList([_ORDER]),
    wire.AvailabilityAnswer: wire.AvailabilityAnswer(
        _EVENT_ID, "Demo concert", 200, 120, 30, 45, 5, [_SECTION], _SEATS, []
    ),
    actuator.HealthAnswer: actuator.HealthAnswer(
        "UP", {"readinessState": actuator.ComponentAnswer("UP")}, ["liveness", "readiness"]
    ),
    actuator.ProbeAnswer: actuator.ProbeAnswer("UP"),
    actuator.InfoAnswer: actuator.InfoAnswer(
        actuator.AppAnswer("reservation-api", "0.1.0"), actuator.RuntimeAnswer("3.13.1")
    ),
    actuator.MetricNamesAnswer: actuator.MetricNamesAnswer(["APILatency", "ReservationStatusCount"]),
    actuator.MetricAnswer: actuator.MetricAnswer(
        "ReservationStatusCount",
        "Reservations that this process moved to a status.",
        [actuator.MeasurementAnswer("COUNT", 1200.0)],
        [actuator.TagAnswer("status", ["CANCELLED", "CONFIRMED", "EXPIRED", "HOLD"])],
    ),
}
