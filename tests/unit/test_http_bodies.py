import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.support.api import MemoryHeaders

from reservation_api.domain.errors import InvalidRequestError
from reservation_api.entrypoints.http.decoding import BodyCodec
from reservation_api.entrypoints.http.refusals import UnsupportedMediaTypeError
from reservation_api.entrypoints.http.wire import CancelBody, ConfirmBody, ExtendBody, HoldBody

HOLD = BodyCodec(HoldBody)
CONFIRM = BodyCodec(ConfirmBody)
EXTEND = BodyCodec(ExtendBody)
CANCEL = BodyCodec(CancelBody, empty=CancelBody())
AS_JSON = MemoryHeaders([("content-type", "application/json")])
NO_HEADERS = MemoryHeaders()
GOOD: dict[str, Any] = {"event_id": "evt_1", "qty": 2}


def hold(raw: bytes) -> HoldBody:
    return HOLD.decode(raw, AS_JSON)


def hold_of(**members: Any) -> HoldBody:
    return hold(json.dumps({**GOOD, **members}).encode())


def test_a_hold_names_its_seats_or_leaves_the_choice() -> None:
    assert hold_of(seat_ids=["A-1", "A-2"]).seat_ids == ("A-1", "A-2")
    assert hold_of().seat_ids is None
    assert hold_of(seat_ids=None, reservation_token=None) == hold_of()


@pytest.mark.parametrize(
    "members",
    [
        {"event_id": "x" * 64},
        {"event_id": "A-1_b.c:d"},
        {"qty": 1},
        {"qty": 10},
        {"seat_ids": ["x" * 64, "B"]},
        {"reservation_token": "~" * 4096},
        {"reservation_token": "a b"},
    ],
    ids=lambda members: repr(members)[:40],
)
def test_the_bounds_themselves_are_inside(members: dict[str, Any]) -> None:
    hold_of(**members)


@pytest.mark.parametrize(
    ("members", "fault"),
    [
        ({"event_id": ""}, "event_id"),
        ({"event_id": "x" * 65}, "event_id"),
        ({"event_id": "evt 1"}, "event_id"),
        ({"event_id": "evt\x00"}, "event_id"),
        ({"event_id": "evt\n"}, "event_id"),
        ({"event_id": "évt"}, "event_id"),
        ({"event_id": 1}, "event_id"),
        ({"event_id": None}, "event_id"),
        ({"qty": 0}, "qty"),
        ({"qty": 11}, "qty"),
        ({"qty": -1}, "qty"),
        ({"qty": 1.5}, "qty"),
        ({"qty": "2"}, "qty"),
        ({"qty": True}, "qty"),
        ({"qty": None}, "qty"),
        ({"qty": 10**40}, "qty"),
        ({"seat_ids": []}, "seat_ids"),
        ({"seat_ids": ["A-1"]}, "seat_ids"),
        ({"seat_ids": ["A-1", "A-2", "A-3"]}, "seat_ids"),
        ({"seat_ids": ["A-1", "A-1"]}, "seat_ids"),
        ({"seat_ids": ["A-1", "A-1", "A-2"]}, "seat_ids"),
        ({"seat_ids": ["A-1", "A-2\x00"]}, "seat_ids"),
        ({"seat_ids": ["A-1", ""]}, "seat_ids"),
        ({"seat_ids": ["A-1", None]}, "seat_ids"),
        ({"seat_ids": "A-1"}, "seat_ids"),
        ({"seat_ids": [f"A-{n}" for n in range(11)], "qty": 10}, "seat_ids"),
        ({"reservation_token": ""}, "reservation_token"),
        ({"reservation_token": "x" * 4097}, "reservation_token"),
        ({"reservation_token": "키"}, "reservation_token"),
        ({"reservation_token": "\x00"}, "reservation_token"),
        ({"user_id": "user-2"}, "user_id"),
    ],
    ids=lambda part: repr(part)[:40],
)
def test_what_is_out_of_bounds_is_refused_by_name(members: dict[str, Any], fault: str) -> None:
    with pytest.raises(InvalidRequestError) as refusal:
        hold_of(**members)
    assert fault in refusal.value.data["errors"][0]


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b" ",
        b"null",
        b"[]",
        b'"text"',
        b"{",
        b"{}",
        b'{"event_id":"evt_1","qty":2} more',
        b'{"event_id":"evt_1","qty":NaN}',
        b'{"event_id":"evt_1","qty":Infinity}',
        b'{"event_id":"evt_1","qty":1e400}',
        b'{"event_id":"evt_1","qty":' + b"9" * 10_000 + b"}",
        b'{"event_id":"\xff","qty":2}',
        b'{"\xff":1,"event_id":"evt_1","qty":2}',
        b'{"event_id":"\\ud800","qty":2}',
        b'{"\\ud800":1}',
        b'{"event_id":"a\x00b","qty":2}',
        b'{"event_id":"a\\u0000b","qty":2}',
        b'\xef\xbb\xbf{"event_id":"evt_1","qty":2}',
        b'{"event_id":"evt_1","qty":2,}',
        b"{'event_id':'evt_1','qty':2}",
        b'{"event_id":"evt_1","qty":2,"seat_ids":' + b"[" * 16_000,
        b'{"a":' * 3_000,
        b"[" * 16_000,
        '{"event_id":"evt_1","qty":2}'.encode("utf-16"),
    ],
    ids=lambda raw: repr(raw)[:40],
)
def test_what_is_not_json_or_no_such_object_is_refused(raw: bytes) -> None:
    with pytest.raises(InvalidRequestError):
        hold(raw)


@pytest.mark.parametrize(
    "raw",
    [
        b'{"event_id":"evt_1","qty":2,"qty":3}',
        b'{"event_id":"evt_1","event_id":"evt_1","qty":2}',
        b'{"event_id":"evt_1","qty":2,"reservation_token":"a","reservation_token":"b"}',
        b'{"event_id":"evt_1","qty":1,"seat_ids":["A"],"seat_ids":["B"]}',
        b'{"event_id":"evt_1","qty":1,"seat_ids":null,"seat_ids":["B"]}',
        b'{"event_id":"evt_1","qty":1,"\\u0071ty":2}',
        b'{"event_id":"evt_1","qty":2,"reservation_token":null,"reservation_token":null}',
    ],
)
def test_a_field_given_twice_is_refused(raw: bytes) -> None:
    with pytest.raises(InvalidRequestError) as refusal:
        hold(raw)
    assert "twice" in refusal.value.data["errors"][0]


def test_quotes_and_backslashes_inside_a_text_are_no_repeated_field() -> None:
    token = 'a"b\\c","qty":9'
    assert hold_of(reservation_token=token).reservation_token == token


@given(
    st.fixed_dictionaries(
        {"event_id": st.from_regex(r"[A-Za-z0-9._:-]{1,64}", fullmatch=True), "qty": st.integers(1, 10)},
        optional={
            "seat_ids": st.none(),
            "reservation_token": st.one_of(
                st.none(), st.text(st.characters(min_codepoint=32, max_codepoint=126), min_size=1)
            ),
        },
    ),
    st.sampled_from([{}, {"indent": 1}, {"sort_keys": True, "separators": (",", ":")}]),
)
def test_any_good_body_is_taken_however_it_is_written(members: dict[str, Any], style: dict[str, Any]) -> None:
    body = hold(json.dumps(members, **style).encode())
    assert (body.event_id, body.qty) == (members["event_id"], members["qty"])
    assert body.reservation_token == members.get("reservation_token")


@given(st.binary(max_size=200) | st.text().map(lambda text: json.dumps(text, ensure_ascii=False).encode()))
def test_no_bytes_do_anything_but_be_taken_or_refused(raw: bytes) -> None:
    for codec in (HOLD, CONFIRM, EXTEND, CANCEL):
        try:
            codec.decode(raw, AS_JSON)
        except (InvalidRequestError, UnsupportedMediaTypeError) as refusal:
            json.dumps(refusal.data).encode()


@pytest.mark.parametrize("payment", ["p", "pi_3PqLrs2eZvKYlo2C", "!" * 128])
def test_a_payment_is_named_by_up_to_128_visible_characters(payment: str) -> None:
    assert CONFIRM.decode(json.dumps({"payment_intent_id": payment}).encode(), AS_JSON)


@pytest.mark.parametrize("payment", ["", "a b", "x" * 129, "\x00", "é", "a\n", 5, None])
def test_a_payment_named_otherwise_is_refused(payment: Any) -> None:
    with pytest.raises(InvalidRequestError):
        CONFIRM.decode(json.dumps({"payment_intent_id": payment}).encode(), AS_JSON)


@pytest.mark.parametrize("seconds", [1, 300])
def test_an_extension_is_1_to_300_seconds(seconds: int) -> None:
    assert EXTEND.decode(json.dumps({"seconds": seconds}).encode(), AS_JSON).seconds == seconds


@pytest.mark.parametrize("seconds", [0, 301, -1, 1.5, "60", None])
def test_any_other_extension_is_refused(seconds: Any) -> None:
    with pytest.raises(InvalidRequestError):
        EXTEND.decode(json.dumps({"seconds": seconds}).encode(), AS_JSON)


def test_a_cancel_says_nothing() -> None:
    assert CANCEL.decode(b"", NO_HEADERS) == CancelBody()
    assert CANCEL.decode(b"", AS_JSON) == CancelBody()
    assert CANCEL.decode(b"{}", AS_JSON) == CancelBody()
    with pytest.raises(InvalidRequestError):
        CANCEL.decode(b'{"reason":"rain"}', AS_JSON)


@pytest.mark.parametrize(
    "content_type", ["application/json", "application/json; charset=utf-8", "Application/JSON ;x=y"]
)
def test_json_by_any_spelling_of_its_name_is_taken(content_type: str) -> None:
    headers = MemoryHeaders([("content-type", content_type)])
    assert HOLD.decode(json.dumps(GOOD).encode(), headers).qty == 2


@pytest.mark.parametrize(
    "content_type", [None, "", "text/plain", "application/jsonp", "application/x-www-form-urlencoded"]
)
def test_any_other_media_type_is_refused(content_type: str | None) -> None:
    headers = NO_HEADERS if content_type is None else MemoryHeaders([("content-type", content_type)])
    with pytest.raises(UnsupportedMediaTypeError):
        HOLD.decode(json.dumps(GOOD).encode(), headers)


def test_a_fault_quotes_no_more_than_a_little_of_what_was_sent() -> None:
    with pytest.raises(InvalidRequestError) as refusal:
        hold_of(**{"x" * 10_000: 1})
    assert len(refusal.value.data["errors"][0]) < 300
