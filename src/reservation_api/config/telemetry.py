"""The part of the tree that is about telemetry: where it is sent."""

from collections.abc import Iterator

from reservation_api.config.guards import TRUE
from reservation_api.config.tree import OtlpConfig, TelemetryConfig, TracesConfig
from reservation_api.config.values import Values

_ENDPOINT = "OTLP_ENDPOINT"
_INTERVAL = "APP_OTLP_INTERVAL_SECONDS"
_TRACES = "APP_TRACES"
_TRACES_ENDPOINT = "APP_OTLP_TRACES_ENDPOINT"
_RATIO = "APP_TRACES_RATIO"
_METRICS_PATH, _TRACES_PATH = "/v1/metrics", "/v1/traces"


def telemetry_of(values: Values) -> TelemetryConfig:
    """Return where telemetry is sent."""
    endpoint = values.get(_ENDPOINT)
    otlp = None if endpoint is None else OtlpConfig(endpoint, values.get(_INTERVAL))
    return TelemetryConfig(otlp, _traces_of(values), values.get("APP_METRICS_EMF") == TRUE)


def telemetry_faults(values: Values) -> Iterator[str]:
    """Find what is set for a collector that nobody has named."""
    if values.has(_INTERVAL) and not values.has(_ENDPOINT):
        yield f"{_INTERVAL} needs {_ENDPOINT} too"
    if values.has(_RATIO) and not values.has(_ENDPOINT) and not values.has(_TRACES_ENDPOINT):
        yield f"{_RATIO} needs {_ENDPOINT} or {_TRACES_ENDPOINT} too"


def telemetry_notes(values: Values) -> Iterator[str]:
    """Say it when nobody would find the traces."""
    if values.get(_TRACES) == TRUE and values.has(_ENDPOINT) and _traces_of(values) is None:
        yield (
            f"no traces are sent: {_ENDPOINT} does not end in {_METRICS_PATH},"
            f" and {_TRACES_ENDPOINT} is not set"
        )


def _traces_of(values: Values) -> TracesConfig | None:
    """Return where spans go: to the collector of the metrics, by its other path, unless told otherwise."""
    endpoint = values.get(_TRACES_ENDPOINT)
    of_metrics = values.get(_ENDPOINT) or ""
    if endpoint is None and of_metrics.endswith(_METRICS_PATH):
        endpoint = of_metrics.removesuffix(_METRICS_PATH) + _TRACES_PATH
    if endpoint is None or values.get(_TRACES) != TRUE:
        return None
    return TracesConfig(endpoint, values.get(_RATIO))
