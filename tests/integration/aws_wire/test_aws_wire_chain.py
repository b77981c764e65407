"""botocore's own chain, against places that hand out credentials over real sockets and files."""

import logging
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
import pytest
from tests.support.aws_service import REGION, Peer, Script, Service, serving, until

from reservation_api.adapters.aws_wire.credentials import (
    CHECK_SECONDS,
    NOTHING_FOUND,
    CredentialChain,
    NoCredentialsError,
    default_chain,
)
from reservation_api.adapters.aws_wire.signing import AwsCredentials

SECRET, TOKEN = "hidden-secret", "hidden-token"
WEB_IDENTITY = "hidden-web-identity"
SECRETS = (SECRET, TOKEN, WEB_IDENTITY)


@pytest.fixture(autouse=True)
def nowhere(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A machine without credentials: no file, no role, and nobody at the instance's metadata address."""
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "credentials"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")


@pytest.fixture
def log(caplog: pytest.LogCaptureFixture) -> Iterator[pytest.LogCaptureFixture]:
    """Everything that is logged by anybody; no secret is."""
    caplog.set_level(logging.DEBUG)
    yield caplog
    lines = [f"{line.getMessage()} {line.exc_text}" for line in caplog.get_records("call")]
    assert [line for line in lines for secret in SECRETS if secret in line] == []


def chain() -> CredentialChain:
    return CredentialChain(default_chain(REGION))


def role(key: str = "AKIDROLE", minutes: int = 60) -> dict[str, str]:
    """Return what the metadata services hand out."""
    expires_at = (datetime.now(UTC) + timedelta(minutes=minutes)).strftime("%Y-%m-%dT%H:%M:%SZ")
    return {
        "Code": "Success",
        "Type": "AWS-HMAC",
        "AccessKeyId": key,
        "SecretAccessKey": SECRET,
        "Token": TOKEN,
        "Expiration": expires_at,
        "LastUpdated": expires_at,
    }


Answer = Callable[[str, str, str], tuple[int, bytes]]
"""Status and body for a request's first line, its head, and its body."""


def http(answer: Answer) -> Script:
    """Answer one request of any kind on each connection."""

    async def script(peer: Peer, service: Service) -> None:
        head = (await peer.reader.readuntil(b"\r\n\r\n")).decode()
        lengths = [
            line.split(":")[1] for line in head.lower().split("\r\n") if line.startswith("content-length")
        ]
        body = (await peer.reader.readexactly(int(lengths[0]) if lengths else 0)).decode()
        status, content = answer(head.split("\r\n")[0], head, body)
        length = f"Content-Length: {len(content)}\r\nConnection: close\r\n"
        peer.send(f"HTTP/1.1 {status} Some\r\n{length}\r\n".encode() + content)

    return script


async def test_credentials_of_the_environment(
    monkeypatch: pytest.MonkeyPatch, log: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIDENV")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET)
    assert await chain().wait() == AwsCredentials("AKIDENV", SECRET)
    monkeypatch.setenv("AWS_SESSION_TOKEN", TOKEN)
    assert await chain().wait() == AwsCredentials("AKIDENV", SECRET, TOKEN)


async def test_credentials_of_a_profile_and_of_its_file_when_it_has_changed(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, log: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("AWS_PROFILE", "shop")
    file = tmp_path / "credentials"
    profile = "[shop]\naws_access_key_id = {}\naws_secret_access_key = " + SECRET + "\n"
    file.write_text(profile.format("AKIDOLD"))
    credentials = chain()
    old = await credentials.wait()
    file.write_text(profile.format("AKIDNEW"))
    assert await credentials.renew(old)
    assert credentials.current() == AwsCredentials("AKIDNEW", SECRET)


async def test_a_profile_that_is_not_there_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_PROFILE", "shop")
    with pytest.raises(NoCredentialsError, match="shop"):
        await chain().wait()


async def test_a_file_that_can_not_be_read_is_told_and_not_quoted(
    tmp_path: Path, log: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "credentials").write_text(f"[default]\naws_access_key_id = AKID\n{SECRET}\n")
    with pytest.raises(NoCredentialsError, match="ConfigParseError") as caught:
        await chain().wait()
    assert SECRET not in str(caught.value)


async def test_half_of_a_pair_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIDENV")
    with pytest.raises(NoCredentialsError, match="AWS_SECRET_ACCESS_KEY"):
        await chain().wait()


async def test_a_machine_without_credentials_says_what_to_do() -> None:
    with pytest.raises(NoCredentialsError) as caught:
        await chain().wait()
    assert str(caught.value) == NOTHING_FOUND


async def test_the_role_of_a_task_or_pod_by_its_container(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, log: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "token").write_text(WEB_IDENTITY)
    asked: list[str] = []

    def answer(line: str, head: str, body: str) -> tuple[int, bytes]:
        asked.append(head)
        return 200, msgspec.json.encode(role())

    async with serving(http(answer)) as service:
        monkeypatch.setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", f"{service.url}/v1/credentials")
        monkeypatch.setenv("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", str(tmp_path / "token"))
        assert await chain().wait() == AwsCredentials("AKIDROLE", SECRET, TOKEN)
    assert len(asked) == 1
    assert f"Authorization: {WEB_IDENTITY}" in asked[0]


async def test_the_role_of_an_instance(
    monkeypatch: pytest.MonkeyPatch, log: pytest.LogCaptureFixture
) -> None:
    def answer(line: str, head: str, body: str) -> tuple[int, bytes]:
        if line.startswith("PUT /latest/api/token"):
            return 200, b"session"
        return 200, msgspec.json.encode(role()) if "security-credentials/shop" in line else b"shop"

    async with serving(http(answer)) as service:
        monkeypatch.delenv("AWS_EC2_METADATA_DISABLED")
        monkeypatch.setenv("AWS_EC2_METADATA_SERVICE_ENDPOINT", service.url)
        assert await chain().wait() == AwsCredentials("AKIDROLE", SECRET, TOKEN)


STS_ANSWER = """<AssumeRoleWithWebIdentityResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/">
<AssumeRoleWithWebIdentityResult><Credentials><AccessKeyId>{key}</AccessKeyId>
<SecretAccessKey>{secret}</SecretAccessKey><SessionToken>{token}</SessionToken>
<Expiration>{expires_at}</Expiration></Credentials></AssumeRoleWithWebIdentityResult>
</AssumeRoleWithWebIdentityResponse>"""
STS_REFUSAL = """<ErrorResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><Error><Type>Sender</Type>
<Code>AccessDenied</Code><Message>Not authorized to perform sts:AssumeRoleWithWebIdentity</Message></Error>
</ErrorResponse>"""


def sts(minutes: int, asked: list[str]) -> Script:
    """Hand out credentials that are good for so long, with a new key each time."""

    def answer(line: str, head: str, body: str) -> tuple[int, bytes]:
        asked.append(body)
        expires_at = (datetime.now(UTC) + timedelta(minutes=minutes)).isoformat()
        key = f"AKIDWEB{len(asked)}"
        return 200, STS_ANSWER.format(key=key, secret=SECRET, token=TOKEN, expires_at=expires_at).encode()

    return http(answer)


@contextmanager
def service_account(monkeypatch: pytest.MonkeyPatch, folder: Path, service: Service) -> Iterator[None]:
    """Be a pod whose service account has a role (IRSA)."""
    (folder / "identity").write_text(WEB_IDENTITY)
    monkeypatch.setenv("AWS_WEB_IDENTITY_TOKEN_FILE", str(folder / "identity"))
    monkeypatch.setenv("AWS_ROLE_ARN", "arn:aws:iam::123456789012:role/reservation-api")
    monkeypatch.setenv("AWS_ENDPOINT_URL_STS", service.url)
    yield


async def test_the_web_identity_of_a_service_account(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, log: pytest.LogCaptureFixture
) -> None:
    asked: list[str] = []
    async with serving(sts(60, asked)) as service:
        with service_account(monkeypatch, tmp_path, service):
            assert await chain().wait() == AwsCredentials("AKIDWEB1", SECRET, TOKEN)
    assert len(asked) == 1
    assert f"WebIdentityToken={WEB_IDENTITY}" in asked[0]


async def test_credentials_that_expire_are_renewed_beside_the_calls(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, log: pytest.LogCaptureFixture
) -> None:
    now, asked = [0.0], list[str]()
    async with serving(sts(14, asked)) as service:  # less than botocore's quarter of an hour
        with service_account(monkeypatch, tmp_path, service):
            credentials = CredentialChain(default_chain(REGION), lambda: now[0])
            first = await credentials.wait()
            assert credentials.current() is first
            now[0] += CHECK_SECONDS
            assert credentials.current() is first
            await until(lambda: credentials.current() is not first)
            assert credentials.current() == AwsCredentials("AKIDWEB2", SECRET, TOKEN)


async def test_credentials_that_were_revoked_are_asked_for_anew(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """They would be good for an hour: botocore would not ask again by itself."""
    async with serving(sts(60, [])) as service:
        with service_account(monkeypatch, tmp_path, service):
            credentials = chain()
            assert await credentials.renew(await credentials.wait())
            assert credentials.current() == AwsCredentials("AKIDWEB2", SECRET, TOKEN)


async def test_a_role_that_may_not_be_had_is_told(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, log: pytest.LogCaptureFixture
) -> None:
    async with serving(http(lambda *_: (403, STS_REFUSAL.encode()))) as service:
        with (
            service_account(monkeypatch, tmp_path, service),
            pytest.raises(NoCredentialsError, match=r"AccessDenied.*Not authorized to perform sts"),
        ):
            await chain().wait()
    assert "Not authorized" in log.text


async def test_a_web_identity_that_is_not_there_is_told(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    async with serving(sts(60, [])) as service:
        with service_account(monkeypatch, tmp_path, service):
            (tmp_path / "identity").unlink()
            with pytest.raises(NoCredentialsError, match="FileNotFoundError"):
                await chain().wait()


async def test_a_token_service_that_is_not_there_is_told(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    async with serving(sts(60, [])) as service:
        pass
    with (
        service_account(monkeypatch, tmp_path, service),
        pytest.raises(NoCredentialsError, match="EndpointConnectionError"),
    ):
        await chain().wait()


ASSUMED = STS_ANSWER.replace("WithWebIdentity", "")


async def test_a_role_that_another_profile_may_take_is_asked_for_in_our_region(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, log: pytest.LogCaptureFixture
) -> None:
    signed: list[str] = []

    def answer(line: str, head: str, body: str) -> tuple[int, bytes]:
        signed.extend(line for line in head.split("\r\n") if line.startswith("Authorization"))
        expires_at = (datetime.now(UTC) + timedelta(hours=1)).isoformat()
        return 200, ASSUMED.format(key="AKIDROLE", secret=SECRET, token=TOKEN, expires_at=expires_at).encode()

    (tmp_path / "config").write_text(
        "[profile shop]\nrole_arn = arn:aws:iam::123456789012:role/shop\nsource_profile = base\n"
    )
    (tmp_path / "credentials").write_text(
        f"[base]\naws_access_key_id = AKIDBASE\naws_secret_access_key = {SECRET}\n"
    )
    async with serving(http(answer)) as service:
        monkeypatch.setenv("AWS_PROFILE", "shop")
        monkeypatch.setenv("AWS_ENDPOINT_URL_STS", service.url)
        assert await chain().wait() == AwsCredentials("AKIDROLE", SECRET, TOKEN)
    assert "AKIDBASE" in signed[0]
    assert f"/{REGION}/sts/aws4_request" in signed[0]
