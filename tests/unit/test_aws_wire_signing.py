"""The signature is botocore's own, whatever is signed and in whatever order."""

import re
from dataclasses import replace

import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from hypothesis import given
from hypothesis import strategies as st

from reservation_api.adapters.aws_wire.endpoint import DYNAMODB, EVENTBRIDGE, SQS, AwsEndpoint, endpoint_of
from reservation_api.adapters.aws_wire.signing import AwsCredentials, OddCredentialsError, Signer

SECOND = 1_795_406_400
"""2026-11-23 04:00:00 UTC."""
DAY = 86_400
ALICE = AwsCredentials("AKIDALICE", "alice's-secret+/", "alice's-token==")
BODY = b'{"TableName":"reservations"}'

visible = st.text(st.characters(codec="ascii", min_codepoint=0x21, max_codepoint=0x7E), min_size=1)
names = st.from_regex(r"[A-Za-z]{1,30}", fullmatch=True)
credentials = st.builds(AwsCredentials, visible, visible, st.none() | visible)
seconds = st.integers(0, 4_000_000_000)
endpoints = st.builds(
    endpoint_of,
    st.sampled_from([DYNAMODB, EVENTBRIDGE, SQS]),
    st.sampled_from(["ap-northeast-2", "us-east-1", "cn-north-1", "us-gov-west-1"]),
    st.sampled_from(
        [
            None,
            "http://127.0.0.1",
            "http://127.0.0.1:80",
            "https://127.0.0.1:443/",
            "http://localhost:443",
            "https://LocalHost:8443",
            "http://[::1]:8000",
            "https://vpce-1.dynamodb.ap-northeast-2.vpce.amazonaws.com",
        ]
    ),
)
signings = st.tuples(names, st.binary(max_size=300), credentials, seconds)


def parsed(request: bytes) -> tuple[dict[str, str], bytes]:
    head, _, body = request.partition(b"\r\n\r\n")
    first, *lines = head.decode().split("\r\n")
    assert first == "POST / HTTP/1.1"
    return dict(line.split(": ", 1) for line in lines), body


def botocores(endpoint: AwsEndpoint, headers: dict[str, str], body: bytes, who: AwsCredentials) -> str:
    """Have botocore sign the same request in the same second."""
    scheme = "https" if endpoint.is_tls else "http"
    signed = {name: headers[name] for name in ("content-type", "x-amz-target")}
    request = AWSRequest("POST", f"{scheme}://{endpoint.host}/", headers=signed, data=body)
    request.context["timestamp"] = headers["x-amz-date"]
    theirs = Credentials(who.access_key, who.secret_key, who.token)
    auth = SigV4Auth(theirs, endpoint.service.name, endpoint.region)
    auth._modify_request_before_signing(request)
    to_sign = auth.string_to_sign(request, auth.canonical_request(request))
    auth._inject_signature_to_request(request, auth.signature(to_sign, request))
    assert request.headers["X-Amz-Date"] == headers["x-amz-date"]
    assert request.headers.get("X-Amz-Security-Token") == headers.get("x-amz-security-token")
    return str(request.headers["Authorization"])


@given(endpoints, st.lists(signings, min_size=1, max_size=4))
def test_every_signature_is_botocores(
    endpoint: AwsEndpoint, signed: list[tuple[str, bytes, AwsCredentials, int]]
) -> None:
    signer = Signer(endpoint)
    for operation, body, who, second in [*signed, *signed]:  # the second time from what it keeps
        headers, sent = parsed(signer.request(operation, body, who, second))
        assert sent == body
        assert headers["content-length"] == str(len(body))
        assert headers["authorization"] == botocores(endpoint, headers, body, who)


CHANGES = {
    "the operation": ("PutItem", BODY, ALICE, SECOND),
    "the body": ("GetItem", b"{}", ALICE, SECOND),
    "the second": ("GetItem", BODY, ALICE, SECOND + 1),
    "the day at the same time": ("GetItem", BODY, ALICE, SECOND + DAY),
    "the secret": ("GetItem", BODY, replace(ALICE, secret_key="another"), SECOND),
    "the token": ("GetItem", BODY, replace(ALICE, token="another"), SECOND),
    "that there is a token": ("GetItem", BODY, replace(ALICE, token=None), SECOND),
    "the access key": ("GetItem", BODY, replace(ALICE, access_key="AKIDBOB"), SECOND),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_a_signer_that_has_just_signed_something_else_signs_as_well(
    change: tuple[str, bytes, AwsCredentials, int],
) -> None:
    endpoint = endpoint_of(DYNAMODB, "ap-northeast-2")
    signer = Signer(endpoint)
    first = signer.request("GetItem", BODY, ALICE, SECOND)
    headers, body = parsed(signer.request(*change))
    assert headers["authorization"] == botocores(endpoint, headers, body, change[2])
    assert signer.request("GetItem", BODY, ALICE, SECOND) == first


def test_the_request_is_what_the_protocol_asks_for() -> None:
    headers, _ = parsed(
        Signer(endpoint_of(EVENTBRIDGE, "us-east-1")).request("PutEvents", BODY, ALICE, SECOND)
    )
    assert headers.pop("authorization").startswith(
        "AWS4-HMAC-SHA256 Credential=AKIDALICE/20261123/us-east-1/events/aws4_request, "
        "SignedHeaders=content-type;host;x-amz-date;x-amz-security-token;x-amz-target, Signature="
    )
    assert headers == {
        "content-type": "application/x-amz-json-1.1",
        "host": "events.us-east-1.amazonaws.com",
        "x-amz-date": "20261123T040000Z",
        "x-amz-security-token": "alice's-token==",
        "x-amz-target": "AWSEvents.PutEvents",
        "accept-encoding": "identity",
        "content-length": str(len(BODY)),
    }


def test_credentials_do_not_show_their_secrets() -> None:
    assert re.findall(r"AKIDALICE|secret\+|token=", f"{ALICE!r} {ALICE}") == ["AKIDALICE"] * 2


@pytest.mark.parametrize("field", ["access_key", "secret_key", "token"])
@pytest.mark.parametrize("value", ["", "hidden\n", "hid den", "hidden\r\nx-evil: 1", "hidden\x00", "hiddén"])
def test_what_does_not_fit_into_a_header_is_refused_unseen(field: str, value: str) -> None:
    with pytest.raises(OddCredentialsError, match=field) as caught:
        replace(ALICE, **{field: value})
    assert "hid" not in str(caught.value)
