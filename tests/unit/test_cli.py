import json
from pathlib import Path

import pytest
from tests.support.cli import Cli

from reservation_api.adapters.jwt.claims import TokenRules
from reservation_api.adapters.jwt.embedded_issuer import EMBEDDED_ISSUER, open_embedded_issuer
from reservation_api.adapters.jwt.verifier import JwtVerifier
from reservation_api.adapters.system_clock import SystemClock
from reservation_api.config.settings import SETTINGS
from reservation_api.ports.identity import Caller, InvalidTokenError


@pytest.fixture
def cli(tmp_path: Path) -> Cli:
    return Cli(tmp_path / "data")


async def verify(cli: Cli, token: str, audience: str | None = None) -> Caller:
    issuer = open_embedded_issuer(cli.data_dir / "issuer-key.pem")
    rules = TokenRules(EMBEDDED_ISSUER, audience)
    return await JwtVerifier(issuer.keys(), rules, SystemClock()).verify(token)


COMMANDS = [
    *(
        ["serve"],
        ["worker"],
        ["dev"],
        ["token"],
        ["config"],
        ["openapi"],
        ["schemas"],
        ["events"],
        ["outbox"],
    ),
    *(["events", "create"], ["events", "import"], ["events", "list"], ["events", "tail"]),
    *(["outbox", "list"], ["outbox", "retry"]),
]


@pytest.mark.parametrize("command", [[], *COMMANDS], ids=" ".join)
def test_every_command_has_help(cli: Cli, command: list[str]) -> None:
    assert cli.run(*command, "--help").output.startswith("Usage: reservation-api")


def test_the_version_is_told(cli: Cli) -> None:
    assert cli.run("--version").output.startswith("reservation-api, version ")


@pytest.mark.parametrize(
    "arguments", [["nonsense"], ["token"], ["serve", "--workers", "0"], ["events", "create", "e"]]
)
def test_misuse_ends_with_2(cli: Cli, arguments: list[str]) -> None:
    assert "Usage: " in cli.run(*arguments, code=2).stderr


@pytest.mark.parametrize(
    "command", [["serve"], ["worker"], ["dev"], ["token", "--sub", "a"], ["events", "list"]]
)
def test_wrong_settings_end_with_2_and_a_line_for_each(cli: Cli, command: list[str]) -> None:
    result = cli.run(*command, code=2, APP_HTTP_PORT="x", APP_HOLD_SECONDS="0")
    lines = result.stderr.splitlines()
    assert len(lines) == 2
    assert lines[0].startswith("Configuration: APP_HTTP_PORT must be")
    assert lines[1].startswith("Configuration: APP_HOLD_SECONDS must be")


async def test_a_token_is_printed_alone_and_is_good(cli: Cli) -> None:
    result = cli.run("token", "--sub", "alice", "--scope", "reservation:admin reservation:ops")

    token = result.stdout.removesuffix("\n")
    assert token.count(".") == 2
    assert not token.split()[1:]
    assert result.stderr == ""
    caller = await verify(cli, token)
    assert caller.subject == "alice"
    assert caller.scopes == {"reservation:admin", "reservation:ops"}


async def test_a_token_is_for_the_audience_that_is_configured(cli: Cli) -> None:
    token = cli.run("token", "--sub", "alice", APP_JWT_AUDIENCE="reservations").output.strip()
    assert (await verify(cli, token, "reservations")).subject == "alice"
    with pytest.raises(InvalidTokenError):
        await verify(cli, token, "others")


def test_tokens_of_another_issuer_are_not_ours_to_make(cli: Cli) -> None:
    result = cli.run("token", "--sub", "alice", code=2, JWT_ISSUER_URI="https://auth.example")
    assert result.stderr == (
        "Configuration: JWT_ISSUER_URI is set: tokens come from that issuer, not from this service\n"
    )


@pytest.mark.parametrize("options", [["--sub", ""], ["--sub", "a\nb"], ["--sub", "a", "--ttl", "0"]])
def test_a_token_that_would_not_be_good_is_not_made(cli: Cli, options: list[str]) -> None:
    cli.run("token", *options, code=2)


def test_a_key_that_others_can_read_is_an_error_in_a_line(cli: Cli) -> None:
    cli.run("token", "--sub", "alice")
    (cli.data_dir / "issuer-key.pem").chmod(0o644)
    result = cli.run("token", "--sub", "alice", code=2)
    assert "chmod 600" in result.stderr
    assert len(result.stderr.splitlines()) == 1


def test_the_settings_are_listed_with_their_origin_and_without_secrets(cli: Cli) -> None:
    result = cli.run(
        "config", JWT_ISSUER_URI="https://auth.example", JWT_JWKS='{"keys": [{"kid": "very-secret"}]}'
    )
    rows = {line.split()[0]: line.split()[1:] for line in result.stdout.splitlines()}
    assert rows.keys() == SETTINGS.keys()
    assert rows["APP_HTTP_PORT"] == ["8080", "default"]
    assert rows["APP_DATA_DIR"] == [str(cli.data_dir), "environment"]
    assert rows["JWT_JWKS"] == ["***", "environment"]
    assert rows["OTLP_ENDPOINT"] == ["-", "unset"]
    assert "very-secret" not in result.output


def test_settings_are_listed_even_if_they_are_wrong(cli: Cli) -> None:
    result = cli.run("config", code=2, APP_HTTP_PORT="x")
    assert "APP_HTTP_PORT" in result.stdout
    assert result.stderr.startswith("Configuration: APP_HTTP_PORT must be")


def test_the_table_of_settings_is_printed_for_the_readme(cli: Cli) -> None:
    table = cli.run("config", "--markdown").stdout
    assert table.startswith("| variable | default | takes | meaning |\n")
    assert "| `APP_HOLD_SECONDS` | `60` |" in table


def test_the_openapi_document_is_checked_against_a_file(cli: Cli, tmp_path: Path) -> None:
    document = tmp_path / "openapi.json"
    document.write_text(cli.run("openapi").stdout)
    assert json.loads(document.read_text())["openapi"].startswith("3.1")
    cli.run("openapi", "--check", str(document))

    document.write_text(document.read_text().replace("/v1/orders", "/v2/orders"))
    assert "make openapi" in cli.run("openapi", "--check", str(document), code=1).stderr
    assert "No such file" in cli.run("openapi", "--check", str(tmp_path / "none"), code=1).stderr


def test_the_event_schemas_are_checked_against_a_directory(cli: Cli, tmp_path: Path) -> None:
    cli.run("schemas", "--write", str(tmp_path / "events"))
    cli.run("schemas", "--check", str(tmp_path / "events"))

    (tmp_path / "events/reservation-created.schema.json").write_text("{}")
    stderr = cli.run("schemas", "--check", str(tmp_path / "events"), code=1).stderr
    assert "reservation-created.schema.json is not what the code says" in stderr


def test_the_schemas_in_the_repository_are_those_of_the_code(cli: Cli) -> None:
    cli.run("schemas", "--check", str(Path(__file__).parents[2] / "docs/events"))


def test_a_failure_of_the_store_is_an_error_in_a_line(cli: Cli) -> None:
    cli.data_dir.mkdir()
    (cli.data_dir / "reservation.db").write_bytes(b"this is no database " * 100)
    result = cli.run("events", "list", code=1)
    assert result.stderr.startswith("Error: the database file can not be used")
    assert len(result.stderr.splitlines()) == 1
