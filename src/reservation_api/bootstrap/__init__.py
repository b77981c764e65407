"""The only place that picks adapters: from a Config to a service whose parts are wired."""

from reservation_api.adapters.jwt.embedded_issuer import EmbeddedIssuer
from reservation_api.bootstrap.checks import MAX_COUNTED_FAILURES
from reservation_api.bootstrap.embedded import InventoryService, open_database, open_inventory
from reservation_api.bootstrap.identity import open_issuer
from reservation_api.bootstrap.peers import connect_inventory
from reservation_api.bootstrap.runtime import PURGE_BATCH_SIZE, Purge
from reservation_api.bootstrap.service import Service, build
from reservation_api.bootstrap.stand_in import config_on_stand_in, furnish_stand_in
from reservation_api.bootstrap.tls import read_authorities, read_key_pair

__all__ = [
    "MAX_COUNTED_FAILURES",
    "PURGE_BATCH_SIZE",
    "EmbeddedIssuer",
    "InventoryService",
    "Purge",
    "Service",
    "build",
    "config_on_stand_in",
    "connect_inventory",
    "furnish_stand_in",
    "open_database",
    "open_inventory",
    "open_issuer",
    "read_authorities",
    "read_key_pair",
]
