"""What is turned away by a look must be what the parser would have read, to the byte."""

from dataclasses import dataclass, field

import httptools
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from tests.support.http_sockets import CHUNKED, get, post

from reservation_api.entrypoints.http.plain import MAX_PLAIN_BYTES, plain_request


@dataclass
class Parsed:
    """What llhttp makes of a packet: the messages that are whole in it."""

    targets: list[bytes] = field(default_factory=list)
    headers: list[tuple[bytes, bytes]] = field(default_factory=list)
    whole: int = 0
    begun: int = 0

    def on_message_begin(self) -> None:
        self.begun += 1
        self.targets.append(b"")

    def on_url(self, url: bytes) -> None:
        self.targets[-1] += url

    def on_header(self, name: bytes, value: bytes) -> None:
        self.headers.append((name.lower(), value))

    def on_message_complete(self) -> None:
        self.whole += 1


def check(packet: bytes) -> bool:
    """Tell whether it is plain, after the parser has agreed."""
    plain = plain_request(packet)
    if plain is None:
        return False
    parsed = Parsed()
    parser = httptools.HttpRequestParser(parsed)
    parser.feed_data(packet)  # raises for what is not HTTP, or asks for another protocol
    assert (parsed.begun, parsed.whole, parsed.targets) == (1, 1, [plain.target])
    assert parser.should_keep_alive()
    assert (parser.get_method().decode(), parser.get_http_version()) == (plain.method, "1.1")
    assert [name for name, _ in parsed.headers].count(b"host") == 1
    for name in (b"host", b"traceparent", b"tracestate"):
        first = next((value for key, value in parsed.headers if key == name), None)
        assert plain.headers.get(name.decode()) == (None if first is None else first.decode().strip())
    return True


COMMAND = (
    "Authorization: Bearer a.b-c_d",
    "Idempotency-Key: k",
    "traceparent: 00-1-2-01",
    "tracestate:  a=b ",
)


@pytest.mark.parametrize(
    "packet",
    [
        pytest.param(get("/v1/orders?limit=5&cursor=a%2Fb", *COMMAND), id="get"),
        pytest.param(post("/v1/reservations", 2, *COMMAND) + b"{}", id="a body"),
        pytest.param(post("/v1/reservations", None, *COMMAND), id="no body"),
        pytest.param(get("/", "Connection: keep-alive"), id="kept by name"),
        pytest.param(get("/", "X-A_1:", "x-b:\ty"), id="values of all kinds"),
        pytest.param(b"GET / HTTP/1.1\r\nHOST: a\r\n\r\n", id="names in capitals"),
    ],
)
def test_what_clients_send_as_a_rule_is_plain(packet: bytes) -> None:
    assert check(packet)


@pytest.mark.parametrize(
    "packet",
    [
        pytest.param(get("/", "Connection: close"), id="the last one"),
        pytest.param(get("/", "Connection: Close"), id="the last one, in capitals"),
        pytest.param(get("/", "Connection: keep-alive, close"), id="the last one, among other words"),
        pytest.param(get("/", "Proxy-Connection: close"), id="the last one, by its old name"),
        pytest.param(get("/", "Connection: Upgrade", "Upgrade: h2c"), id="an upgrade"),
        pytest.param(get("/", "Upgrade: h2c"), id="half an upgrade"),
        pytest.param(post("/", 2, "Expect: 100-continue"), id="it waits to be asked"),
        pytest.param(post("/", 2, "Expect: 100-continue") + b"{}", id="it asks, and does not wait"),
        pytest.param(post("/", None, CHUNKED) + b"0\r\n\r\n", id="chunks"),
        pytest.param(post("/", 2, CHUNKED) + b"{}", id="a length and chunks"),
        pytest.param(post("/", 2, "Content-Length: 2") + b"{}", id="two lengths"),
        pytest.param(post("/", None, "Content-Length: +2") + b"{}", id="a length that is none"),
        pytest.param(post("/", None, "Content-Length : 2") + b"{}", id="a space before the colon"),
        pytest.param(get("/", "X : y"), id="a space before another colon"),
        pytest.param(get("/", "X(y: z"), id="a name that is none"),
        pytest.param(post("/", 3) + b"{}", id="more is coming"),
        pytest.param(post("/", 2) + b"{}G", id="another has begun"),
        pytest.param(post("/", 4) + b"\r\n\r\n", id="a body with lines"),
        pytest.param(get() + get(), id="two"),
        pytest.param(get("/", "X: y", "x: z"), id="a header twice"),
        pytest.param(get("/", ": y"), id="a header without a name"),
        pytest.param(get("/", "X"), id="a header without a value"),
        pytest.param(get()[:-1], id="not whole"),
        pytest.param(get("/", "X: y")[:-2], id="headers that have not ended"),
        pytest.param(b"\r\n" + get(), id="a line before it"),
        pytest.param(b"GET / HTTP/1.1\r\n\r\n", id="no host"),
        pytest.param(b"GET / HTTP/1.1\r\nX: y\r\n\r\n", id="still no host"),
        pytest.param(get("/", "Host: other"), id="two hosts"),
        pytest.param(get("/", "X: y\r\n z"), id="a folded header"),
        pytest.param(get("/", "X: y\nContent-Length: 5"), id="half a line break"),
        pytest.param(get("/", "X: \0"), id="no text"),
        pytest.param(get("/", "X: \u00e9"), id="no ASCII"),
        pytest.param(b"GET / HTTP/1.0\r\nHost: a\r\n\r\n", id="HTTP/1.0"),
        pytest.param(b"HEAD / HTTP/1.1\r\nHost: a\r\n\r\n", id="HEAD"),
        pytest.param(b"PUT / HTTP/1.1\r\nHost: a\r\n\r\n", id="PUT"),
        pytest.param(get("http://other/"), id="the absolute form"),
        pytest.param(get("/", "X: " + "x" * MAX_PLAIN_BYTES), id="too long"),
    ],
)
def test_everything_else_is_left_to_the_parser(packet: bytes) -> None:
    assert plain_request(packet) is None


WORDS = st.sampled_from(
    [
        *(
            b"GET ",
            b"POST ",
            b"HEAD ",
            b"/",
            b"/a?b=%41#c",
            b" HTTP/1.1",
            b" HTTP/1.0",
            b"\r\n",
            b"\n",
            b"\r",
        ),
        *(
            b"Host: a",
            b"host:",
            b"Content-Length: 4",
            b"content-length:4",
            b"Content-Length: 04",
            b"{}",
            b" ",
        ),
        *(b"Transfer-Encoding: chunked", b"transfer-encoding:identity", b"0", b"\t", b",", b"Trailer: x"),
        *(b"Connection: keep-alive", b"connection: close", b"Connection: keep-alive, close", b"TE: trailers"),
        *(b"Proxy-Connection: close", b"Upgrade: h2c", b"Expect: 100-continue", b"Keep-Alive: 5", b"\x80"),
        *(b"traceparent: 00-1", b"X: host: b", b"X:\r\nhost: c", b"Content-Length: 4\r\nContent-Length: 4"),
    ]
)
LINES = st.lists(WORDS, max_size=6).map(b"\r\n".join)
HEADS = st.builds(
    b"%b%b HTTP/1.1\r\nHost: a\r\n%b%b\r\n\r\n%b".__mod__,
    st.tuples(
        st.sampled_from([b"GET ", b"POST "]),
        st.sampled_from([b"/", b"/v1/a?b=c", b"/%00", b"/~a@b:c"]),
        LINES,
        st.sampled_from([b"", b"\r\nX: y"]),
        st.sampled_from([b"", b"{}{}", b"GET ", b"{}"]),
    ),
)


@settings(max_examples=600, deadline=None)
@given(packet=HEADS | st.lists(WORDS, max_size=12).map(b"".join))
@example(packet=post("/", 4) + b"GET ")
def test_whatever_is_taken_for_plain_the_parser_reads_alike(packet: bytes) -> None:
    check(packet)
