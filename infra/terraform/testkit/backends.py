"""Which local server stands in for which service of AWS, and why."""

from collections.abc import Mapping
from typing import Final

ACCOUNT: Final = "123456789012"
REGION: Final = "ap-northeast-2"

DEFAULT: Final = "moto"
SERVICES: Final[Mapping[str, tuple[str, str]]] = {
    "cloudwatch:composite": ("ministack", "moto has no composite alarms; ministack loses metric math"),
    "dynamodb": ("ministack", "keeps replicas, table classes and on-demand limits, and sweeps TTL"),
    "ecs": ("ministack", "keeps how a service is deployed"),
    "ecs:scaled": ("moto", "ministack scales nothing, and moto looks for services on its own"),
    "lambda": ("ministack", "keeps dead letter queue and logging of a function"),
    "logs": ("ministack", "changes a metric filter; moto keeps the first"),
    "sqs": ("ministack", "keeps who may redrive to a queue, and gives it back to a FIFO queue"),
}
"""Service (or part of one), server, reason. Whatever is not named is answered by DEFAULT."""


def endpoints(servers: Mapping[str, str], chosen: Mapping[str, str] | None = None) -> dict[str, str]:
    """Return the address of each service, and of all others under `*`; `chosen` goes before the table."""
    named = {service: server for service, (server, _) in SERVICES.items()} | dict(chosen or {})
    return {"*": servers[DEFAULT]} | {service: servers[server] for service, server in named.items()}
