"""Lines on their way out of a process: who writes one never waits, whatever reads them.

    who writes ──▶ what waits, bounded ──▶ one thread ──▶ a pipe, a terminal, a file: slow, full or gone

A line that finds no room, or can not be written, is dropped and counted. A process that is killed takes with
it what waits: the lines of a few hundredths of a second, as long as they are being read.
"""

import os
import select
import threading
from io import UnsupportedOperation
from time import monotonic, sleep
from typing import IO, Any, Final

MAX_WAITING_BYTES: Final = 8 * 1024 * 1024
"""A second or two of all that a process has to say, and no more memory than that when nobody reads."""
GATHER_SECONDS: Final = 0.02
"""Lines wait so long for company: a thread that woke for each would cost more than the line."""
PATIENT_TURNS: Final = 50
"""After so many turns without a line the thread sleeps until there is one: to be woken costs who writes."""
LOOK_SECONDS: Final = 0.005
LAST_STANDARD_DESCRIPTOR: Final = 2
CHUNK_BYTES: Final = select.PIPE_BUF
"""What a pipe takes in one piece: lines of several processes do not mix."""


def sink_of(stream: IO[Any] | None) -> "LineSink":
    """Return a sink for stdout or stderr; None, as Python has it, if the process was started without.

    What is no file, as in programs that call us with streams of their own, gets no lines either.
    """
    _keep_standard_descriptors()
    try:
        return LineSink(os.open(os.devnull, os.O_WRONLY) if stream is None else stream.fileno())
    except UnsupportedOperation:
        return LineSink(os.open(os.devnull, os.O_WRONLY))


def _keep_standard_descriptors() -> None:
    """Let no file or socket have the numbers of streams that are closed.

    Whoever writes to stderr would write into it, and libuv ends a process that closes one.
    """
    while (descriptor := os.open(os.devnull, os.O_RDWR)) <= LAST_STANDARD_DESCRIPTOR:
        pass
    os.close(descriptor)


class LineSink:
    """Writes to a file descriptor what any thread gives it."""

    def __init__(self, descriptor: int, max_waiting_bytes: int = MAX_WAITING_BYTES) -> None:
        self._descriptor = descriptor
        self._room = max_waiting_bytes // 2  # for what waits; as much may be on its way
        self._waiting = bytearray()
        """Lines are added in one piece, and taken in one: neither has to wait for a lock."""
        self._on_its_way = 0
        self._settled_bytes = 0
        self._counting = threading.RLock()
        """For numbers that belong together or have several writers; a line that is taken does without."""
        self._refused = self._lost = 0
        self._is_torn = False
        self._is_asleep = True
        self._wake = threading.Event()
        self._thread = threading.Thread(target=self._run, name="lines", daemon=True)
        self._thread.start()

    @property
    def dropped(self) -> int:
        """How many lines nobody will see."""
        return self._refused + self._lost

    @property
    def waiting_bytes(self) -> int:
        """How much is kept until it is written."""
        with self._counting:
            return len(self._waiting) + self._on_its_way

    def write(self, line: bytes) -> None:
        """Take a line, its end included, or drop it; never waits, never raises."""
        waiting = self._waiting
        if len(waiting) + len(line) > self._room:
            with self._counting:
                self._refused += 1
            return
        waiting.extend(line)
        if self._is_asleep:
            self._is_asleep = False  # it takes a moment to wake: whoever is next need not call, too
            self._wake.set()

    def flush(self, seconds: float) -> None:
        """Return when all is written that was taken so far, or when the time is over."""
        with self._counting:
            goal = self._settled_bytes + self._on_its_way + len(self._waiting)
        ends_at = monotonic() + seconds
        self._wake.set()
        while self._settled_bytes < goal and monotonic() < ends_at:
            self._thread.join(LOOK_SECONDS)

    def _run(self) -> None:
        while True:
            if not self._waiting:  # what came before we said that we sleep has woken nobody
                self._wake.wait()
            self._is_asleep = False
            turns_without = 0
            while turns_without < PATIENT_TURNS:
                sleep(GATHER_SECONDS)
                turns_without = 0 if self._waiting else turns_without + 1
                self._write_what_waits()
            self._wake.clear()
            self._is_asleep = True

    def _write_what_waits(self) -> None:
        while self._waiting:
            with self._counting:
                lines = bytes(self._waiting)
                del self._waiting[: len(lines)]
                self._on_its_way = len(lines)
            begin = 0
            while begin < len(lines):
                end = lines.rfind(b"\n", begin, begin + CHUNK_BYTES) + 1 or lines.index(b"\n", begin) + 1
                self._settle(lines[begin:end])
                begin = end

    def _settle(self, chunk: bytes) -> None:
        if not self._is_written(chunk):
            self._lost += chunk.count(b"\n")
        with self._counting:
            self._on_its_way -= len(chunk)
            self._settled_bytes += len(chunk)

    def _is_written(self, chunk: bytes) -> bool:
        # What is left of a line that was cut off must not take the next one with it.
        rest = memoryview(b"\n" + chunk if self._is_torn else chunk)
        size = len(rest)
        try:
            while rest:
                rest = rest[self._write(rest) :]
        except OSError:  # no room on the disk, nobody at the other end, not open at all
            self._is_torn = self._is_torn or len(rest) < size
            return False
        self._is_torn = False
        return True

    def _write(self, some: memoryview) -> int:
        try:
            return os.write(self._descriptor, some)
        except BlockingIOError:  # somebody who shares the descriptor wants it so
            poll = select.poll()
            poll.register(self._descriptor, select.POLLOUT)
            poll.poll()
            return 0
