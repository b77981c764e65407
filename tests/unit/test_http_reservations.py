from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from tests.support.api import Client, make_api, make_use_cases
from tests.support.clock import FakeClock
from tests.support.runtimes import Ports, sqlite_on_disk
from tests.support.venues import venue

from reservation_api.domain.values import to_iso

TWO_SEATS = {"event_id": "evt_1", "qty": 2, "seat_ids": ["A-1-1", "A-1-2"]}
PAYMENT = {"payment_intent_id": "pi_1"}


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
async def ports(tmp_path: Path, clock: FakeClock) -> AsyncIterator[Ports]:
    async with sqlite_on_disk(tmp_path) as open_process:
        ports = open_process(clock)
        await ports.load_event(venue({"A": ["....."], "B": ["....."]}))
        yield ports


@pytest.fixture
def client(ports: Ports, clock: FakeClock) -> Client:
    return Client(make_api(make_use_cases(ports, clock), clock))


async def hold(client: Client, body: Any = None, **headers: str) -> Any:
    answer = await client.post("/v1/reservations", body or TWO_SEATS, **headers)
    assert answer.status == 201, answer.body
    return answer.json


async def test_a_hold_answers_with_the_reservation_and_where_it_is(client: Client, clock: FakeClock) -> None:
    answer = await client.post("/v1/reservations", TWO_SEATS)
    reservation_id = answer.json["reservation_id"]
    assert answer.status == 201
    assert answer.headers["location"] == f"/v1/reservations/{reservation_id}"
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.json == {
        "reservation_id": reservation_id,
        "event_id": "evt_1",
        "status": "HOLD",
        "qty": 2,
        "seat_ids": ["A-1-1", "A-1-2"],
        "total_amount": {"amount": 240_000, "currency": "KRW"},
        "hold_expires_at": "2026-11-23T12:01:00.000Z",
        "expires_in_seconds": 60,
        "created_at": "2026-11-23T12:00:00.000Z",
    }


async def test_a_reservation_shows_its_seats_and_nothing_that_it_does_not_have(client: Client) -> None:
    held = await hold(client)
    answer = await client.get(f"/v1/reservations/{held['reservation_id']}")
    assert answer.status == 200
    assert answer.json == {
        **held,
        "seats": [
            {
                "seat_id": f"A-1-{number}",
                "section": "A",
                "row": "1",
                "number": str(number),
                "price": {"amount": 120_000, "currency": "KRW"},
            }
            for number in (1, 2)
        ],
        "updated_at": held["created_at"],
        "version": 1,
    }


async def test_seconds_left_are_rounded_up_and_end_at_zero(client: Client, clock: FakeClock) -> None:
    path = f"/v1/reservations/{(await hold(client))['reservation_id']}"
    seen = []
    for step in (0.001, 58.999, 0.999, 0.001, 5):
        clock.advance(step)
        seen.append((await client.get(path)).json["expires_in_seconds"])
    assert seen == [60, 1, 1, 0, 0]


async def test_a_confirm_answers_with_the_order(client: Client) -> None:
    held = await hold(client)
    answer = await client.post(f"/v1/reservations/{held['reservation_id']}/confirm", PAYMENT)
    assert answer.status == 200
    order = answer.json
    assert order == {
        "order_id": order["order_id"],
        "reservation_id": held["reservation_id"],
        "event_id": "evt_1",
        "status": "CONFIRMED",
        "qty": 2,
        "seat_ids": ["A-1-1", "A-1-2"],
        "total_amount": {"amount": 240_000, "currency": "KRW"},
        "payment_intent_id": "pi_1",
        "created_at": "2026-11-23T12:00:00.000Z",
    }
    seen = (await client.get(f"/v1/reservations/{held['reservation_id']}")).json
    assert (seen["status"], seen["version"], seen["expires_in_seconds"]) == ("CONFIRMED", 2, 0)
    assert (seen["order_id"], seen["payment_intent_id"]) == (order["order_id"], "pi_1")


@pytest.mark.parametrize("body", [None, {}])
async def test_a_cancel_answers_with_the_reservation(client: Client, body: Any) -> None:
    held = await hold(client)
    answer = await client.post(f"/v1/reservations/{held['reservation_id']}/cancel", body)
    assert (answer.status, answer.json["status"], answer.json["version"]) == (200, "CANCELLED", 2)


async def test_an_extension_answers_with_the_new_end(client: Client) -> None:
    held = await hold(client)
    answer = await client.post(f"/v1/reservations/{held['reservation_id']}/extend", {"seconds": 30})
    assert (answer.status, answer.json["hold_expires_at"]) == (200, "2026-11-23T12:01:30.000Z")
    assert answer.json["expires_in_seconds"] == 90


async def test_a_replay_has_the_same_status_and_bytes_and_says_so(client: Client, clock: FakeClock) -> None:
    first = await client.post("/v1/reservations", TWO_SEATS, idempotency_key="k")
    clock.advance(7)
    again = await client.post("/v1/reservations", TWO_SEATS, idempotency_key='"k"')
    assert (again.status, again.body) == (first.status, first.body)
    assert again.headers == {**first.headers, "idempotency-replayed": "true"}
    assert "idempotency-replayed" not in first.headers


@pytest.mark.parametrize(
    ("operation", "body"), [("confirm", PAYMENT), ("cancel", {}), ("extend", {"seconds": 9})]
)
async def test_every_command_is_replayed(
    client: Client, clock: FakeClock, operation: str, body: dict[str, Any]
) -> None:
    path = f"/v1/reservations/{(await hold(client))['reservation_id']}/{operation}"
    first = await client.post(path, body, idempotency_key="k")
    clock.advance(3)
    again = await client.post(path, body, idempotency_key="k")
    assert (first.status, again.status, again.body) == (200, 200, first.body)
    assert again.headers["idempotency-replayed"] == "true"


async def test_another_spelling_of_a_body_is_the_same_request(client: Client) -> None:
    first = await client.post("/v1/reservations", {"event_id": "evt_1", "qty": 2}, idempotency_key="k")
    spelled = b'{ "seat_ids": null, "qty": 2,\n "event_id": "\\u0065vt_1" }'
    again = await client.post("/v1/reservations", spelled, idempotency_key="k")
    assert (again.status, again.body) == (201, first.body)


@pytest.mark.parametrize(
    "other",
    [
        {"event_id": "evt_1", "qty": 1},
        {"event_id": "evt_1", "qty": 2, "reservation_token": "t"},
        {"event_id": "evt_1", "qty": 2, "seat_ids": ["A-1-2", "A-1-1"]},
    ],
)
async def test_another_body_under_a_used_key_is_refused(client: Client, other: dict[str, Any]) -> None:
    await hold(client, {"event_id": "evt_1", "qty": 2}, idempotency_key="k")
    answer = await client.post("/v1/reservations", other, idempotency_key="k")
    assert (answer.status, answer.code) == (422, "idempotency_key_reused")


async def test_another_path_under_a_used_key_is_refused(client: Client) -> None:
    one = (await hold(client))["reservation_id"]
    other = (await hold(client, {"event_id": "evt_1", "qty": 1}))["reservation_id"]
    await client.post(f"/v1/reservations/{one}/cancel", idempotency_key="k")
    answer = await client.post(f"/v1/reservations/{other}/cancel", idempotency_key="k")
    assert (answer.status, answer.code) == (422, "idempotency_key_reused")


@pytest.mark.parametrize(
    ("key", "code"), [(None, "idempotency_key_missing"), ("k\x00", "idempotency_key_malformed")]
)
async def test_a_command_needs_a_key(client: Client, key: str | None, code: str) -> None:
    answer = await client.post("/v1/reservations", TWO_SEATS, idempotency_key=key)
    assert (answer.status, answer.code) == (400, code)


async def test_a_refused_body_names_its_faults(client: Client) -> None:
    answer = await client.post("/v1/reservations", {"event_id": "evt_1", "qty": 11})
    assert (answer.status, answer.code) == (400, "invalid_request")
    assert answer.json["errors"] == ["body: Expected `int` <= 10 - at `$.qty`"]


async def test_a_body_of_another_media_type_is_refused(client: Client) -> None:
    answer = await client.post("/v1/reservations", TWO_SEATS, content_type="text/plain")
    assert (answer.status, answer.code) == (415, "unsupported_media_type")


async def test_taken_seats_are_named(client: Client) -> None:
    await hold(client)
    answer = await client.post(
        "/v1/reservations", {"event_id": "evt_1", "qty": 2, "seat_ids": ["A-1-2", "A-1-3"]}
    )
    assert (answer.status, answer.code) == (409, "seats_taken")
    assert answer.json["conflicts"] == ["A-1-2"]


async def test_what_is_left_of_a_sold_out_event_is_told(client: Client) -> None:
    await hold(client, {"event_id": "evt_1", "qty": 8})
    answer = await client.post("/v1/reservations", {"event_id": "evt_1", "qty": 3})
    assert (answer.status, answer.code, answer.json["remaining"]) == (409, "sold_out", 2)


async def test_an_unknown_event_is_not_found(client: Client) -> None:
    answer = await client.post("/v1/reservations", {"event_id": "evt_2", "qty": 1})
    assert (answer.status, answer.code) == (404, "not_found")


async def test_an_ended_hold_is_gone(client: Client, clock: FakeClock) -> None:
    held = await hold(client)
    clock.advance(60)
    answer = await client.post(f"/v1/reservations/{held['reservation_id']}/confirm", PAYMENT)
    assert (answer.status, answer.code) == (410, "hold_expired")
    assert answer.json["hold_expires_at"] == held["hold_expires_at"]


async def test_a_forbidden_move_names_the_state_apart_from_the_http_status(client: Client) -> None:
    held = await hold(client)
    await client.post(f"/v1/reservations/{held['reservation_id']}/cancel")
    answer = await client.post(f"/v1/reservations/{held['reservation_id']}/extend", {"seconds": 5})
    assert (answer.status, answer.code) == (409, "wrong_state")
    assert (answer.json["status"], answer.json["reservation_status"]) == (409, "CANCELLED")


async def test_a_payment_pays_once(client: Client) -> None:
    for status, seat in ((200, "B-1-1"), (409, "B-1-2")):
        held = await hold(client, {"event_id": "evt_1", "qty": 1, "seat_ids": [seat]})
        answer = await client.post(f"/v1/reservations/{held['reservation_id']}/confirm", PAYMENT)
        assert answer.status == status
    assert answer.code == "payment_already_used"


async def test_nobody_sees_or_moves_anothers_reservation(client: Client) -> None:
    path = f"/v1/reservations/{(await hold(client))['reservation_id']}"
    other = Client(client.api, "user-2")
    answers = [
        await other.get(path),
        await other.post(f"{path}/cancel"),
        await other.post(f"{path}/extend", {"seconds": 5}),
        await other.post(f"{path}/confirm", PAYMENT),
    ]
    assert [(answer.status, answer.json["detail"]) for answer in answers] == [
        (404, "no such reservation")
    ] * 4


async def test_two_subjects_may_have_the_same_key(client: Client) -> None:
    body = {"event_id": "evt_1", "qty": 1}
    mine = await hold(client, body, idempotency_key="k")
    theirs = await hold(Client(client.api, "user-2"), body, idempotency_key="k")
    assert mine["reservation_id"] != theirs["reservation_id"]


async def test_a_list_is_walked_page_by_page(client: Client, clock: FakeClock) -> None:
    made = []
    for _ in range(5):
        made.append((await hold(client, {"event_id": "evt_1", "qty": 1}))["reservation_id"])
        clock.advance(1)
    await hold(Client(client.api, "user-2"), {"event_id": "evt_1", "qty": 1})
    seen, cursor = [], ""
    for size in (2, 2, 1):
        page = (await client.get(f"/v1/reservations?limit=2{cursor}")).json
        assert len(page["items"]) == size
        seen += [item["reservation_id"] for item in page["items"]]
        cursor = f"&cursor={page.get('next_cursor')}"
    assert seen == made[::-1]
    assert "next_cursor" not in page


async def test_a_list_is_narrowed_down_by_status(client: Client) -> None:
    kept = (await hold(client))["reservation_id"]
    gone = (await hold(client, {"event_id": "evt_1", "qty": 1}))["reservation_id"]
    await client.post(f"/v1/reservations/{gone}/cancel")
    for status, expected in (("HOLD", [kept]), ("CANCELLED", [gone]), ("EXPIRED", [])):
        page = (await client.get(f"/v1/reservations?status={status}")).json
        assert [item["reservation_id"] for item in page["items"]] == expected


async def test_instants_have_milliseconds_always(client: Client, clock: FakeClock) -> None:
    clock.advance(0.25)
    held = await hold(client)
    assert held["created_at"] == "2026-11-23T12:00:00.250Z" == to_iso(clock.now())
    assert held["hold_expires_at"] == to_iso(clock.now() + timedelta(seconds=60))
