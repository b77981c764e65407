"""`/v1/events/{event_id}/availability`: which seats are free."""

from msgspec import UNSET

from reservation_api.application.queries import Queries
from reservation_api.domain.values import EventId
from reservation_api.entrypoints.http.decoding import decode_query
from reservation_api.entrypoints.http.queries import AvailabilityQuery
from reservation_api.entrypoints.http.render import availability_answer, json_response
from reservation_api.entrypoints.http.request import Call, Response

_LISTS = frozenset({"seat_ids"})


class EventHandlers:
    """Parse, call the queries, render."""

    def __init__(self, queries: Queries) -> None:
        self._queries = queries

    async def availability(self, call: Call) -> Response:
        """GET /v1/events/{event_id}/availability; seats by id only where the query narrows them down."""
        query = decode_query(call.request.query, AvailabilityQuery, _LISTS)
        event_id = EventId(call.parameter)
        section = None if query.section is UNSET else query.section
        seat_ids = () if query.seat_ids is UNSET else query.seat_ids
        status = await self._queries.inventory_status(event_id, section)
        seats = None
        if section is not None or seat_ids:
            seats = await self._queries.available_seats(event_id, seat_ids, section)
        return json_response(availability_answer(status, seats))
