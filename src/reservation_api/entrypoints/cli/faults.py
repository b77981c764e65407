"""What a user did wrong is said in a line, not in a traceback."""

import sys
from typing import IO, Any

import click

from reservation_api.adapters.sqlite.venues import VenueError
from reservation_api.config import ConfigError
from reservation_api.domain.errors import ReservationApiError
from reservation_api.entrypoints.processes.port import PortUnavailableError
from reservation_api.entrypoints.processes.serving import ServerEndedError
from reservation_api.entrypoints.processes.supervisor import ChildrenKeepDyingError
from reservation_api.ports.operations import OperationFailedError

_FAILURES = (
    ReservationApiError,
    OperationFailedError,
    PortUnavailableError,
    ChildrenKeepDyingError,
    ServerEndedError,
)

FAILED = 1
MISUSED = 2
INTERRUPTED = 130


class FaultsError(click.ClickException):
    """One line for each fault."""

    exit_code = FAILED

    def __init__(self, title: str, faults: list[str]) -> None:
        super().__init__(title)
        self.faults = faults

    def show(self, file: IO[Any] | None = None) -> None:
        """Print them to stderr."""
        for fault in self.faults:
            click.echo(f"{self.message}: {fault}", file=file or sys.stderr)


class MisuseError(FaultsError):
    """Faults of the environment or the command line."""

    exit_code = MISUSED


class ReadableFaults(click.Group):
    """Maps the errors that commands raise to lines and exit codes."""

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command; raises ClickException for what the user can mend."""
        try:
            return super().invoke(ctx)
        except ConfigError as error:
            raise MisuseError("Configuration", error.faults) from error
        except VenueError as error:
            raise FaultsError("Error", list(error.faults)) from error
        except _FAILURES as error:
            raise FaultsError("Error", [str(error)]) from error
        except KeyboardInterrupt as error:
            raise click.exceptions.Exit(INTERRUPTED) from error
