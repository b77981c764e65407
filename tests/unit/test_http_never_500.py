"""Whatever a client sends, it is never told that the service failed."""

import asyncio
import json
from collections.abc import Iterator
from contextlib import AbstractAsyncContextManager
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.support.api import Answered, Client, MemoryBody, MemoryHeaders, answer_of, make_api, make_use_cases
from tests.support.clock import FakeClock
from tests.support.runtimes import OpenProcess, sqlite_on_disk
from tests.support.venues import venue

from reservation_api.entrypoints.http.request import Request
from reservation_api.entrypoints.http.routes import OPERATIONS

GOOD_BODIES: tuple[dict[str, Any], ...] = (
    {},
    {"event_id": "evt_1", "qty": 2},
    {"event_id": "evt_1", "qty": 1, "seat_ids": ["A-1-3"], "reservation_token": "t"},
    {"payment_intent_id": "pi_1"},
    {"seconds": 5},
)
TOKENS = ("user-1", "user-2", "user-1+reservation:admin+reservation:ops", "forged")


class Sender:
    """An Api over a real store, to be called from tests that are not coroutines."""

    def __init__(self, runner: asyncio.Runner, client: Client) -> None:
        self._runner = runner
        self._client = client
        self.held = self.ask(
            "POST",
            "/v1/reservations",
            headers=[
                ("authorization", "Bearer user-1"),
                ("idempotency-key", "k"),
                ("content-type", "application/json"),
            ],
            body=b'{"event_id":"evt_1","qty":1}',
        )

    def ask(
        self,
        method: str,
        path: str,
        query: str = "",
        *,
        headers: list[tuple[str, str]],
        body: bytes = b"",
    ) -> Answered:
        request = Request(method, path, query, MemoryHeaders(headers), MemoryBody(body))
        answer = Answered(self._runner.run(answer_of(self._client.api, request)))
        if answer.status >= 400 and "problem" in answer.headers["content-type"]:
            assert answer.json["status"] == answer.status
            assert len(answer.json["trace_id"]) == 32
        return answer


@pytest.fixture(scope="module")
def sender(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sender]:
    runtime = sqlite_on_disk(tmp_path_factory.mktemp("api"))
    with asyncio.Runner() as runner:
        yield Sender(runner, runner.run(open_client(runtime)))
        runner.run(runtime.__aexit__(None, None, None))


async def open_client(runtime: AbstractAsyncContextManager[OpenProcess]) -> Client:
    clock = FakeClock()
    ports = (await runtime.__aenter__())(clock)
    await ports.load_event(venue({"A": ["." * 50]}))
    return Client(make_api(make_use_cases(ports, clock), clock))


def header_lists() -> st.SearchStrategy[list[tuple[str, str]]]:
    name = st.sampled_from(
        ["authorization", "idempotency-key", "content-type", "traceparent", "content-length", "x-odd"]
    )
    value = st.one_of(
        st.text(max_size=80),
        st.sampled_from(
            ["application/json", "Bearer user-1", '"k"', "k", "00-" + "a" * 32 + "-" + "b" * 16 + "-01"]
        ),
    )
    return st.lists(st.tuples(name, value), max_size=8)


def templates() -> st.SearchStrategy[str]:
    parameter = st.one_of(st.text(max_size=70), st.sampled_from(["rsv_1", "ord_1", "evt_1", "APILatency"]))
    return st.builds(
        lambda template, text: (
            template[: template.find("{")] + text + template[template.find("}") + 1 :]
            if "{" in template
            else template
        ),
        st.sampled_from([operation.template for operation in OPERATIONS]),
        parameter,
    )


def json_values() -> st.SearchStrategy[Any]:
    scalar = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20)
    return st.recursive(scalar, lambda part: st.lists(part) | st.dictionaries(st.text(), part), max_leaves=10)


@settings(max_examples=300)
@given(
    method=st.sampled_from(["GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "BREW"]) | st.text(max_size=9),
    path=templates() | st.text(max_size=60).map(lambda text: "/" + text),
    query=st.text(max_size=60),
    headers=header_lists(),
    body=st.binary(max_size=100),
)
def test_no_request_at_all_makes_it_fail(
    sender: Sender, method: str, path: str, query: str, headers: list[tuple[str, str]], body: bytes
) -> None:
    assert sender.ask(method, path, query, headers=headers, body=body).status < 500


@settings(max_examples=300)
@given(
    operation=st.sampled_from([operation for operation in OPERATIONS if operation.is_command]),
    whose=st.sampled_from(["mine", "theirs"]),
    token=st.sampled_from(TOKENS),
    key=st.sampled_from(["k", "l", "m"]) | st.text(min_size=1, max_size=20),
    body=st.fixed_dictionaries(
        {},
        optional={
            "event_id": st.sampled_from(["evt_1", "evt_2"]) | json_values(),
            "qty": st.integers(0, 11) | json_values(),
            "seat_ids": st.lists(st.sampled_from(["A-1-1", "A-1-2", "A-1-3", "Z"])) | json_values(),
            "reservation_token": json_values(),
            "payment_intent_id": st.sampled_from(["pi_1", "pi_2"]) | json_values(),
            "seconds": st.integers(-1, 301) | json_values(),
        },
    )
    | st.sampled_from(GOOD_BODIES)
    | json_values(),
)
def test_no_command_makes_it_fail(
    sender: Sender,
    operation: Any,
    whose: str,
    token: str,
    key: str,
    body: Any,
) -> None:
    reservation_id = sender.held.json["reservation_id"] if whose == "mine" else "rsv_other"
    headers = [
        ("authorization", f"Bearer {token}"),
        ("idempotency-key", key),
        ("content-type", "application/json"),
    ]
    path = operation.template.replace("{reservation_id}", reservation_id)
    assert sender.ask("POST", path, headers=headers, body=json.dumps(body).encode()).status < 500


@settings(max_examples=200)
@given(
    operation=st.sampled_from([operation for operation in OPERATIONS if not operation.is_command]),
    parameter=st.sampled_from(["evt_1", "evt_2", "APILatency"]),
    token=st.sampled_from(TOKENS),
    query=st.lists(
        st.tuples(
            st.sampled_from(["limit", "cursor", "status", "section", "seat_ids", "tag", "odd"]),
            st.sampled_from(["1", "100", "HOLD", "A", "A-1-1,A-1-2", "status:HOLD", "W10", ""])
            | st.text(
                st.characters(min_codepoint=33, max_codepoint=126, exclude_characters="&#"), max_size=20
            ),
        ),
        max_size=3,
    ),
)
def test_no_question_makes_it_fail(
    sender: Sender, operation: Any, parameter: str, token: str, query: list[tuple[str, str]]
) -> None:
    path = operation.template
    if operation.parameter is not None:
        path = path.replace("{" + operation.parameter + "}", parameter)
    text = "&".join(f"{name}={value}" for name, value in query)
    headers = [("authorization", f"Bearer {token}")]
    assert sender.ask("GET", path, text, headers=headers).status < 500
