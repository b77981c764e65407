"""The environment of the AWS runtime, with a stand-in where AWS would be."""

from collections.abc import Mapping

from tests.support.ministack import REGION

TABLES = ("reservations", "orders", "idempotency", "outbox")

PATIENCE = {
    "APP_STORE_TIMELIMITER_TIMEOUT_DURATION_MILLISECONDS": "10000",
    "APP_EVENTBUS_TIMELIMITER_TIMEOUT_DURATION_MILLISECONDS": "10000",
}
"""A busy machine must not pass for an AWS that gives no answer."""


def table_names(env: str = "test") -> list[str]:
    """The document's names."""
    return [f"{env}-reservation-{table}" for table in TABLES]


def aws_environment(url: str, bus_name: str = "test-reservation-events", env: str = "test") -> dict[str, str]:
    """All that the document asks for; what is not under test is at an address where nobody is."""
    tables: Mapping[str, str] = {
        f"APP_DYNAMODB_TABLES_{table.upper()}": name
        for table, name in zip(TABLES, table_names(env), strict=True)
    }
    return {
        **tables,
        "AWS_REGION": REGION,
        "AWS_EVENTBRIDGE_BUS_NAME": bus_name,
        "INVENTORY_GRPC_ADDRESS": "127.0.0.1:9",
        "JWT_ISSUER_URI": "https://issuer.invalid",
        "DYNAMODB_ENDPOINT": url,
        "EVENTBRIDGE_ENDPOINT": url,
        "SQS_ENDPOINT": url,
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
    }
