"""`/openapi.json` and `/docs`: written once, when the process starts."""

from reservation_api.entrypoints.http.docs_page import docs_page
from reservation_api.entrypoints.http.openapi import openapi_document
from reservation_api.entrypoints.http.request import Call, HeaderList, Response

_NOSNIFF = ("x-content-type-options", "nosniff")
_CACHEABLE = ("cache-control", "public, max-age=300")


class DocsHandlers:
    """Serves two documents from memory."""

    def __init__(self) -> None:
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
        self._openapi = Response(200, json_headers, document)
        self._page = Response(200, page_headers, page.html)

    async def openapi(self, _call: Call) -> Response:
        """GET /openapi.json."""
        return self._openapi

    async def page(self, _call: Call) -> Response:
        """GET /docs."""
        return self._page
