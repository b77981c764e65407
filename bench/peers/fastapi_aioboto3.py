"""The plain peer: hold, get, confirm and cancel on FastAPI and aioboto3, as one would write them first.

    uvicorn bench.peers.fastapi_aioboto3:app --loop uvloop --http httptools --no-access-log

It makes the same calls of DynamoDB and of the inventory as the service, with the same items and conditions, and
leaves out what costs it nothing here: relaying events, replaying answers, breakers, metrics and logs. Verified tokens
are remembered. It runs in an environment of its own and imports nothing of the service but the gRPC messages.
"""

import hashlib
import json
import os
import time
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import aioboto3
import grpc.aio
import jwt
from botocore.config import Config
from fastapi import FastAPI, Header, HTTPException, Request
from pydantic import BaseModel, Field

from reservation_proto.reservation.v1 import inventory_pb2 as wire

TABLES = {
    name: os.environ[f"APP_DYNAMODB_TABLES_{name.upper()}"]
    for name in ("reservations", "orders", "idempotency", "outbox")
}
KEYS = {key["kid"]: jwt.PyJWK(key).key for key in json.loads(os.environ["JWT_JWKS"])["keys"]}
ABSENT = "attribute_not_exists(pk)"
SERVICE = "/reservation.v1.InventoryService/"


class HoldRequest(BaseModel):
    event_id: str = Field(min_length=1, max_length=128)
    qty: int = Field(ge=1, le=10)
    seat_ids: list[str] = []


class MoneyAnswer(BaseModel):
    amount: int
    currency: str


class ReservationAnswer(BaseModel):
    reservation_id: str
    event_id: str
    status: str
    qty: int
    seat_ids: list[str]
    total_amount: MoneyAnswer
    hold_expires_at: str
    created_at: str


class ConfirmRequest(BaseModel):
    payment_intent_id: str


class OrderAnswer(BaseModel):
    order_id: str
    reservation_id: str
    status: str
    seat_ids: list[str]
    total_amount: MoneyAnswer


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    config = Config(max_pool_connections=64, parameter_validation=False, connect_timeout=1, read_timeout=2)
    session = aioboto3.Session()
    async with (
        session.client("dynamodb", endpoint_url=os.environ["DYNAMODB_ENDPOINT"], config=config) as dynamodb,
        grpc.aio.insecure_channel(os.environ["INVENTORY_GRPC_ADDRESS"]) as channel,
    ):
        app.state.dynamodb = dynamodb
        app.state.reserve = channel.unary_unary(
            f"{SERVICE}ReserveSeat",
            wire.ReserveSeatRequest.SerializeToString,
            wire.ReserveSeatResponse.FromString,
        )
        app.state.commit = channel.unary_unary(
            f"{SERVICE}CommitReservation",
            wire.CommitReservationRequest.SerializeToString,
            wire.CommitReservationResponse.FromString,
        )
        yield


app = FastAPI(lifespan=lifespan)
_subjects: dict[str, str] = {}


def subject_of(authorization: str) -> str:
    token = authorization.removeprefix("Bearer ")
    if token not in _subjects:
        key = KEYS[jwt.get_unverified_header(token)["kid"]]
        claims = jwt.decode(token, key, ["ES256"], issuer=os.environ["JWT_ISSUER_URI"])
        _subjects[token] = claims["sub"]
    return _subjects[token]


def instant(moment: datetime) -> str:
    return moment.isoformat(timespec="milliseconds")[:-6] + "Z"


def put(table: str, item: dict[str, Any], condition: str = ABSENT, **values: Any) -> dict[str, Any]:
    write: dict[str, Any] = {"TableName": TABLES[table], "Item": item, "ConditionExpression": condition}
    if values:
        write["ExpressionAttributeValues"] = {f":{name}": value for name, value in values.items()}
    return {"Put": write}


def outbox_row(reservation_id: str, kind: str, payload: str, now: str) -> dict[str, Any]:
    outbox_id = f"{reservation_id}.{kind}"
    texts = {
        "pk": outbox_id,
        "sk": f"reservation#{reservation_id}",
        "type": kind,
        "aggregate_type": "reservation",
        "aggregate_id": reservation_id,
        "payload": payload,
        "status": "PENDING",
        "next_retry_at": now,
        "trace_id": uuid.uuid4().hex,
        "created_at": now,
        "updated_at": now,
    }
    return put("outbox", {**{name: {"S": text} for name, text in texts.items()}, "attempts": {"N": "0"}})


def record(key: str, subject: str, body: str, answer: str) -> dict[str, Any]:
    item = {
        "pk": {"S": hashlib.sha256(f"{subject}:{key}".encode()).hexdigest()},
        "request_hash": {"S": hashlib.sha256(body.encode()).hexdigest()},
        "response_snapshot": {"S": answer},
        "ttl": {"N": str(int(time.time()) + 310)},
    }
    write = put("idempotency", item, f"{ABSENT} OR #ttl <= :now", now={"N": str(int(time.time()))})
    write["Put"]["ExpressionAttributeNames"] = {"#ttl": "ttl"}
    return write


def money(item: dict[str, Any]) -> MoneyAnswer:
    return MoneyAnswer(amount=int(item["total_amount"]["N"]), currency=item["currency"]["S"])


def answer_of(item: dict[str, Any]) -> ReservationAnswer:
    return ReservationAnswer(
        reservation_id=item["pk"]["S"],
        event_id=item["sk"]["S"],
        status=item["status"]["S"],
        qty=int(item["qty"]["N"]),
        seat_ids=[seat["S"] for seat in item["seat_ids"]["L"]],
        total_amount=money(item),
        hold_expires_at=item["hold_expires_at"]["S"],
        created_at=item["created_at"]["S"],
    )


async def transact(writes: list[dict[str, Any]]) -> None:
    await app.state.dynamodb.transact_write_items(TransactItems=writes, ClientRequestToken=uuid.uuid4().hex)


async def read(reservation_id: str, subject: str) -> dict[str, Any]:
    page = await app.state.dynamodb.query(
        TableName=TABLES["reservations"],
        KeyConditionExpression="pk = :id",
        ConsistentRead=True,
        Limit=1,
        ExpressionAttributeValues={":id": {"S": reservation_id}},
    )
    if not page["Items"] or page["Items"][0]["user_id"]["S"] != subject:
        raise HTTPException(404)
    item: dict[str, Any] = page["Items"][0]
    return item


def seat_of(seat: Any) -> dict[str, Any]:
    texts = {"section": {"S": seat.section}, "row": {"S": seat.row}, "number": {"S": seat.number}}
    return {"M": {**texts, "price": {"N": str(seat.price.amount)}}}


def held(reservation_id: str, subject: str, event_id: str, seats: Any, now: datetime) -> dict[str, Any]:
    texts = {
        "pk": reservation_id,
        "sk": event_id,
        "user_id": subject,
        "status": "HOLD",
        "hold_expires_at": instant(now + timedelta(seconds=60)),
        "created_at": instant(now),
        "updated_at": instant(now),
        "idempotency_key": reservation_id,
        "currency": seats[0].price.currency,
    }
    return {
        **{name: {"S": text} for name, text in texts.items()},
        "qty": {"N": str(len(seats))},
        "version": {"N": "1"},
        "extensions": {"N": "0"},
        "total_amount": {"N": str(sum(seat.price.amount for seat in seats))},
        "seat_ids": {"L": [{"S": seat.id} for seat in seats]},
        "seats": {"L": [seat_of(seat) for seat in seats]},
    }


@app.post("/v1/reservations", status_code=201)
async def hold(
    body: HoldRequest, authorization: str = Header(), idempotency_key: str = Header()
) -> ReservationAnswer:
    subject, now = subject_of(authorization), datetime.now(UTC)
    digest = hashlib.sha256(f"{subject}:{idempotency_key}:{body}".encode()).hexdigest()
    reservation_id = f"rsv_{digest[:32]}"
    request = wire.ReserveSeatRequest(
        reservation_id=reservation_id,
        event_id=body.event_id,
        quantity=body.qty,
        user_id=subject,
        hold_expires_at=now + timedelta(seconds=120),
        idempotency_key=f"{reservation_id}:hold:0",
    )
    reply = await app.state.reserve(request, timeout=5)
    item = held(reservation_id, subject, body.event_id, reply.reserved_seats, now)
    answer = answer_of(item)
    text = answer.model_dump_json()
    await transact(
        [
            record(idempotency_key, subject, body.model_dump_json(), text),
            put("reservations", item),
            outbox_row(reservation_id, "Reservation Created", text, instant(now)),
        ]
    )
    return answer


@app.get("/v1/reservations/{reservation_id}")
async def get(reservation_id: str, authorization: str = Header()) -> ReservationAnswer:
    return answer_of(await read(reservation_id, subject_of(authorization)))


def move(item: dict[str, Any], expression: str, now: str, **values: str) -> dict[str, Any]:
    texts = {":now": now, ":hold": "HOLD", **{f":{name}": text for name, text in values.items()}}
    return {
        "Update": {
            "TableName": TABLES["reservations"],
            "Key": {"pk": item["pk"], "sk": item["sk"]},
            "UpdateExpression": expression,
            "ConditionExpression": "begins_with(#status, :hold) AND hold_expires_at > :now",
            "ExpressionAttributeNames": {"#status": "status"},
            "ExpressionAttributeValues": {name: {"S": text} for name, text in texts.items()},
        }
    }


def order_of(item: dict[str, Any], order_id: str, payment: str, now: str) -> dict[str, Any]:
    return {
        "pk": {"S": order_id},
        "sk": item["pk"],
        "event_id": item["sk"],
        "user_id": item["user_id"],
        "seat_ids": item["seat_ids"],
        "total_amount": item["total_amount"],
        "currency": item["currency"],
        "status": {"S": "CONFIRMED"},
        "payment_intent_id": {"S": payment},
        "created_at": {"S": now},
    }


async def sell(item: dict[str, Any], subject: str, payment: str, order_id: str) -> None:
    request = wire.CommitReservationRequest(
        reservation_id=item["pk"]["S"],
        event_id=item["sk"]["S"],
        user_id=subject,
        seat_ids=[seat["S"] for seat in item["seat_ids"]["L"]],
        payment_intent_id=payment,
        idempotency_key=f"{item['pk']['S']}:confirm:{order_id}",
    )
    await app.state.commit(request, timeout=5)


@app.post("/v1/reservations/{reservation_id}/confirm")
async def confirm(
    reservation_id: str, body: ConfirmRequest, request: Request, idempotency_key: str = Header()
) -> OrderAnswer:
    subject, now = subject_of(request.headers["authorization"]), instant(datetime.now(UTC))
    item, order_id = await read(reservation_id, subject), f"ord_{uuid.uuid4().hex}"
    asked, payment = body.model_dump_json(), body.payment_intent_id
    guard = {"pk": {"S": f"payment#{payment}"}, "sk": {"S": "payment_guard"}, "reservation_id": item["pk"]}
    await transact(
        [
            move(item, "SET intent_order_id = :order, updated_at = :now", now, order=order_id),
            record(idempotency_key, subject, asked, ""),
            put("orders", guard),
            outbox_row(reservation_id, "Recover Confirm", order_id, now),
        ]
    )
    await sell(item, subject, payment, order_id)
    seat_ids = [seat["S"] for seat in item["seat_ids"]["L"]]
    answer = OrderAnswer(
        order_id=order_id,
        reservation_id=reservation_id,
        status="CONFIRMED",
        total_amount=money(item),
        seat_ids=seat_ids,
    )
    text, sold = answer.model_dump_json(), "SET #status = :sold, updated_at = :now REMOVE intent_order_id"
    row = f"{reservation_id}.Recover Confirm"
    recovery = {"pk": {"S": row}, "sk": {"S": f"reservation#{reservation_id}"}}
    await transact(
        [
            record(idempotency_key, subject, asked, text),
            move(item, sold, now, sold="CONFIRMED"),
            put("orders", order_of(item, order_id, payment, now)),
            outbox_row(reservation_id, "Reservation Status Changed", text, now),
            {"Delete": {"TableName": TABLES["outbox"], "Key": recovery}},
        ]
    )
    return answer


@app.post("/v1/reservations/{reservation_id}/cancel")
async def cancel(
    reservation_id: str, request: Request, idempotency_key: str = Header()
) -> ReservationAnswer:
    subject, now = subject_of(request.headers["authorization"]), instant(datetime.now(UTC))
    item = await read(reservation_id, subject)
    answer = answer_of({**item, "status": {"S": "CANCELLED"}})
    text, ended = answer.model_dump_json(), "SET #status = :ended, updated_at = :now"
    await transact(
        [
            record(idempotency_key, subject, reservation_id, text),
            move(item, ended, now, ended="CANCELLED"),
            outbox_row(reservation_id, "Reservation Status Changed", text, now),
            outbox_row(reservation_id, "Release Hold", text, now),
        ]
    )
    return answer
