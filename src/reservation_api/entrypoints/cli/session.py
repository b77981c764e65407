"""Commands on the embedded store: open it, do one thing, close it."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

from reservation_api.bootstrap import Service, build
from reservation_api.config import ConfigError, load_environment

T = TypeVar("T")


def with_service(job: Callable[[Service], Awaitable[T]], *, may_create: bool = False) -> T:
    """Run a job on the service of this environment.

    Raises ConfigError, also if there is no store yet and it is not to be created: a slip in APP_DATA_DIR
    would look like an empty store.
    """
    config = load_environment()
    if not may_create and not config.store.database_file.exists():
        raise ConfigError([f"there is no store in {config.store.data_dir}: APP_DATA_DIR says where it is"])

    async def run() -> T:
        service = build(config)
        try:
            return await job(service)
        finally:
            await service.close()

    return asyncio.run(run())
