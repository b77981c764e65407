"""Several processes on one port: whoever is asked for metrics answers for all of them.

Each keeps a snapshot of what it stands at in a folder of the parent's, and the parent adds up those of
children that have ended, so that no counter falls:

    child 1   writes 1-4711.live every second, and before each answer
    child 2   writes 2-4712.live, and is killed
    parent    adds it to `ended`, with its name ─── then deletes 2-4712.live
    child 1   reads the *.live of others, then `ended`, and leaves out of the former whom the latter names

The other way round a child could be read in neither, or in both.
"""

import logging
import os
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from time import monotonic
from typing import Final

import msgspec

from reservation_api.telemetry.readings import FamilyReading, merge, what_lasts

SHARE_SECONDS: Final = 1.0
SILENT_SECONDS: Final = 5.0
"""Who has shared nothing for so long has gauges that nobody should believe."""
REMEMBERED_NAMES: Final = 100
"""Of children that have ended: more than can die while one answer is being put together."""
_ENDED: Final = "ended"
_LIVE: Final = ".live"
_IN_MEMORY: Final = Path("/dev/shm")  # noqa: S108 (a folder of our own in it, for us alone)


_log = logging.getLogger(__name__)


class _Snapshot(msgspec.Struct, frozen=True, array_like=True):
    names: list[str]
    """Whose it is."""
    at_seconds: float
    """By the monotonic clock, which processes of a machine share."""
    families: list[FamilyReading]


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(_Snapshot).decode


@contextmanager
def shared_folder() -> Iterator[Path]:
    """Make a folder for a parent and its children; in memory if there is one, since no write waits then."""
    parent = _IN_MEMORY if os.access(_IN_MEMORY, os.W_OK) else None
    folder = Path(tempfile.mkdtemp(prefix="reservation-api-metrics-", dir=parent))
    try:
        yield folder
    finally:
        remove_folder(folder)


def remove_folder(folder: Path) -> None:
    """Delete it; children that still write to it do without."""
    shutil.rmtree(folder, ignore_errors=True)


class FolderOfSiblings:
    """One child's view of the folder."""

    def __init__(self, folder: Path, number: int) -> None:
        """Take the child's number, which its successor will have again."""
        self._folder = folder
        self._name = f"{number}-{os.getpid()}"
        self._is_failing = False

    def share(self, families: Sequence[FamilyReading]) -> None:
        """Show the others what this process stands at; a disk that is full is no reason not to answer."""
        snapshot = _Snapshot([self._name], monotonic(), list(families))
        try:
            _write(self._folder / f"{self._name}{_LIVE}", snapshot)
        except OSError as error:
            if not self._is_failing:
                _log.warning("other processes do not see this one's metrics: %s", error)
            self._is_failing = True
        else:
            self._is_failing = False

    def others(self) -> Sequence[Sequence[FamilyReading]]:
        """Return what the others stand at, those that have ended included."""
        silent_since = monotonic() - SILENT_SECONDS
        live = [_read(path) for path in self._folder.glob(f"*{_LIVE}") if path.stem != self._name]
        ended = _read(self._folder / _ENDED)  # last: see above
        found = [ended.families]
        for snapshot in live:
            if snapshot.names and snapshot.names[0] not in ended.names:
                is_silent = snapshot.at_seconds < silent_since
                found.append(what_lasts(snapshot.families) if is_silent else snapshot.families)
        return found

    def leave(self) -> None:
        """Delete the folder: the parent is gone, and all its children end."""
        self._is_failing = True  # and that nothing can be shown any more is no news
        remove_folder(self._folder)


def keep_what_ended(folder: Path, number: int) -> None:
    """Add what the child of that number stood at to the others that have ended; for the parent alone."""
    for path in folder.glob(f"{number}-*{_LIVE}"):
        child, ended = _read(path), _read(folder / _ENDED)
        names = [*ended.names, *child.names][-REMEMBERED_NAMES:]
        families = merge([ended.families, what_lasts(child.families)])
        _write(folder / _ENDED, _Snapshot(names, monotonic(), families))
        path.unlink(missing_ok=True)


def _read(path: Path) -> _Snapshot:
    """Return a snapshot; an empty one if there is no such file, or not any more."""
    try:
        return _decode(path.read_bytes())
    except FileNotFoundError:
        return _Snapshot([], 0.0, [])


def _write(path: Path, snapshot: _Snapshot) -> None:
    """Replace a file at once: who reads it meanwhile reads the old one."""
    draft = path.with_name(f".{path.name}")
    draft.write_bytes(_encode(snapshot))
    draft.replace(path)
