"""The trace a request belongs to: W3C Trace Context, `traceparent`."""

from reservation_api.application.tracing import new_trace_id
from reservation_api.ports.request_context import Trace

_HEXADECIMAL = "0123456789abcdef"
_LENGTH = 55
"""Of version 00: `00-{32 digits}-{16 digits}-{2 digits}`; later versions begin the same."""
_NO_TRACE = "0" * 32
_NO_PARENT = "0" * 16
_SAMPLED = 1
"""The one flag of version 00; the others mean nothing yet, and are not passed on."""


def trace_of(traceparent: str | None) -> Trace:
    """Return the caller's trace, or a new one if there is none or it is not valid."""
    if traceparent is not None and _is_valid(traceparent):
        return Trace(traceparent[3:35], is_sampled=bool(int(traceparent[53:55], 16) & _SAMPLED))
    return Trace(new_trace_id())


def _is_valid(text: str) -> bool:
    version, trace_id, parent_id, flags = text[:2], text[3:35], text[36:52], text[53:55]
    digits = version + trace_id + parent_id + flags
    return (
        len(digits) == _LENGTH - 3
        and not digits.strip(_HEXADECIMAL)
        and text[2] == text[35] == text[52] == "-"
        and trace_id != _NO_TRACE
        and parent_id != _NO_PARENT
        and (len(text) == _LENGTH if version == "00" else version != "ff" and text[55:56] in ("", "-"))
    )
