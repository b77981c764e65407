"""Who tells: what every signal of a process says of where it comes from (OpenTelemetry's resource)."""

from collections.abc import Mapping
from functools import cache
from importlib.metadata import version
from uuid import uuid4

SERVICE = "reservation-api"


@cache
def resource_of_process() -> Mapping[str, str]:
    """Return the attributes of this process, the same ones whoever asks."""
    return {
        "service.name": SERVICE,
        "service.version": version(SERVICE),
        "service.instance.id": str(uuid4()),
    }
