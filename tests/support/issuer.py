"""An OpenID issuer on this machine: discovery and key set over real HTTP, well-behaved or not."""

import json
import ssl
import threading
from collections import Counter
from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from ipaddress import ip_address
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from tests.support.tokens import SigningKey, jwks, make_claims, mint

DISCOVERY_PATH = "/.well-known/openid-configuration"
JWKS_PATH = "/jwks"
HOST = "127.0.0.1"


class FakeIssuer:
    """Serves in threads of its own from `with` to its end; attributes may be set at any time."""

    def __init__(self, *keys: SigningKey, certificate: "SelfSigned | None" = None) -> None:
        self.key_set = jwks(*keys).encode()
        self.status = 200
        self.discovery: dict[str, Any] | bytes = {}
        """Members of the discovery document that are not as they should be, or what is sent in its place."""
        self.headers: dict[str, str] = {}
        self.drip_seconds = 0.0
        """The time between one byte of an answer and the next."""
        self.requests: Counter[str] = Counter()
        self._asked = threading.Condition()
        self._answers = threading.Event()
        self._answers.set()
        self._server = _Server(self)
        self._scheme = "http"
        if certificate is not None:
            self._scheme = "https"
            self._server.socket = certificate.server_context().wrap_socket(
                self._server.socket, server_side=True
            )

    @property
    def url(self) -> str:
        """The issuer's identifier."""
        return f"{self._scheme}://{HOST}:{self._server.server_address[1]}"

    @property
    def fetches(self) -> int:
        """How often the key set was asked for."""
        return self.requests[JWKS_PATH]

    def publish(self, *keys: SigningKey | Mapping[str, Any]) -> None:
        """Replace the key set."""
        self.key_set = jwks(*keys).encode()

    def hang(self) -> None:
        """Take requests and answer none of them until `answer`."""
        self._answers.clear()

    def answer(self) -> None:
        """Answer what hangs, and all that follows."""
        self._answers.set()

    def wait_until_asked(self, times: int) -> None:
        """Block until the discovery document has been asked for so often."""
        with self._asked:
            self._asked.wait_for(lambda: self.requests[DISCOVERY_PATH] >= times)

    def mint(self, key: SigningKey, now: datetime, **changes: Any) -> str:
        """Return a token of this issuer."""
        return mint(key, make_claims(now, iss=self.url, **changes))

    def reply_to(self, path: str) -> tuple[int, bytes]:
        """Count the request; return status and body."""
        with self._asked:
            self.requests[path] += 1
            self._asked.notify_all()
        self._answers.wait()
        bodies = {DISCOVERY_PATH: self._discovery_document(), JWKS_PATH: self.key_set}
        return (self.status, bodies[path]) if path in bodies else (404, b"")

    def _discovery_document(self) -> bytes:
        if isinstance(self.discovery, bytes):
            return self.discovery
        document = {"issuer": self.url, "jwks_uri": self.url + JWKS_PATH, **self.discovery}
        return json.dumps(document).encode()

    def __enter__(self) -> Self:
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01})
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.answer()
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


class SelfSigned:
    """A certificate for HOST that nobody but its maker trusts."""

    def __init__(self, folder: Path) -> None:
        self._file = folder / "issuer-tls.pem"
        key = ec.generate_private_key(ec.SECP256R1())
        name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, HOST)])
        now = datetime.now(UTC)
        certificate = (
            x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
            .not_valid_before(now - timedelta(days=1))
            .not_valid_after(now + timedelta(days=1))
            .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address(HOST))]), critical=False)
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .sign(key, hashes.SHA256())
        )
        pem = serialization.Encoding.PEM
        private = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        self._file.write_bytes(private + certificate.public_bytes(pem))

    def server_context(self) -> ssl.SSLContext:
        """Return what a server needs to show it."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self._file)
        return context

    def client_context(self) -> ssl.SSLContext:
        """Return what a client needs to trust it."""
        return ssl.create_default_context(cafile=self._file)


class _Server(ThreadingHTTPServer):
    daemon_threads = False

    def __init__(self, issuer: FakeIssuer) -> None:
        self.issuer = issuer
        super().__init__((HOST, 0), _Handler)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing: clients that hang up are what these tests are about."""


class _Handler(BaseHTTPRequestHandler):
    server: _Server

    def do_GET(self) -> None:
        status, body = self.server.issuer.reply_to(self.path)
        with suppress(OSError):
            self.send_response(status)
            for name, value in self.server.issuer.headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self._write(body)

    def _write(self, body: bytes) -> None:
        pause = self.server.issuer.drip_seconds
        if not pause:
            self.wfile.write(body)
            return
        for byte in body:
            self.wfile.write(bytes([byte]))
            threading.Event().wait(pause)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
        """Say nothing."""
