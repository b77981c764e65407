from collections.abc import Iterator, Mapping

import pytest
from tests.support.terraform_deployed import Deployed, deployed

from testkit.fetch import Fetched, fetched
from testkit.kinds import DATA_SOURCES, KINDS
from testkit.schema import Schema, load
from testkit.servers import forget_all, stand_ins
from testkit.terraform import HOW_TO_GET_IT, installed


@pytest.fixture(scope="session")
def schema_and_protocol() -> Fetched:
    """The provider's schema of everything that the table of kinds has."""
    return fetched(KINDS, DATA_SOURCES)


@pytest.fixture(scope="session")
def schema(schema_and_protocol: Fetched) -> Schema:
    return load(schema_and_protocol.schema)


@pytest.fixture(scope="session")
def dev() -> Iterator[Deployed]:
    """The small environment, applied."""
    with deployed() as applied:
        yield applied


@pytest.fixture(scope="session")
def running_servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mapping[str, str]]:
    """The stand-ins, for plans; whoever makes something on them asks for `servers`."""
    with stand_ins(tmp_path_factory.mktemp("servers")) as started:
        yield started


@pytest.fixture
def servers(running_servers: Mapping[str, str]) -> Iterator[Mapping[str, str]]:
    """The stand-ins, with nothing on them."""
    yield running_servers
    forget_all(running_servers)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say what was left out: a skipped test is one letter among many."""
    if installed() is None:
        terminalreporter.section("the infrastructure was not tested")
        terminalreporter.line(HOW_TO_GET_IT)
