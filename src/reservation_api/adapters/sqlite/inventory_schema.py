"""The built-in inventory's tables: one database row for each row of seats, and one for each hold."""

INVENTORY_TABLES: tuple[str, ...] = (
    # `plan_digest` tells a plan that is loaded again from another plan for the same event.
    """
    CREATE TABLE inventory_events (
      event_id    TEXT PRIMARY KEY,
      name        TEXT NOT NULL,
      currency    TEXT NOT NULL,
      seats       INTEGER NOT NULL,
      plan_digest TEXT NOT NULL
    ) WITHOUT ROWID
    """,
    # `states` has one letter for each seat of the row, in order: a search for adjacent free seats is a
    # search for text, and a change of several seats one write. `position` orders rows from best to worst.
    # `run_class` is cut at 10, the most seats of one reservation: ten look-ups find the best row.
    """
    CREATE TABLE inventory_rows (
      row_id      INTEGER PRIMARY KEY,
      event_id    TEXT NOT NULL,
      section     TEXT NOT NULL,
      row         TEXT NOT NULL,
      position    INTEGER NOT NULL,
      min_price   INTEGER NOT NULL,
      max_price   INTEGER NOT NULL,
      states      TEXT NOT NULL,
      free        INTEGER NOT NULL,
      longest_run INTEGER NOT NULL,
      run_class   INTEGER AS (min(longest_run, 10)) VIRTUAL
    )
    """,
    "CREATE UNIQUE INDEX inventory_rows_by_event ON inventory_rows (event_id, position)",
    "CREATE INDEX inventory_rows_by_run ON inventory_rows (event_id, run_class DESC, position)",
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
    # ACTIVE means that the letters of these seats are H and are this hold's: whatever ends a hold frees
    # or sells its seats in the same transaction.
    """
    CREATE TABLE inventory_holds (
      reservation_id TEXT PRIMARY KEY,
      event_id       TEXT NOT NULL,
      status         TEXT NOT NULL,
      seats          TEXT NOT NULL,
      expires_at     TEXT NOT NULL,
      seen_keys      TEXT NOT NULL,
      ended_at       TEXT
    ) WITHOUT ROWID
    """,
    """
    CREATE INDEX inventory_holds_due ON inventory_holds (event_id, expires_at) WHERE status = 'ACTIVE'
    """,
    "CREATE INDEX inventory_holds_ended ON inventory_holds (ended_at) WHERE ended_at IS NOT NULL",
)
