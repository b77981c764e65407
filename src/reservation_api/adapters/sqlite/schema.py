"""The schema of the database file, by version: migration n brings a file from version n to n + 1.

A migration that has been released is never changed; a new one is appended.
Instants are text, `YYYY-MM-DDTHH:MM:SS.mmmZ`, so that they sort; money is an integer of minor units.
"""

from reservation_api.adapters.sqlite.inventory_schema import INVENTORY_TABLES

_STORE_TABLES = (
    """
    CREATE TABLE reservations (
      reservation_id    TEXT NOT NULL UNIQUE,
      event_id          TEXT NOT NULL,
      user_id           TEXT NOT NULL,
      status            TEXT NOT NULL,
      seats             TEXT NOT NULL,
      total_amount      INTEGER NOT NULL,
      currency          TEXT NOT NULL,
      hold_expires_at   TEXT NOT NULL,
      idempotency_key   TEXT NOT NULL,
      created_at        TEXT NOT NULL,
      updated_at        TEXT NOT NULL,
      version           INTEGER NOT NULL,
      extensions        INTEGER NOT NULL,
      intent_order_id   TEXT,
      intent            TEXT,
      order_id          TEXT,
      payment_intent_id TEXT,
      reservation_token TEXT
    )
    """,
    """
    CREATE INDEX reservations_by_user ON reservations (user_id, status, created_at, reservation_id)
      WHERE status <> 'ABANDONED'
    """,
    """
    CREATE INDEX reservations_due ON reservations (hold_expires_at)
      WHERE status = 'HOLD' AND intent_order_id IS NULL
    """,
    """
    CREATE TABLE orders (
      order_id          TEXT NOT NULL UNIQUE,
      reservation_id    TEXT NOT NULL UNIQUE,
      event_id          TEXT NOT NULL,
      user_id           TEXT NOT NULL,
      seats             TEXT NOT NULL,
      total_amount      INTEGER NOT NULL,
      currency          TEXT NOT NULL,
      status            TEXT NOT NULL,
      payment_intent_id TEXT NOT NULL,
      created_at        TEXT NOT NULL
    )
    """,
    "CREATE INDEX orders_by_user ON orders (user_id, created_at, order_id)",
    "CREATE INDEX orders_by_event ON orders (event_id, created_at, order_id)",
    """
    CREATE TABLE idempotency (
      idempotency_key   TEXT NOT NULL UNIQUE,
      request_hash      TEXT NOT NULL,
      response_snapshot TEXT,
      ttl               INTEGER NOT NULL
    )
    """,
    "CREATE INDEX idempotency_by_ttl ON idempotency (ttl)",
    """
    CREATE TABLE payment_guards (
      payment_intent_id TEXT PRIMARY KEY,
      reservation_id    TEXT NOT NULL
    ) WITHOUT ROWID
    """,
    """
    CREATE TABLE outbox (
      outbox_id      TEXT NOT NULL UNIQUE,
      aggregate_type TEXT NOT NULL,
      aggregate_id   TEXT NOT NULL,
      type           TEXT NOT NULL,
      payload        TEXT NOT NULL,
      status         TEXT NOT NULL,
      attempts       INTEGER NOT NULL,
      next_retry_at  TEXT NOT NULL,
      last_error     TEXT,
      trace_id       TEXT NOT NULL,
      created_at     TEXT NOT NULL,
      updated_at     TEXT NOT NULL
    )
    """,
    "CREATE INDEX outbox_due ON outbox (status, type, next_retry_at)",
    """
    CREATE TABLE event_log (
      seq          INTEGER PRIMARY KEY AUTOINCREMENT,
      id           TEXT NOT NULL UNIQUE,
      source       TEXT NOT NULL,
      detail_type  TEXT NOT NULL,
      detail       TEXT NOT NULL,
      occurred_at  TEXT NOT NULL,
      trace_id     TEXT NOT NULL
    )
    """,
)

MIGRATIONS: tuple[tuple[str, ...], ...] = ((*_STORE_TABLES, *INVENTORY_TABLES),)
