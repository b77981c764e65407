"""The provider's schema as types: which attributes and blocks a resource has, and who sets them."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from testkit.values import State, Unknown

PROVIDER: Final = "registry.terraform.io/hashicorp/aws"


@dataclass(frozen=True, slots=True)
class Attribute:
    """A single value. `type` is a cty type in JSON: "string", ["set", "string"], ["object", {...}]."""

    type: Any
    required: bool = False
    optional: bool = False
    computed: bool = False


@dataclass(frozen=True, slots=True)
class Nested:
    """A block inside a block; `mode` is single, list, set or map."""

    mode: str
    block: "Block"
    min_items: int = 0
    max_items: int = 0


@dataclass(frozen=True, slots=True)
class Block:
    """What may stand between two braces."""

    attributes: Mapping[str, Attribute] = field(default_factory=dict)
    blocks: Mapping[str, Nested] = field(default_factory=dict)

    def empty(self) -> State:
        """Return the object with nothing set."""
        nothing: State = dict.fromkeys(self.attributes)
        for name, nested in self.blocks.items():
            nothing[name] = {"single": None, "map": {}}.get(nested.mode, [])
        return nothing


@dataclass(frozen=True, slots=True)
class Schema:
    """A provider: its own settings, its resources, its data sources."""

    provider: Block
    resources: Mapping[str, Block]
    data_sources: Mapping[str, Block]


def load(path: Path) -> Schema:
    """Read what `terraform providers schema -json` would write."""
    document = json.loads(path.read_text())["provider_schemas"][PROVIDER]
    return Schema(
        provider=block_of(document["provider"]["block"]),
        resources={name: block_of(s["block"]) for name, s in document["resource_schemas"].items()},
        data_sources={name: block_of(s["block"]) for name, s in document["data_source_schemas"].items()},
    )


def block_of(document: Mapping[str, Any]) -> Block:
    """Read one block of a schema in JSON."""
    return Block(
        attributes={name: Attribute(**a) for name, a in document.get("attributes", {}).items()},
        blocks={
            name: Nested(
                nested["nesting_mode"],
                block_of(nested["block"]),
                nested.get("min_items", 0),
                nested.get("max_items", 0),
            )
            for name, nested in document.get("block_types", {}).items()
        },
    )


def elements(nested: Nested, value: Any) -> list[State]:
    """Return the blocks of one name, however they are nested; none while they are unknown."""
    if isinstance(value, Unknown) or value is None:
        return []
    if nested.mode == "map":
        return list(value.values())
    return value if isinstance(value, list) else [value]


def set_by_the_provider_alone(block: Block, config: State, path: str = "") -> Iterator[str]:
    """Yield what a configuration sets though only the provider may; Terraform itself does not look."""
    for name, attribute in block.attributes.items():
        if attribute.computed and not attribute.optional and config.get(name) is not None:
            yield path + name
    for name, nested in block.blocks.items():
        for element in elements(nested, config.get(name)):
            yield from set_by_the_provider_alone(nested.block, element, f"{path}{name}.")
