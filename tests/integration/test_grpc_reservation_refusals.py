import logging
from pathlib import Path
from typing import Any

import grpc
import pytest
from tests.support.api import answering
from tests.support.grpc_reservations import (
    TRUSTED,
    Client,
    Served,
    faults,
    named,
    request_of,
    served,
)

from reservation_api.domain import errors
from reservation_api.domain.errors import ReservationApiError
from reservation_api.domain.reservation import HoldPolicy
from reservation_proto.reservation.v1 import reservation_pb2 as wire

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
TRACEPARENT = ("traceparent", f"00-{TRACE}-00f067aa0ba902b7-01")
GOOD: dict[str, dict[str, Any]] = {
    "CreateReservation": {"event_id": "evt_1", "quantity": 1, "idempotency_key": "k"},
    "GetReservation": {"reservation_id": "rsv_1"},
    "ConfirmReservation": {"reservation_id": "rsv_1", "payment_intent_id": "pi", "idempotency_key": "k"},
    "CancelReservation": {"reservation_id": "rsv_1", "idempotency_key": "k"},
    "ListReservations": {},
    "ExtendHold": {"reservation_id": "rsv_1", "extension_seconds": 1, "idempotency_key": "k"},
}
COMMANDS = [name for name in GOOD if name not in {"GetReservation", "ListReservations"}]
BAD: dict[str, tuple[dict[str, Any], str]] = {
    "CreateReservation": ({"quantity": 11}, "quantity"),
    "GetReservation": ({"reservation_id": "a b"}, "reservation_id"),
    "ConfirmReservation": ({"payment_intent_id": ""}, "payment_intent_id"),
    "CancelReservation": ({"reservation_id": ""}, "reservation_id"),
    "ListReservations": ({"status": 99}, "status"),
    "ExtendHold": ({"extension_seconds": 0}, "extension_seconds"),
}


async def held(client: Client, **fields: Any) -> str:
    reply = await client.create(**fields)
    assert not reply.HasField("error"), reply.error
    return reply.reservation_id


@pytest.mark.parametrize("name", GOOD)
async def test_every_method_fills_the_error_of_its_reply(tmp_path: Path, name: str) -> None:
    refusal = errors.WrongStateError("not now", status="EXPIRED")
    async with served(tmp_path, use_cases=answering(refusal)) as running:
        call = running.client().start(name, request_of(name, **GOOD[name]), TRACEPARENT)
        reply = await call
        assert await call.code() is grpc.StatusCode.OK
    assert [field.name for field, _ in reply.ListFields()] == ["error"]
    assert (named(reply.error), reply.error.message) == ("FAILED_PRECONDITION", "not now")
    assert reply.error.trace_id == TRACE
    assert faults(reply.error) == [("status", "", "EXPIRED")]


@pytest.mark.parametrize("name", GOOD)
async def test_every_method_says_which_field_is_wrong(tmp_path: Path, name: str) -> None:
    changed, field = BAD[name]
    async with served(tmp_path) as running:
        reply = await running.client().ask(name, **{**GOOD[name], **changed})
    assert named(reply.error) == "INVALID_ARGUMENT"
    assert [detail.field for detail in reply.error.details] == [field]
    assert len(reply.error.trace_id) == 32


@pytest.mark.parametrize("name", COMMANDS)
async def test_a_user_needs_a_key_and_a_good_one(tmp_path: Path, name: str) -> None:
    async with served(tmp_path) as running:
        missing = await running.client().ask(name, **{**GOOD[name], "idempotency_key": ""})
        bad = await running.client().ask(name, **{**GOOD[name], "idempotency_key": "x" * 256})
        assert running.ports.look().reservations == []
    assert named(missing.error) == "IDEMPOTENCY_REQUIRED"
    assert named(bad.error) == "INVALID_ARGUMENT"
    assert bad.error.details[0].field == "idempotency_key"


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (errors.StoreUnavailableError("away"), "UNAVAILABLE"),
        (errors.InventoryUnavailableError("away"), "UNAVAILABLE"),
        (errors.PaymentUnavailableError("away"), "UNAVAILABLE"),
        (errors.UnavailableError("away"), "UNAVAILABLE"),
        (errors.PaymentAlreadyUsedError("used"), "ALREADY_EXISTS"),
        (errors.PaymentRefusedError("no"), "PAYMENT_NOT_APPROVED"),
        (errors.RefusedError("no"), "FAILED_PRECONDITION"),
    ],
    ids=lambda part: type(part).__name__,
)
async def test_an_error_of_a_use_case_has_its_code(
    tmp_path: Path, error: ReservationApiError, code: str
) -> None:
    async with served(tmp_path, use_cases=answering(error)) as running:
        reply = await running.client().create()
    assert (named(reply.error), reply.error.message) == (code, error.message)


async def test_a_surprise_is_logged_and_shown_to_nobody(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    surprise = KeyError("postgres://user:password@host")
    async with served(tmp_path, use_cases=answering(surprise)) as running:
        with caplog.at_level(logging.ERROR, "reservation_api.grpc"):
            reply = await running.client().start(
                "CreateReservation",
                request_of("CreateReservation", **GOOD["CreateReservation"]),
                TRACEPARENT,
            )
    assert (named(reply.error), reply.error.trace_id) == ("INTERNAL", TRACE)
    assert b"password" not in reply.SerializeToString()
    [record] = caplog.records
    assert record.exc_info is not None
    assert record.__dict__["fields"]["trace_id"] == TRACE


async def test_taken_seats_are_named(tmp_path: Path) -> None:
    async with served(tmp_path) as running:
        await held(running.client(), quantity=2, seat_ids=["A-1-1", "A-1-2"])
        reply = await running.client("user-2").create(quantity=2, seat_ids=["A-1-2", "A-1-3"])
    assert (named(reply.error), faults(reply.error)) == (
        "INVENTORY_CONFLICT",
        [("seat_ids", "taken", "A-1-2")],
    )


async def test_too_few_seats_are_counted(tmp_path: Path) -> None:
    async with served(tmp_path) as running:
        await held(running.client(), quantity=4)
        reply = await running.client("user-2").create(quantity=3)
    assert (named(reply.error), faults(reply.error)) == (
        "INSUFFICIENT_INVENTORY",
        [("remaining", "", "2")],
    )


async def test_an_unknown_event_is_not_found(tmp_path: Path) -> None:
    async with served(tmp_path) as running:
        assert named((await running.client().create(event_id="evt_9")).error) == "NOT_FOUND"


@pytest.mark.parametrize("name", ["ConfirmReservation", "CancelReservation", "ExtendHold"])
async def test_a_hold_that_is_over_moves_no_more(tmp_path: Path, name: str) -> None:
    async with served(tmp_path) as running:
        reservation_id = await held(running.client())
        running.clock.advance(HoldPolicy().hold_seconds)
        fields = {**GOOD[name], "reservation_id": reservation_id, "idempotency_key": "m"}
        reply = await running.client().ask(name, **fields)
    assert named(reply.error) == "RESERVATION_EXPIRED"
    assert faults(reply.error) == [("hold_expires_at", "", "2026-11-23T12:01:00.000Z")]


@pytest.mark.parametrize("name", ["ConfirmReservation", "CancelReservation", "ExtendHold"])
async def test_what_has_moved_moves_no_more(tmp_path: Path, name: str) -> None:
    async with served(tmp_path) as running:
        reservation_id = await held(running.client())
        await running.client().ask("CancelReservation", reservation_id=reservation_id, idempotency_key="c")
        fields = {**GOOD[name], "reservation_id": reservation_id, "idempotency_key": "m"}
        reply = await running.client().ask(name, **fields)
    assert (named(reply.error), faults(reply.error)) == (
        "FAILED_PRECONDITION",
        [("status", "", "CANCELLED")],
    )


async def test_a_payment_is_refused_or_used_up(tmp_path: Path) -> None:
    async with served(tmp_path) as running:
        first, second = [await held(running.client(), key=key) for key in "ab"]
        outcomes = [
            await confirm(running, first, "pi_declined"),
            await confirm(running, first, "pi_1"),
            await confirm(running, second, "pi_1"),
        ]
    assert outcomes == ["PAYMENT_NOT_APPROVED", None, "ALREADY_EXISTS"]


async def confirm(running: Served, reservation_id: str, payment: str) -> str | None:
    reply = await running.client().ask(
        "ConfirmReservation",
        reservation_id=reservation_id,
        payment_intent_id=payment,
        idempotency_key=f"{reservation_id}{payment}",
    )
    return named(reply.error) if reply.HasField("error") else None


@pytest.mark.parametrize("name", GOOD)
async def test_bytes_that_are_no_message_are_refused_after_the_caller_is_known(
    tmp_path: Path, name: str
) -> None:
    async with served(tmp_path) as running:
        call: Any = running.channel.unary_unary(
            f"/reservation.v1.ReservationService/{name}",
            response_deserializer=getattr(wire, f"{name}Response").FromString,
        )
        assert named((await call(b"\xff\xff")).error) == "UNAUTHENTICATED"
        known = await call(b"\xff\xff", metadata=(("authorization", "Bearer user-1"),))
    assert faults(known.error) == [("message", "can not be decoded", "")]


@pytest.mark.parametrize("name", ["CreateReservation", "ListReservations", "ExtendHold"])
async def test_a_gateway_must_name_the_user_of_what_has_no_owner_to_act_for(
    tmp_path: Path, name: str
) -> None:
    async with served(tmp_path, TRUSTED) as running:
        reply = await running.client(token=None).ask(name, **GOOD[name])
    assert faults(reply.error) == [("user_id", "must be set", "")]
