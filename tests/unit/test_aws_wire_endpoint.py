import pytest

from reservation_api.adapters.aws_wire.endpoint import DYNAMODB, EVENTBRIDGE, SQS, AwsService, endpoint_of


@pytest.mark.parametrize(
    ("service", "region", "host"),
    [
        (DYNAMODB, "ap-northeast-2", "dynamodb.ap-northeast-2.amazonaws.com"),
        (EVENTBRIDGE, "us-gov-west-1", "events.us-gov-west-1.amazonaws.com"),
        (SQS, "eu-central-1", "sqs.eu-central-1.amazonaws.com"),
        (SQS, "cn-north-1", "sqs.cn-north-1.amazonaws.com.cn"),
    ],
)
def test_a_region_has_its_own_endpoint_by_tls(service: AwsService, region: str, host: str) -> None:
    endpoint = endpoint_of(service, region)
    assert (endpoint.host, endpoint.hostname, endpoint.port, endpoint.is_tls) == (host, host, 443, True)


@pytest.mark.parametrize(
    ("url", "hostname", "port", "is_tls", "host"),
    [
        ("http://127.0.0.1:8000", "127.0.0.1", 8000, False, "127.0.0.1:8000"),
        ("http://dynamodb-local/", "dynamodb-local", 80, False, "dynamodb-local"),
        ("http://localhost:443", "localhost", 443, False, "localhost:443"),
        ("https://LOCALHOST:443", "localhost", 443, True, "localhost"),
        ("https://[::1]:8443", "::1", 8443, True, "[::1]:8443"),
    ],
)
def test_an_endpoint_may_be_given(url: str, hostname: str, port: int, is_tls: bool, host: str) -> None:  # noqa: FBT001 (an example's column)
    endpoint = endpoint_of(DYNAMODB, "ap-northeast-2", url)
    assert (endpoint.hostname, endpoint.port, endpoint.is_tls, endpoint.host) == (
        hostname,
        port,
        is_tls,
        host,
    )


@pytest.mark.parametrize(
    "url",
    [
        "",
        "127.0.0.1:8000",
        "ftp://127.0.0.1",
        "http://",
        "http://host/path",
        "http://host?query=1",
        "http://host/#part",
        "http://user@host",
        "http://host:0x50",
        "http://host:99999",
    ],
)
def test_what_is_no_endpoint_is_refused(url: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 (urllib's own words for a bad port)
        endpoint_of(DYNAMODB, "ap-northeast-2", url)


@pytest.mark.parametrize(
    "region", ["", "seoul", "ap-northeast-2.evil.example/", "ap-northeast-2\n", "AP-NORTHEAST-2"]
)
def test_what_is_no_region_is_refused(region: str) -> None:
    with pytest.raises(ValueError, match="region"):
        endpoint_of(DYNAMODB, region)
