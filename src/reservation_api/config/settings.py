"""The table of all settings: what the environment may say, what it means, and what holds if it does not."""

from collections.abc import Mapping

from reservation_api.config.guards import (
    EVENT_BUS_GUARD,
    INVENTORY_GUARD,
    PAYMENT_GUARD,
    STORE_GUARD,
    guard_settings,
)
from reservation_api.config.kinds import (
    Address,
    Anything,
    Choice,
    Directory,
    File,
    IpAddress,
    KeySet,
    Number,
    Pattern,
    Profiles,
    Seconds,
    Url,
    WholeNumber,
)
from reservation_api.config.setting import Setting

_PORT = WholeNumber(1, 65535)
_TABLE = Pattern(r"[A-Za-z0-9_.-]{3,255}", "a DynamoDB table name")

_LONGEST_HOLD = 1800
_SHORTEST_GRACE = 5
"""More than what two clocks may differ, or one process would give away what another still holds."""
_LONGEST_GRACE = 1500
"""Hold and grace together stay below the hour for which the inventory remembers an id that is over."""


SERVER = (
    Setting("APP_HTTP_HOST", IpAddress(), "Where to listen; `dev` listens on 127.0.0.1.", "0.0.0.0"),  # noqa: S104
    Setting("APP_HTTP_PORT", _PORT, "The port of HTTP.", "8080"),
    Setting(
        "APP_MANAGEMENT_PORT",
        _PORT,
        "A port for the actuator alone, open to whoever reaches it; HTTP's then answers for health only.",
    ),
    Setting("APP_WORKERS", WholeNumber(1, 64), "Processes that `serve` runs; one per core.", "1"),
    Setting(
        "APP_DRAIN_SECONDS",
        Seconds(0, 300),
        "How long to go on serving after SIGTERM while readiness refuses; 0 in `dev`.",
        "3",
    ),
    Setting(
        "APP_SHUTDOWN_SECONDS",
        Seconds(2, 3600),
        "From SIGTERM until the process is gone, done or not.",
        "30",
    ),
    Setting("APP_LOG_LEVEL", Choice(("DEBUG", "INFO", "WARNING", "ERROR")), "What is logged.", "INFO"),
    Setting(
        "SPRING_PROFILES_ACTIVE",
        Profiles(),
        "The profile; `prod` refuses what only development should have.",
        "default",
    ),
    Setting("JVM_OPTS", Anything(), "Taken and ignored: there is no JVM.", secret=True),
)

STORE = (
    Setting("APP_DATA_DIR", Directory(), "Where the embedded runtime keeps its file and key.", "./data"),
    Setting(
        "APP_SQLITE_SYNCHRONOUS",
        Choice(("FULL", "NORMAL")),
        "FULL survives a power cut; NORMAL only a crash of the process.",
        "FULL",
    ),
    Setting(
        "APP_SQLITE_COMMIT_DELAY_MILLISECONDS",
        WholeNumber(0, 100),
        "How long a write waits for others to be committed with it.",
        "1",
    ),
    Setting(
        "AWS_REGION",
        Pattern(r"[a-z]{2}(-[a-z]+)+-[0-9]", "an AWS Region such as ap-northeast-2"),
        "The AWS Region; the embedded runtime has no use for it.",
    ),
)

HOLDS = (
    Setting("APP_HOLD_SECONDS", WholeNumber(1, _LONGEST_HOLD), "How long seats are held.", "60"),
    Setting(
        "APP_HOLD_GRACE_SECONDS",
        WholeNumber(_SHORTEST_GRACE, _LONGEST_GRACE),
        "How much longer the inventory keeps them, for a confirm that is under way.",
        "60",
    ),
    Setting(
        "APP_HOLD_MAX_SECONDS",
        WholeNumber(1, _LONGEST_HOLD),
        "How long at most from creation, extensions included.",
        "300",
    ),
    Setting("APP_HOLD_MAX_EXTENSIONS", WholeNumber(0, 10), "How often a hold may be extended.", "2"),
)

RELAY = (
    Setting(
        "APP_RELAY_MAX_ATTEMPTS",
        WholeNumber(1, 100),
        "After so many refusals an outbox row is FAILED and waits for a person.",
        "10",
    ),
    Setting(
        "APP_RELAY_BACKOFF_SECONDS",
        Seconds(0.1, 60),
        "The wait before the second attempt; it doubles with each.",
        "1",
    ),
)

IDENTITY = (
    Setting(
        "JWT_ISSUER_URI",
        Pattern(r"\S{1,2048}", "a URI without spaces"),
        "Whose tokens are good; without it the embedded issuer's. Its keys come from its discovery document.",
    ),
    Setting(
        "JWT_JWKS",
        KeySet(),
        "The issuer's keys as a JWKS, instead of asking the issuer.",
        secret=True,
    ),
    Setting("JWT_JWKS_FILE", File(), "A file with them, read again when it changes."),
    Setting(
        "APP_JWT_AUDIENCE",
        Pattern(r"\S{1,255}", "text without spaces"),
        "The audience that tokens must name.",
    ),
    Setting(
        "APP_JWT_CLOCK_SKEW_SECONDS",
        Seconds(0, 300),
        "How far the issuer's clock may be off.",
        "5",
    ),
    Setting(
        "APP_PAYMENT_VERIFIER",
        Choice(("trusting",)),
        "`trusting` believes every payment intent; in profile `prod` it must be asked for by name.",
    ),
)

GRPC = (
    Setting("GRPC_PORT", _PORT, "The port of gRPC, at the address of HTTP; 8011 in `dev`, else none."),
    Setting(
        "APP_GRPC_TRUSTED",
        Choice(("true", "false")),
        "Whether whoever reaches the port of gRPC may speak for any user: for networks of gateways only.",
        "false",
    ),
    Setting("APP_GRPC_TLS_CERTIFICATE_FILE", File(), "The server's certificate chain: gRPC over TLS."),
    Setting("APP_GRPC_TLS_KEY_FILE", File(), "Its key."),
    Setting(
        "APP_GRPC_TLS_CLIENT_CA_FILE",
        File(),
        "Who signs gateways' certificates: only they get in, and may speak for any user.",
    ),
)

PAYMENT = (
    Setting("PAYMENT_GRPC_ADDRESS", Address(), "The payment service, which says what is paid for."),
    Setting("APP_PAYMENT_TLS_CA_FILE", File(), "Who signs its certificate, instead of public authorities."),
    *guard_settings(PAYMENT_GUARD),
)

INVENTORY = (
    Setting(
        "INVENTORY_GRPC_ADDRESS",
        Address(),
        "The inventory service; without it the built-in inventory is used.",
    ),
    Setting("APP_INVENTORY_TLS_CA_FILE", File(), "Who signs its certificate, instead of public authorities."),
    *guard_settings(INVENTORY_GUARD),
)

AWS = (
    Setting(
        "APP_DYNAMODB_TABLES_RESERVATIONS",
        _TABLE,
        "The reservations table; the four tables together choose the AWS runtime.",
    ),
    Setting("APP_DYNAMODB_TABLES_ORDERS", _TABLE, "The orders table."),
    Setting("APP_DYNAMODB_TABLES_IDEMPOTENCY", _TABLE, "The idempotency table."),
    Setting("APP_DYNAMODB_TABLES_OUTBOX", _TABLE, "The outbox table."),
    Setting(
        "AWS_EVENTBRIDGE_BUS_NAME",
        Pattern(r"[A-Za-z0-9_./-]{1,256}", "the name of an event bus"),
        "The event bus.",
    ),
    Setting("DYNAMODB_ENDPOINT", Url(), "Another endpoint of DynamoDB, for development."),
    Setting("EVENTBRIDGE_ENDPOINT", Url(), "Another endpoint of EventBridge, for development."),
    Setting("SQS_ENDPOINT", Url(), "Another endpoint of SQS, for development."),
    Setting(
        "APP_STATUS_SHARDS",
        WholeNumber(1, 100),
        "Over how many keys of an index each status is spread; one key takes 1,000 writes a second.",
        "1",
    ),
    *guard_settings(STORE_GUARD),
    *guard_settings(EVENT_BUS_GUARD),
)

TELEMETRY = (
    Setting("OTLP_ENDPOINT", Url(), "Where to send metrics: the whole URL, /v1/metrics included."),
    Setting("APP_OTLP_INTERVAL_SECONDS", Seconds(0.1, 3600), "How often they are sent.", "10"),
    Setting(
        "APP_OTLP_TRACES_ENDPOINT",
        Url(),
        "Where to send traces; if unset, OTLP_ENDPOINT with /v1/traces in place of /v1/metrics.",
    ),
    Setting(
        "APP_TRACES",
        Choice(("true", "false")),
        "Whether requests are recorded as traces: needs a collector that takes them.",
        "true",
    ),
    Setting(
        "APP_TRACES_RATIO",
        Number(0, 1),
        "What part of the traces that begin here is recorded; callers decide on theirs (`traceparent`).",
        "0.01",
    ),
    Setting(
        "APP_METRICS_EMF",
        Choice(("true", "false")),
        "Whether the metrics of CloudWatch are written to stdout, in its embedded metric format.",
        "false",
    ),
)

OVERLOAD = (
    Setting(
        "APP_OVERLOAD_TARGET_WAIT_MILLISECONDS",
        WholeNumber(1, 10_000),
        "How long requests may wait in the process itself, on average; when it is more, fewer are let in.",
        "30",
    ),
    Setting(
        "APP_OVERLOAD_MIN_IN_FLIGHT",
        WholeNumber(1, 10_000),
        "Requests that are let in at once however long they wait.",
        "16",
    ),
    Setting(
        "APP_OVERLOAD_MAX_IN_FLIGHT",
        WholeNumber(1, 10_000),
        "Requests that are let in at once at most; the others get 503 with `Retry-After`.",
        "1000",
    ),
    Setting(
        "APP_OVERLOAD_RESERVED_PERCENT",
        WholeNumber(0, 90),
        "How much of that is for confirm and cancel alone.",
        "25",
    ),
    Setting(
        "APP_RATE_LIMIT_REQUESTS_PER_SECOND",
        WholeNumber(0, 100_000),
        "Requests a second of one subject to one process, beyond which it gets 429; 0: as many as it likes.",
        "50",
    ),
    Setting(
        "APP_RATE_LIMIT_BURST",
        WholeNumber(1, 1_000_000),
        "How many it may make at once after a pause.",
        "200",
    ),
)

BUILT = (*SERVER, *OVERLOAD, *STORE, *HOLDS, *RELAY, *IDENTITY, *GRPC, *PAYMENT, *INVENTORY, *AWS, *TELEMETRY)
SETTINGS: Mapping[str, Setting] = {setting.name: setting for setting in BUILT}
DEV_DEFAULTS: Mapping[str, str] = {
    "APP_HTTP_HOST": "127.0.0.1",
    "APP_DRAIN_SECONDS": "0",
    "GRPC_PORT": "8011",
}
"""What `dev` takes instead of the defaults: nobody else's traffic, no waiting for a balancer, gRPC too."""
