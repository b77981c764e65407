"""Configurations of single resources, as Terraform hands them to a provider: all is there, most is null."""

from typing import Any

from testkit.schema import Block, Schema, elements


def config_of(schema: Schema, kind: str, **values: Any) -> dict[str, Any]:
    """Return the configuration of a resource with these attributes and blocks, and nothing else."""
    return _filled(schema.resources[kind], values)


def data_config_of(schema: Schema, kind: str, **values: Any) -> dict[str, Any]:
    """Return the configuration of a data source."""
    return _filled(schema.data_sources[kind], values)


def _filled(block: Block, values: dict[str, Any]) -> dict[str, Any]:
    filled = block.empty() | values
    for name, nested in block.blocks.items():
        inner = [_filled(nested.block, element) for element in elements(nested, filled[name])]
        if inner:
            filled[name] = inner[0] if nested.mode == "single" else inner
    return filled
