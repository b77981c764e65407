"""Database files for tests that are about something else: each begins as a copy of an empty one.

Making one takes ten times as long, most of it waiting for the disk. New files, and whether they last, are the
matter of tests/integration/test_sqlite_database_file.py, and of every process of tests/e2e.
"""

import tempfile
from functools import cache
from pathlib import Path

from reservation_api.adapters.sqlite.database import Database


def opened_database(path: Path) -> Database:
    """Open a file; one that is not there is empty, its schema the newest."""
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(_empty_file())
    return Database(path, "NORMAL")


@cache
def _empty_file() -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "empty.db")
        Database(path, "NORMAL").close()
        return path.read_bytes()
