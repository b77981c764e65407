"""The only place that picks adapters: from a Config to a service whose parts are wired.

What only some commands need is imported from its own module: `serve` starts sooner without it.
"""

from reservation_api.adapters.jwt.embedded_issuer import EmbeddedIssuer
from reservation_api.bootstrap.checks import MAX_COUNTED_FAILURES
from reservation_api.bootstrap.database import open_database
from reservation_api.bootstrap.identity import open_issuer
from reservation_api.bootstrap.runtime import PURGE_BATCH_SIZE, Purge
from reservation_api.bootstrap.service import Service, build
from reservation_api.bootstrap.tls import read_authorities, read_key_pair

__all__ = [
    "MAX_COUNTED_FAILURES",
    "PURGE_BATCH_SIZE",
    "EmbeddedIssuer",
    "Purge",
    "Service",
    "build",
    "open_database",
    "open_issuer",
    "read_authorities",
    "read_key_pair",
]
