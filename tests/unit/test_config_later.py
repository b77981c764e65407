import pytest

from reservation_api.config.listing import list_effective, markdown_table
from reservation_api.config.loading import load
from reservation_api.config.settings import LATER, SETTINGS
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


def test_the_documents_environment_is_understood_and_refused_for_what_is_not_built_alone() -> None:
    faults = faults_of(DOCUMENT)

    assert len(faults) == 3
    assert all("not part of this release" in fault for fault in faults)
    assert faults[0] == (
        "APP_DYNAMODB_TABLES_RESERVATIONS, APP_DYNAMODB_TABLES_ORDERS, APP_DYNAMODB_TABLES_IDEMPOTENCY,"
        " APP_DYNAMODB_TABLES_OUTBOX, DYNAMODB_ENDPOINT are set, but the DynamoDB runtime is not part of this"
        " release; unset them to run embedded"
    )


def test_a_region_alone_is_harmless() -> None:
    load({"AWS_REGION": "ap-northeast-2"})


@pytest.mark.parametrize(
    ("name", "text", "feature"),
    [
        ("APP_DYNAMODB_TABLES_ORDERS", "dev-orders", "the DynamoDB runtime"),
        ("DYNAMODB_ENDPOINT", "http://localhost:8000", "the DynamoDB runtime"),
        ("AWS_EVENTBRIDGE_BUS_NAME", "dev-events", "the EventBridge bus"),
        ("EVENTBRIDGE_ENDPOINT", "http://localhost:4566", "the EventBridge bus"),
        ("OTLP_ENDPOINT", "https://otel/v1/metrics", "the export of telemetry"),
        ("APP_MANAGEMENT_PORT", "9091", "a port of its own for the actuator"),
        ("APP_STATUS_SHARDS", "2", "more than one status shard"),
    ],
)
def test_what_is_not_built_is_refused_by_its_name(name: str, text: str, feature: str) -> None:
    told = [fault for fault in faults_of({name: text}) if "not part of this release" in fault]
    assert len(told) == 1
    assert told[0].startswith(f"{name} is set, but {feature}")
    assert "; unset it " in told[0]


def test_every_setting_of_a_later_release_is_refused_or_harmless() -> None:
    for feature in LATER:
        for setting in feature.settings:
            assert setting.default is None or setting.name == "APP_STATUS_SHARDS"


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
        ({"AWS_EVENTBRIDGE_BUS_NAME": "x"}, "AWS_EVENTBRIDGE_BUS_NAME needs AWS_REGION too"),
        ({"APP_GRPC_TRUSTED": "true"}, "APP_GRPC_TRUSTED needs GRPC_PORT too"),
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
