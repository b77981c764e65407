"""Trace ids, as W3C Trace Context has them."""

import random


def new_trace_id() -> str:
    """Return a random trace id, 32 hexadecimal digits, not all zero; a name, not a secret."""
    return f"{random.getrandbits(128) or 1:032x}"
