"""`/openapi.json` and `/docs`: written once, when the first one asks."""

import asyncio
from dataclasses import dataclass

from reservation_api.entrypoints.http.request import Call, HeaderList, Response

_NOSNIFF = ("x-content-type-options", "nosniff")
_CACHEABLE = ("cache-control", "public, max-age=300")


@dataclass(frozen=True, slots=True)
class _Documents:
    openapi: Response
    page: Response


class DocsHandlers:
    """Serves two documents from memory."""

    def __init__(self) -> None:
        self._documents: _Documents | None = None

    async def openapi(self, _call: Call) -> Response:
        """GET /openapi.json."""
        return (await self._written()).openapi

    async def page(self, _call: Call) -> Response:
        """GET /docs."""
        return (await self._written()).page

    async def _written(self) -> _Documents:
        """Return them; those who ask while they are written, in a thread, make the same ones."""
        if self._documents is None:
            self._documents = await asyncio.to_thread(_write)
        return self._documents


def _write() -> _Documents:
    # Most processes are never asked, and all of them start sooner without.
    from reservation_api.entrypoints.http.docs_page import docs_page  # noqa: PLC0415
    from reservation_api.entrypoints.http.openapi import openapi_document  # noqa: PLC0415

    document = openapi_document()
    page = docs_page(document)
    json_headers: HeaderList = [("content-type", "application/json"), _CACHEABLE, _NOSNIFF]
    page_headers: HeaderList = [
        ("content-type", "text/html; charset=utf-8"),
        ("content-security-policy", page.content_security_policy),
        ("referrer-policy", "no-referrer"),
        _CACHEABLE,
        _NOSNIFF,
    ]
    return _Documents(Response(200, json_headers, document), Response(200, page_headers, page.html))
