import base64
import json
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.support.api import Client, answering, make_api, make_use_cases
from tests.support.clock import FakeClock
from tests.support.runtimes import sqlite_on_disk
from tests.support.venues import venue

from reservation_api.domain.errors import InvalidRequestError
from reservation_api.domain.values import UserId
from reservation_api.entrypoints.http.cursors import ListId, cursor_of, position_of
from reservation_api.entrypoints.http.decoding import decode_query
from reservation_api.entrypoints.http.queries import AvailabilityQuery, PageQuery, ReservationsQuery
from reservation_api.ports.read_model import Page

MINE = ListId("reservations", UserId("user-1"), "HOLD")
LISTS = frozenset({"seat_ids"})
ADMIN = "user-1+reservation:admin"


@pytest.fixture
async def client(tmp_path: Path) -> AsyncIterator[Client]:
    clock = FakeClock()
    async with sqlite_on_disk(tmp_path) as open_process:
        ports = open_process(clock)
        plan = venue({"A": ["...B"], "B": ["...."]})
        first, second = plan.sections
        await ports.load_event(replace(plan, sections=(first, replace(second, section="B 1층"))))
        yield Client(make_api(make_use_cases(ports, clock), clock))


async def order(client: Client, payment: str) -> str:
    held = (await client.post("/v1/reservations", {"event_id": "evt_1", "qty": 1})).json
    path = f"/v1/reservations/{held['reservation_id']}/confirm"
    order_id: str = (await client.post(path, {"payment_intent_id": payment})).json["order_id"]
    return order_id


@given(st.text())
def test_a_cursor_leads_back_to_its_position(after: str) -> None:
    cursor = cursor_of(MINE, after)
    assert position_of(MINE, cursor) == after
    assert cursor.isascii()
    assert not set(cursor) & set("=+/&?")


@pytest.mark.parametrize(
    "other",
    [
        ListId("orders", UserId("user-1"), "HOLD"),
        ListId("reservations", UserId("user-2"), "HOLD"),
        ListId("reservations", UserId("user-1"), ""),
        ListId("reservations", UserId("user-1"), "EXPIRED"),
    ],
)
def test_a_cursor_is_good_for_its_own_list_only(other: ListId) -> None:
    with pytest.raises(InvalidRequestError):
        position_of(other, cursor_of(MINE, "here"))


def test_a_cursor_does_not_name_its_subject() -> None:
    padded = cursor_of(ListId("orders", UserId("kim@example.com")), "x") + "=="
    assert b"kim" not in base64.urlsafe_b64decode(padded)


@given(st.text() | st.binary().map(lambda raw: base64.urlsafe_b64encode(raw).decode().rstrip("=")))
def test_garbage_is_no_cursor(cursor: str) -> None:
    with pytest.raises(InvalidRequestError):
        position_of(MINE, cursor)


@pytest.mark.parametrize("changed", [[], ["reservations"], ["reservations", 1, "HOLD", "x"], {}, "x"])
def test_what_only_looks_like_a_cursor_is_none(changed: object) -> None:
    cursor = base64.urlsafe_b64encode(json.dumps(changed).encode()).decode().rstrip("=")
    with pytest.raises(InvalidRequestError):
        position_of(MINE, cursor)


def test_a_page_has_20_items_unless_asked_otherwise() -> None:
    assert decode_query("", PageQuery).limit == 20
    assert decode_query("limit=1", PageQuery).limit == 1
    assert decode_query("limit=100", PageQuery).limit == 100


@pytest.mark.parametrize(
    "query",
    [
        "limit=0",
        "limit=101",
        "limit=",
        "limit=ten",
        "limit=1&limit=2",
        "limit=%20",
        "limit=1%00",
        "limit",
        "&",
        "cursor=",
        "cursor=" + "x" * 2049,
        "page=2",
        "status=ABANDONED",
        "status=hold",
        "status=",
        "status=HOLD&status=EXPIRED",
        "status=%ff",
        "%ff=1",
    ],
)
def test_a_query_out_of_bounds_is_refused(query: str) -> None:
    with pytest.raises(InvalidRequestError):
        decode_query(query, ReservationsQuery)


@given(st.text(st.characters(min_codepoint=33, max_codepoint=126), max_size=60))
def test_no_query_does_anything_but_be_taken_or_refused(query: str) -> None:
    for query_type in (ReservationsQuery, PageQuery, AvailabilityQuery):
        try:
            decode_query(query, query_type, LISTS)
        except InvalidRequestError as refusal:
            json.dumps(refusal.data).encode()


@pytest.mark.parametrize(
    "query",
    [
        "section=",
        "section=" + "x" * 65,
        "section=a%00",
        "section=a%0A",
        "section=a%7F",
        "section=%FF",
        "seat_ids=",
        "seat_ids=A-1,",
        "seat_ids=A%201",
        "seat_ids=A-1%00",
        "seat_ids=" + ",".join("A" * 101),
        "seat_ids=A-1&seat_ids=A-2",
    ],
)
def test_a_part_of_the_venue_out_of_bounds_is_refused(query: str) -> None:
    with pytest.raises(InvalidRequestError):
        decode_query(query, AvailabilityQuery, LISTS)


async def test_orders_are_listed_to_their_owner_only(client: Client) -> None:
    mine = [await order(client, "pi_1"), await order(client, "pi_2")]
    await order(Client(client.api, "user-2"), "pi_3")
    page = (await client.get("/v1/orders")).json
    assert sorted(item["order_id"] for item in page["items"]) == sorted(mine)
    answer = await client.get(f"/v1/orders/{mine[0]}")
    assert (answer.status, answer.json["payment_intent_id"]) == (200, "pi_1")
    assert (await Client(client.api, "user-2").get(f"/v1/orders/{mine[0]}")).status == 404


async def test_an_administrator_walks_all_orders_of_an_event(client: Client) -> None:
    made = [await order(Client(client.api, f"user-{n}"), f"pi_{n}") for n in range(3)]
    admin = Client(client.api, ADMIN)
    seen, cursor = [], ""
    for _ in made:
        page = (await admin.get(f"/v1/events/evt_1/orders?limit=1{cursor}")).json
        seen += [item["order_id"] for item in page["items"]]
        cursor = f"&cursor={page.get('next_cursor')}"
    assert sorted(seen) == sorted(made)
    assert "next_cursor" not in page


async def test_for_anybody_else_an_events_orders_are_not_there(client: Client) -> None:
    answer = await client.get("/v1/events/evt_1/orders")
    assert (answer.status, answer.code) == (404, "not_found")


async def test_a_cursor_is_good_where_it_came_from_and_nowhere_else() -> None:
    """Over a read model that would take any position: it may not know whose it is."""
    client = Client(make_api(answering(Page([], "position")), FakeClock()), ADMIN)
    lists = ("reservations?", "reservations?status=HOLD&", "reservations?status=EXPIRED&", "orders?")
    paths = [f"/v1/{part}" for part in (*lists, "events/evt_1/orders?", "events/evt_2/orders?")]
    for source in paths:
        cursor = (await client.get(f"{source}limit=1")).json["next_cursor"]
        for path in paths:
            assert (await client.get(f"{path}cursor={cursor}")).status == (200 if path == source else 400)
        client.token = "user-2+reservation:admin"
        assert (await client.get(f"{source}cursor={cursor}")).status == 400
        client.token = ADMIN


async def test_availability_counts_an_event_by_section(client: Client) -> None:
    await order(client, "pi_1")
    await client.post("/v1/reservations", {"event_id": "evt_1", "qty": 1})
    seen = (await client.get("/v1/events/evt_1/availability")).json
    counts = {name: seen[name] for name in ("total", "available", "held", "sold", "blocked")}
    assert counts == {"total": 8, "available": 5, "held": 1, "sold": 1, "blocked": 1}
    assert [section["section"] for section in seen["sections"]] == ["A", "B 1층"]
    assert seen["sections"][0]["min_price"] == {"amount": 120_000, "currency": "KRW"}
    assert "available_seats" not in seen


async def test_availability_lists_the_seats_of_a_section(client: Client) -> None:
    seen = (await client.get("/v1/events/evt_1/availability?section=B%201%EC%B8%B5")).json
    assert (seen["total"], len(seen["available_seats"])) == (4, 4)
    assert seen["available_seats"][0]["section"] == "B 1층"
    assert seen["unavailable_seat_ids"] == []


async def test_availability_tells_which_of_some_seats_are_not_free(client: Client) -> None:
    await client.post("/v1/reservations", {"event_id": "evt_1", "qty": 1, "seat_ids": ["A-1-1"]})
    seen = (await client.get("/v1/events/evt_1/availability?seat_ids=A-1-1,A-1-2,A-1-4,Z")).json
    assert [seat["seat_id"] for seat in seen["available_seats"]] == ["A-1-2"]
    assert seen["unavailable_seat_ids"] == ["A-1-1", "A-1-4", "Z"]


@pytest.mark.parametrize("path", ["evt_2/availability", "evt_1/availability?section=C"])
async def test_an_unknown_event_or_section_is_not_found(client: Client, path: str) -> None:
    assert (await client.get(f"/v1/events/{path}")).status == 404
