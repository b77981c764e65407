"""The one line that each request leaves in the log: its keys are always there, and always the same."""

import msgspec

REQUEST = "request"


class RequestLine(msgspec.Struct, frozen=True, gc=False):
    """What a request was and what became of it: never its token or key, and of persons the subject alone."""

    trace_id: str
    route: str
    """HTTP's method and template, or gRPC's method; empty if there is no such thing."""
    subject: str
    """Empty until the caller has been identified."""
    reservation_id: str | None
    status: int | str
    """HTTP's number, or the name of gRPC's error."""
    milliseconds: float
    code: str | None = None
    """Of the refusal, if it was one."""
    reason: str | None = None
    replayed: bool = False
