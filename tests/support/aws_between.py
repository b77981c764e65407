"""Stands between AWS clients and a stand-in for AWS: it sees every call, and answers some itself.

with between(ministack.url) as aws:
    aws.answers("PutEvents", refusal("ThrottlingException"))     # the next call; then as before
    aws.answers_always("StartReplay", refusal("AccessDeniedException"))
    aws.loses_answers("DeleteMessageBatch")                      # it is done, and nobody hears of it
    aws.rewrites["ReceiveMessage"] = {"VisibilityTimeout": 0}    # passed on with this instead
    aws.operations()                                             # what was called, in order

Without an upstream it knows only the answers that it was told.
"""

import http.client
import json
from collections import defaultdict, deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Event, Thread
from typing import Any
from urllib.parse import urlsplit

from tests.support.ports import HOST

LONGEST_HOLD_SECONDS = 30.0


@dataclass(frozen=True)
class Reply:
    """What the service itself would answer; an error's name stands in `__type`."""

    status: int
    body: Mapping[str, Any]


def refusal(code: str, message: str = "no", status: int = 400) -> Reply:
    return Reply(status, {"__type": code, "message": message})


@dataclass(frozen=True)
class Call:
    operation: str
    request: Mapping[str, Any]


Answer = Callable[[Mapping[str, Any]], Reply | None]
"""None: ask upstream after all."""


@dataclass
class AwsBetween:
    url: str
    upstream: str | None
    calls: list[Call] = field(default_factory=list)
    next_replies: dict[str, deque[Reply]] = field(default_factory=lambda: defaultdict(deque))
    replies: dict[str, Answer] = field(default_factory=dict)
    rewrites: dict[str, Mapping[str, Any]] = field(default_factory=dict)
    lost: set[str] = field(default_factory=set)
    held: dict[str, Event] = field(default_factory=dict)
    dropped: list[Event] = field(default_factory=list)

    def answers(self, operation: str, *replies: Reply) -> None:
        """Answer the next calls so."""
        self.next_replies[operation].extend(replies)

    def answers_always(self, operation: str, reply: Reply | Answer) -> None:
        """Answer every call so, or by what is in it."""
        self.replies[operation] = reply if callable(reply) else lambda _: reply

    def answers_no_more(self, operation: str) -> None:
        """Pass every call on, as before."""
        self.replies.pop(operation, None)

    def loses_answers(self, operation: str) -> None:
        """Pass calls on, and cut the connection instead of answering."""
        self.lost.add(operation)

    def holds(self, operation: str) -> Event:
        """Keep calls waiting until the event is set; then pass them on."""
        self.held[operation] = Event()
        return self.held[operation]

    def drops_held(self, operation: str) -> None:
        """End the calls that are kept waiting without passing them on, and keep no more of them."""
        self.dropped.append(self.held[operation])
        self.held.pop(operation).set()

    def operations(self) -> list[str]:
        return [call.operation for call in self.calls]

    def requests(self, operation: str) -> list[Mapping[str, Any]]:
        return [call.request for call in self.calls if call.operation == operation]

    def reply_to(self, call: Call) -> Reply | None:
        """None: ask upstream."""
        self.calls.append(call)
        if (held := self.held.get(call.operation)) is not None:
            held.wait(LONGEST_HOLD_SECONDS)
            if held in self.dropped:
                return refusal("Dropped")
        if self.next_replies[call.operation]:
            return self.next_replies[call.operation].popleft()
        always = self.replies.get(call.operation)
        if always is not None:
            return always(call.request)
        return refusal("UnknownOperationException", call.operation) if self.upstream is None else None


@contextmanager
def between(upstream: str | None = None) -> Iterator[AwsBetween]:
    """Stand there until the end of the block."""
    server = ThreadingHTTPServer((HOST, 0), _Handler)
    server.daemon_threads = True
    state = AwsBetween(f"http://{HOST}:{server.server_port}", upstream)
    server.state = state  # type: ignore[attr-defined]
    thread = Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    try:
        yield state
    finally:
        for event in state.held.values():
            event.set()
        server.shutdown()
        thread.join()
        server.server_close()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        state: AwsBetween = self.server.state  # type: ignore[attr-defined]
        body = self.rfile.read(int(self.headers["content-length"]))
        operation = self.headers["x-amz-target"].rpartition(".")[2]
        reply = state.reply_to(Call(operation, json.loads(body)))
        if operation in state.rewrites:
            body = json.dumps({**json.loads(body), **state.rewrites[operation]}).encode()
        if reply is not None:
            status, answer = reply.status, json.dumps(reply.body).encode()
        else:
            status, answer = self._ask(str(state.upstream), body)
        if operation in state.lost:
            self.close_connection = True
            return
        self.send_response_only(status)
        self.send_header("content-type", "application/x-amz-json-1.1")
        self.send_header("content-length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def _ask(self, upstream: str, body: bytes) -> tuple[int, bytes]:
        connection = http.client.HTTPConnection(urlsplit(upstream).netloc, timeout=LONGEST_HOLD_SECONDS)
        try:
            headers = {**dict(self.headers.items()), "content-length": str(len(body))}
            connection.request("POST", "/", body, headers)
            response = connection.getresponse()
            return response.status, response.read()
        finally:
            connection.close()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 (its name in the base class)
        """Be quiet."""
