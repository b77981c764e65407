"""What HTTP itself refuses, before any use case is asked.

ReservationApiError
├── HttpRefusedError
│   ├── UnauthenticatedError          no token, or one that proves nothing
│   ├── ForbiddenError                the token lacks a scope
│   ├── NoSuchPathError               no route has this path
│   ├── MethodNotAllowedError         the path knows other methods (`allow`)
│   ├── TooManyRequestsError          the subject asks too often
│   ├── PayloadTooLargeError          the body is above its bound
│   ├── UnsupportedMediaTypeError     the body is not JSON by its own account
│   ├── IncompleteBodyError           the connection ended inside the body
│   ├── SlowBodyError                 the body took too long
│   ├── IdempotencyKeyMissingError    a command without a key
│   └── IdempotencyKeyMalformedError  a key that is none
"""

from reservation_api.domain.errors import ReservationApiError


class HttpRefusedError(ReservationApiError):
    """A request refused at the door."""

    code = "http_refused"


class UnauthenticatedError(HttpRefusedError):
    """`invalid` tells a bad token from a missing one."""

    code = "unauthenticated"

    def __init__(self, message: str, *, invalid: bool) -> None:
        super().__init__(message)
        self.invalid = invalid


class ForbiddenError(HttpRefusedError):
    """The caller is known and lacks `scope`."""

    code = "forbidden"

    def __init__(self, message: str, scope: str) -> None:
        super().__init__(message)
        self.scope = scope


class NoSuchPathError(HttpRefusedError):
    """No route has this path."""

    code = "not_found"


class MethodNotAllowedError(HttpRefusedError):
    """`allow` is what the path takes, as the header of that name has it."""

    code = "method_not_allowed"

    def __init__(self, message: str, allow: str) -> None:
        super().__init__(message)
        self.allow = allow


class TooManyRequestsError(HttpRefusedError):
    """A subject's bucket is empty; `retry_after_seconds` says when there will be a token."""

    code = "rate_limited"


class PayloadTooLargeError(HttpRefusedError):
    """The body is longer than MAX_BODY_BYTES."""

    code = "payload_too_large"


class UnsupportedMediaTypeError(HttpRefusedError):
    """Bodies are application/json."""

    code = "unsupported_media_type"


class IncompleteBodyError(HttpRefusedError):
    """The connection ended, or the framing broke, before the body was whole (RFC 9112 section 8)."""

    code = "incomplete_body"


class SlowBodyError(HttpRefusedError):
    """The body did not arrive in time."""

    code = "request_timeout"


class IdempotencyKeyMissingError(HttpRefusedError):
    """A POST without an Idempotency-Key."""

    code = "idempotency_key_missing"


class IdempotencyKeyMalformedError(HttpRefusedError):
    """An Idempotency-Key that is not 1 to 255 printable ASCII characters, quoted or bare."""

    code = "idempotency_key_malformed"
