"""The values that could be read, between the environment and the tree."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Values:
    """The values that could be read, and the names that the environment has set, good or not."""

    by_name: Mapping[str, Any]
    names_set: frozenset[str]

    def get(self, name: str) -> Any:
        """Return the value; None if there is none, or it is faulty."""
        return self.by_name.get(name)

    def has(self, name: str) -> bool:
        """Tell whether the environment has set it."""
        return name in self.names_set
