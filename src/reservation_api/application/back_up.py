"""Back up all tables under one name, and wait until every backup can be restored from.

Each is its table at a moment of its own, some seconds apart: to bring all four back to one moment there is
point-in-time recovery. These are for going back to before a deployment, with nothing written meanwhile.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from reservation_api.application.patience import Patience
from reservation_api.ports.operations import Backups, BackupState, OperationFailedError


@dataclass(frozen=True, slots=True)
class TableBackup:
    """One table's backup, and how it stands."""

    table: str
    arn: str | None = None
    """None: it was never begun."""
    state: BackupState = BackupState.CREATING
    error: str | None = None
    """Why it can not be relied on."""

    @property
    def is_over(self) -> bool:
        """Tell whether it changes no more."""
        return self.error is not None or self.state is not BackupState.CREATING

    @property
    def is_good(self) -> bool:
        """Tell whether it can be restored from."""
        return self.error is None and self.state is BackupState.AVAILABLE


def back_up_tables(
    backups: Backups,
    tables: Sequence[str],
    name: str,
    patience: Patience,
    on_progress: Callable[[Sequence[TableBackup]], None],
) -> Sequence[TableBackup]:
    """Begin a backup of each table, whatever becomes of the others, and wait for all.

    Return how they ended, or how they stand when patience ends.
    """
    taken = [_begin(backups, table, name) for table in tables]
    for _ in patience.looks():
        taken = [one if one.is_over else _look(backups, one) for one in taken]
        on_progress(taken)
        if all(one.is_over for one in taken):
            break
    return taken


def _begin(backups: Backups, table: str, name: str) -> TableBackup:
    try:
        return TableBackup(table, backups.create(table, name))
    except OperationFailedError as error:
        return TableBackup(table, error=str(error))


def _look(backups: Backups, one: TableBackup) -> TableBackup:
    if one.arn is None:
        return one
    try:
        state = backups.state(one.arn)
    except OperationFailedError as error:
        return replace(one, error=str(error))
    return replace(one, state=state, error="it was deleted" if state is BackupState.DELETED else None)
