"""`dev --aws`: the AWS runtime on a stand-in for AWS."""

from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import click
import uvloop

from reservation_api.bootstrap import open_issuer
from reservation_api.bootstrap.stand_in import config_on_stand_in, furnish_stand_in
from reservation_api.config import Config
from reservation_api.config.development import use_any_credentials
from reservation_api.entrypoints.cli.demo import put_demo_on_sale
from reservation_api.entrypoints.cli.welcome import on_aws, welcome
from reservation_api.entrypoints.processes.serving import Role, run_process
from reservation_api.entrypoints.processes.stand_in import run_stand_in, serve_inventory


def dev_on_stand_in(config: Config, endpoint: str | None) -> None:
    """Do everything in one process on the stand-in at this URL; None: on one that is started, and ended."""
    use_any_credentials()
    with run_stand_in() if endpoint is None else nullcontext(endpoint) as url:
        uvloop.run(_dev(config, url, is_ours=endpoint is None))


async def _dev(config: Config, url: str, *, is_ours: bool) -> None:
    """Run on what is at `url`. Seats last as long as its tables: for a stand-in of our own, until the end."""
    with TemporaryDirectory() as folder:
        data_dir = Path(folder) if is_ours else config.store.data_dir / "stand-in"
        seats = replace(config, store=replace(config.store, data_dir=data_dir))
        await put_demo_on_sale(seats)
        queue = furnish_stand_in(url)
        async with serve_inventory(seats) as address:
            service_config = replace(config_on_stand_in(config, url, address), grpc=config.grpc)
            issuer = open_issuer(config)
            await run_process(
                service_config,
                Role(serves=True, works=True),
                lambda service: click.echo(welcome(service, issuer) + on_aws(url, queue)),
            )
