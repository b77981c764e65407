"""What a foreign collector is told of a few requests, put together again, parent by parent.

a server, a worker, an inventory ──▶ rotel ──▶ what the test looks at
"""

import json
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass

import httpx
import pytest
from tests.support.collector import rotel
from tests.support.durable import look, wait_until_settled
from tests.support.otlp_sink import SentSpan, Sink, sink
from tests.support.ports import HOST, free_port
from tests.support.processes import Running, running, wait_until
from tests.support.shops import inventory_on, is_serving

pytestmark = pytest.mark.e2e

EVENT, INVENTORY = "evt_1", "reservation.v1.InventoryService"
HOLD, CONFIRM, CANCEL = "a" * 32, "b" * 32, "c" * 32
CALLER = "00f067aa0ba902b7"
SUBJECT, KEY, PAYMENT, SEAT_TOKEN = "alice-the-buyer", "key-of-alice", "pi_of_alice", "queue-token-of-alice"


@dataclass
class Told:
    """What happened, and what was told of it."""

    server: Running
    arrived: Sink
    authorization: str
    reservation_id: str

    def tree(self, trace_id: str) -> dict[str, SentSpan]:
        """Return a trace's spans by where they hang, from the caller down: `kind name > kind name`."""
        spans = {span.span_id: span for span in self.arrived.spans(trace_id)}

        def path_of(span: SentSpan) -> str:
            own = f"{span.kind} {span.name}"
            if span.parent_id == CALLER:
                return own
            return f"{path_of(spans[span.parent_id])} > {own}"

        found = {path_of(span): span for span in spans.values()}
        assert len(found) == len(spans), sorted(map(path_of, spans.values()))
        return found


@dataclass
class Buyer:
    """Asks for one subject, within a trace or none."""

    url: str
    bearer: Mapping[str, str]

    def post(self, path: str, body: object, trace_id: str = "", flags: str = "01") -> httpx.Response:
        traceparent = {"traceparent": f"00-{trace_id}-{CALLER}-{flags}"} if trace_id else {}
        headers = {**self.bearer, **traceparent, "Idempotency-Key": f"{KEY}{path}{trace_id}"}
        return httpx.post(self.url + path, json=body, headers=headers, timeout=20, trust_env=False)

    def hold(self, trace_id: str = "") -> str:
        wanted = {"event_id": EVENT, "qty": 2, "reservation_token": SEAT_TOKEN}
        held = self.post("/v1/reservations", wanted, trace_id)
        assert held.status_code == 201
        reservation_id: str = held.json()["reservation_id"]
        return reservation_id


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Told]:
    folder, port = tmp_path_factory.mktemp("traces"), free_port()
    with ExitStack() as stack:
        arrived = stack.enter_context(sink())
        settings = {
            "OTLP_ENDPOINT": stack.enter_context(rotel(arrived)),
            "APP_TRACES_RATIO": "0",
            "APP_DRAIN_SECONDS": "0",
        }
        inventory = stack.enter_context(inventory_on(port, folder / "inventory", settings))
        inventory.command("events", "create", EVENT, "--section", "A:10x5:1000")
        settings["INVENTORY_GRPC_ADDRESS"] = f"{HOST}:{port}"
        data = folder / "service"
        server = stack.enter_context(running(["serve"], settings, data_dir=data))
        worker = stack.enter_context(running(["worker"], settings, data_dir=data))
        buyer = Buyer(server.url, server.bearer(SUBJECT))
        reservation_id = buyer.hold(HOLD)
        wait_until(lambda: bool(look(server.environment).published))  # alone: what comes now is another batch
        another = buyer.hold()
        cancelled = buyer.post(f"/v1/reservations/{reservation_id}/cancel", {}, CANCEL, flags="00")
        assert cancelled.status_code == 200
        assert inventory.stop() == 0
        paid = {"payment_intent_id": PAYMENT}
        assert buyer.post(f"/v1/reservations/{another}/confirm", paid, CONFIRM).status_code == 503
        inventory = stack.enter_context(inventory_on(port, folder / "inventory", settings))
        wait_until(lambda: is_serving(port))
        wait_until_settled(server.environment, 60)
        assert (server.stop(), worker.stop(), inventory.stop()) == (0, 0, 0)
        wait_for_the_last(arrived)
        yield Told(server, arrived, buyer.bearer["Authorization"], reservation_id)


def wait_for_the_last(arrived: Sink) -> None:
    """Wait for what each process tells last: all was sent when it ended, and passes through the collector."""
    last = {
        (HOLD, f"{INVENTORY}/ReserveSeat"),
        (HOLD, "publish Reservation Created"),
        (CONFIRM, "publish Reservation Status Changed"),
        (CONFIRM, "inventory.commit"),
        (CONFIRM, "POST /v1/reservations/{reservation_id}/confirm"),
    }
    wait_until(
        lambda: last <= {(span.trace_id, span.name) for span in arrived.spans()},
        lambda: f"arrived: {[span.name for span in arrived.spans()]}",
    )


REQUEST = "SERVER POST /v1/reservations"
ASK = f"{REQUEST} > CLIENT {INVENTORY}/ReserveSeat"
ANSWER = f"{ASK} > SERVER {INVENTORY}/ReserveSeat"


def test_a_hold_and_its_event_are_one_tree_over_processes(told: Told) -> None:
    tree = told.tree(HOLD)
    assert set(tree) == {
        REQUEST,
        ASK,
        ANSWER,
        f"{ANSWER} > INTERNAL inventory.reserve",
        f"{REQUEST} > CLIENT store.transact",
        f"{REQUEST} > PRODUCER publish Reservation Created",
    }
    assert tree[ANSWER].instance != tree[REQUEST].instance
    assert {tree[path].instance for path in tree if not path.startswith(ANSWER)} == {tree[REQUEST].instance}
    assert not [path for path, span in tree.items() if span.has_failed]


def test_each_span_lies_within_its_parent_but_for_the_event_which_comes_after_the_commit(told: Told) -> None:
    tree = told.tree(HOLD)
    began, ended = tree[REQUEST].window
    for path in (ASK, f"{REQUEST} > CLIENT store.transact"):
        assert began <= tree[path].window[0] < tree[path].window[1] <= ended
    assert tree[ASK].window[1] <= tree[f"{REQUEST} > CLIENT store.transact"].window[0]
    published = tree[f"{REQUEST} > PRODUCER publish Reservation Created"]
    assert tree[f"{REQUEST} > CLIENT store.transact"].window[1] <= published.window[0] < published.window[1]


def test_spans_say_what_they_are_by_the_conventions_names(told: Told) -> None:
    tree = told.tree(HOLD)
    assert tree[REQUEST].attributes == {
        "http.request.method": "POST",
        "http.route": "/v1/reservations",
        "http.response.status_code": 201,
        "url.scheme": "http",
        "reservation.id": told.reservation_id,
    }
    method = {"rpc.system": "grpc", "rpc.service": INVENTORY, "rpc.method": "ReserveSeat"}
    assert tree[ASK].attributes == {**method, "rpc.grpc.status_code": 0}
    assert tree[ANSWER].attributes == method
    assert tree[f"{REQUEST} > CLIENT store.transact"].attributes == {"db.system": "sqlite"}
    assert tree[f"{REQUEST} > PRODUCER publish Reservation Created"].attributes == {
        "messaging.system": "sqlite",
        "messaging.destination.name": "event_log",
        "messaging.operation.name": "publish",
        "messaging.operation.type": "publish",
        "messaging.message.id": f"{told.reservation_id}.1",
        "messaging.batch.message_count": 1,
    }


def test_the_event_names_the_request_that_made_it_and_its_publishing_is_linked_to_it(told: Told) -> None:
    tree = told.tree(HOLD)
    request = tree[REQUEST]
    assert tree[f"{REQUEST} > PRODUCER publish Reservation Created"].links == [(HOLD, request.span_id)]
    details = [json.loads(event.detail) for event in look(told.server.environment).published]
    parents = {detail["id"]: detail.get("traceparent") for detail in details}
    assert parents[f"{told.reservation_id}.1"] == f"00-{HOLD}-{request.span_id}-01"
    assert parents[f"{told.reservation_id}.2"] is None  # of the cancel, which the caller does not record


def test_a_confirm_that_a_worker_finishes_stays_in_its_requests_trace(told: Told) -> None:
    spans = {span.span_id: span for span in told.arrived.spans(CONFIRM)}
    [request] = [span for span in spans.values() if span.parent_id == CALLER]
    assert {span.parent_id for span in spans.values()} <= {CALLER, *spans}  # nothing hangs in the air
    assert request.has_failed
    assert request.attributes["error.type"] == "inventory_unavailable"
    assert request.attributes["http.response.status_code"] == 503
    elsewhere = [span for span in spans.values() if span.instance != request.instance]
    names = {span.name for span in elsewhere if span.parent_id == request.span_id}
    assert {f"{INVENTORY}/CommitReservation", "store.transact", "publish Reservation Status Changed"} <= names


def test_a_call_that_failed_says_how(told: Told) -> None:
    failed = [span for span in told.arrived.spans(CONFIRM) if span.has_failed and span.kind == "CLIENT"]
    assert failed
    for span in failed:
        assert span.name == f"{INVENTORY}/CommitReservation"
        assert span.attributes["error.type"] in {"UNAVAILABLE", "DEADLINE_EXCEEDED"}
        assert span.attributes["rpc.grpc.status_code"] in {4, 14}


def test_nothing_is_told_of_what_the_caller_or_the_lot_leaves_out(told: Told) -> None:
    assert told.arrived.spans(CANCEL) == []  # nor of the hold without a trace, at a ratio of 0
    assert {span.trace_id for span in told.arrived.spans()} == {HOLD, CONFIRM}


def test_no_span_has_a_token_a_key_a_name_or_a_path_as_it_came(told: Told) -> None:
    everything = repr([batch.SerializeToString() for batch in told.arrived.traces])
    assert told.reservation_id in everything
    for secret in (SUBJECT, KEY, PAYMENT, SEAT_TOKEN, told.authorization.removeprefix("Bearer ")):
        assert secret not in everything
    assert f"/v1/reservations/{told.reservation_id}" not in everything
