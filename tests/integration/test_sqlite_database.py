"""The embedded runtime's writer: group commit, jobs that fail, crowds, full disks, and closing."""

import asyncio
import sqlite3
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, closing, contextmanager
from pathlib import Path
from typing import Any, Final

import pytest

from reservation_api.adapters.sqlite.database import (
    MAX_JOBS_PER_COMMIT,
    MAX_WAITING_JOBS,
    Database,
)
from reservation_api.adapters.sqlite.schema import MIGRATIONS
from reservation_api.domain.errors import OverloadedError, StoreUnavailableError

NEWEST: Final = len(MIGRATIONS)
LONGEST_WAIT_SECONDS: Final = 10
"""For threads of a test to meet; they do in no time, or the test fails."""
NOBODY: Final = 65_534

Job = Callable[[sqlite3.Connection], Any]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "reservations.db"


@pytest.fixture
async def database(path: Path) -> AsyncIterator[Database]:
    database = Database(path)
    await database.write(lambda c: c.execute("CREATE TABLE notes (text TEXT NOT NULL UNIQUE)"))
    yield database
    database.close()


def note(text: str) -> Job:
    return lambda connection: connection.execute("INSERT INTO notes VALUES (?)", (text,)).rowcount


def notes_in(path: Path) -> list[str]:
    """Read what is committed, as another process would."""
    with closing(sqlite3.connect(path)) as connection:
        return [text for (text,) in connection.execute("SELECT text FROM notes ORDER BY rowid")]


class Pause:
    """A job in whose midst the writer stands still."""

    def __init__(self) -> None:
        self._begun = threading.Event()
        self._go_on = threading.Event()

    def __call__(self, _: sqlite3.Connection) -> bool:
        self._begun.set()
        return self._go_on.wait(LONGEST_WAIT_SECONDS)

    async def begun(self) -> None:
        assert await asyncio.to_thread(self._begun.wait, LONGEST_WAIT_SECONDS)

    def end(self) -> None:
        self._go_on.set()


@asynccontextmanager
async def standing_still(database: Database) -> AsyncIterator[None]:
    """Jobs that are written inside wait, and run together when the block ends."""
    pause = Pause()
    pausing = asyncio.create_task(database.write(pause))
    await pause.begun()
    try:
        yield
    finally:
        pause.end()
    assert await pausing


async def waiting(database: Database, *jobs: Job) -> "list[asyncio.Task[Any]]":
    tasks = [asyncio.create_task(database.write(job)) for job in jobs]
    await asyncio.sleep(0)
    return tasks


async def traced(database: Database) -> list[str]:
    """Return a list that grows by each statement of the writer."""
    statements: list[str] = []
    await database.write(lambda c: c.set_trace_callback(statements.append))
    statements.clear()
    return statements


# -- group commit ---------------------------------------------------------------------------------


async def test_jobs_that_wait_together_share_one_commit(database: Database, path: Path) -> None:
    statements = await traced(database)
    texts = [f"note {n}" for n in range(100)]
    async with standing_still(database):
        tasks = await waiting(database, *map(note, texts))
    assert await asyncio.gather(*tasks) == [1] * 100
    assert statements.count("COMMIT") == 2, "one for the pause, one for all that came meanwhile"
    assert notes_in(path) == texts


async def test_a_commit_is_shared_by_so_many_jobs_and_no_more(database: Database) -> None:
    statements = await traced(database)
    async with standing_still(database):
        tasks = await waiting(database, *(note(f"note {n}") for n in range(2 * MAX_JOBS_PER_COMMIT + 1)))
    await asyncio.gather(*tasks)
    assert statements.count("COMMIT") == 1 + 3


async def test_a_job_alone_is_committed_at_once(database: Database) -> None:
    statements = await traced(database)
    for n in range(3):
        await database.write(note(f"note {n}"))
    assert statements.count("COMMIT") == 3


async def test_a_writer_that_may_wait_lets_later_jobs_share_the_commit(
    database: Database, path: Path
) -> None:
    patient = Database(path, "NORMAL", commit_delay_seconds=0.3)
    tasks = []
    for n in range(5):
        tasks += await waiting(patient, note(f"note {n}"))
        await asyncio.to_thread(threading.current_thread)  # the writer has all the time to take it
    assert await patient.write(lambda _: notes_in(path)) == [], "nothing is committed before"
    assert await asyncio.gather(*tasks) == [1] * 5
    patient.close()


async def test_nobody_is_answered_before_the_commit(database: Database, path: Path) -> None:
    pause = Pause()
    async with standing_still(database):
        tasks = await waiting(database, note("early"), pause)
    await pause.begun()
    assert not tasks[0].done()
    assert notes_in(path) == []
    pause.end()
    await asyncio.gather(*tasks)
    assert notes_in(path) == ["early"]


async def test_what_was_answered_is_read_by_every_reader_at_once(database: Database, path: Path) -> None:
    query = "SELECT count(*) FROM notes"
    other = Database(path)
    for n in range(1, 20):
        await database.write(note(f"note {n}"))
        assert database.read_row(query, ()) == (n,)
        assert await database.read(lambda c: c.execute(query).fetchone()) == (n,)
        assert other.read_row(query, ()) == (n,)
        assert await other.read(lambda c: c.execute(query).fetchone()) == (n,)
    other.close()


async def test_readers_do_not_wait_for_the_writer_and_see_nothing_half_done(
    database: Database, path: Path
) -> None:
    pause = Pause()
    async with standing_still(database):
        tasks = await waiting(database, note("half"), pause)
    await pause.begun()
    assert database.read_row("SELECT count(*) FROM notes", ()) == (0,)
    assert await database.read(lambda c: c.execute("SELECT text FROM notes").fetchall()) == []
    pause.end()
    await asyncio.gather(*tasks)


async def test_a_reader_can_not_write(database: Database, path: Path) -> None:
    with pytest.raises(StoreUnavailableError):
        await database.read(note("by a reader"))
    with pytest.raises(StoreUnavailableError):
        database.read_row("INSERT INTO notes VALUES ('by a reader') RETURNING text", ())
    with (
        closing(database.open_reader()) as reader,
        pytest.raises(sqlite3.OperationalError, match="readonly"),
    ):
        note("by a reader")(reader)
    assert notes_in(path) == []


# -- jobs that fail, callers that leave -----------------------------------------------------------


def failing(error: Exception) -> Job:
    def job(connection: sqlite3.Connection) -> None:
        note("of a job that fails")(connection)
        raise error

    return job


async def test_a_failing_job_disturbs_no_other_and_leaves_nothing(database: Database, path: Path) -> None:
    bug = ValueError("bug")
    async with standing_still(database):
        tasks = await waiting(database, note("a"), failing(bug), note("b"), failing(bug), note("c"))
    results = await asyncio.gather(*tasks, return_exceptions=True)
    assert results == [1, bug, 1, bug, 1]
    assert notes_in(path) == ["a", "b", "c"]


async def test_a_statement_that_fails_is_an_unavailable_store_for_its_caller_only(
    database: Database, path: Path
) -> None:
    async with standing_still(database):
        tasks = await waiting(
            database, note("a"), note("a"), lambda c: c.execute("SELECT * FROM nowhere"), note("b")
        )
    first, second, third, fourth = await asyncio.gather(*tasks, return_exceptions=True)
    assert (first, fourth) == (1, 1)
    assert (type(second), type(third)) == (StoreUnavailableError, StoreUnavailableError)
    assert isinstance(third.__cause__, sqlite3.OperationalError)
    assert notes_in(path) == ["a", "b"]


async def test_after_a_failure_alone_the_next_job_runs_as_ever(database: Database, path: Path) -> None:
    with pytest.raises(ValueError, match="bug"):
        await database.write(failing(ValueError("bug")))
    assert await database.write(note("next")) == 1
    assert notes_in(path) == ["next"]


async def test_a_caller_who_leaves_takes_no_other_along_nor_its_job_back(
    database: Database, path: Path
) -> None:
    async with standing_still(database):
        leaves, fails, stays = await waiting(database, note("a"), failing(ValueError("bug")), note("b"))
        leaves.cancel()
        fails.cancel()
        with pytest.raises(asyncio.CancelledError):
            await leaves
    assert await asyncio.wait_for(stays, LONGEST_WAIT_SECONDS) == 1
    assert await database.write(note("c")) == 1
    assert notes_in(path) == ["a", "b", "c"]


async def test_an_event_loop_that_ended_while_it_waited_ends_nothing_else(
    database: Database, path: Path
) -> None:
    async def ask_and_leave() -> None:
        await waiting(database, note("of a loop that ended"))

    async with standing_still(database):
        await asyncio.to_thread(asyncio.run, ask_and_leave())
        tasks = await waiting(database, note("next"))
    assert await asyncio.gather(*tasks) == [1]
    assert notes_in(path) == ["of a loop that ended", "next"]


async def test_callers_of_two_event_loops_are_answered_in_their_own(database: Database) -> None:
    async def ask() -> object:
        return await database.write(note("of the other loop"))

    async with standing_still(database):
        other = asyncio.create_task(asyncio.to_thread(asyncio.run, ask()))
        tasks = await waiting(database, note("of this loop"))
    assert await asyncio.gather(other, *tasks) == [1, 1]


# -- bounds ---------------------------------------------------------------------------------------


async def test_beyond_the_bound_nothing_is_tried(database: Database, path: Path) -> None:
    async with standing_still(database):
        tasks = await waiting(database, *(note(f"note {n}") for n in range(MAX_WAITING_JOBS)))
        with pytest.raises(OverloadedError):
            await database.write(note("one too many"))
    await asyncio.gather(*tasks)
    assert await database.write(note("after the rush")) == 1
    assert len(notes_in(path)) == MAX_WAITING_JOBS + 1
    assert "one too many" not in notes_in(path)


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Another process in the midst of a long write."""
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        yield
        other.execute("ROLLBACK")


async def impatient(database: Database) -> None:
    """Wait a moment for another's write, not seconds; the constant is for real disks."""
    await database.write(lambda c: c.execute("PRAGMA busy_timeout = 10").fetchall())


async def test_a_file_that_another_keeps_locked_is_unavailable_until_it_is_free(
    database: Database, path: Path
) -> None:
    await impatient(database)
    with locked(path):
        with pytest.raises(StoreUnavailableError, match="locked"):
            await database.write(note("kept out"))
        assert database.read_row("SELECT count(*) FROM notes", ()) == (0,)
    assert await database.write(note("let in")) == 1
    assert notes_in(path) == ["let in"]


async def test_two_processes_take_turns(database: Database, path: Path) -> None:
    other = Database(path)
    jobs = [db.write(note(f"{name} {n}")) for n in range(50) for name, db in (("a", database), ("b", other))]
    assert await asyncio.gather(*jobs) == [1] * 100
    assert len(notes_in(path)) == 100
    other.close()


async def test_a_crowd_before_a_locked_file_waits_for_it_once(database: Database, path: Path) -> None:
    await impatient(database)
    statements = await traced(database)
    with locked(path):
        tasks = await waiting(database, *(note(f"note {n}") for n in range(20)))
        results = await asyncio.gather(*tasks, return_exceptions=True)
    assert {type(result) for result in results} == {StoreUnavailableError}
    assert statements.count("BEGIN IMMEDIATE") <= 4, "one for each batch"


def only_room_for(pages: int) -> Job:
    """Let the file grow by so many pages and no further, as a full disk would."""

    def job(connection: sqlite3.Connection) -> None:
        (count,) = connection.execute("PRAGMA page_count").fetchone()
        connection.execute(f"PRAGMA max_page_count = {count + pages}").fetchall()

    return job


async def test_on_a_full_disk_what_fits_is_written_and_what_does_not_is_refused(
    database: Database, path: Path
) -> None:
    await database.write(only_room_for(2))
    async with standing_still(database):
        tasks = await waiting(database, note("small"), note("large" * 20_000), note("small too"))
    small, large, small_too = await asyncio.gather(*tasks, return_exceptions=True)
    assert (small, small_too) == (1, 1)
    assert isinstance(large, StoreUnavailableError)
    assert "full" in str(large)
    assert notes_in(path) == ["small", "small too"]


async def test_the_service_goes_on_when_the_disk_has_room_again(database: Database, path: Path) -> None:
    await database.write(only_room_for(0))
    for _ in range(3):
        with pytest.raises(StoreUnavailableError, match="full"):
            await database.write(note("large" * 20_000))
        assert database.read_row("SELECT count(*) FROM notes", ()) == (0,)
    await database.write(only_room_for(1_000))
    assert await database.write(note("large" * 20_000)) == 1
    assert len(notes_in(path)) == 1


# -- closing --------------------------------------------------------------------------------------


async def test_closing_finishes_the_jobs_that_wait(database: Database, path: Path) -> None:
    async with standing_still(database):
        tasks = await waiting(database, *(note(f"note {n}") for n in range(300)))
        closed = asyncio.create_task(asyncio.to_thread(database.close))
        await asyncio.sleep(0)
    await closed
    assert await asyncio.gather(*tasks) == [1] * 300
    assert len(notes_in(path)) == 300


async def test_a_closed_file_is_unavailable_and_closing_it_again_does_nothing(database: Database) -> None:
    database.close()
    database.close()
    with pytest.raises(StoreUnavailableError):
        await database.write(note("late"))
    with pytest.raises(StoreUnavailableError):
        database.read_row("SELECT 1", ())


async def test_a_closed_file_is_unavailable_to_readers_in_threads_too(database: Database) -> None:
    database.close()
    with pytest.raises(StoreUnavailableError):
        await database.read(lambda c: c.execute("SELECT 1").fetchone())
