"""CPU time of a process and its descendants, from /proc (proc(5)); Linux only."""

import os
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

PROC = Path("/proc")
TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")
"""The kernel counts in these: a measurement should last some hundred of them."""


@dataclass(frozen=True, slots=True)
class CpuTime:
    """Seconds in user space and in the kernel."""

    user: float
    system: float

    @property
    def total(self) -> float:
        """Return both together, in seconds."""
        return self.user + self.system

    def __add__(self, other: "CpuTime") -> "CpuTime":
        return CpuTime(self.user + other.user, self.system + other.system)

    def __sub__(self, other: "CpuTime") -> "CpuTime":
        return CpuTime(self.user - other.user, self.system - other.system)


@dataclass(frozen=True, slots=True)
class _Stat:
    parent: int
    own: CpuTime
    """All threads of the process, those that have ended among them."""
    reaped: CpuTime
    """Children that have ended and were waited for."""


def tree_cpu(root: int) -> CpuTime:
    """Sum over the process and its descendants, ended children included; ProcessLookupError without it."""
    stats = _all_stats()
    if root not in stats:
        raise ProcessLookupError(f"there is no process {root}")
    total = CpuTime(0.0, 0.0)
    for pid in _descendants(root, stats):
        total = total + stats[pid].own + stats[pid].reaped
    return total


def thread_cpu(root: int) -> dict[int, CpuTime]:
    """Return CPU time by thread id for the process and its descendants: living threads only."""
    threads: dict[int, CpuTime] = {}
    for pid in _descendants(root, _all_stats()):
        for task, stat in _read_stats(PROC / str(pid) / "task"):
            threads[task] = stat.own
    return threads


def descendants(root: int) -> list[int]:
    """Return the process and those below it, itself first."""
    return _descendants(root, _all_stats())


def memory(pid: int) -> tuple[int, int]:
    """Return bytes in memory: all, and with shared pages divided among those who share them."""
    sizes = {}
    for line in (PROC / str(pid) / "smaps_rollup").read_text().splitlines()[1:]:
        name, _, rest = line.partition(":")
        sizes[name] = int(rest.split()[0]) * 1024
    return sizes["Rss"], sizes["Pss"]


@dataclass(frozen=True, slots=True)
class CoreTime:
    """Seconds since boot."""

    busy: float
    stolen: float
    """Given to other guests of the host by its hypervisor."""


def core_time(core: int | None) -> CoreTime:
    """Read one core's time, or that of all cores together for None."""
    wanted = "cpu" if core is None else f"cpu{core}"
    for line in (PROC / "stat").read_text().splitlines():
        name, *fields = line.split()
        if name == wanted:
            user, nice, system, _idle, _iowait, irq, softirq, steal = (int(field) for field in fields[:8])
            return CoreTime(
                (user + nice + system + irq + softirq) / TICKS_PER_SECOND, steal / TICKS_PER_SECOND
            )
    raise ProcessLookupError(f"there is no core {core}")


def _all_stats() -> dict[int, _Stat]:
    return dict(_read_stats(PROC))


def _read_stats(folder: Path) -> Iterator[tuple[int, _Stat]]:
    with suppress(FileNotFoundError):  # what ends while we look is gone
        for entry in folder.iterdir():
            if entry.name.isdigit():
                with suppress(FileNotFoundError, ProcessLookupError):
                    yield int(entry.name), _parse_stat((entry / "stat").read_text())


def _parse_stat(text: str) -> _Stat:
    fields = text.rpartition(")")[2].split()  # the name before it may hold anything, brackets among it
    user, system, reaped_user, reaped_system = (int(ticks) / TICKS_PER_SECOND for ticks in fields[11:15])
    return _Stat(int(fields[1]), CpuTime(user, system), CpuTime(reaped_user, reaped_system))


def _descendants(root: int, stats: dict[int, _Stat]) -> list[int]:
    children = defaultdict(list)
    for pid, stat in stats.items():
        children[stat.parent].append(pid)
    found = [root]
    for pid in found:
        found.extend(children[pid])
    return [pid for pid in found if pid in stats]


@dataclass(frozen=True, slots=True)
class Pins:
    """Which core is whose; None with a single core, where there is nothing to choose."""

    server: int | None
    generator: int | None


def choose_pins() -> Pins:
    """Give the server the first core that we may use, and the generator the second."""
    cores = sorted(os.sched_getaffinity(0))
    return Pins(cores[0], cores[1]) if len(cores) > 1 else Pins(None, None)


@contextmanager
def pinned_to(core: int | None) -> Iterator[None]:
    """Run the block, and what it starts, on one core."""
    before = os.sched_getaffinity(0)
    if core is not None:
        os.sched_setaffinity(0, {core})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)
