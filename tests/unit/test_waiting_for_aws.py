"""Waits for replays and backups: looked at now and then, and not for ever."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Final, cast

import pytest
from tests.support.examples import START

from reservation_api.application.back_up import TableBackup, back_up_tables
from reservation_api.application.patience import POLL_SECONDS, Patience
from reservation_api.application.replay import replay_events
from reservation_api.ports.operations import (
    Archive,
    Backups,
    BackupState,
    EventArchive,
    OperationFailedError,
    Replay,
    ReplayProgress,
    ReplayState,
)

REPLAY: Final = Replay("r", Archive("archive", "bus", 3), START, START)
TABLES: Final = ("a", "b")


class Pauses(list[float]):
    """Takes no time, and counts it."""

    def patience(self, minutes: float) -> Patience:
        return Patience(self.append, minutes * 60)


class ScriptedArchive:
    """Goes through these states, and stays in the last one."""

    def __init__(self, *states: ReplayState) -> None:
        self._states = list(states)
        self.started: list[Replay] = []

    def start(self, replay: Replay) -> None:
        self.started.append(replay)

    def progress(self, name: str) -> ReplayProgress:
        assert name == REPLAY.name
        return ReplayProgress(self._states.pop(0) if len(self._states) > 1 else self._states[0])


class ScriptedBackups:
    """Goes through these states for each table, and stays in the last one."""

    def __init__(self, *states: BackupState | OperationFailedError) -> None:
        self._states = states
        self.looks: dict[str, int] = {}

    def create(self, table: str, name: str) -> str:
        return f"{table}/{name}"

    def state(self, arn: str) -> BackupState:
        look = self.looks.get(arn, 0)
        self.looks[arn] = look + 1
        state = self._states[min(look, len(self._states) - 1)]
        if isinstance(state, OperationFailedError):
            raise state
        return state


def replayed(archive: ScriptedArchive, patience: Patience) -> tuple[ReplayProgress, list[ReplayState]]:
    shown: list[ReplayState] = []
    end = replay_events(
        cast("EventArchive", archive), REPLAY, patience, lambda progress: shown.append(progress.state)
    )
    assert archive.started == [REPLAY]
    return end, shown


def backed_up(backups: ScriptedBackups, patience: Patience) -> Sequence[TableBackup]:
    return back_up_tables(cast("Backups", backups), TABLES, "n", patience, lambda _: None)


@pytest.mark.parametrize("last", [ReplayState.COMPLETED, ReplayState.FAILED, ReplayState.CANCELLED])
def test_a_replay_is_looked_at_until_it_is_over(last: ReplayState) -> None:
    pauses = Pauses()
    archive = ScriptedArchive(ReplayState.STARTING, ReplayState.RUNNING, last)
    end, shown = replayed(archive, pauses.patience(1))
    assert end.state is last
    assert shown == [ReplayState.STARTING, ReplayState.RUNNING]
    assert pauses == [POLL_SECONDS] * 2


def test_a_replay_that_takes_too_long_is_left_to_itself() -> None:
    pauses = Pauses()
    end, _ = replayed(ScriptedArchive(ReplayState.RUNNING), pauses.patience(1))
    assert not end.state.is_over
    assert sum(pauses) == 60


def test_a_cancelled_replay_is_not_over_before_it_is() -> None:
    assert not ReplayState.CANCELLING.is_over


def test_backups_are_looked_at_until_all_are_there() -> None:
    pauses = Pauses()
    backups = ScriptedBackups(BackupState.CREATING, BackupState.CREATING, BackupState.AVAILABLE)
    taken = backed_up(backups, pauses.patience(1))
    assert taken == [TableBackup(table, f"{table}/n", BackupState.AVAILABLE) for table in TABLES]
    assert all(one.is_good for one in taken)
    assert pauses == [POLL_SECONDS] * 2


def test_a_backup_that_takes_too_long_is_not_good() -> None:
    pauses = Pauses()
    taken = backed_up(ScriptedBackups(BackupState.CREATING), pauses.patience(0.5))
    assert [(one.is_over, one.is_good, one.error) for one in taken] == [(False, False, None)] * 2
    assert sum(pauses) == 30


def test_a_backup_that_can_not_be_looked_at_is_not_good_and_its_arn_is_known() -> None:
    pauses = Pauses()
    backups = ScriptedBackups(OperationFailedError("DescribeBackup: no"))
    taken = backed_up(backups, pauses.patience(1))
    assert [(one.arn, one.error, one.is_good) for one in taken] == [
        (f"{table}/n", "DescribeBackup: no", False) for table in TABLES
    ]
    assert pauses == []


def test_a_deleted_backup_is_over_and_not_good() -> None:
    (one, _) = backed_up(ScriptedBackups(BackupState.DELETED), Pauses().patience(1))
    assert (one.is_over, one.is_good) == (True, False)
    assert replace(one, error=None).is_good is False
