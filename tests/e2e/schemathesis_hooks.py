"""What the generator can not know from the document: which seats there are, and what was sent before.

Only requests that are meant to be good are changed, and only into others that are: what JSON Schema has no
word for would be refused, and rightly. Bad requests stay exactly as they were generated.
"""

import itertools
import json
import os
from pathlib import Path
from typing import Any

import httpx
import schemathesis
from schemathesis import GenerationMode
from schemathesis.core.parameters import ParameterLocation

EVENT = "evt_demo"
SEATS_PER_ROW = 50
TALLY = Path(os.environ["TALLY"])
"""One JSON array a line: phase, operation, status of the answer."""
PROBLEM_FIELDS = {"type", "title", "status", "detail", "code", "trace_id"}
HEADERS_OF_STATUS = {
    201: ["location"],
    401: ["www-authenticate"],
    403: ["www-authenticate"],
    405: ["allow"],
    503: ["retry-after"],
}

_sent: set[str] = set()
_numbers = itertools.count(1)
_tally = TALLY.open("a", buffering=1)


@schemathesis.hook
def before_call(_context: Any, case: Any, _options: Any) -> None:
    """Make a good request good for this store, too."""
    if _is_good(case, ParameterLocation.HEADER) and "Idempotency-Key" in (case.headers or {}):
        case.headers["Idempotency-Key"] = _not_sent_before(case.headers["Idempotency-Key"])
    if _is_good(case, ParameterLocation.BODY) and isinstance(case.body, dict) and not _is_example(case):
        case.body = _good_body(case.body)
    if _is_good(case, ParameterLocation.QUERY) and "cursor" in (case.query or {}):
        _replace_cursor(case)


@schemathesis.hook
def after_call(_context: Any, case: Any, response: Any) -> None:
    """Count, so that the test can tell whether anything worth the name was asked."""
    phase = case.meta.phase.name.value if case.meta else ""
    _tally.write(json.dumps([phase, case.operation.label, response.status_code]) + "\n")


@schemathesis.check
def errors_are_problems(_context: Any, response: Any, case: Any) -> None:
    """RFC 9457, whatever was asked: also where the document describes no answer."""
    if response.status_code >= 400 and case.method != "HEAD":
        assert response.headers["content-type"] == ["application/problem+json"]
        problem = response.json()
        assert problem.keys() >= PROBLEM_FIELDS
        assert problem["status"] == response.status_code


@schemathesis.check
def headers_come_with_their_status(_context: Any, response: Any, _case: Any) -> None:
    """What a client needs besides the body."""
    for name in HEADERS_OF_STATUS.get(response.status_code, []):
        assert response.headers.get(name), f"{response.status_code} without {name}"


def _is_good(case: Any, location: ParameterLocation) -> bool:
    if case.meta is None:
        return False
    mode: GenerationMode = case.meta.components.get(location, case.meta.generation).mode
    return mode.is_positive


def _is_example(case: Any) -> bool:
    """The document's own examples are to work as they are."""
    return bool(case.meta) and case.meta.phase.name.value == "examples"


def _not_sent_before(text: str) -> str:
    """A key that comes again, quoted or bare, means the same request; a payment, the same reservation."""
    if text.strip('"') in _sent:
        return f"fresh-{next(_numbers)}"
    _sent.add(text.strip('"'))
    return text


def _good_body(body: dict[str, Any]) -> dict[str, Any]:
    """JSON Schema takes 2.0 for an integer; this API wants whole numbers without a fraction."""
    good = {name: _without_fraction(value) for name, value in body.items()}
    if "payment_intent_id" in good:
        good["payment_intent_id"] = _not_sent_before(good["payment_intent_id"])
    if "event_id" in good and next(_numbers) % 5:
        good["event_id"] = EVENT
    if good.get("event_id") == EVENT and isinstance(good.get("seat_ids"), list):
        good["seat_ids"] = [_next_seat() for _ in good["seat_ids"]]
    return good


def _without_fraction(value: Any) -> Any:
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _next_seat() -> str:
    row, number = divmod(next(_numbers), SEATS_PER_ROW)
    return f"A-{row % SEATS_PER_ROW + 1}-{number + 1}"


def _replace_cursor(case: Any) -> None:
    """Take the cursor that this very list gives out for a page of one; none if there is no second page."""
    url = case.operation.schema.get_base_url().rstrip("/") + case.formatted_path
    query = {name: value for name, value in case.query.items() if name not in {"cursor", "limit"}}
    headers = {"authorization": os.environ["AUTHORIZATION"]}
    page = httpx.get(url, params={**query, "limit": 1}, headers=headers, trust_env=False).json()
    del case.query["cursor"]
    if "next_cursor" in page:
        case.query["cursor"] = page["next_cursor"]
