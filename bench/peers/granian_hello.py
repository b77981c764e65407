"""The floor of our HTTP server: an answer that is always the same, without a look at the request."""

HEADERS = [("content-type", "application/json")]
BODY = b'{"reservation_id":"rsv_1"}'


async def app(_, protocol):
    protocol.response_bytes(201, HEADERS, BODY)
