from dataclasses import astuple

import pytest

from reservation_api.config.aws import TABLES
from reservation_api.config.listing import list_effective, markdown_table
from reservation_api.config.loading import load
from reservation_api.config.settings import SETTINGS
from reservation_api.config.tree import ConfigError

DOCUMENT = {
    "AWS_REGION": "ap-northeast-2",
    "APP_DYNAMODB_TABLES_RESERVATIONS": "dev-reservation-reservations",
    "APP_DYNAMODB_TABLES_ORDERS": "dev-reservation-orders",
    "APP_DYNAMODB_TABLES_IDEMPOTENCY": "dev-reservation-idempotency",
    "APP_DYNAMODB_TABLES_OUTBOX": "dev-reservation-outbox",
    "AWS_EVENTBRIDGE_BUS_NAME": "dev-reservation-events",
    "INVENTORY_GRPC_ADDRESS": "inventory-service.dev.svc.cluster.local:9090",
    "JWT_ISSUER_URI": "https://auth.traffic-tacos.com/auth/realms/traffic-tacos",
    "OTLP_ENDPOINT": "http://otel-collector.dev.svc.cluster.local:4318/v1/metrics",
    "DYNAMODB_ENDPOINT": "http://localhost:8000",
    "EVENTBRIDGE_ENDPOINT": "http://localhost:4566",
    "SPRING_PROFILES_ACTIVE": "prod",
    "JVM_OPTS": "-Xms2g -Xmx4g -XX:+UseG1GC -XX:+UseContainerSupport",
    "APP_PAYMENT_VERIFIER": "trusting",
}
"""Section 5 of the requirements, whole; and what `prod` asks for."""


def faults_of(environ: dict[str, str]) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        load(environ)
    return caught.value.faults


def test_the_documents_environment_chooses_the_aws_runtime() -> None:
    config = load(DOCUMENT)

    assert config.aws is not None
    assert config.aws.region == "ap-northeast-2"
    assert astuple(config.aws.tables) == tuple(
        f"dev-reservation-{name}" for name in ("reservations", "orders", "idempotency", "outbox")
    )
    assert config.aws.bus_name == "dev-reservation-events"
    assert config.aws.dynamodb.endpoint == "http://localhost:8000"
    assert config.aws.eventbridge.endpoint == "http://localhost:4566"
    assert (config.aws.sqs_endpoint, config.aws.status_shards) == (None, 1)
    assert (config.aws.dynamodb.timeout_seconds, config.aws.eventbridge.timeout_seconds) == (1.0, 3.0)


def test_without_tables_the_runtime_is_embedded() -> None:
    assert load({"AWS_REGION": "ap-northeast-2"}).aws is None


def test_settings_of_the_aws_runtime_reach_the_tree() -> None:
    config = load(
        {
            **DOCUMENT,
            "APP_STATUS_SHARDS": "8",
            "SQS_ENDPOINT": "http://localhost:4566",
            "APP_STORE_TIMELIMITER_TIMEOUT_DURATION_MILLISECONDS": "700",
            "APP_STORE_BULKHEAD_MAX_CONCURRENT_CALLS": "9",
            "APP_EVENTBUS_CIRCUITBREAKER_MINIMUM_NUMBER_OF_CALLS": "3",
            "APP_EVENTBUS_RETRY_TOKEN_RATIO": "0.5",
        }
    )
    assert config.aws is not None
    assert config.aws.status_shards == 8
    assert config.aws.sqs_endpoint == "http://localhost:4566"
    assert config.aws.dynamodb.timeout_seconds == 0.7
    assert config.aws.dynamodb.guard.bulkhead.max_concurrent_calls == 9
    assert config.aws.eventbridge.guard.circuit_breaker.minimum_number_of_calls == 3
    assert config.aws.eventbridge.guard.retry.token_ratio == 0.5


def test_holds_that_wait_for_a_slow_inventory_leave_as_many_calls_of_the_store_to_the_others() -> None:
    """Each of them has a call of the store in hand."""
    config = load(DOCUMENT)
    assert config.aws is not None
    assert config.inventory is not None
    of_inventory = config.inventory.guard.bulkhead.max_concurrent_calls
    assert config.aws.dynamodb.guard.bulkhead.max_concurrent_calls >= 2 * of_inventory


def test_a_region_alone_is_harmless() -> None:
    load({"AWS_REGION": "ap-northeast-2"})


def test_the_documents_collector_is_sent_metrics_as_often_as_asked() -> None:
    otlp = load(DOCUMENT).telemetry.otlp
    assert otlp is not None
    assert (otlp.endpoint, otlp.interval_seconds) == (DOCUMENT["OTLP_ENDPOINT"], 10)
    often = load({**DOCUMENT, "APP_OTLP_INTERVAL_SECONDS": "0.5"}).telemetry.otlp
    assert often is not None
    assert often.interval_seconds == 0.5
    assert load({}).telemetry.otlp is None


def test_traces_go_to_the_same_collector_by_its_other_path() -> None:
    traces = load(DOCUMENT).telemetry.traces
    assert traces is not None
    assert traces.endpoint == "http://otel-collector.dev.svc.cluster.local:4318/v1/traces"
    assert traces.ratio == 0.01
    assert load({}).telemetry.traces is None


def test_traces_go_where_they_are_told_to_and_as_many_as_asked_for() -> None:
    elsewhere = {"APP_OTLP_TRACES_ENDPOINT": "http://tempo:4318/v1/traces", "APP_TRACES_RATIO": "1"}
    for environ in (elsewhere, {**DOCUMENT, **elsewhere}):
        traces = load(environ).telemetry.traces
        assert traces is not None
        assert (traces.endpoint, traces.ratio) == ("http://tempo:4318/v1/traces", 1.0)
    assert load(elsewhere).telemetry.otlp is None
    assert load({**DOCUMENT, **elsewhere, "APP_TRACES": "false"}).telemetry.traces is None


def test_a_collector_whose_path_for_traces_can_not_be_guessed_is_a_note() -> None:
    other = {"OTLP_ENDPOINT": "http://collector:4318/metrics"}
    told = (
        "no traces are sent: OTLP_ENDPOINT does not end in /v1/metrics,"
        " and APP_OTLP_TRACES_ENDPOINT is not set"
    )
    config = load(other)
    assert config.telemetry.traces is None
    assert told in config.notes
    for silent in ({"APP_TRACES": "false"}, {"APP_OTLP_TRACES_ENDPOINT": "http://collector:4318/traces"}):
        assert told not in load({**other, **silent}).notes


def test_cloudwatch_is_told_by_way_of_stdout_if_asked_for() -> None:
    assert not load({}).telemetry.emf
    assert load({"APP_METRICS_EMF": "true"}).telemetry.emf


@pytest.mark.parametrize("missing", [name for name in DOCUMENT if "TABLES" in name])
def test_half_a_set_of_tables_is_a_fault(missing: str) -> None:
    environ = {name: text for name, text in DOCUMENT.items() if name != missing}
    assert f"APP_DYNAMODB_TABLES_* needs {missing} too" in faults_of(environ)


def test_tables_need_the_rest_of_the_aws_runtime() -> None:
    environ = {name: text for name, text in DOCUMENT.items() if "TABLES" in name}
    assert (
        "APP_DYNAMODB_TABLES_* needs AWS_REGION, AWS_EVENTBRIDGE_BUS_NAME, INVENTORY_GRPC_ADDRESS,"
        " JWT_ISSUER_URI too"
    ) in faults_of(environ)


@pytest.mark.parametrize(
    ("environ", "fault"),
    [
        (
            {"EVENTBRIDGE_ENDPOINT": "http://localhost:4566"},
            "EVENTBRIDGE_ENDPOINT needs AWS_EVENTBRIDGE_BUS_NAME too",
        ),
        (
            {"AWS_EVENTBRIDGE_BUS_NAME": "x"},
            f"AWS_EVENTBRIDGE_BUS_NAME needs AWS_REGION, {', '.join(TABLES)} too",
        ),
        ({"APP_STATUS_SHARDS": "2"}, f"APP_STATUS_SHARDS needs {', '.join(TABLES)} too"),
        ({"APP_STORE_RETRY_TOKEN_RATIO": "1"}, f"APP_STORE_RETRY_TOKEN_RATIO needs {', '.join(TABLES)} too"),
        ({"SQS_ENDPOINT": "http://localhost:4566"}, f"SQS_ENDPOINT needs {', '.join(TABLES)} too"),
        ({"APP_GRPC_TRUSTED": "true"}, "APP_GRPC_TRUSTED needs GRPC_PORT too"),
        ({"APP_OTLP_INTERVAL_SECONDS": "1"}, "APP_OTLP_INTERVAL_SECONDS needs OTLP_ENDPOINT too"),
        (
            {"APP_TRACES_RATIO": "1"},
            "APP_TRACES_RATIO needs OTLP_ENDPOINT or APP_OTLP_TRACES_ENDPOINT too",
        ),
    ],
)
def test_half_a_branch_is_a_fault(environ: dict[str, str], fault: str) -> None:
    assert fault in faults_of(environ)


def test_two_payment_verifiers_are_a_fault() -> None:
    faults = faults_of({"APP_PAYMENT_VERIFIER": "trusting", "PAYMENT_GRPC_ADDRESS": "payment:9090"})
    assert "APP_PAYMENT_VERIFIER and PAYMENT_GRPC_ADDRESS are both set: payments have one verifier" in faults


def test_the_listing_says_what_holds_and_who_says_so() -> None:
    listed = {
        setting.name: (setting.value, setting.origin)
        for setting in list_effective({"APP_HTTP_PORT": "9090", "JWT_JWKS": "very-secret"})
    }
    assert listed.keys() == SETTINGS.keys()
    assert listed["APP_HTTP_PORT"] == ("9090", "environment")
    assert listed["APP_HOLD_SECONDS"] == ("60", "default")
    assert listed["JWT_ISSUER_URI"] == ("", "unset")
    assert listed["JWT_JWKS"] == ("***", "environment")


def test_the_listing_shows_no_secret_and_no_password() -> None:
    environ = {"JVM_OPTS": "-Dpassword=hunter2", "OTLP_ENDPOINT": "http://user:hunter2@otel/"}
    assert "hunter2" not in repr(list(list_effective(environ)))


def test_the_table_for_the_readme_has_every_setting_once() -> None:
    lines = markdown_table().splitlines()
    assert [line.split("`")[1] for line in lines[2:]] == list(SETTINGS)
    assert {line.count("|") for line in lines} == {5}
