import pytest

from testkit.fetch import Fetched, fetched
from testkit.kinds import DATA_SOURCES, KINDS
from testkit.schema import Schema, load


@pytest.fixture(scope="session")
def schema_and_protocol() -> Fetched:
    """The provider's schema of everything that the table of kinds has."""
    return fetched(KINDS, DATA_SOURCES)


@pytest.fixture(scope="session")
def schema(schema_and_protocol: Fetched) -> Schema:
    return load(schema_and_protocol.schema)
