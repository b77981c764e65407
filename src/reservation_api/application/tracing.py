"""Trace ids, as W3C Trace Context has them."""

import secrets


def new_trace_id() -> str:
    """Return a random trace id: 32 hexadecimal digits."""
    return secrets.token_hex(16)
