"""The AWS runtime on a stand-in for AWS, for development on one machine."""

from reservation_api.adapters.aws_operations.client import open_client
from reservation_api.adapters.aws_operations.stand_in import StandIn
from reservation_api.adapters.dynamodb.tables import TableNames, create_table_requests
from reservation_api.adapters.jwt.embedded_issuer import EMBEDDED_ISSUER
from reservation_api.bootstrap.identity import open_issuer
from reservation_api.config.development import ENV, REGION, StandInAddresses, on_stand_in
from reservation_api.config.tree import Config


def furnish_stand_in(url: str) -> str:
    """Make tables, bus, rules and queues there; return the URL of the queue that the rules fill.

    Raises OperationFailedError.
    """
    stand_in = StandIn(*(open_client(service, REGION, url) for service in ("dynamodb", "events", "sqs")))
    names = TableNames(
        *(f"{ENV}-reservation-{kind}" for kind in ("reservations", "orders", "idempotency", "outbox"))
    )
    stand_in.make_tables(create_table_requests(names), names.idempotency)
    return stand_in.make_bus(ENV)


def config_on_stand_in(config: Config, url: str, inventory_address: str) -> Config:
    """Return the environment's settings, with AWS on a stand-in and the embedded issuer's keys."""
    jwks = open_issuer(config).jwks()
    return on_stand_in(StandInAddresses(url, inventory_address, EMBEDDED_ISSUER, jwks))
