"""Hold processes to a share of a core by a control group: such a server saturates long before its generator.

period   |#####.....|#####.....|#####.....     runs for share x period, then waits for the next
"""

import os
import secrets
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from bench.cpu import pinned_to

PERIOD_MICROSECONDS = 10_000
"""A request that comes when the share is used up waits for the next period: short ones keep waits small."""
REMOVAL_TRIES = 50
REMOVAL_PAUSE_SECONDS = 0.02
"""A group can be removed when the last of its processes has been waited for."""
MOUNTS = Path("/proc/self/mounts")
MEMBERSHIPS = Path("/proc/self/cgroup")
CONTROLLER = "cpu"
PROCS = "cgroup.procs"
PREFIX = "reservation-bench-"


@dataclass(frozen=True, slots=True)
class Place:
    """Where processes run: on this core, and in this control group; None: anywhere, without bounds."""

    core: int | None
    share: float = 1.0
    """Of a core."""
    group: Path | None = None
    home: Path | None = None
    """The group that we came from."""

    @contextmanager
    def entered(self) -> Iterator[None]:
        """Be there for the block; what is started meanwhile stays there."""
        with ExitStack() as stack:
            stack.enter_context(pinned_to(self.core))
            if self.group is not None and self.home is not None:
                stack.callback(_join, self.home)
                _join(self.group)
            yield


@contextmanager
def held_to(share: float, core: int | None) -> Iterator[Place]:
    """Make a place with this share of a core for the block; the whole core where groups can not be made."""
    home = own_group(MOUNTS.read_text(), MEMBERSHIPS.read_text())
    group = None if home is None else make_group(home, share)
    try:
        yield Place(core) if group is None else Place(core, share, group, home)
    finally:
        if group is not None:
            _remove(group)


def own_group(mounts: str, memberships: str) -> Path | None:
    """Find the folder of our own group of the CPU controller, of version 1 if it is mounted, else 2."""
    unified: Path | None = None
    folders = dict(_memberships(memberships))
    for line in mounts.splitlines():
        _, folder, kind, options, *_ = line.split()
        if kind == "cgroup" and CONTROLLER in options.split(","):
            return _inside(folder, folders.get(CONTROLLER))
        if kind == "cgroup2":
            unified = _inside(folder, folders.get(""))
    return unified


def _memberships(text: str) -> Iterator[tuple[str, str]]:
    for line in text.splitlines():
        _, controllers, path = line.split(":", 2)
        for controller in controllers.split(","):
            yield controller, path


def _inside(mount: str, path: str | None) -> Path | None:
    return None if path is None else Path(mount) / path.lstrip("/")


def make_group(home: Path, share: float) -> Path | None:
    """Make a group below our own; None if the system does not let us."""
    group = home / f"{PREFIX}{os.getpid()}-{secrets.token_hex(4)}"
    allowed = round(share * PERIOD_MICROSECONDS)
    try:
        group.mkdir()
    except OSError:
        return None
    try:
        if (home / "cpu.cfs_quota_us").exists() or (group / "cpu.cfs_quota_us").exists():
            (group / "cpu.cfs_period_us").write_text(str(PERIOD_MICROSECONDS))
            (group / "cpu.cfs_quota_us").write_text(str(allowed))
        else:
            with suppress(OSError):  # it may be on already; if not, the next line fails
                (home / "cgroup.subtree_control").write_text("+cpu")
            (group / "cpu.max").write_text(f"{allowed} {PERIOD_MICROSECONDS}")
    except OSError:
        _remove(group)
        return None
    return group


def _join(group: Path) -> None:
    (group / PROCS).write_text(str(os.getpid()))


def _remove(group: Path) -> None:
    for _ in range(REMOVAL_TRIES):
        try:
            group.rmdir()
        except FileNotFoundError:
            return
        except OSError:
            time.sleep(REMOVAL_PAUSE_SECONDS)
        else:
            return


def remove_leftovers() -> None:
    """Remove groups of processes that were killed before they could do so."""
    home = own_group(MOUNTS.read_text(), MEMBERSHIPS.read_text())
    for group in home.glob(f"{PREFIX}*") if home else ():
        maker = group.name.removeprefix(PREFIX).partition("-")[0]
        if not Path("/proc", maker).exists():
            _remove(group)
