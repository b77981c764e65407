"""One SQLite file: a writer thread that groups commits, and readers beside it.

Many callers, one fsync: the writer takes every job that is waiting, runs them in one transaction and
commits once; each caller is answered only after that commit, so an answer means durable.

    callers   a ─┐   b ─┐ c ─┐        d ─┐
    writer       BEGIN a COMMIT  BEGIN b c COMMIT  BEGIN d COMMIT
"""

import asyncio
import queue
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeVar

from reservation_api.adapters.sqlite.schema import MIGRATIONS
from reservation_api.domain.errors import OverloadedError, StoreUnavailableError

T = TypeVar("T")
Synchronous = Literal["FULL", "NORMAL"]

MAX_WAITING_JOBS = 4096
"""At some 10,000 jobs a second nobody should wait longer than half a second: beyond it, refuse."""
MAX_JOBS_PER_COMMIT = 256
"""Bounds how long the first job of a batch waits for the others."""
BUSY_TIMEOUT_MILLISECONDS = 5_000
"""How long one process waits for another's commit; a batch takes milliseconds."""
WAL_ATTEMPTS = 100
WAL_PAUSE_SECONDS = 0.02
READER_THREADS = 2
CACHED_STATEMENTS = 256
PAGE_CACHE_KIBIBYTES = 65_536


@dataclass(slots=True)
class _Job:
    run: Callable[[sqlite3.Connection], Any]
    loop: asyncio.AbstractEventLoop
    done: "asyncio.Future[Any]"
    put_at: float
    result: Any = None
    error: Exception | None = None


class Database:
    """Opens the file, brings its schema up to date, and runs jobs on it.

    A job is a function of a connection. A write job runs inside a transaction that it must neither
    begin nor end, and may run twice (a batch that fails is repeated job by job), so it changes
    nothing but the database.
    """

    def __init__(
        self, path: Path, synchronous: Synchronous = "FULL", commit_delay_seconds: float = 0.0
    ) -> None:
        """Open or create the file; raises StoreUnavailableError if it can not be used.

        The writer waits `commit_delay_seconds` for more jobs to commit with the first, as PostgreSQL does.
        """
        self._path = path
        self._commit_delay_seconds = commit_delay_seconds
        with _mapped():
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._writer = _connect(path)
            _use_wal(self._writer)
            self._writer.execute(f"PRAGMA synchronous = {synchronous}")
            migrate(self._writer)
            self._reader = _connect(path, read_only=True)
        self._jobs: queue.SimpleQueue[_Job | None] = queue.SimpleQueue()
        self._closed = False
        self._commit_seconds = 0.0
        self.waited_seconds = 0.0
        """How long all jobs so far waited for others, together: in the line, and beside them in a batch.
        Commits do not count: they are the disk's time, and answer many at once however long they take."""
        self._local = threading.local()
        self._readers: list[sqlite3.Connection] = []
        self._pool = ThreadPoolExecutor(READER_THREADS, thread_name_prefix="sqlite-reader")
        self._thread = threading.Thread(target=self._write_forever, name="sqlite-writer", daemon=True)
        self._thread.start()

    async def write(self, job: Callable[[sqlite3.Connection], T]) -> T:
        """Run a job in a write transaction and return its result once that is durable.

        Raises what the job raises (it has then changed nothing), StoreUnavailableError if the file
        can not be written, OverloadedError if too many jobs wait already.
        """
        if self._closed:
            raise StoreUnavailableError("the store is closed")
        if self._jobs.qsize() >= MAX_WAITING_JOBS:
            raise OverloadedError("too many writes are waiting")
        loop = asyncio.get_running_loop()
        done: asyncio.Future[T] = loop.create_future()
        self._jobs.put(_Job(job, loop, done, time.perf_counter()))
        return await done

    async def write_many(self, statement: str, rows: Sequence[tuple[Any, ...]]) -> None:
        """Run a statement once for each row of parameters, all in one job; raises as `write` does."""

        def job(connection: sqlite3.Connection) -> None:
            connection.executemany(statement, rows)

        await self.write(job)

    def read_row(self, query: str, parameters: tuple[Any, ...]) -> tuple[Any, ...] | None:
        """Return the first row of a query by key, in the calling thread.

        Such a read takes some ten microseconds from the page cache; a hop to another thread costs more
        (bench/README.md). Only for the thread that runs the event loop.
        """
        with _mapped():
            row: tuple[Any, ...] | None = self._reader.execute(query, parameters).fetchone()
            return row

    async def read(self, job: Callable[[sqlite3.Connection], T]) -> T:
        """Run a reading job on a connection of its own, beside the event loop and the writer."""
        if self._closed:
            raise StoreUnavailableError("the store is closed")
        return await asyncio.get_running_loop().run_in_executor(self._pool, self._run_reader, job)

    def open_reader(self) -> sqlite3.Connection:
        """Return one more reading connection; the caller closes it. Raises StoreUnavailableError."""
        with _mapped():
            return _connect(self._path, read_only=True)

    def close(self) -> None:
        """Finish the jobs that are waiting, then close the file; may be repeated."""
        if self._closed:
            return
        self._closed = True
        self._jobs.put(None)
        self._thread.join()
        self._pool.shutdown(wait=True)
        for connection in (*self._readers, self._reader, self._writer):
            connection.close()

    def _run_reader(self, job: Callable[[sqlite3.Connection], T]) -> T:
        with _mapped():
            if not hasattr(self._local, "connection"):
                self._local.connection = self.open_reader()
                self._readers.append(self._local.connection)
            return job(self._local.connection)

    def _write_forever(self) -> None:
        while (first := self._jobs.get()) is not None:
            if self._commit_delay_seconds:
                time.sleep(self._commit_delay_seconds)
            batch, last = self._take_waiting(first)
            self._commit_together(batch)
            _answer(batch)
            if last:
                return

    def _take_waiting(self, first: _Job) -> tuple[list[_Job], bool]:
        batch = [first]
        with suppress(queue.Empty):
            while len(batch) < MAX_JOBS_PER_COMMIT:
                job = self._jobs.get_nowait()
                if job is None:
                    return batch, True
                batch.append(job)
        return batch, False

    def _commit_together(self, batch: list[_Job]) -> None:
        try:
            with _mapped():
                self._writer.execute("BEGIN IMMEDIATE")
        except Exception as error:  # noqa: BLE001 (the writer outlives any batch)
            for job in batch:  # who did not get the lock now would wait as long again, one after the other
                job.error = StoreUnavailableError(str(error))
            return
        try:
            self._run_transaction(batch)
        except Exception as error:  # noqa: BLE001 (whatever a job raises is that job's answer)
            if len(batch) == 1:
                batch[0].error = error
                return
            for job in batch:
                self._commit_together([job])

    def _run_transaction(self, batch: list[_Job]) -> None:
        with _mapped():
            try:
                for job in batch:
                    job.result = job.run(self._writer)
                now = time.perf_counter()
                waits = (now - job.put_at - self._commit_seconds for job in batch)
                self.waited_seconds += sum(wait for wait in waits if wait > 0)
                self._writer.execute("COMMIT")
                self._commit_seconds = time.perf_counter() - now
            except BaseException:
                if self._writer.in_transaction:
                    self._writer.execute("ROLLBACK")
                raise


def _use_wal(connection: sqlite3.Connection) -> None:
    """Switch the file to WAL, once in its life; SQLite does not wait for another that is doing the same."""
    for _ in range(WAL_ATTEMPTS):
        try:
            connection.execute("PRAGMA journal_mode = WAL")
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode != sqlite3.SQLITE_BUSY:
                raise
            time.sleep(WAL_PAUSE_SECONDS)
        else:
            return
    connection.execute("PRAGMA journal_mode = WAL")


def migrate(connection: sqlite3.Connection) -> None:
    """Bring the schema to the newest version, one version a transaction.

    Raises StoreUnavailableError if the file was written by a newer release.
    """
    while (version := _schema_version(connection)) < len(MIGRATIONS):
        connection.execute("BEGIN IMMEDIATE")
        try:
            if _schema_version(connection) == version:  # another process may have been first
                for statement in MIGRATIONS[version]:
                    connection.execute(statement)
                connection.execute(f"PRAGMA user_version = {version + 1}")
            connection.execute("COMMIT")
        except BaseException:
            connection.execute("ROLLBACK")
            raise
    if version > len(MIGRATIONS):
        raise StoreUnavailableError(
            f"the database has schema version {version}, this release knows only {len(MIGRATIONS)}"
        )


def _schema_version(connection: sqlite3.Connection) -> int:
    return int(connection.execute("PRAGMA user_version").fetchone()[0])


def _connect(path: Path, *, read_only: bool = False) -> sqlite3.Connection:
    connection = sqlite3.connect(
        path, isolation_level=None, check_same_thread=False, cached_statements=CACHED_STATEMENTS
    )
    connection.execute(f"PRAGMA busy_timeout = {BUSY_TIMEOUT_MILLISECONDS}")
    connection.execute(f"PRAGMA cache_size = -{PAGE_CACHE_KIBIBYTES}")
    if read_only:
        connection.execute("PRAGMA query_only = ON")
    return connection


def _answer(batch: list[_Job]) -> None:
    """Wake the callers; one call into each event loop, however many of its callers wait."""
    loops: dict[asyncio.AbstractEventLoop, list[_Job]] = {}
    for job in batch:
        loops.setdefault(job.loop, []).append(job)
    for loop, jobs in loops.items():
        with suppress(RuntimeError):  # the loop was closed while its callers waited
            loop.call_soon_threadsafe(_resolve, jobs)


def _resolve(jobs: list[_Job]) -> None:
    for job in jobs:
        if job.done.done():  # the caller was cancelled
            continue
        if isinstance(job.error, StopIteration):  # a future takes any error but this
            job.done.set_exception(RuntimeError(repr(job.error)))
        elif job.error is not None:
            job.done.set_exception(job.error)
        else:
            job.done.set_result(job.result)


@contextmanager
def _mapped() -> Iterator[None]:
    try:
        yield
    except (sqlite3.Error, OSError) as error:
        raise StoreUnavailableError(f"the database file can not be used: {error}") from error
