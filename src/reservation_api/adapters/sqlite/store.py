"""The store port on SQLite: each write is one statement whose WHERE clause is its condition.

hold      record ∧ reservation absent ──▶ record, HOLD, event
confirm   HOLD ∧ not past ∧ no intent ──▶ intent ──▶ CONFIRMED, order, event, record completed
cancel    HOLD ∧ not past ∧ no intent ──▶ CANCELLED, event, release, record
expire    HOLD ∧ past ∧ no intent ──────▶ EXPIRED, event, release
abandon   reservation absent ───────────▶ ABANDONED, release
"""

import sqlite3
from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager, nullcontext
from datetime import datetime
from typing import Final, assert_never

from reservation_api.adapters.sqlite.database import Database
from reservation_api.adapters.sqlite.rows import (
    ORDER_COLUMNS,
    OUTBOX_COLUMNS,
    RESERVATION_COLUMNS,
    UPDATED_COLUMNS,
    Row,
    order_of,
    order_row,
    outbox_row,
    reservation_of,
    reservation_row,
    some_of_the_oldest,
    unix_seconds,
    update_row,
)
from reservation_api.domain.order import Order
from reservation_api.domain.reservation import Reservation
from reservation_api.domain.values import OrderId, PaymentIntentId, RecordKey, ReservationId, to_iso
from reservation_api.ports.store import (
    AddOutboxEntry,
    CompleteRecord,
    Conflict,
    DropPaymentGuard,
    GuardPayment,
    IdempotencyRecord,
    InsertOrder,
    InsertRecord,
    InsertReservation,
    RemoveOutboxEntry,
    UpdateReservation,
    Write,
)


def _insert(table: str, columns: str) -> str:
    marks = ", ".join("?" * (columns.count(",") + 1))
    return f"INSERT INTO {table} ({columns}) VALUES ({marks})"


_RECORD_COLUMNS = "idempotency_key, request_hash, response_snapshot, ttl"
_INSERT_RESERVATION = _insert("reservations", RESERVATION_COLUMNS) + " ON CONFLICT DO NOTHING"
_INSERT_ORDER = _insert("orders", ORDER_COLUMNS) + " ON CONFLICT DO NOTHING"
_INSERT_OUTBOX = _insert("outbox", OUTBOX_COLUMNS) + " ON CONFLICT DO NOTHING"
_REPLACE_RECORD = (
    _insert("idempotency", _RECORD_COLUMNS) + " ON CONFLICT (idempotency_key) DO UPDATE SET"
    " request_hash = excluded.request_hash, response_snapshot = excluded.response_snapshot,"
    " ttl = excluded.ttl WHERE "
)
_TTL_PASSED = "ttl <= ?"
_INSERT_RECORD = _REPLACE_RECORD + _TTL_PASSED
_COMPLETE_RECORD = (
    _REPLACE_RECORD + f"{_TTL_PASSED} OR (idempotency.response_snapshot IS NULL"
    " AND idempotency.request_hash = excluded.request_hash)"
)
_GUARD_PAYMENT = (
    _insert("payment_guards", "payment_intent_id, reservation_id") + " ON CONFLICT (payment_intent_id)"
    " DO UPDATE SET reservation_id = excluded.reservation_id"
    " WHERE payment_guards.reservation_id = excluded.reservation_id"
)
_DROP_GUARD = "DELETE FROM payment_guards WHERE payment_intent_id = ? AND reservation_id = ?"
_UNCONDITIONAL = (DropPaymentGuard, RemoveOutboxEntry)
_UPDATE_RESERVATION = (
    f"UPDATE reservations SET {UPDATED_COLUMNS}"
    " WHERE reservation_id = ? AND status = 'HOLD' AND extensions = ? AND intent_order_id IS ?"
)
_NOT_PAST = " AND hold_expires_at > ?"
_PAST = " AND hold_expires_at <= ?"
_REMOVE_OUTBOX = "DELETE FROM outbox WHERE outbox_id = ?"
_GET_RESERVATION = f"SELECT {RESERVATION_COLUMNS} FROM reservations WHERE reservation_id = ?"
_GET_ORDER = f"SELECT {ORDER_COLUMNS} FROM orders WHERE order_id = ?"
_GET_RECORD = f"SELECT {_RECORD_COLUMNS} FROM idempotency WHERE idempotency_key = ? AND ttl > ?"
_GET_GUARD = "SELECT reservation_id FROM payment_guards WHERE payment_intent_id = ?"
_DUE_HOLDS = some_of_the_oldest(
    f"SELECT {RESERVATION_COLUMNS} FROM reservations",
    "status = 'HOLD' AND intent_order_id IS NULL AND hold_expires_at <= ?",
    age="hold_expires_at",
)
_PURGE_RECORDS = (
    "DELETE FROM idempotency WHERE rowid IN (SELECT rowid FROM idempotency WHERE ttl <= ? LIMIT ?)"
)
_OPEN: Final = nullcontext()
"""Keeps nothing of who is in it: one is enough for all."""


class SqliteReservationStore:
    """Implements ports.store.ReservationStore on one Database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def admission(self) -> AbstractAsyncContextManager[None]:
        """Let everybody in: the file is this process's own."""
        return _OPEN

    async def transact(self, writes: Sequence[Write]) -> Conflict | None:
        """Run the writes under one savepoint of the group's transaction; see the port."""
        return await self._database.write(lambda connection: _transact(connection, writes))

    async def get_reservation(self, reservation_id: ReservationId) -> Reservation | None:
        """Read by primary key; see the port."""
        row = self._database.read_row(_GET_RESERVATION, (reservation_id,))
        return None if row is None else reservation_of(row)

    async def get_order(self, order_id: OrderId) -> Order | None:
        """Read by primary key; see the port."""
        row = self._database.read_row(_GET_ORDER, (order_id,))
        return None if row is None else order_of(row)

    async def find_record(self, key: RecordKey, now: datetime) -> IdempotencyRecord | None:
        """Read by primary key; see the port."""
        row = self._database.read_row(_GET_RECORD, (key, unix_seconds(now)))
        return None if row is None else IdempotencyRecord(*row)

    async def due_holds(self, now: datetime, limit: int) -> Sequence[Reservation]:
        """Read the index of due holds; see the port."""
        rows = await self._database.read(
            lambda connection: connection.execute(_DUE_HOLDS, (to_iso(now), limit, limit)).fetchall()
        )
        return [reservation_of(row) for row in rows]

    async def purge_records(self, now: datetime, limit: int) -> int:
        """Delete by the index of `ttl`; see the port."""
        return await self._database.write(
            lambda connection: connection.execute(_PURGE_RECORDS, (unix_seconds(now), limit)).rowcount
        )


def _transact(connection: sqlite3.Connection, writes: Sequence[Write]) -> Conflict | None:
    connection.execute("SAVEPOINT command")
    refused = [write for write in writes if not _apply(connection, write)]
    conflict = None
    if refused:
        # Only then look what stood in the way: rows of this very command must not be taken for it.
        connection.execute("ROLLBACK TO command")
        conflict = _found(connection, refused)
    connection.execute("RELEASE command")
    return conflict


def _apply(connection: sqlite3.Connection, write: Write) -> bool:
    """Write if the condition holds; tell whether it did."""
    statement, parameters = _statement(write)
    changed = connection.execute(statement, parameters).rowcount > 0
    return changed or isinstance(write, _UNCONDITIONAL)


def _statement(write: Write) -> tuple[str, Row]:
    statement: tuple[str, Row]
    match write:
        case InsertRecord():
            statement = _INSERT_RECORD, _record_parameters(write)
        case InsertReservation(reservation):
            statement = _INSERT_RESERVATION, reservation_row(reservation)
        case AddOutboxEntry(entry):
            statement = _INSERT_OUTBOX, outbox_row(entry)
        case UpdateReservation():
            statement = _update_statement(write)
        case CompleteRecord():
            statement = _COMPLETE_RECORD, _record_parameters(write)
        case InsertOrder(order):
            statement = _INSERT_ORDER, order_row(order)
        case GuardPayment(payment, reservation_id):
            statement = _GUARD_PAYMENT, (payment, reservation_id)
        case DropPaymentGuard(payment, reservation_id):
            statement = _DROP_GUARD, (payment, reservation_id)
        case RemoveOutboxEntry(outbox_id):
            statement = _REMOVE_OUTBOX, (outbox_id,)
        case _:
            assert_never(write)
    return statement


def _record_parameters(write: InsertRecord | CompleteRecord) -> Row:
    record = write.record
    return (record.key, record.request_hash, record.response_snapshot, record.ttl, unix_seconds(write.now))


def _update_statement(write: UpdateReservation) -> tuple[str, Row]:
    after, before = write.after, write.before
    text, parameters = _UPDATE_RESERVATION, update_row(after)
    parameters += (
        before.reservation_id,
        before.extensions,
        None if before.intent is None else before.intent.order_id,
    )
    if write.not_past is not None:
        text, parameters = text + _NOT_PAST, (*parameters, to_iso(write.not_past))
    if write.past is not None:
        text, parameters = text + _PAST, (*parameters, to_iso(write.past))
    return text, parameters


def _found(connection: sqlite3.Connection, refused: Sequence[Write]) -> Conflict:
    """Read the rows that refused."""
    record: IdempotencyRecord | None = None
    reservation: Reservation | None = None
    payment_owner: ReservationId | None = None
    for write in refused:
        match write:
            case InsertRecord() | CompleteRecord():
                record = _record(connection, write.record.key, write.now)
            case InsertReservation(wanted):
                reservation = _reservation(connection, wanted.reservation_id)
            case UpdateReservation():
                reservation = _reservation(connection, write.before.reservation_id)
            case GuardPayment(payment, _):
                payment_owner = _guard_owner(connection, payment)
            case _:
                pass
    return Conflict(frozenset(map(type, refused)), record, reservation, payment_owner)


def _record(connection: sqlite3.Connection, key: RecordKey, now: datetime) -> IdempotencyRecord | None:
    row = connection.execute(_GET_RECORD, (key, unix_seconds(now))).fetchone()
    return None if row is None else IdempotencyRecord(*row)


def _reservation(connection: sqlite3.Connection, reservation_id: ReservationId) -> Reservation | None:
    row = connection.execute(_GET_RESERVATION, (reservation_id,)).fetchone()
    return None if row is None else reservation_of(row)


def _guard_owner(connection: sqlite3.Connection, payment: PaymentIntentId) -> ReservationId | None:
    row = connection.execute(_GET_GUARD, (payment,)).fetchone()
    return None if row is None else ReservationId(row[0])
