"""Where log lines go: real pipes, real files, and what becomes of a line that nobody takes."""

import os
import select
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.support.processes import wait_until

from reservation_api.telemetry.line_sink import LineSink, sink_of

Pipe = tuple[int, int]


@pytest.fixture
def pipe() -> Iterator[Pipe]:
    reader, writer = os.pipe()
    yield reader, writer
    for end in (reader, writer):
        try:
            os.close(end)
        except OSError:
            continue


def read_until(reader: int, size: int) -> bytes:
    found = b""
    while len(found) < size:
        found += os.read(reader, 65_536)
    return found


def test_lines_come_out_whole_and_in_order(pipe: Pipe) -> None:
    reader, writer = pipe
    sink = LineSink(writer)
    lines = [f"line {n} {'x' * (n % 700)}\n".encode() for n in range(2_000)] + [b"y" * 10_000 + b"\n"]
    for line in lines:
        sink.write(line)
    assert read_until(reader, sum(map(len, lines))) == b"".join(lines)
    sink.flush(5)
    assert (sink.dropped, sink.waiting_bytes) == (0, 0)


def test_two_sinks_on_one_pipe_do_not_mix_their_lines(pipe: Pipe) -> None:
    reader, writer = pipe
    sinks = {mark: LineSink(writer) for mark in (b"a", b"b")}
    for size in range(1, 1_500):
        for mark, sink in sinks.items():
            sink.write(mark * size + b"\n")
    lines = read_until(reader, 2 * sum(size + 1 for size in range(1, 1_500))).splitlines()
    assert len(lines) == 2 * 1_499
    assert all(len(set(line)) == 1 for line in lines)


def test_a_pipe_that_nobody_reads_stops_nobody_and_costs_bounded_memory(pipe: Pipe) -> None:
    reader, writer = pipe
    bound = 100_000
    sink = LineSink(writer, bound)
    line = b"x" * 99 + b"\n"
    for _ in range(20_000):
        sink.write(line)
        assert sink.waiting_bytes <= bound
    assert sink.dropped >= (20_000 * 100 - bound - 2 * 65_536) // 100
    sink.flush(0.05)  # gives up: nobody reads
    written = 20_000 - sink.dropped
    assert read_until(reader, written * 100) == line * written
    sink.write(b"read again\n")
    assert read_until(reader, 11) == b"read again\n"


def test_a_disk_that_is_full_loses_lines_and_counts_them() -> None:
    with Path("/dev/full").open("wb") as full:
        sink = LineSink(full.fileno())
        for _ in range(50):
            sink.write(b"x\n")
        sink.flush(5)
        assert (sink.dropped, sink.waiting_bytes) == (50, 0)


def test_a_reader_that_has_gone_loses_lines_and_counts_them(pipe: Pipe) -> None:
    reader, writer = pipe
    os.close(reader)
    sink = LineSink(writer)
    sink.write(b"x\n")
    sink.flush(5)
    assert sink.dropped == 1


def test_a_line_that_was_cut_off_does_not_take_the_next_one_with_it(tmp_path: Path) -> None:
    """A file that may not grow beyond a size takes the beginning of a line, then nothing."""
    script = (
        "import os, resource, signal, sys; from reservation_api.telemetry.line_sink import LineSink;"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN);"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (10, resource.RLIM_INFINITY));"
        "sink = LineSink(os.open(sys.argv[1], os.O_WRONLY | os.O_CREAT | os.O_APPEND));"
        "sink.write(b'a line that is long\\n'); sink.flush(5); assert sink.dropped == 1, sink.dropped;"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (100, resource.RLIM_INFINITY));"
        "sink.write(b'next\\n'); sink.flush(5); assert sink.dropped == 1"
    )
    out = tmp_path / "log"
    assert subprocess.run([sys.executable, "-c", script, str(out)], check=False).returncode == 0
    assert out.read_bytes() == b"a line tha\nnext\n"


def test_a_descriptor_that_does_not_wait_is_waited_for(pipe: Pipe) -> None:
    reader, writer = pipe
    os.set_blocking(writer, False)
    sink = LineSink(writer)
    lines = [b"x" * 3_000 + b"\n"] * 100
    for line in lines:
        sink.write(line)
    wait_until(lambda: not select.select([], [writer], [], 0)[1])
    assert read_until(reader, 300_100) == b"".join(lines)
    assert sink.dropped == 0


def test_writing_from_several_threads_in_turn_loses_nothing(pipe: Pipe) -> None:
    reader, writer = pipe
    sink, turn = LineSink(writer), threading.Lock()

    def write() -> None:
        for _ in range(500):
            with turn:
                sink.write(b"x\n")

    threads = [threading.Thread(target=write) for _ in range(4)]
    for thread in threads:
        thread.start()
    assert read_until(reader, 4_000) == b"x\n" * 2_000
    for thread in threads:
        thread.join()


def test_lines_that_come_while_others_are_taken_away_are_not_lost() -> None:
    """Threads take turns as often as Python lets them, and enough waits for a turn to end meanwhile."""
    interval, line, count = sys.getswitchinterval(), b"x" * 299 + b"\n", 100_000
    sys.setswitchinterval(1e-6)
    try:
        sink = LineSink(os.open(os.devnull, os.O_WRONLY), 10 * count * len(line))
        for _ in range(count):
            sink.write(line)
        sink.flush(20)
    finally:
        sys.setswitchinterval(interval)
    assert (sink.dropped, sink.waiting_bytes) == (0, 0)
    assert sink._settled_bytes == count * len(line)


def test_what_is_on_its_way_is_waited_for_too(pipe: Pipe) -> None:
    reader, writer = pipe
    sink, line = LineSink(writer), b"x" * 200_000 + b"\n"
    sink.write(line)
    wait_until(lambda: sink._on_its_way == len(line))
    flushing = threading.Thread(target=sink.flush, args=(20,))
    flushing.start()
    flushing.join(0.05)
    assert flushing.is_alive()
    assert read_until(reader, len(line)) == line
    flushing.join()
    assert sink.waiting_bytes == 0


def test_a_process_without_the_stream_writes_to_nowhere() -> None:
    sink = sink_of(None)
    sink.write(b"x\n")
    sink.flush(5)
    assert (sink.dropped, sink.waiting_bytes) == (0, 0)
