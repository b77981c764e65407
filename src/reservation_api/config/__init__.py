"""The only reader of the environment: one frozen tree, built once, or every fault at once."""

from reservation_api.config.listing import EffectiveSetting, list_effective, markdown_table
from reservation_api.config.loading import load, load_environment
from reservation_api.config.tree import Config, ConfigError

__all__ = [
    "Config",
    "ConfigError",
    "EffectiveSetting",
    "list_effective",
    "load",
    "load_environment",
    "markdown_table",
]
