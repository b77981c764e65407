from typing import Any

import pytest
from tests.support.api import Client, answering, make_api, ready
from tests.support.clock import FakeClock
from tests.support.overload import full

from reservation_api.application.health import Component, ComponentStatus, Health, Readiness

OPS = "user-1+reservation:ops"


def client_of(health: Health, token: str = "") -> Client:
    return Client(make_api(answering(None), FakeClock(), health=health), token)


def checks(**parts: Component) -> dict[str, Any]:
    def check(part: Component) -> Any:
        async def run() -> Component:
            return part

        return run

    return {name: check(part) for name, part in parts.items()}


UP = Component(ComponentStatus.UP, {"file": "data/reservations.db"})
AWAY = Component(ComponentStatus.UNKNOWN, {"error": "timed out"})
BROKEN = Component(ComponentStatus.DOWN, {"error": "no space left"})


async def broken_check() -> Component:
    raise OSError("no space left")


async def test_health_shows_every_component_and_the_groups() -> None:
    answer = await client_of(ready(checks(store=UP))).get("/actuator/health")
    assert answer.status == 200
    assert answer.json == {
        "status": "UP",
        "components": {
            "store": {"status": "UP"},
            "livenessState": {"status": "UP"},
            "readinessState": {"status": "UP"},
        },
        "groups": ["liveness", "readiness"],
    }


async def test_details_are_for_operators() -> None:
    client = client_of(ready(checks(store=UP)))
    for token, shown in (("", False), ("forged", False), ("user-1", False), (OPS, True)):
        client.token = token
        store = (await client.get("/actuator/health")).json["components"]["store"]
        assert store == ({"status": "UP", "details": UP.details} if shown else {"status": "UP"})


async def test_a_shared_dependency_away_drains_nobody() -> None:
    answer = await client_of(ready(checks(store=UP, inventory=AWAY))).get("/actuator/health")
    assert (answer.status, answer.json["status"]) == (200, "UP")
    assert answer.json["components"]["inventory"] == {"status": "UNKNOWN"}


async def test_an_own_failure_is_down() -> None:
    for parts in (checks(disk=BROKEN), {"disk": broken_check}):
        answer = await client_of(ready(parts), OPS).get("/actuator/health")
        assert (answer.status, answer.json["status"]) == (503, "DOWN")
        assert answer.json["components"]["disk"]["details"] == {"error": "no space left"}


@pytest.mark.parametrize(
    ("readiness", "overall", "probe", "status"),
    [
        (Readiness.STARTING, "OUT_OF_SERVICE", "OUT_OF_SERVICE", 503),
        (Readiness.ACCEPTING_TRAFFIC, "UP", "UP", 200),
        (Readiness.REFUSING_TRAFFIC, "OUT_OF_SERVICE", "OUT_OF_SERVICE", 503),
    ],
)
async def test_readiness_is_the_processs_own_state(
    readiness: Readiness, overall: str, probe: str, status: int
) -> None:
    health = Health({})
    health.readiness = readiness
    client = client_of(health)
    answer = await client.get("/actuator/health/readiness")
    assert (answer.status, answer.json) == (status, {"status": probe})
    answer = await client.get("/actuator/health")
    assert (answer.status, answer.json["status"]) == (status, overall)


async def test_liveness_is_up_whatever_else_is_wrong_and_asks_nobody() -> None:
    asked = []

    async def check() -> Component:
        asked.append("store")
        return BROKEN

    health = Health({"store": check})
    health.readiness = Readiness.REFUSING_TRAFFIC
    answer = await client_of(health).get("/actuator/health/liveness")
    assert (answer.status, answer.json, asked) == (200, {"status": "UP"}, [])


async def test_info_names_program_and_interpreter() -> None:
    info = (await client_of(ready(), OPS).get("/actuator/info")).json
    assert info["app"]["name"] == "reservation-api"
    assert set(info["app"]) == {"name", "version"}
    assert info["python"]["version"].startswith("3.")


async def test_probes_are_answered_under_overload() -> None:
    client = client_of(ready(), OPS)
    client.api.guards = full()
    assert (await client.get("/v1/orders")).status == 503
    for path in ("health", "health/liveness", "health/readiness", "info", "metrics", "prometheus"):
        assert (await client.get(f"/actuator/{path}")).status == 200
