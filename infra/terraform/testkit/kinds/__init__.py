"""The table: each resource type and data source that the provider knows, and the calls that make it true."""

from collections.abc import Mapping
from typing import Final

from testkit.kind import DataKind, Kind
from testkit.kinds import account, dynamodb

KINDS: Final[Mapping[str, Kind]] = {kind.name: kind for module in (dynamodb,) for kind in module.KINDS}
DATA_SOURCES: Final[Mapping[str, DataKind]] = {
    kind.name: kind for module in (account,) for kind in module.DATA_SOURCES
}
