"""`/v1/orders`, and an event's orders for administrators."""

from msgspec import UNSET

from reservation_api.application.queries import Queries
from reservation_api.domain.order import Order
from reservation_api.domain.values import EventId, OrderId
from reservation_api.entrypoints.http.cursors import ListId, cursor_of, position_of
from reservation_api.entrypoints.http.decoding import decode_query
from reservation_api.entrypoints.http.queries import PageQuery
from reservation_api.entrypoints.http.render import json_response, order_answer
from reservation_api.entrypoints.http.request import Call, Response
from reservation_api.entrypoints.http.wire import OrderList
from reservation_api.ports.read_model import Page


class OrderHandlers:
    """Parse, call one use case, render."""

    def __init__(self, queries: Queries) -> None:
        self._queries = queries

    async def get(self, call: Call) -> Response:
        """GET /v1/orders/{order_id}."""
        order = await self._queries.order(call.caller.subject, OrderId(call.parameter))
        return json_response(order_answer(order))

    async def list(self, call: Call) -> Response:
        """GET /v1/orders."""
        query = decode_query(call.request.query, PageQuery)
        this_list = ListId("orders", call.caller.subject)
        page = await self._queries.orders(call.caller.subject, query.limit, _after(this_list, query))
        return _page(this_list, page)

    async def list_of_event(self, call: Call) -> Response:
        """GET /v1/events/{event_id}/orders."""
        query = decode_query(call.request.query, PageQuery)
        event_id = EventId(call.parameter)
        this_list = ListId("event-orders", call.caller.subject, event_id)
        after = _after(this_list, query)
        page = await self._queries.orders_of_event(call.caller, event_id, query.limit, after)
        return _page(this_list, page)


def _after(this_list: ListId, query: PageQuery) -> str | None:
    return None if query.cursor is UNSET else position_of(this_list, query.cursor)


def _page(this_list: ListId, page: Page[Order]) -> Response:
    items = [order_answer(order) for order in page.items]
    next_cursor = UNSET if page.next is None else cursor_of(this_list, page.next)
    return json_response(OrderList(items, next_cursor))
