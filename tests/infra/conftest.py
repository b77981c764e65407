import pytest

from testkit.fetch import Fetched, fetched
from testkit.kinds import DATA_SOURCES, KINDS


@pytest.fixture(scope="session")
def schema_and_protocol() -> Fetched:
    """The provider's schema of everything that the table of kinds has."""
    return fetched(KINDS, DATA_SOURCES)
