"""The command line: `reservation-api --help`.

Exit codes: 0 done, 1 failed, 2 used or configured wrongly; 130 and 143 when a signal ended it.
"""

from collections.abc import Mapping

import click

from reservation_api.entrypoints.cli.faults import ReadableFaults
from reservation_api.entrypoints.cli.run import dev, serve, worker


class _Commands(ReadableFaults):
    """The processes that are to be ready soon, and tools that are imported when they are asked for."""

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Find it, among the processes first."""
        return super().get_command(ctx, cmd_name) or _tools().get(cmd_name)

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Name them all."""
        return sorted([*super().list_commands(ctx), *_tools()])


def _tools() -> Mapping[str, click.Command]:
    from reservation_api.entrypoints.cli.tools import TOOLS  # noqa: PLC0415

    return TOOLS


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="reservation-api", prog_name="reservation-api")
def main() -> None:
    """Seat reservations: hold, confirm, cancel, extend, expire.

    Settings come from the environment: `reservation-api config` lists them.
    """


for command in (serve, worker, dev):
    main.add_command(command)
