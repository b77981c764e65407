"""`/actuator`: health, info and metrics, as Spring Boot shows them."""

import platform
from collections.abc import Mapping
from functools import cache
from typing import Annotated, Any, Protocol

import msgspec
from msgspec import UNSET, Meta, Struct, UnsetType

from reservation_api.application.health import Component, ComponentStatus, Health, Readiness
from reservation_api.domain.errors import NotFoundError
from reservation_api.entrypoints.http.decoding import decode_query
from reservation_api.entrypoints.http.operations import Handler
from reservation_api.entrypoints.http.queries import MetricQuery
from reservation_api.entrypoints.http.render import json_response
from reservation_api.entrypoints.http.request import (
    JSON_HEADERS,
    SAFETY_HEADERS,
    Call,
    HeaderList,
    Headers,
    Response,
)
from reservation_api.ports.identity import OPS_SCOPE
from reservation_api.telemetry.metrics import CONTENT_TYPE, Metrics

PACKAGE = "reservation-api"

_HealthText = Annotated[str, Meta(examples=["UP", "DOWN", "OUT_OF_SERVICE", "UNKNOWN"])]
_PROMETHEUS_HEADERS: HeaderList = [("content-type", CONTENT_TYPE), *SAFETY_HEADERS]
_encode_details = msgspec.json.Encoder(enc_hook=str).encode


class ComponentAnswer(Struct, frozen=True):
    """One part's health; `details` only for callers with the scope reservation:ops."""

    status: _HealthText
    details: dict[str, Any] | UnsetType = UNSET


class HealthAnswer(Struct, frozen=True):
    """The whole process's health: DOWN for its own failures, not for those of what it depends on."""

    status: _HealthText
    components: dict[str, ComponentAnswer]
    groups: list[str]


class ProbeAnswer(Struct, frozen=True):
    """What a probe wants to know."""

    status: _HealthText


class AppAnswer(Struct, frozen=True):
    """Which program."""

    name: str
    version: str


class RuntimeAnswer(Struct, frozen=True):
    """On which interpreter."""

    version: str


class InfoAnswer(Struct, frozen=True):
    """What runs here."""

    app: AppAnswer
    python: RuntimeAnswer


class MetricNamesAnswer(Struct, frozen=True):
    """Which metrics there are."""

    names: list[str]


class MeasurementAnswer(Struct, frozen=True):
    """One number of a metric."""

    statistic: str
    value: float


class TagAnswer(Struct, frozen=True):
    """A label, and the values it has."""

    tag: str
    values: list[str]


class MetricAnswer(Struct, frozen=True, rename="camel"):
    """One metric of this process and those beside it on the port."""

    name: str
    description: str
    measurements: list[MeasurementAnswer]
    available_tags: list[TagAnswer]


class KnowsScopes(Protocol):
    """Says what the caller of a public route may see."""

    async def has_scope(self, headers: Headers, scope: str) -> bool:
        """Tell whether the caller has a scope."""
        ...


class ActuatorHandlers:
    """Renders health and metrics."""

    def __init__(self, health: Health, metrics: Metrics, callers: KnowsScopes) -> None:
        self._health = health
        self._metrics = metrics
        self._callers = callers

    def by_operation(self) -> Mapping[str, Handler]:
        """Say who serves each operation."""
        return {
            "health": self.health,
            "liveness": self.liveness,
            "readiness": self.readiness,
            "info": self.info,
            "listMetrics": self.metric_names,
            "getMetric": self.metric,
            "prometheus": self.prometheus,
        }

    async def health(self, call: Call) -> Response:
        """GET /actuator/health."""
        components = await self._health.components()
        with_details = await self._callers.has_scope(call.request.headers, OPS_SCOPE)
        shown = {name: _component(part, with_details=with_details) for name, part in components.items()}
        shown["livenessState"] = ComponentAnswer("UP")
        shown["readinessState"] = ComponentAnswer(_readiness_text(self._health.readiness))
        status = _overall(self._health.readiness, components)
        body = _encode_details(HealthAnswer(status, shown, ["liveness", "readiness"]))
        return Response(_http_status(status), JSON_HEADERS, body)

    async def liveness(self, _call: Call) -> Response:
        """GET /actuator/health/liveness: if this runs, the process lives."""
        return json_response(ProbeAnswer("UP"))

    async def readiness(self, _call: Call) -> Response:
        """GET /actuator/health/readiness."""
        status = _readiness_text(self._health.readiness)
        return json_response(ProbeAnswer(status), _http_status(status))

    async def info(self, _call: Call) -> Response:
        """GET /actuator/info."""
        return json_response(_info())

    async def metric_names(self, _call: Call) -> Response:
        """GET /actuator/metrics."""
        return json_response(MetricNamesAnswer(self._metrics.names()))

    async def metric(self, call: Call) -> Response:
        """GET /actuator/metrics/{name}."""
        query = decode_query(call.request.query, MetricQuery)
        label, _, value = ("", "", "") if query.tag is UNSET else query.tag.partition(":")
        reading = self._metrics.reading(call.parameter, (label, value) if label else None)
        if reading is None:
            raise NotFoundError("no such metric")
        measurements = [MeasurementAnswer(item.statistic, item.value) for item in reading.measurements]
        tags = [TagAnswer(tag, values) for tag, values in reading.tags.items()]
        return json_response(MetricAnswer(reading.name, reading.description, measurements, tags))

    async def prometheus(self, _call: Call) -> Response:
        """GET /actuator/prometheus."""
        return Response(200, _PROMETHEUS_HEADERS, self._metrics.exposition())


def _component(part: Component, *, with_details: bool) -> ComponentAnswer:
    return ComponentAnswer(part.status, part.details if with_details and part.details else UNSET)


def _overall(readiness: Readiness, components: dict[str, Component]) -> str:
    """Count the process's own failures; UNKNOWN, a shared dependency's, drains nobody."""
    if any(part.status is ComponentStatus.DOWN for part in components.values()):
        return "DOWN"
    return _readiness_text(readiness)


def _readiness_text(readiness: Readiness) -> str:
    """Spring Boot's word for a process that takes no traffic, starting or draining."""
    return "UP" if readiness is Readiness.ACCEPTING_TRAFFIC else "OUT_OF_SERVICE"


def _http_status(status: str) -> int:
    return 200 if status == "UP" else 503


@cache
def _info() -> InfoAnswer:
    # Reading what is installed takes longer than all else of a start that is seldom asked for.
    from importlib.metadata import version  # noqa: PLC0415

    return InfoAnswer(AppAnswer(PACKAGE, version(PACKAGE)), RuntimeAnswer(platform.python_version()))
