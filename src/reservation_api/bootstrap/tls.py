"""Files of certificates and keys, looked at by OpenSSL before anybody relies on them.

gRPC itself says no more than that it can not listen, or not connect, and only to the log why.
"""

import ssl
from pathlib import Path

from reservation_api.config.tree import ConfigError


def read_key_pair(certificate_file: Path, key_file: Path) -> tuple[bytes, bytes]:
    """Return a server's key and certificate chain as PEM; raises ConfigError if they are no pair."""

    def refuse_to_ask() -> str:
        raise ConfigError([f"{key_file} is encrypted: nobody is there to be asked for its password"])

    pair = _read(key_file), _read(certificate_file)
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(certificate_file, key_file, refuse_to_ask)
    except ssl.SSLError as error:
        why = _said(error)
        raise ConfigError(
            [f"{certificate_file} and {key_file} are no certificate and its key: {why}"]
        ) from error
    return pair


def read_authorities(file: Path) -> bytes:
    """Return certificates of whoever is believed, as PEM; raises ConfigError if there is none."""
    pem = _read(file)
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(file)
    except ssl.SSLError as error:
        raise ConfigError([f"{file} holds no certificates that can be used: {_said(error)}"]) from error
    return pem


def _read(file: Path) -> bytes:
    try:
        pem = file.read_bytes()
    except OSError as error:
        raise ConfigError([f"{file} can not be read: {error.strerror}"]) from error
    if b"-----BEGIN " not in pem:
        raise ConfigError([f"{file} holds no PEM"])
    return pem


def _said(error: ssl.SSLError) -> str:
    return (error.reason or "no reason given").replace("_", " ").lower()
