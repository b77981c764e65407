"""Settings of TLS: what goes together, and files that are looked at before anybody relies on them."""

from collections.abc import Callable
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from tests.support.certificates import Authority

from reservation_api.bootstrap import build, read_authorities, read_key_pair
from reservation_api.bootstrap.grpc_peers import connect_inventory
from reservation_api.config.loading import load
from reservation_api.config.settings import DEV_DEFAULTS
from reservation_api.config.tree import ConfigError, GrpcTlsConfig

CERTIFICATE, KEY, CLIENT_CA = (f"APP_GRPC_TLS_{name}_FILE" for name in ("CERTIFICATE", "KEY", "CLIENT_CA"))
SERVER = {"GRPC_PORT": "9090", CERTIFICATE: "/tls/chain.pem", KEY: "/tls/key.pem"}
PEERS = ("INVENTORY", "PAYMENT")
PROD = {
    "SPRING_PROFILES_ACTIVE": "prod",
    "JWT_ISSUER_URI": "https://auth.example",
    "APP_JWT_AUDIENCE": "reservation-api",
}


def faults_of(**environ: str) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        load(environ)
    return caught.value.faults


def test_settings_of_the_servers_tls_reach_the_tree() -> None:
    files = Path("/tls/chain.pem"), Path("/tls/key.pem")
    plain, one_sided, mutual = (
        load(environ).grpc
        for environ in ({"GRPC_PORT": "9090"}, SERVER, {**SERVER, CLIENT_CA: "/tls/gateways.pem"})
    )
    assert plain is not None
    assert plain.tls is None
    assert one_sided is not None
    assert one_sided.tls == GrpcTlsConfig(*files, None)
    assert mutual is not None
    assert mutual.tls == GrpcTlsConfig(*files, Path("/tls/gateways.pem"))


def test_the_authorities_of_peers_reach_the_tree() -> None:
    config = load(
        {
            "INVENTORY_GRPC_ADDRESS": "grpcs://inventory:9090",
            "APP_INVENTORY_TLS_CA_FILE": "/tls/inventory.pem",
            "PAYMENT_GRPC_ADDRESS": "https://payment",
            "APP_PAYMENT_TLS_CA_FILE": "/tls/payment.pem",
        }
    )
    assert config.inventory is not None
    assert config.inventory.ca_file == Path("/tls/inventory.pem")
    assert config.payment is not None
    assert config.payment.ca_file == Path("/tls/payment.pem")


@pytest.mark.parametrize(
    ("missing", "fault"),
    [
        ([KEY], f"APP_GRPC_TLS_* needs {KEY} too"),
        ([CERTIFICATE], f"APP_GRPC_TLS_* needs {CERTIFICATE} too"),
        ([CERTIFICATE, KEY], f"APP_GRPC_TLS_* needs {CERTIFICATE}, {KEY} too"),
        (["GRPC_PORT"], f"{CERTIFICATE}, {CLIENT_CA}, {KEY} needs GRPC_PORT too"),
    ],
)
def test_half_of_the_servers_tls_is_a_fault(missing: list[str], fault: str) -> None:
    whole = {**SERVER, CLIENT_CA: "/tls/gateways.pem"}
    assert faults_of(**{name: text for name, text in whole.items() if name not in missing}) == [fault]


def test_the_port_of_grpc_that_dev_has_by_default_may_have_tls() -> None:
    config = load({name: text for name, text in SERVER.items() if name != "GRPC_PORT"}, DEV_DEFAULTS)
    assert config.grpc is not None
    assert config.grpc.tls is not None


@pytest.mark.parametrize("peer", PEERS)
def test_an_authority_without_its_peer_is_a_fault(peer: str) -> None:
    name, address = f"APP_{peer}_TLS_CA_FILE", f"{peer}_GRPC_ADDRESS"
    assert faults_of(**{name: "/tls/ca.pem"}) == [f"{name} needs {address} too"]


@pytest.mark.parametrize("peer", PEERS)
@pytest.mark.parametrize("text", ["peer:9090", "grpc://peer:9090", "http://peer:9090", "dns:///peer:9090"])
def test_an_authority_for_a_peer_in_plain_text_is_a_fault(peer: str, text: str) -> None:
    name, address = f"APP_{peer}_TLS_CA_FILE", f"{peer}_GRPC_ADDRESS"
    (fault,) = faults_of(**{name: "/tls/ca.pem", address: text})
    assert fault == f"{name} needs TLS, which {address} does not ask for: grpcs://host:port does"


def test_profile_prod_notes_each_peer_that_is_called_in_plain_text_elsewhere() -> None:
    plain = {"INVENTORY_GRPC_ADDRESS": "inventory:9090", "PAYMENT_GRPC_ADDRESS": "10.0.0.1:9090"}
    told = " is plain text, for a network of one's own only: grpcs://host:port is TLS"
    assert load({**PROD, **plain}).notes == tuple(f"{name}{told}" for name in plain)
    assert load(plain).notes == ()


@pytest.mark.parametrize(
    "text", ["grpcs://peer:9090", "https://peer", "127.0.0.1:1", "[::1]:1", "localhost:1"]
)
def test_profile_prod_notes_no_peer_that_is_called_by_tls_or_on_this_machine(text: str) -> None:
    assert load({**PROD, "INVENTORY_GRPC_ADDRESS": text, "PAYMENT_GRPC_ADDRESS": text}).notes == ()


def missing_file(file: Path) -> str:
    return f"{file} can not be read: No such file or directory"


def no_pem(file: Path) -> str:
    file.write_text("a certificate")
    return f"{file} holds no PEM"


def no_certificate(file: Path) -> str:
    file.write_bytes(Authority("ours").issue("server").key)
    return f"{file} holds no certificates that can be used: "


def garbled_certificate(file: Path) -> str:
    certificate = Authority("ours").certificate
    file.write_bytes(certificate + certificate.replace(b"MII", b"XXX", 1))
    return f"{file} holds no certificates that can be used: "


UNREADABLE = (missing_file, no_pem)


@pytest.mark.parametrize("spoil", [*UNREADABLE, no_certificate, garbled_certificate])
def test_an_authority_that_can_not_be_used_is_a_sentence(
    tmp_path: Path, spoil: Callable[[Path], str]
) -> None:
    file = tmp_path / "ca.pem"
    sentence = spoil(file)
    for peer in PEERS:
        environ = {f"{peer}_GRPC_ADDRESS": "grpcs://peer:9090", f"APP_{peer}_TLS_CA_FILE": str(file)}
        with pytest.raises(ConfigError) as caught:
            build(load({"APP_DATA_DIR": str(tmp_path), **environ}))
        assert caught.value.faults[0].startswith(sentence)
    with pytest.raises(ConfigError) as caught:
        connect_inventory("grpcs://peer:9090", 0.25, file)
    assert caught.value.faults[0].startswith(sentence)


def test_several_authorities_in_a_file_are_all_believed(tmp_path: Path) -> None:
    file = tmp_path / "ca.pem"
    file.write_bytes(both := Authority("ours").certificate + Authority("theirs").certificate)
    assert read_authorities(file) == both


@pytest.mark.parametrize("spoil", UNREADABLE)
@pytest.mark.parametrize("spoilt", [0, 1])
def test_a_certificate_or_key_that_can_not_be_read_is_a_sentence(
    tmp_path: Path, spoil: Callable[[Path], str], spoilt: int
) -> None:
    files = Authority("ours").issue("server").write(tmp_path, "server")
    files[spoilt].unlink()
    sentence = spoil(files[spoilt])
    with pytest.raises(ConfigError) as caught:
        read_key_pair(*files)
    assert caught.value.faults == [sentence]


def test_a_certificate_and_its_key_are_read_as_grpc_takes_them(tmp_path: Path) -> None:
    pair = Authority("ours").issue("server")
    assert read_key_pair(*pair.write(tmp_path, "server")) == (pair.key, pair.certificate)


def test_a_key_of_another_certificate_is_a_sentence(tmp_path: Path) -> None:
    ours = Authority("ours")
    certificate, _ = ours.issue("server").write(tmp_path, "server")
    _, key = ours.issue("other").write(tmp_path, "other")
    with pytest.raises(ConfigError) as caught:
        read_key_pair(certificate, key)
    assert caught.value.faults == [
        f"{certificate} and {key} are no certificate and its key: key values mismatch"
    ]


def test_files_that_are_mixed_up_are_a_sentence(tmp_path: Path) -> None:
    certificate, key = Authority("ours").issue("server").write(tmp_path, "server")
    with pytest.raises(ConfigError, match="are no certificate and its key"):
        read_key_pair(key, certificate)


def test_a_key_with_a_password_is_a_sentence_and_nobody_is_asked(tmp_path: Path) -> None:
    pair = Authority("ours").issue("server")
    certificate, key = pair.write(tmp_path, "server")
    key.write_bytes(
        load_pem_private_key(pair.key, None).private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.BestAvailableEncryption(b"password"),
        )
    )
    with pytest.raises(ConfigError) as caught:
        read_key_pair(certificate, key)
    assert caught.value.faults == [f"{key} is encrypted: nobody is there to be asked for its password"]
