from pathlib import Path

import pytest

from reservation_api.application.relay import RetryPolicy
from reservation_api.config.loading import load
from reservation_api.config.setting import Setting
from reservation_api.config.settings import BUILT, DEV_DEFAULTS, SETTINGS
from reservation_api.config.tree import (
    ConfigError,
    EmbeddedKeys,
    GivenKeys,
    KeysInFile,
    OverloadConfig,
    PublishedKeys,
    RateLimitConfig,
    Secret,
)
from reservation_api.domain.reservation import HoldPolicy

JWKS = '{"keys": [{"kty": "EC", "kid": "very-secret"}]}'
ISSUER = "https://auth.traffic-tacos.com/auth/realms/traffic-tacos"


def faults_of(**environ: str) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        load(environ)
    return caught.value.faults


def test_an_empty_environment_is_the_embedded_runtime_with_the_documents_defaults() -> None:
    config = load({})

    assert (config.http.host, config.http.port) == ("0.0.0.0", 8080)
    assert config.profiles == ("default",)
    assert config.store.database_file == Path("data/reservation.db")
    assert config.store.synchronous == "FULL"
    assert config.hold == HoldPolicy(60, 60, 300, 2)
    assert config.relay == RetryPolicy(max_attempts=10)
    assert config.process.shutdown_seconds == 30
    assert config.process.drain_seconds == 3
    assert config.identity.source == EmbeddedKeys(Path("data/issuer-key.pem"))
    assert (config.overload, config.rate_limit) == (OverloadConfig(), RateLimitConfig())


def test_every_setting_of_this_release_reaches_the_tree() -> None:
    config = load(
        {
            "APP_HTTP_HOST": "::1",
            "APP_HTTP_PORT": "9090",
            "APP_WORKERS": "4",
            "APP_DRAIN_SECONDS": "0.5",
            "APP_SHUTDOWN_SECONDS": "20",
            "APP_LOG_LEVEL": "DEBUG",
            "SPRING_PROFILES_ACTIVE": "prod, blue",
            "APP_DATA_DIR": "/srv/data",
            "APP_SQLITE_SYNCHRONOUS": "NORMAL",
            "AWS_REGION": "ap-northeast-2",
            "APP_HOLD_SECONDS": "90",
            "APP_HOLD_GRACE_SECONDS": "30",
            "APP_HOLD_MAX_SECONDS": "120",
            "APP_HOLD_MAX_EXTENSIONS": "0",
            "APP_RELAY_MAX_ATTEMPTS": "3",
            "APP_RELAY_BACKOFF_SECONDS": "0.25",
            "JWT_ISSUER_URI": ISSUER,
            "APP_JWT_AUDIENCE": "reservations",
            "APP_JWT_CLOCK_SKEW_SECONDS": "0",
            "APP_PAYMENT_VERIFIER": "trusting",
            "APP_STATUS_SHARDS": "1",
        }
    )

    assert (config.http.host, config.http.port) == ("::1", 9090)
    assert config.profiles == ("prod", "blue")
    assert config.process.workers == 4
    assert config.process.drain_seconds == 0.5
    assert config.process.shutdown_seconds == 20
    assert config.process.log_level == "DEBUG"
    assert config.store.database_file == Path("/srv/data/reservation.db")
    assert config.store.synchronous == "NORMAL"
    assert config.hold == HoldPolicy(90, 30, 120, 0)
    assert config.relay == RetryPolicy(max_attempts=3, backoff_seconds=0.25)
    assert config.identity.source == PublishedKeys(ISSUER)
    assert config.identity.audience == "reservations"
    assert config.identity.clock_skew_seconds == 0


def test_the_settings_of_overload_reach_the_tree() -> None:
    config = load(
        {
            "APP_OVERLOAD_TARGET_WAIT_MILLISECONDS": "50",
            "APP_OVERLOAD_MIN_IN_FLIGHT": "2",
            "APP_OVERLOAD_MAX_IN_FLIGHT": "200",
            "APP_OVERLOAD_RESERVED_PERCENT": "10",
            "APP_RATE_LIMIT_REQUESTS_PER_SECOND": "7",
            "APP_RATE_LIMIT_BURST": "70",
        }
    )
    assert config.overload == OverloadConfig(0.05, 2, 200, 0.1)
    assert config.rate_limit == RateLimitConfig(7, 70)


def test_dev_listens_on_this_machine_and_does_not_drain_unless_it_is_told_to() -> None:
    config = load({}, DEV_DEFAULTS)
    assert config.http.host == "127.0.0.1"
    assert config.process.drain_seconds == 0

    told = load({"APP_HTTP_HOST": "0.0.0.0", "APP_DRAIN_SECONDS": "7"}, DEV_DEFAULTS)
    assert told.http.host == "0.0.0.0"
    assert told.process.drain_seconds == 7


def test_foreign_variables_are_no_concern() -> None:
    assert load({"PATH": "/bin", "HOME": "/", "AWS_PROFILE": "x", "JWT_COOKIE": "x"}) == load({})


def test_all_faults_are_told_at_once() -> None:
    faults = faults_of(
        APP_HTTP_PORT="http",
        APP_HOLD_SECONDS="0",
        APP_HTPT_PORT="1",
        SPRING_PROFILES_ACTIVE="prod",
        APP_MANAGEMENT_PORT="70000",
    )
    for name in ("APP_HTTP_PORT", "APP_HOLD_SECONDS", "APP_HTPT_PORT", "profile prod", "APP_MANAGEMENT_PORT"):
        assert len([fault for fault in faults if fault.startswith(name)]) == 1, name
    assert len(faults) == 5


def test_an_unknown_name_of_ours_is_a_fault_with_a_hint() -> None:
    assert faults_of(APP_HOLD_SECOND="60") == [
        "APP_HOLD_SECOND is no setting: did you mean APP_HOLD_SECONDS?"
    ]
    assert faults_of(APP_XYZZY="1") == ["APP_XYZZY is no setting"]


def test_a_slip_in_the_issuers_name_does_not_fall_back_to_another_issuer() -> None:
    assert faults_of(JWT_ISSUER_URL=ISSUER) == ["JWT_ISSUER_URL is no setting: did you mean JWT_ISSUER_URI?"]


@pytest.mark.parametrize(
    "setting", [s for s in SETTINGS.values() if s.name != "JVM_OPTS"], ids=lambda s: s.name
)
def test_set_but_empty_is_a_fault(setting: Setting) -> None:
    empty = f"{setting.name} is set but empty"
    assert any(fault.startswith(empty) for fault in faults_of(**{setting.name: " "}))


GUARD_BOUNDS = (
    ("TIMELIMITER_TIMEOUT_DURATION_MILLISECONDS", ["9", "10001", "0.5"]),
    ("CIRCUITBREAKER_FAILURE_RATE_THRESHOLD", ["0", "101", "half"]),
    ("CIRCUITBREAKER_SLOW_CALL_RATE_THRESHOLD", ["0", "100.5"]),
    ("CIRCUITBREAKER_SLOW_CALL_DURATION_THRESHOLD_MILLISECONDS", ["0", "600001"]),
    ("CIRCUITBREAKER_SLIDING_WINDOW_TYPE", ["time_based", "BOTH"]),
    ("CIRCUITBREAKER_SLIDING_WINDOW_SIZE", ["0", "10001"]),
    ("CIRCUITBREAKER_MINIMUM_NUMBER_OF_CALLS", ["0", "1000001"]),
    ("CIRCUITBREAKER_WAIT_DURATION_IN_OPEN_STATE_SECONDS", ["0", "1001"]),
    ("CIRCUITBREAKER_PERMITTED_NUMBER_OF_CALLS_IN_HALF_OPEN_STATE", ["0", "10001"]),
    ("CIRCUITBREAKER_MAX_WAIT_DURATION_IN_HALF_OPEN_STATE_SECONDS", ["-1", "1001"]),
    ("CIRCUITBREAKER_AUTOMATIC_TRANSITION_FROM_OPEN_TO_HALF_OPEN_ENABLED", ["1", "True"]),
    ("BULKHEAD_MAX_CONCURRENT_CALLS", ["0", "10001"]),
    ("BULKHEAD_MAX_WAIT_DURATION_MILLISECONDS", ["-1", "10001"]),
    ("RETRY_TOKEN_RATIO", ["-1", "1.1"]),
    ("RETRY_MIN_RETRIES_PER_SECOND", ["-1", "10001"]),
    ("RETRY_WINDOW_SECONDS", ["0", "3601"]),
)

TLS_FILES = (
    "GRPC_TLS_CERTIFICATE",
    "GRPC_TLS_KEY",
    "GRPC_TLS_CLIENT_CA",
    "INVENTORY_TLS_CA",
    "PAYMENT_TLS_CA",
)


@pytest.mark.parametrize(
    ("name", "bad"),
    [
        ("APP_HTTP_HOST", ["localhost", "127.0.0.1:80", "127.1", "[::1]", "*"]),
        ("APP_HTTP_PORT", ["0", "65536", "80.0", "\uff18\uff10", "1" * 30, "+80"]),
        ("APP_WORKERS", ["0", "65", "-1"]),
        ("APP_DRAIN_SECONDS", ["-1", "301", "1e2", "nan", "inf"]),
        ("APP_SHUTDOWN_SECONDS", ["1", "3601"]),
        ("APP_LOG_LEVEL", ["info", "TRACE"]),
        ("SPRING_PROFILES_ACTIVE", ["a,,b", "a b", "x" * 65]),
        ("APP_DATA_DIR", ["a\0b"]),
        ("APP_SQLITE_SYNCHRONOUS", ["OFF", "full"]),
        ("AWS_REGION", ["seoul", "AP-NORTHEAST-2"]),
        ("APP_HOLD_SECONDS", ["0", "1801", "1.5"]),
        ("APP_HOLD_GRACE_SECONDS", ["4", "1501"]),
        ("APP_HOLD_MAX_SECONDS", ["0", "1801"]),
        ("APP_SQLITE_COMMIT_DELAY_MILLISECONDS", ["-1", "101", "0.5"]),
        ("APP_HOLD_MAX_EXTENSIONS", ["-1", "11"]),
        ("APP_RELAY_MAX_ATTEMPTS", ["0", "101"]),
        ("APP_RELAY_BACKOFF_SECONDS", ["0", "61"]),
        ("JWT_ISSUER_URI", ["https://a b", "x" * 2049]),
        ("APP_JWT_AUDIENCE", ["a b", "x" * 256]),
        ("APP_JWT_CLOCK_SKEW_SECONDS", ["-1", "301"]),
        ("APP_PAYMENT_VERIFIER", ["none", "grpc"]),
        ("APP_DYNAMODB_TABLES_ORDERS", ["no", "a b c"]),
        ("DYNAMODB_ENDPOINT", ["localhost:8000", "ftp://x", "http://", "http://x:99999"]),
        ("AWS_EVENTBRIDGE_BUS_NAME", ["a b", "x" * 257]),
        (
            "INVENTORY_GRPC_ADDRESS",
            [
                *("inventory", "inventory:0", "inventory:99999", ":9090", "a b:1", "-a:1", "a" * 254 + ":1"),
                *("ftp://inventory:9090", "grpcs://inventory", "::1:9090", "http://u:p@inventory:9090"),
            ],
        ),
        *(
            (f"{prefix}{name}", bad)
            for prefix in ("APP_INVENTORY_", "APP_PAYMENT_", "APP_STORE_", "APP_EVENTBUS_")
            for name, bad in GUARD_BOUNDS
        ),
        ("SQS_ENDPOINT", ["localhost:4566"]),
        ("GRPC_PORT", ["0"]),
        ("APP_GRPC_TRUSTED", ["yes"]),
        *((f"APP_{name}_FILE", ["a\0b"]) for name in TLS_FILES),
        ("OTLP_ENDPOINT", ["otel:4318", "http://user:hunter2@otel/"]),
        ("APP_MANAGEMENT_PORT", ["70000"]),
        ("APP_OTLP_INTERVAL_SECONDS", ["0", "0.01", "3601"]),
        ("APP_OTLP_TRACES_ENDPOINT", ["otel:4318", "http://user:hunter2@otel/"]),
        ("APP_TRACES", ["yes", "1"]),
        ("APP_TRACES_RATIO", ["-0.1", "1.01", "1%"]),
        ("APP_METRICS_EMF", ["yes", "1"]),
        ("APP_STATUS_SHARDS", ["0", "101"]),
        ("APP_OVERLOAD_TARGET_WAIT_MILLISECONDS", ["0", "10001", "1.5"]),
        ("APP_OVERLOAD_MIN_IN_FLIGHT", ["0", "10001"]),
        ("APP_OVERLOAD_MAX_IN_FLIGHT", ["0", "10001"]),
        ("APP_OVERLOAD_RESERVED_PERCENT", ["-1", "91"]),
        ("APP_RATE_LIMIT_REQUESTS_PER_SECOND", ["-1", "100001"]),
        ("APP_RATE_LIMIT_BURST", ["0", "1000001"]),
    ],
)
def test_a_value_out_of_bounds_is_a_fault_that_says_what_it_must_be(name: str, bad: list[str]) -> None:
    for text in bad:
        told = [
            fault
            for fault in faults_of(**{name: text})
            if fault.startswith((f"{name} must", f"{name} names"))
        ]
        assert len(told) == 1, text


@pytest.mark.parametrize("other", ["APP_HTTP_PORT", "GRPC_PORT"])
def test_the_actuators_port_is_nobody_elses(other: str) -> None:
    assert load({"APP_MANAGEMENT_PORT": "9000"}).http.management_port == 9000
    assert faults_of(**{"APP_MANAGEMENT_PORT": "9000", other: "9000"}) == [
        f"APP_MANAGEMENT_PORT and {other} are both 9000: each needs a port of its own"
    ]


def test_the_fewest_let_in_are_not_more_than_the_most() -> None:
    assert faults_of(APP_OVERLOAD_MIN_IN_FLIGHT="1001") == [
        "APP_OVERLOAD_MIN_IN_FLIGHT (1001) must not be more than APP_OVERLOAD_MAX_IN_FLIGHT (1000)"
    ]
    assert load({"APP_OVERLOAD_MIN_IN_FLIGHT": "1000"}).overload.min_in_flight == 1000


def test_a_burst_needs_a_rate() -> None:
    assert faults_of(APP_RATE_LIMIT_REQUESTS_PER_SECOND="0", APP_RATE_LIMIT_BURST="5") == [
        "APP_RATE_LIMIT_BURST needs APP_RATE_LIMIT_REQUESTS_PER_SECOND above 0"
    ]
    assert load({"APP_RATE_LIMIT_REQUESTS_PER_SECOND": "0"}).rate_limit.requests_per_second == 0


def test_holds_never_outlive_what_the_inventory_remembers() -> None:
    longest = load({"APP_HOLD_MAX_SECONDS": "1800", "APP_HOLD_GRACE_SECONDS": "1500"}).hold
    assert longest.max_hold_seconds + longest.grace_seconds < 3600


def test_the_longest_hold_is_not_shorter_than_a_hold() -> None:
    assert faults_of(APP_HOLD_SECONDS="301") == [
        "APP_HOLD_MAX_SECONDS (300) must not be less than APP_HOLD_SECONDS (301)"
    ]
    assert load({"APP_HOLD_SECONDS": "300"}).hold.hold_seconds == 300


def test_shutting_down_takes_longer_than_draining() -> None:
    (fault,) = faults_of(APP_DRAIN_SECONDS="29")
    assert fault.startswith("APP_SHUTDOWN_SECONDS (30) must leave 2 seconds")


def test_profile_prod_believes_payments_only_when_asked_by_name() -> None:
    (fault,) = faults_of(SPRING_PROFILES_ACTIVE="prod")
    assert fault.startswith("profile prod does not believe payment intents by default")
    assert load({"SPRING_PROFILES_ACTIVE": "prod", "APP_PAYMENT_VERIFIER": "trusting"}).is_prod
    assert not load({"SPRING_PROFILES_ACTIVE": "local"}).is_prod


def test_profile_prod_notes_tokens_that_are_good_though_nobody_said_so() -> None:
    trusting = {"APP_PAYMENT_VERIFIER": "trusting"}
    prod, issuer = {**trusting, "SPRING_PROFILES_ACTIVE": "prod"}, {"JWT_ISSUER_URI": "https://auth.example"}
    audience = {"APP_JWT_AUDIENCE": "reservation-api"}
    (note,) = load({**prod, **audience}).notes
    assert note == "JWT_ISSUER_URI is not set: whoever reads issuer-key.pem can make tokens for anybody"
    (note,) = load({**prod, **issuer}).notes
    assert note == "APP_JWT_AUDIENCE is not set: every token of the issuer is good, whatever it was made for"
    assert load({**prod, **issuer, **audience}).notes == load({**trusting, **issuer}).notes == ()


@pytest.mark.parametrize("profile", ["PROD", "production", "prd", "blue,Prod"])
def test_what_is_nearly_prod_is_a_fault(profile: str) -> None:
    (fault,) = faults_of(SPRING_PROFILES_ACTIVE=profile)
    assert "did you mean prod?" in fault


def test_jvm_opts_are_taken_and_noted() -> None:
    for text in ("-Xms2g -Xmx4g", ""):
        assert load({"JVM_OPTS": text}).notes == ("JVM_OPTS is ignored: there is no JVM",)
    assert load({}).notes == ()


def test_there_is_a_test_of_bounds_for_every_setting_that_has_some() -> None:
    marks = test_a_value_out_of_bounds_is_a_fault_that_says_what_it_must_be.pytestmark  # type: ignore[attr-defined]
    tested = {name for name, _ in marks[0].args[1]}
    tables = {name for name in SETTINGS if name.startswith("APP_DYNAMODB_TABLES_")}
    same_kind = tables | {"EVENTBRIDGE_ENDPOINT", "PAYMENT_GRPC_ADDRESS"}
    assert tested | same_kind | {"JVM_OPTS", "JWT_JWKS", "JWT_JWKS_FILE"} == SETTINGS.keys()


def test_no_setting_turns_authentication_off() -> None:
    assert not [
        s.name for s in BUILT if any(word in s.name for word in ("AUTH", "DISABLE", "INSECURE", "ANONYM"))
    ]


def test_keys_in_the_environment_need_an_issuer() -> None:
    config = load({"JWT_ISSUER_URI": "urn:issuer", "JWT_JWKS": JWKS})
    assert config.identity.source == GivenKeys("urn:issuer", Secret(JWKS))

    config = load({"JWT_ISSUER_URI": "urn:issuer", "JWT_JWKS_FILE": "/run/secrets/jwks.json"})
    assert config.identity.source == KeysInFile("urn:issuer", Path("/run/secrets/jwks.json"))

    assert faults_of(JWT_JWKS=JWKS) == [
        "JWT_JWKS is set without JWT_ISSUER_URI, which tokens must name as their issuer"
    ]
    (fault,) = faults_of(JWT_JWKS_FILE="/run/secrets/jwks.json")
    assert fault.startswith("JWT_JWKS_FILE is set without JWT_ISSUER_URI")


def test_keys_come_from_one_place() -> None:
    assert faults_of(JWT_ISSUER_URI=ISSUER, JWT_JWKS=JWKS, JWT_JWKS_FILE="/x") == [
        "JWT_JWKS and JWT_JWKS_FILE are both set: the keys come from one place"
    ]


@pytest.mark.parametrize(
    "issuer", ["http://auth.example", "urn:issuer", "https://u:p@auth.example", "https://"]
)
def test_an_issuer_that_is_asked_for_keys_is_an_https_url(issuer: str) -> None:
    (fault,) = faults_of(JWT_ISSUER_URI=issuer)
    assert fault.startswith("JWT_ISSUER_URI must be an https URL")


@pytest.mark.parametrize("issuer", ["http://127.0.0.1:8081/realm", "http://localhost", "http://[::1]:80"])
def test_an_issuer_on_this_machine_may_be_asked_over_plain_http(issuer: str) -> None:
    assert load({"JWT_ISSUER_URI": issuer}).identity.source == PublishedKeys(issuer)


@pytest.mark.parametrize("text", ["very-secret", "[]", '{"keys": 1}', '{"very-secret": []}', "[" * 100_000])
def test_keys_that_are_no_key_set_are_a_fault_without_the_keys(text: str) -> None:
    (fault,) = faults_of(JWT_ISSUER_URI=ISSUER, JWT_JWKS=text)
    assert fault == "JWT_JWKS must be a JSON object with `keys`"


def test_secrets_do_not_show() -> None:
    config = load({"JWT_ISSUER_URI": ISSUER, "JWT_JWKS": JWKS})
    assert "very-secret" not in f"{config!r} {config} {config.identity.source}"


def test_passwords_in_urls_do_not_show_in_faults() -> None:
    assert "hunter2" not in " ".join(faults_of(OTLP_ENDPOINT="http://user:hunter2@otel:4318/"))
    assert "hunter2" not in " ".join(faults_of(JWT_ISSUER_URI="http://user:hunter2@auth/ realm"))
