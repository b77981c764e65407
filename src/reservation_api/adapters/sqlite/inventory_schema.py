"""The built-in inventory's tables: one database row for each row of seats, and one for each hold."""

INVENTORY_TABLES: tuple[str, ...] = (
    """
    CREATE TABLE inventory_events (
      event_id TEXT PRIMARY KEY,
      name     TEXT NOT NULL,
      currency TEXT NOT NULL
    ) WITHOUT ROWID
    """,
    # `states` has one letter for each seat of the row, in order: a search for adjacent free seats is a
    # search for text, and a change of several seats one write. `position` orders rows from best to worst.
    """
    CREATE TABLE inventory_rows (
      row_id      INTEGER PRIMARY KEY,
      event_id    TEXT NOT NULL,
      section     TEXT NOT NULL,
      row         TEXT NOT NULL,
      position    INTEGER NOT NULL,
      states      TEXT NOT NULL,
      free        INTEGER NOT NULL,
      longest_run INTEGER NOT NULL
    )
    """,
    "CREATE UNIQUE INDEX inventory_rows_by_event ON inventory_rows (event_id, position)",
    """
    CREATE TABLE inventory_seats (
      event_id TEXT NOT NULL,
      seat_id  TEXT NOT NULL,
      row_id   INTEGER NOT NULL,
      place    INTEGER NOT NULL,
      number   TEXT NOT NULL,
      price    INTEGER NOT NULL,
      PRIMARY KEY (event_id, seat_id)
    ) WITHOUT ROWID
    """,
    "CREATE UNIQUE INDEX inventory_seats_by_place ON inventory_seats (row_id, place)",
    """
    CREATE TABLE inventory_holds (
      reservation_id TEXT PRIMARY KEY,
      event_id       TEXT NOT NULL,
      status         TEXT NOT NULL,
      seats          TEXT NOT NULL,
      expires_at     TEXT NOT NULL,
      last_key       TEXT NOT NULL
    ) WITHOUT ROWID
    """,
    """
    CREATE INDEX inventory_holds_due ON inventory_holds (event_id, expires_at) WHERE status = 'ACTIVE'
    """,
)
