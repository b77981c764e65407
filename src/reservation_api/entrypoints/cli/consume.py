"""`consume`: the event processor, for those who run no Lambda functions."""

import click
import uvloop

from reservation_api.config import load_environment
from reservation_api.entrypoints.cli.run import configure_process_logs
from reservation_api.entrypoints.processes.consuming import run_consumer

MAX_BATCHES = 16


@click.command()
@click.option("--queue", required=True, metavar="URL", help="Where a rule sends events; a name will do.")
@click.option(
    "--batches",
    type=click.IntRange(1, MAX_BATCHES),
    default=1,
    show_default=True,
    help="Batches of ten messages that are worked off at once.",
)
def consume(queue: str, batches: int) -> None:
    """Write an audit line to standard output for each event in a queue, and delete it from there.

    Lines with one id are one event: a repeat that this process has seen is dropped, another's is not. What is
    no event stays in the queue, for its redrive policy to put aside. Needs sqs:ReceiveMessage and
    sqs:DeleteMessage.
    """
    config = load_environment()
    configure_process_logs(config, "consume")
    uvloop.run(run_consumer(config, queue, batches))
