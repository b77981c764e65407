"""Which services there are, and where."""

import re
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit


@dataclass(frozen=True, slots=True)
class AwsService:
    """A service of the AWS JSON protocol (smithy.io, awsJson1_0 and awsJson1_1)."""

    name: str
    """In host names and signatures."""
    target: str
    """What `X-Amz-Target` begins with."""
    json_version: str


DYNAMODB: Final = AwsService("dynamodb", "DynamoDB_20120810", "1.0")
EVENTBRIDGE: Final = AwsService("events", "AWSEvents", "1.1")
SQS: Final = AwsService("sqs", "AmazonSQS", "1.0")

_PORTS: Final = {"http": 80, "https": 443}
_REGION: Final = re.compile(r"[a-z]{2,}(-[a-z]+)+-\d+")


@dataclass(frozen=True, slots=True)
class AwsEndpoint:
    """Where one service of one region is called."""

    service: AwsService
    region: str
    hostname: str
    port: int
    is_tls: bool

    @property
    def host(self) -> str:
        """The Host header, which is signed: no port if it is the scheme's own."""
        name = f"[{self.hostname}]" if ":" in self.hostname else self.hostname
        is_usual = self.port == _PORTS["https" if self.is_tls else "http"]
        return name if is_usual else f"{name}:{self.port}"


def endpoint_of(service: AwsService, region: str, url: str | None = None) -> AwsEndpoint:
    """Return the region's own endpoint, or the one that is given, such as http://127.0.0.1:8000.

    Raises ValueError, saying what is wrong.
    """
    if not _REGION.fullmatch(region):
        raise ValueError(f"{region!r} is no AWS region, such as ap-northeast-2")
    if url is None:
        domain = "amazonaws.com.cn" if region.startswith("cn-") else "amazonaws.com"
        return AwsEndpoint(service, region, f"{service.name}.{region}.{domain}", _PORTS["https"], is_tls=True)
    parts = urlsplit(url)
    is_bare = parts.path in {"", "/"} and not (parts.query or parts.fragment or parts.username)
    if parts.scheme not in _PORTS or not parts.hostname or not is_bare:
        raise ValueError(f"an endpoint is http(s)://host[:port], and {url!r} is not")
    port = parts.port or _PORTS[parts.scheme]
    return AwsEndpoint(service, region, parts.hostname, port, is_tls=parts.scheme == "https")
