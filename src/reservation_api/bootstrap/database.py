"""The embedded runtime's file."""

from reservation_api.adapters.sqlite.database import Database
from reservation_api.config.tree import Config


def open_database(config: Config) -> Database:
    """Open the database file; raises StoreUnavailableError."""
    store = config.store
    return Database(store.database_file, store.synchronous, store.commit_delay_seconds)
