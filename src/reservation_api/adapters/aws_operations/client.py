"""botocore's clients, with bounds, and its errors as one of ours."""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

from reservation_api.ports.operations import OperationFailedError

_CONNECT_SECONDS = 5
_READ_SECONDS = 20
_ATTEMPTS = 5
"""In botocore's standard mode: throttled and unanswered calls are made again, with a backoff."""


def open_client(service: str, region: str, url: str | None = None, session: Any = None) -> Any:
    """Open a client with whatever credentials are found; raises OperationFailedError.

    Clients of one session look for credentials once.
    """
    from botocore.config import Config  # noqa: PLC0415 (a fifth of a second, for commands that never ask AWS)

    config = Config(
        connect_timeout=_CONNECT_SECONDS,
        read_timeout=_READ_SECONDS,
        retries={"mode": "standard", "total_max_attempts": _ATTEMPTS},
    )
    with told(f"a client of {service}"):
        session = session or open_session()
        return session.create_client(service, region_name=region, endpoint_url=url, config=config)


def open_session() -> Any:
    """Open a session, which takes as long as some calls do; it has asked for nothing yet."""
    from botocore.session import Session  # noqa: PLC0415

    session = Session()
    session.register_component("data_loader", _descriptions())
    return session


@cache
def _descriptions() -> Any:
    """Read what botocore knows of services once: it takes longer than most calls, for each client."""
    from botocore.loaders import create_loader  # noqa: PLC0415

    return create_loader()


@contextmanager
def told(operation: str) -> Iterator[None]:
    """Raise OperationFailedError for whatever botocore says went wrong."""
    from botocore.exceptions import BotoCoreError, ClientError  # noqa: PLC0415

    try:
        yield
    except ClientError as error:
        found = error.response.get("Error", {})
        raise OperationFailedError(f"{operation}: {found.get('Code')}: {found.get('Message')}") from error
    except BotoCoreError as error:
        raise OperationFailedError(f"{operation}: {error}") from error
