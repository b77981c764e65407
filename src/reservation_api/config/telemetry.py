"""The part of the tree that is about telemetry: where it is sent."""

from collections.abc import Iterator

from reservation_api.config.guards import TRUE
from reservation_api.config.tree import OtlpConfig, TelemetryConfig
from reservation_api.config.values import Values

_ENDPOINT = "OTLP_ENDPOINT"
_INTERVAL = "APP_OTLP_INTERVAL_SECONDS"


def telemetry_of(values: Values) -> TelemetryConfig:
    """Return where telemetry is sent."""
    endpoint = values.get(_ENDPOINT)
    otlp = None if endpoint is None else OtlpConfig(endpoint, values.get(_INTERVAL))
    return TelemetryConfig(otlp, values.get("APP_METRICS_EMF") == TRUE)


def telemetry_faults(values: Values) -> Iterator[str]:
    """Find what is set for a collector that nobody has named."""
    if values.has(_INTERVAL) and not values.has(_ENDPOINT):
        yield f"{_INTERVAL} needs {_ENDPOINT} too"
