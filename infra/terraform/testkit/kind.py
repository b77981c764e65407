"""What is known of a resource type beyond its schema: its calls, and the facts that no schema carries."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from testkit.aws import Aws
from testkit.values import State


class Fault(NamedTuple):
    """Something that AWS, or the real provider, would refuse."""

    summary: str
    attribute: str = ""
    detail: str = ""


def no_faults(_config: State) -> Iterable[Fault]:
    """Find nothing wrong."""
    return ()


def imported_by_id(identifier: str) -> State:
    """Start from the id alone; reading fills in the rest."""
    return {"id": identifier}


@dataclass(frozen=True, slots=True)
class Rules:
    """How a resource type is planned. Paths are names joined by dots: `ttl.enabled`."""

    defaults: Mapping[str, Any] = field(default_factory=dict)
    """Values of the provider's schema for what is left out."""
    force_new: frozenset[str] = frozenset({"name", "region"})
    """Attributes and blocks (by their first name) that no update can change."""
    computed_blocks: frozenset[str] = frozenset()
    """Blocks that AWS fills in when the configuration has none."""
    json_texts: frozenset[str] = frozenset()
    """Attributes that hold JSON, equal when the documents are."""
    sticky: frozenset[str] = frozenset()
    """Attributes that stay as AWS has them when the configuration has none."""
    identity: Mapping[str, str] = field(default_factory=dict)
    """The attribute by which elements of a set of blocks are recognised."""
    renewed: Mapping[str, frozenset[str]] = field(default_factory=dict)
    """Computed attributes that change when one of the named ones does."""
    kept: frozenset[str] = frozenset()
    """What the real provider does not read from AWS either, such as `force_destroy`."""


Create = Callable[[Aws, State], State]
Read = Callable[[Aws, State], State | None]
Update = Callable[[Aws, State, State], State | None]
Delete = Callable[[Aws, State], None]


@dataclass(frozen=True, slots=True)
class Kind:
    """One resource type: its calls and its rules.

    `create` takes the planned object and returns what identifies the new one; `read` takes that and returns
    every attribute that AWS stores, or None when it is gone; `update` takes the prior and the planned object,
    and returns what identifies it now if that has changed.
    """

    name: str
    create: Create
    read: Read
    delete: Delete
    update: Update | None = None
    rules: Rules = field(default_factory=Rules)
    faults: Callable[[State], Iterable[Fault]] = no_faults
    imported: Callable[[str], State] = imported_by_id


ReadData = Callable[[Aws, State], State]


@dataclass(frozen=True, slots=True)
class DataKind:
    """One data source: what it finds for a configuration."""

    name: str
    read: ReadData
