from collections.abc import Iterator

import pytest
from tests.support.terraform_deployed import Deployed, deployed

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


@pytest.fixture(scope="session")
def dev(schema_and_protocol: Fetched, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployed]:
    """The small environment, applied."""
    with deployed(tmp_path_factory.mktemp("dev"), schema_and_protocol) as applied:
        yield applied
