"""Addresses of peers, as an operator writes them."""

import pytest

from reservation_api.adapters.grpc_inventory.address import PeerAddress, parse_address


@pytest.mark.parametrize(
    ("text", "host", "port", "is_tls"),
    [
        (
            "inventory-service.prod.svc.cluster.local:9090",
            "inventory-service.prod.svc.cluster.local",
            9090,
            False,
        ),
        ("127.0.0.1:8020", "127.0.0.1", 8020, False),
        ("[::1]:8020", "::1", 8020, False),
        ("grpc://inventory:8020", "inventory", 8020, False),
        ("http://inventory:8020", "inventory", 8020, False),
        ("dns:///inventory:8020", "inventory", 8020, False),
        ("grpcs://inventory:8020", "inventory", 8020, True),
        ("https://inventory:8443/", "inventory", 8443, True),
        ("https://inventory.example.com", "inventory.example.com", 443, True),
    ],
)
def test_an_address_says_where_and_whether_by_tls(text: str, host: str, port: int, is_tls: bool) -> None:  # noqa: FBT001
    assert parse_address(text) == PeerAddress(host, port, is_tls)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "inventory",
        "grpcs://inventory",
        "inventory:0",
        "inventory:65536",
        "inventory:http",
        ":8020",
        "ftp://inventory:8020",
        "https://inventory:8020/path",
        "https://user@inventory:8020",
        "inventory:8020,other:8020",
        "inventory :8020",
        "https:///inventory:8020?x=1",
        "-inventory:8020",
        "[::1:8020",
        "inventory:8020\n",
    ],
)
def test_what_is_no_address_is_refused_with_a_sentence(text: str) -> None:
    with pytest.raises(ValueError, match=r"not an address|not a scheme|no port"):
        parse_address(text)
