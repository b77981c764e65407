"""Settings of the gRPC server, the inventory service and the payment service."""

from dataclasses import asdict

import pytest

from reservation_api.adapters.grpc_inventory.address import parse_address
from reservation_api.adapters.resilience.settings import (
    BulkheadSettings,
    CircuitBreakerSettings,
    RetryBudgetSettings,
    TimeLimiterSettings,
)
from reservation_api.config.kinds import Address, plain_text_host
from reservation_api.config.loading import load
from reservation_api.config.settings import DEV_DEFAULTS
from reservation_api.config.tree import ConfigError, GrpcConfig, InventoryConfig

INVENTORY = {"INVENTORY_GRPC_ADDRESS": "inventory:9090"}
PAYMENT = {"PAYMENT_GRPC_ADDRESS": "payment:9090"}
BREAKER = "APP_INVENTORY_CIRCUITBREAKER"
ADDRESSES = [
    "inventory:9090",
    "inventory-service.dev.svc.cluster.local:9090",
    "127.0.0.1:1",
    "[::1]:65535",
    "grpc://inventory:9090",
    "grpcs://inventory:9090",
    "http://inventory:9090",
    "https://inventory",
    "https://inventory:8443/",
    "dns:///inventory:9090",
]


def faults_of(**environ: str) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        load(environ)
    return caught.value.faults


def inventory_of(**environ: str) -> InventoryConfig:
    config = load({**INVENTORY, **environ}).inventory
    assert config is not None
    return config


def test_without_addresses_all_is_built_in_and_http_alone_is_served() -> None:
    config = load({})
    assert (config.inventory, config.payment, config.grpc) == (None, None, None)


def test_the_defaults_are_the_libraries_but_for_the_window_and_the_bulkhead() -> None:
    config = inventory_of()
    assert config.address == "inventory:9090"
    assert config.timeout_seconds == TimeLimiterSettings().timeout_duration_seconds
    assert asdict(config.guard.retry) == asdict(RetryBudgetSettings())

    ours, library = asdict(config.guard.circuit_breaker), asdict(CircuitBreakerSettings())
    assert {name: value for name, value in ours.items() if value != library[name]} == {
        "sliding_window_type": "TIME_BASED",
        "sliding_window_size": 10,
    }
    library_bulkhead = asdict(BulkheadSettings())
    assert asdict(config.guard.bulkhead) == {**library_bulkhead, "max_concurrent_calls": 500}


def test_every_setting_of_the_inventory_reaches_the_tree() -> None:
    config = inventory_of(
        **{
            f"{BREAKER}_FAILURE_RATE_THRESHOLD": "33.5",
            f"{BREAKER}_SLOW_CALL_RATE_THRESHOLD": "80",
            f"{BREAKER}_SLOW_CALL_DURATION_THRESHOLD_MILLISECONDS": "120",
            f"{BREAKER}_SLIDING_WINDOW_TYPE": "COUNT_BASED",
            f"{BREAKER}_SLIDING_WINDOW_SIZE": "50",
            f"{BREAKER}_MINIMUM_NUMBER_OF_CALLS": "20",
            f"{BREAKER}_WAIT_DURATION_IN_OPEN_STATE_SECONDS": "0.5",
            f"{BREAKER}_PERMITTED_NUMBER_OF_CALLS_IN_HALF_OPEN_STATE": "3",
            f"{BREAKER}_MAX_WAIT_DURATION_IN_HALF_OPEN_STATE_SECONDS": "4",
            f"{BREAKER}_AUTOMATIC_TRANSITION_FROM_OPEN_TO_HALF_OPEN_ENABLED": "true",
            "APP_INVENTORY_BULKHEAD_MAX_CONCURRENT_CALLS": "7",
            "APP_INVENTORY_BULKHEAD_MAX_WAIT_DURATION_MILLISECONDS": "15",
            "APP_INVENTORY_TIMELIMITER_TIMEOUT_DURATION_MILLISECONDS": "400",
            "APP_INVENTORY_RETRY_TOKEN_RATIO": "0.1",
            "APP_INVENTORY_RETRY_MIN_RETRIES_PER_SECOND": "0",
            "APP_INVENTORY_RETRY_WINDOW_SECONDS": "60",
        }
    )
    assert tuple(asdict(config.guard.circuit_breaker).values()) == (
        *(33.5, 80, 0.12, "COUNT_BASED", 50),
        *(20, 0.5, 3, 4, True),
    )
    assert tuple(asdict(config.guard.bulkhead).values()) == (7, 0.015)
    assert config.timeout_seconds == 0.4
    assert tuple(asdict(config.guard.retry).values()) == (0.1, 0, 60)


def test_the_payment_service_is_called_with_a_time_limit_of_its_own() -> None:
    payment = load(PAYMENT).payment
    assert payment is not None
    assert (payment.address, payment.timeout_seconds, payment.ca_file) == ("payment:9090", 0.25, None)
    changed = load(
        {
            **PAYMENT,
            "APP_PAYMENT_TIMELIMITER_TIMEOUT_DURATION_MILLISECONDS": "900",
            "APP_PAYMENT_CIRCUITBREAKER_SLIDING_WINDOW_SIZE": "7",
        }
    ).payment
    assert changed is not None
    assert changed.timeout_seconds == 0.9
    assert changed.guard.circuit_breaker.sliding_window_size == 7


def test_profile_prod_is_content_with_a_payment_service() -> None:
    assert load({"SPRING_PROFILES_ACTIVE": "prod", **PAYMENT}).is_prod


def test_grpc_is_served_on_the_port_that_is_given_and_trusts_nobody_unless_told_to() -> None:
    assert load({"GRPC_PORT": "9090"}).grpc == GrpcConfig(9090, is_trusted=False, is_asked_for=True)
    trusting = load({"GRPC_PORT": "9090", "APP_GRPC_TRUSTED": "true"})
    assert trusting.grpc is not None
    assert trusting.grpc.is_trusted
    assert len([note for note in trusting.notes if "port 9090 (gRPC) is believed" in note]) == 1
    assert load({"GRPC_PORT": "9090", "APP_GRPC_TRUSTED": "false"}).notes == ()


def test_dev_serves_grpc_by_default_unless_http_has_that_port() -> None:
    assert load({}, DEV_DEFAULTS).grpc == GrpcConfig(8011, is_trusted=False, is_asked_for=False)
    assert load({"GRPC_PORT": "9090"}, DEV_DEFAULTS).grpc == GrpcConfig(9090, False, True)
    assert load({"APP_HTTP_PORT": "8011"}, DEV_DEFAULTS).grpc is None
    trusted = load({"APP_GRPC_TRUSTED": "true"}, DEV_DEFAULTS).grpc
    assert trusted is not None
    assert trusted.is_trusted


def test_http_and_grpc_have_a_port_each() -> None:
    assert faults_of(GRPC_PORT="8080") == ["GRPC_PORT and APP_HTTP_PORT are the same port"]


@pytest.mark.parametrize(
    ("environ", "fault"),
    [
        (
            {"APP_INVENTORY_RETRY_TOKEN_RATIO": "0", "APP_INVENTORY_BULKHEAD_MAX_CONCURRENT_CALLS": "1"},
            (
                "APP_INVENTORY_BULKHEAD_MAX_CONCURRENT_CALLS, APP_INVENTORY_RETRY_TOKEN_RATIO"
                " needs INVENTORY_GRPC_ADDRESS too"
            ),
        ),
        (
            {"APP_PAYMENT_TIMELIMITER_TIMEOUT_DURATION_MILLISECONDS": "100"},
            "APP_PAYMENT_TIMELIMITER_TIMEOUT_DURATION_MILLISECONDS needs PAYMENT_GRPC_ADDRESS too",
        ),
        ({"APP_GRPC_TRUSTED": "true"}, "APP_GRPC_TRUSTED needs GRPC_PORT too"),
    ],
)
def test_settings_of_a_peer_that_is_not_there_are_a_fault(environ: dict[str, str], fault: str) -> None:
    assert faults_of(**environ) == [fault]


def test_seats_outlast_the_breaker() -> None:
    wait = f"{BREAKER}_WAIT_DURATION_IN_OPEN_STATE_SECONDS"
    (fault,) = faults_of(**INVENTORY, APP_HOLD_GRACE_SECONDS="30")
    assert fault.startswith(f"APP_HOLD_GRACE_SECONDS (30) must be longer than {wait} (30)")
    assert (
        inventory_of(APP_HOLD_GRACE_SECONDS="31").guard.circuit_breaker.wait_duration_in_open_state_seconds
        == 30
    )
    assert load({"APP_HOLD_GRACE_SECONDS": "30"}).inventory is None


@pytest.mark.parametrize("text", ADDRESSES)
def test_an_address_that_is_taken_is_one_that_can_be_connected_to_and_in_the_way_it_says(text: str) -> None:
    assert Address().parse(text) == text
    assert parse_address(text).is_tls == (plain_text_host(text) is None)
