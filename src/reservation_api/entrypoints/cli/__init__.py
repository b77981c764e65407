"""The command line: `reservation-api --help`.

Exit codes: 0 done, 1 failed, 2 used or configured wrongly; 130 and 143 when a signal ended it.
"""

import click

from reservation_api.entrypoints.cli.archive import archive
from reservation_api.entrypoints.cli.backup import backup
from reservation_api.entrypoints.cli.consume import consume
from reservation_api.entrypoints.cli.dlq import dlq
from reservation_api.entrypoints.cli.doctor import doctor
from reservation_api.entrypoints.cli.documents import config, openapi, schemas
from reservation_api.entrypoints.cli.events import events
from reservation_api.entrypoints.cli.faults import ReadableFaults
from reservation_api.entrypoints.cli.inventory import inventory
from reservation_api.entrypoints.cli.outbox import outbox
from reservation_api.entrypoints.cli.plan_capacity import plan_capacity
from reservation_api.entrypoints.cli.run import dev, serve, worker
from reservation_api.entrypoints.cli.token import token


@click.group(cls=ReadableFaults, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="reservation-api", prog_name="reservation-api")
def main() -> None:
    """Seat reservations: hold, confirm, cancel, extend, expire.

    Settings come from the environment: `reservation-api config` lists them.
    """


SERVICE = (serve, worker, dev, consume, token, events, outbox, inventory)
OPERATIONS = (dlq, archive, backup, doctor, plan_capacity)
DOCUMENTS = (config, openapi, schemas)

for command in (*SERVICE, *OPERATIONS, *DOCUMENTS):
    main.add_command(command)
