"""The embedded runtime's file: disks that fail, how durable an answer is, and the schema's versions."""

import multiprocessing
import os
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, Final

import pytest

from reservation_api.adapters.sqlite.database import (
    Database,
    migrate,
)
from reservation_api.adapters.sqlite.schema import MIGRATIONS
from reservation_api.domain.errors import StoreUnavailableError

NEWEST: Final = len(MIGRATIONS)
LONGEST_WAIT_SECONDS: Final = 30
"""For threads of a test to meet; they do in no time, or the test fails."""
NOBODY: Final = 65_534

Job = Callable[[sqlite3.Connection], Any]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "reservations.db"


# -- disks ----------------------------------------------------------------------------------------


@contextmanager
def ordinary_user() -> Iterator[None]:
    """Root may write anywhere; for a moment be nobody, if root."""
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(NOBODY)
    try:
        yield
    finally:
        os.seteuid(0)


@pytest.fixture
def public_folder(tmp_path: Path) -> Iterator[Path]:
    """A folder that everybody can enter, and only its owner can write."""
    for folder in (tmp_path, *tmp_path.parents[:2]):
        folder.chmod(0o755)
    yield tmp_path
    tmp_path.chmod(0o755)


def test_a_file_that_can_not_be_written_is_unavailable(public_folder: Path) -> None:
    file = public_folder / "given.db"
    Database(file).close()
    file.chmod(0o444)
    public_folder.chmod(0o555)
    with ordinary_user(), pytest.raises(StoreUnavailableError, match="readonly"):
        Database(file)


def test_a_folder_that_can_not_be_written_is_unavailable(public_folder: Path) -> None:
    public_folder.chmod(0o555)
    with ordinary_user(), pytest.raises(StoreUnavailableError):
        Database(public_folder / "below" / "new.db")


def test_a_path_that_is_no_file_is_unavailable(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for path in (tmp_path, tmp_path / "file" / "below.db"):
        with pytest.raises(StoreUnavailableError):
            Database(path)


@pytest.mark.parametrize("content", [b"no database" * 1000, b"SQLite format 3\0" + b"\xff" * 5000])
def test_a_file_that_is_no_database_is_unavailable_and_left_as_it_is(path: Path, content: bytes) -> None:
    path.write_bytes(content)
    with pytest.raises(StoreUnavailableError, match="can not be used"):
        Database(path)
    assert path.read_bytes() == content


def damage(path: Path, table: str) -> None:
    """Overwrite the pages where a table and its indexes begin."""
    with closing(sqlite3.connect(path)) as connection:
        (size,) = connection.execute("PRAGMA page_size").fetchone()
        where = "SELECT rootpage FROM sqlite_schema WHERE tbl_name = ? AND rootpage > 0"
        pages = [page for (page,) in connection.execute(where, (table,))]
    with path.open("r+b") as file:
        for page in pages:
            file.seek((page - 1) * size)
            file.write(b"\xff" * size)


async def test_a_damaged_table_is_unavailable_to_those_who_meet_it(path: Path) -> None:
    Database(path).close()
    damage(path, "reservations")
    database = Database(path)
    select = "SELECT * FROM reservations WHERE reservation_id = 'rsv_1'"
    with pytest.raises(StoreUnavailableError, match="malformed"):
        database.read_row(select, ())
    with pytest.raises(StoreUnavailableError, match="malformed"):
        await database.read(lambda c: c.execute(select).fetchall())
    with pytest.raises(StoreUnavailableError, match="malformed"):
        await database.write(lambda c: c.execute("DELETE FROM reservations WHERE reservation_id = 'rsv_1'"))
    assert await database.write(lambda c: c.execute("DELETE FROM outbox").rowcount) == 0
    database.close()


@pytest.mark.parametrize(("synchronous", "level"), [("FULL", 2), ("NORMAL", 1)])
async def test_an_answer_means_durable_as_far_as_was_asked(path: Path, synchronous: Any, level: int) -> None:
    database = Database(path, synchronous)
    assert await database.write(lambda c: c.execute("PRAGMA synchronous").fetchone()) == (level,)
    assert database.read_row("PRAGMA journal_mode", ()) == ("wal",)
    database.close()


async def test_the_default_is_the_durable_one(path: Path) -> None:
    database = Database(path)
    assert await database.write(lambda c: c.execute("PRAGMA synchronous").fetchone()) == (2,)
    database.close()


# -- schema ---------------------------------------------------------------------------------------


def version_of(path: Path) -> int:
    with closing(sqlite3.connect(path)) as connection:
        (version,) = connection.execute("PRAGMA user_version").fetchone()
        return int(version)


def schema_of(path: Path) -> list[tuple[str, str]]:
    with closing(sqlite3.connect(path)) as connection:
        return connection.execute("SELECT name, sql FROM sqlite_schema ORDER BY name").fetchall()


def test_an_empty_file_is_brought_to_the_newest_version(path: Path) -> None:
    path.touch()
    Database(path).close()
    assert version_of(path) == NEWEST
    tables = {name for name, _ in schema_of(path)}
    assert {"reservations", "orders", "idempotency", "outbox", "event_log", "inventory_holds"} <= tables


def test_a_file_of_the_newest_version_is_left_as_it_is(path: Path) -> None:
    Database(path).close()
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("INSERT INTO payment_guards VALUES ('pi', 'rsv')")
        connection.commit()
        statements: list[str] = []
        connection.set_trace_callback(statements.append)
        migrate(connection)
    assert statements == ["PRAGMA user_version"]
    Database(path).close()
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("SELECT * FROM payment_guards").fetchall() == [("pi", "rsv")]


def test_a_file_of_a_newer_release_is_refused_and_left_as_it_is(path: Path) -> None:
    Database(path).close()
    with closing(sqlite3.connect(path)) as connection:
        connection.execute(f"PRAGMA user_version = {NEWEST + 1}")
    schema = schema_of(path)
    with pytest.raises(StoreUnavailableError, match=f"version {NEWEST + 1}.*only {NEWEST}"):
        Database(path)
    assert (version_of(path), schema_of(path)) == (NEWEST + 1, schema)


def test_a_migration_that_fails_changes_nothing(path: Path) -> None:
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE outbox (something TEXT)")
    schema = schema_of(path)
    with pytest.raises(StoreUnavailableError, match="already exists"):
        Database(path)
    assert (version_of(path), schema_of(path)) == (0, schema)


class Overtaken(sqlite3.Connection):
    """Has seen the version when another migrates; only then it gets the lock."""

    path: Path
    overtaken = False

    def execute(self, sql: str, parameters: Any = (), /) -> sqlite3.Cursor:
        if sql == "BEGIN IMMEDIATE" and not self.overtaken:
            self.overtaken = True
            with closing(sqlite3.connect(self.path, isolation_level=None)) as other:
                migrate(other)
        return super().execute(sql, parameters)


def test_who_is_overtaken_while_migrating_migrates_no_more(path: Path) -> None:
    with closing(sqlite3.connect(path, isolation_level=None, factory=Overtaken)) as connection:
        connection.path = path
        migrate(connection)
        assert connection.overtaken
    assert version_of(path) == NEWEST


def _open_and_close(path: Path, rounds: int, met: Any, failures: Any) -> None:
    for n in range(rounds):
        met.wait(LONGEST_WAIT_SECONDS)
        try:
            Database(path / f"{n}.db", "NORMAL").close()
        except StoreUnavailableError as error:
            failures.put(str(error))


def test_processes_that_open_a_new_file_at_once_all_can(tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    rounds, crowd = 40, 3
    met, failures = context.Barrier(crowd), context.SimpleQueue()
    processes = [
        context.Process(target=_open_and_close, args=(tmp_path, rounds, met, failures)) for _ in range(crowd)
    ]
    for process in processes:
        process.start()
    for process in processes:
        process.join(LONGEST_WAIT_SECONDS)
    assert [process.exitcode for process in processes] == [0] * crowd
    assert failures.empty()
    assert {version_of(tmp_path / f"{n}.db") for n in range(rounds)} == {NEWEST}
