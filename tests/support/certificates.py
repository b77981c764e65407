"""Authorities of tests' own, and the certificates that they sign."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from ipaddress import ip_address
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed448

HOST = "127.0.0.1"
PrivateKey = ec.EllipticCurvePrivateKey | ed448.Ed448PrivateKey
PublicKey = ec.EllipticCurvePublicKey | ed448.Ed448PublicKey
_PEM = serialization.Encoding.PEM
_USES = ("content_commitment", "key_encipherment", "data_encipherment", "key_agreement")
_OTHER_USES = dict.fromkeys((*_USES, "encipher_only", "decipher_only"), False)


@dataclass(frozen=True)
class Pair:
    """A certificate and its key, as PEM."""

    certificate: bytes
    key: bytes

    def write(self, folder: Path, name: str) -> tuple[Path, Path]:
        """Write them to files of that name; return the certificate's and the key's."""
        files = folder / f"{name}.crt", folder / f"{name}.key"
        for file, pem in zip(files, (self.certificate, self.key), strict=True):
            file.write_bytes(pem)
        return files


class Authority:
    """Signs certificates; one of the same name is another, however alike its certificates look."""

    def __init__(self, name: str) -> None:
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = _named(name)
        # By the name, not by the key: nobody is found out before the signature is looked at.
        self._key_id = sha256(name.encode()).digest()[:20]
        self.certificate = self._sign(self._name, self._key.public_key(), None)

    def issue(self, name: str, host: str = HOST, key: PrivateKey | None = None) -> Pair:
        """Return a new certificate for a host, with a new key or this one."""
        key = key or ec.generate_private_key(ec.SECP256R1())
        certificate = self._sign(_named(name), key.public_key(), host)
        plain = serialization.NoEncryption()
        return Pair(certificate, key.private_bytes(_PEM, serialization.PrivateFormat.PKCS8, plain))

    def _sign(self, name: x509.Name, key: PublicKey, host: str | None) -> bytes:
        """Sign a certificate for a host, or for an authority; what strict clients look for is in it."""
        now = datetime.now(UTC)
        uses = {
            "digital_signature": host is not None,
            "key_cert_sign": host is None,
            "crl_sign": host is None,
        }
        builder = (
            x509.CertificateBuilder(self._name, name, key, x509.random_serial_number())
            .not_valid_before(now - timedelta(days=1))
            .not_valid_after(now + timedelta(days=1))
            .add_extension(x509.BasicConstraints(ca=host is None, path_length=None), critical=True)
            .add_extension(x509.KeyUsage(**uses, **_OTHER_USES), critical=True)
        )
        if host is None:
            builder = builder.add_extension(x509.SubjectKeyIdentifier(self._key_id), critical=False)
        else:
            signer = x509.AuthorityKeyIdentifier(self._key_id, None, None)
            hosts = x509.SubjectAlternativeName([_general(host)])
            builder = builder.add_extension(signer, critical=False).add_extension(hosts, critical=False)
        return builder.sign(self._key, hashes.SHA256()).public_bytes(_PEM)


def _named(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])


def _general(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ip_address(host))
    except ValueError:
        return x509.DNSName(host)
