import base64
import hashlib
import re
from html.parser import HTMLParser

import pytest
from tests.support.api import Client, answering, make_api
from tests.support.clock import FakeClock

from reservation_api.entrypoints.http.openapi import openapi_document
from reservation_api.entrypoints.http.routes import OPERATIONS


@pytest.fixture
def client() -> Client:
    return Client(make_api(answering(None), FakeClock()), "")


class Tags(HTMLParser):
    """Collects what a page refers to, and checks that what it opens it closes."""

    VOID = frozenset({"meta"})

    def __init__(self) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.references: set[str] = set()
        self.ids: set[str] = set()
        self._open: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        for name, value in attrs:
            if name in ("href", "src"):
                self.references.add(value or "")
            if name == "id":
                self.ids.add(value or "")
        if tag not in self.VOID:
            self._open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag


async def test_the_document_is_served_as_it_is_generated(client: Client) -> None:
    answer = await client.get("/openapi.json")
    assert (answer.status, answer.headers["content-type"]) == (200, "application/json")
    assert answer.body == openapi_document()


async def test_the_page_shows_every_operation(client: Client) -> None:
    page = (await client.get("/docs")).body.decode()
    parser = Tags()
    parser.feed(page)
    assert {operation.operation_id for operation in OPERATIONS} <= parser.ids
    for operation in OPERATIONS:
        assert operation.template in page


async def test_the_page_needs_nothing_from_elsewhere(client: Client) -> None:
    parser = Tags()
    parser.feed((await client.get("/docs")).body.decode())
    assert not parser.tags & {"script", "link", "img", "iframe", "form"}
    for reference in parser.references:
        assert reference == "/openapi.json" or reference.removeprefix("#") in parser.ids


async def test_the_pages_policy_allows_its_own_style_and_nothing_else(client: Client) -> None:
    answer = await client.get("/docs")
    [style] = re.findall(r"<style>(.*?)</style>", answer.body.decode(), re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    policy = answer.headers["content-security-policy"]
    assert policy.startswith(f"default-src 'none'; style-src 'sha256-{digest}';")
    assert "unsafe" not in policy
    assert 'style="' not in answer.body.decode()
    assert answer.headers["x-content-type-options"] == "nosniff"
