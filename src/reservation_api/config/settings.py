"""The table of all settings: what the environment may say, what it means, and what holds if it does not."""

from collections.abc import Mapping
from dataclasses import dataclass

from reservation_api.config.kinds import (
    Address,
    Anything,
    Choice,
    Directory,
    File,
    IpAddress,
    KeySet,
    Kind,
    Number,
    Pattern,
    Profiles,
    Seconds,
    Url,
    WholeNumber,
)

_PORT = WholeNumber(1, 65535)
_TABLE = Pattern(r"[A-Za-z0-9_.-]{3,255}", "a DynamoDB table name")

_BREAKER = "APP_INVENTORY_CIRCUITBREAKER"

_LONGEST_HOLD = 1800
_SHORTEST_GRACE = 5
"""More than what two clocks may differ, or one process would give away what another still holds."""
_LONGEST_GRACE = 1500
"""Hold and grace together stay below the hour for which the inventory remembers an id that is over."""


@dataclass(frozen=True, slots=True)
class Setting:
    """One environment variable."""

    name: str
    kind: Kind
    meaning: str
    """One sentence for the README."""
    default: str | None = None
    secret: bool = False
    """Masked wherever it is shown."""


@dataclass(frozen=True, slots=True)
class LaterFeature:
    """What this release does not have yet: its settings are checked and then refused."""

    subject: str
    """Completes "…, but {subject} not part of this release"."""
    remedy: str
    settings: tuple[Setting, ...]


SERVER = (
    Setting("APP_HTTP_HOST", IpAddress(), "Where to listen; `dev` listens on 127.0.0.1.", "0.0.0.0"),  # noqa: S104
    Setting("APP_HTTP_PORT", _PORT, "The port of HTTP.", "8080"),
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
)

PAYMENT = (
    Setting("PAYMENT_GRPC_ADDRESS", Address(), "The payment service, which says what is paid for."),
    Setting(
        "APP_PAYMENT_TIMELIMITER_TIMEOUT_DURATION_MILLISECONDS",
        WholeNumber(10, 10_000),
        "How long it may take to answer, a second try included.",
        "250",
    ),
)

INVENTORY = (
    Setting(
        "INVENTORY_GRPC_ADDRESS",
        Address(),
        "The inventory service; without it the built-in inventory is used.",
    ),
    Setting(
        "APP_INVENTORY_TIMELIMITER_TIMEOUT_DURATION_MILLISECONDS",
        WholeNumber(10, 10_000),
        "How long it may take to answer, a second try included.",
        "250",
    ),
    Setting(
        f"{_BREAKER}_FAILURE_RATE_THRESHOLD",
        Number(1, 100),
        "At this percentage of unanswered calls it is left alone for a while: holds get 503 at once.",
        "50",
    ),
    Setting(
        f"{_BREAKER}_SLOW_CALL_RATE_THRESHOLD",
        Number(1, 100),
        "The same at this percentage of slow calls.",
        "100",
    ),
    Setting(
        f"{_BREAKER}_SLOW_CALL_DURATION_THRESHOLD_MILLISECONDS",
        WholeNumber(1, 600_000),
        "What a slow call is; above the time limit none is: an inventory that answers late still sells.",
        "60000",
    ),
    Setting(
        f"{_BREAKER}_SLIDING_WINDOW_TYPE",
        Choice(("TIME_BASED", "COUNT_BASED")),
        "Whether the last seconds count or the last calls; a sale makes 100 calls in a tenth of a second,"
        " too short to judge by.",
        "TIME_BASED",
    ),
    Setting(
        f"{_BREAKER}_SLIDING_WINDOW_SIZE",
        WholeNumber(1, 10_000),
        "How many seconds or calls; 10 seconds outlast a hiccup and are soon over.",
        "10",
    ),
    Setting(
        f"{_BREAKER}_MINIMUM_NUMBER_OF_CALLS", WholeNumber(1, 1_000_000), "Fewer are not judged by.", "100"
    ),
    Setting(
        f"{_BREAKER}_WAIT_DURATION_IN_OPEN_STATE_SECONDS",
        Number(0.1, 1_000),
        "How long it is left alone; shorter than the grace of holds.",
        "30",
    ),
    Setting(
        f"{_BREAKER}_PERMITTED_NUMBER_OF_CALLS_IN_HALF_OPEN_STATE",
        WholeNumber(1, 10_000),
        "How many calls try it then; they decide.",
        "10",
    ),
    Setting(
        f"{_BREAKER}_MAX_WAIT_DURATION_IN_HALF_OPEN_STATE_SECONDS",
        Number(0, 1_000),
        "How long they may take altogether, or it is left alone again; 0: as long as they take.",
        "0",
    ),
    Setting(
        f"{_BREAKER}_AUTOMATIC_TRANSITION_FROM_OPEN_TO_HALF_OPEN_ENABLED",
        Choice(("true", "false")),
        "Whether the state changes when somebody looks, not only when a call comes.",
        "false",
    ),
    Setting(
        "APP_INVENTORY_BULKHEAD_MAX_CONCURRENT_CALLS",
        WholeNumber(1, 10_000),
        "Calls under way at once from one process: 2,000 a second at 250 ms each, more than a core makes, and"
        " half the requests that a process takes in.",
        "500",
    ),
    Setting(
        "APP_INVENTORY_BULKHEAD_MAX_WAIT_DURATION_MILLISECONDS",
        WholeNumber(0, 10_000),
        "How long a call may wait for another to end; 0: it gets 503 at once.",
        "0",
    ),
    Setting(
        "APP_INVENTORY_RETRY_TOKEN_RATIO",
        Number(0, 1),
        "Second tries for each call, within the window: 0.2 is one for five.",
        "0.2",
    ),
    Setting(
        "APP_INVENTORY_RETRY_MIN_RETRIES_PER_SECOND",
        WholeNumber(0, 10_000),
        "Second tries allowed however few calls there are.",
        "10",
    ),
    Setting(
        "APP_INVENTORY_RETRY_WINDOW_SECONDS",
        WholeNumber(1, 3_600),
        "Over how many seconds tries are counted.",
        "10",
    ),
)
"""By Resilience4j's names, the unit at the end; its defaults or the original's, unless a meaning says why."""

LATER = (
    LaterFeature(
        "the DynamoDB runtime is",
        "to run embedded",
        (
            Setting("APP_DYNAMODB_TABLES_RESERVATIONS", _TABLE, "The reservations table."),
            Setting("APP_DYNAMODB_TABLES_ORDERS", _TABLE, "The orders table."),
            Setting("APP_DYNAMODB_TABLES_IDEMPOTENCY", _TABLE, "The idempotency table."),
            Setting("APP_DYNAMODB_TABLES_OUTBOX", _TABLE, "The outbox table."),
            Setting("DYNAMODB_ENDPOINT", Url(), "Another endpoint of DynamoDB, for development."),
        ),
    ),
    LaterFeature(
        "the EventBridge bus is",
        "to log events in the embedded store",
        (
            Setting(
                "AWS_EVENTBRIDGE_BUS_NAME",
                Pattern(r"[A-Za-z0-9_./-]{1,256}", "the name of an event bus"),
                "The event bus.",
            ),
            Setting("EVENTBRIDGE_ENDPOINT", Url(), "Another endpoint of EventBridge, for development."),
        ),
    ),
    LaterFeature(
        "the export of telemetry over OTLP is",
        "and scrape /actuator/prometheus",
        (Setting("OTLP_ENDPOINT", Url(), "Where to send metrics."),),
    ),
    LaterFeature(
        "a port of its own for the actuator is",
        "to serve the actuator on the port of HTTP",
        (Setting("APP_MANAGEMENT_PORT", _PORT, "The port of the actuator."),),
    ),
    LaterFeature(
        "more than one status shard is",
        "or set it to 1",
        (Setting("APP_STATUS_SHARDS", WholeNumber(1, 100), "Over how many keys a status is spread.", "1"),),
    ),
)

BUILT = (*SERVER, *STORE, *HOLDS, *RELAY, *IDENTITY, *GRPC, *PAYMENT, *INVENTORY)
SETTINGS: Mapping[str, Setting] = {
    setting.name: setting
    for setting in (*BUILT, *(setting for feature in LATER for setting in feature.settings))
}
DEV_DEFAULTS: Mapping[str, str] = {
    "APP_HTTP_HOST": "127.0.0.1",
    "APP_DRAIN_SECONDS": "0",
    "GRPC_PORT": "8011",
}
"""What `dev` takes instead of the defaults: nobody else's traffic, no waiting for a balancer, gRPC too."""
