"""Replay a part of the archive, and wait until all of it has been on the bus again."""

from collections.abc import Callable

from reservation_api.application.patience import Patience
from reservation_api.ports.operations import EventArchive, Replay, ReplayProgress, ReplayState


def replay_events(
    archive: EventArchive,
    replay: Replay,
    patience: Patience,
    on_progress: Callable[[ReplayProgress], None],
) -> ReplayProgress:
    """Start a replay; return how it ended, or how it stands when patience ends. Raises OperationFailedError.

    Once it has started it goes on in EventBridge, whatever becomes of whoever waits.
    """
    archive.start(replay)
    progress = ReplayProgress(ReplayState.STARTING)
    for _ in patience.looks():
        progress = archive.progress(replay.name)
        if progress.state.is_over:
            break
        on_progress(progress)
    return progress
