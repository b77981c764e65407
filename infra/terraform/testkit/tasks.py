"""Task definitions: what Fargate refuses, and what AWS adds to containers by itself."""

import json
from collections.abc import Iterator, Mapping
from typing import Any, Final

from testkit.kind import Fault
from testkit.values import State

_GB: Final = 1024
_MEMORY: Final[Mapping[int, frozenset[int]]] = {
    256: frozenset({512, _GB, 2 * _GB}),
    512: frozenset(range(_GB, 4 * _GB + 1, _GB)),
    1024: frozenset(range(2 * _GB, 8 * _GB + 1, _GB)),
    2048: frozenset(range(4 * _GB, 16 * _GB + 1, _GB)),
    4096: frozenset(range(8 * _GB, 30 * _GB + 1, _GB)),
    8192: frozenset(range(16 * _GB, 60 * _GB + 1, 4 * _GB)),
    16384: frozenset(range(32 * _GB, 120 * _GB + 1, 8 * _GB)),
}
"""Fargate's sizes: CPU units, and the MiB that each may have."""

_EMPTY: Final[tuple[Any, ...]] = (None, [], {}, "", 0, False)


def fargate_faults(task: State) -> Iterator[Fault]:
    """Yield what RegisterTaskDefinition refuses."""
    yield from _container_faults(task)
    if "FARGATE" not in (task["requires_compatibilities"] or []):
        return
    cpu, memory, mode = task["cpu"], task["memory"], task["network_mode"]
    if cpu is None or memory is None:
        yield Fault("a task on Fargate needs cpu and memory", "cpu")
    if mode is None or (isinstance(mode, str) and mode != "awsvpc"):
        yield Fault("a task on Fargate needs network_mode awsvpc", "network_mode")
    if isinstance(cpu, str) and isinstance(memory, str):
        allowed = _MEMORY.get(int(cpu) if cpu.isdigit() else 0, frozenset())
        if not memory.isdigit() or int(memory) not in allowed:
            yield Fault(f"Fargate has no task of {cpu} CPU units and {memory} MiB", "memory")


def _container_faults(task: State) -> Iterator[Fault]:
    text = task["container_definitions"]
    if not isinstance(text, str):
        return
    try:
        containers = json.loads(text)
        names = [container["name"] for container in containers]
        empty = not names
    except (ValueError, KeyError, TypeError):
        empty = True
    if empty:
        yield Fault("container_definitions is no list of containers with names", "container_definitions")
        return
    if len(set(names)) != len(names):
        yield Fault("two containers have the same name", "container_definitions")
    for container in containers:
        for dependency in container.get("dependsOn", []):
            if dependency["containerName"] not in names:
                yield Fault(
                    f"{container['name']} depends on a container that is not there", "container_definitions"
                )


def same_containers(one: str, other: str) -> bool:
    """Say whether two lists of containers are the same but for what AWS adds: defaults and empty lists."""
    return _normal(one) == _normal(other)


def _normal(text: str) -> list[Any]:
    containers = json.loads(text)
    normal = [_container(container) for container in containers]
    return sorted(normal, key=lambda container: str(container.get("name")))


def _container(container: dict[str, Any]) -> dict[str, Any]:
    normal: dict[str, Any] = _filled(container | {"essential": container.get("essential", True)})
    ports = [
        _filled(port | {"protocol": port.get("protocol", "tcp")}) for port in normal.get("portMappings", [])
    ]
    for port in ports:
        if port.get("hostPort") == port.get("containerPort"):
            port.pop("hostPort", None)
    for name, key in (("environment", "name"), ("secrets", "name")):
        if name in normal:
            normal[name] = sorted(normal[name], key=lambda pair: str(pair[key]))
    return normal | ({"portMappings": ports} if ports else {})


def _filled(value: Any) -> Any:
    """Leave out what is empty."""
    if isinstance(value, dict):
        return {key: _filled(inner) for key, inner in value.items() if not _is_empty(inner)}
    if isinstance(value, list):
        return [_filled(inner) for inner in value]
    return value


def _is_empty(value: Any) -> bool:
    return any(value == nothing and type(value) is type(nothing) for nothing in _EMPTY)
