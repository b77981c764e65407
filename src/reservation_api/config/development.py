"""The environment of the AWS runtime on a stand-in for AWS."""

import os
from collections.abc import Mapping
from dataclasses import dataclass

from reservation_api.config.aws import TABLES
from reservation_api.config.loading import load
from reservation_api.config.settings import DEV_DEFAULTS
from reservation_api.config.tree import Config

ENV = "dev"
"""The document's {env}."""
REGION = "ap-northeast-2"
_ANY_CREDENTIALS: Mapping[str, str] = {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test"}


@dataclass(frozen=True, slots=True)
class StandInAddresses:
    """Where the services are, and whose tokens are good."""

    aws_url: str
    inventory_address: str
    issuer: str
    jwks: str


def use_any_credentials() -> None:
    """Let this process sign with credentials that no account has: stand-ins believe everybody."""
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        del os.environ[name]  # a profile or a role of one's own is none of a stand-in's business
    os.environ.update(_ANY_CREDENTIALS)


def stand_in_process_variables(host: str, port: int) -> Mapping[str, str]:
    """Return the environment of a ministack that listens there and nowhere else."""
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG", "TMPDIR") if name in os.environ}
    return {**kept, "BIND_HOST": host, "GATEWAY_PORT": str(port), "IOT_MTLS_ENABLED": "0"}


def on_stand_in(addresses: StandInAddresses) -> Config:
    """Load the environment with the document's variables set for a stand-in; raises ConfigError."""
    return load({**os.environ, **variables_of(addresses)}, DEV_DEFAULTS)


def variables_of(addresses: StandInAddresses) -> Mapping[str, str]:
    """Return the document's variables (section 5) for a stand-in."""
    tables = {name: f"{ENV}-reservation-{name.rpartition('_')[2].lower()}" for name in TABLES}
    return {
        **tables,
        "AWS_REGION": REGION,
        "AWS_EVENTBRIDGE_BUS_NAME": f"{ENV}-reservation-events",
        "DYNAMODB_ENDPOINT": addresses.aws_url,
        "EVENTBRIDGE_ENDPOINT": addresses.aws_url,
        "SQS_ENDPOINT": addresses.aws_url,
        "INVENTORY_GRPC_ADDRESS": addresses.inventory_address,
        "JWT_ISSUER_URI": addresses.issuer,
        "JWT_JWKS": addresses.jwks,
    }
