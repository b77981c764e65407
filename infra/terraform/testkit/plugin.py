"""The handshake by which Terraform starts a provider: a TLS socket, and one line on standard output."""

import base64
import datetime as dt
import os
import tempfile
import threading
from concurrent import futures
from pathlib import Path
from typing import Any

import grpc
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from tf.gen import grpc_controller_pb2, grpc_controller_pb2_grpc, grpc_stdio_pb2_grpc, tfplugin_pb2_grpc

from testkit.aws import Aws
from testkit.provider import Provider
from testkit.schema import SCHEMA, load

CORE_PROTOCOL, PROVIDER_PROTOCOL = "1", "6"
THREADS = 16
"""Terraform asks for ten resources at once."""
ORPHAN_CHECK_SECONDS = 0.5
"""How soon a provider whose Terraform was killed notices."""
UNBOUNDED = [("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1)]


class _Controller(grpc_controller_pb2_grpc.GRPCControllerServicer):  # type: ignore[misc]
    def __init__(self, done: threading.Event) -> None:
        self._done = done

    def Shutdown(self, _request: Any, _context: Any) -> Any:
        self._done.set()
        return grpc_controller_pb2.Empty()


class _Stdio(grpc_stdio_pb2_grpc.GRPCStdioServicer):  # type: ignore[misc]
    def StreamStdio(self, _request: Any, _context: Any) -> Any:
        return iter(())


def serve(provider: Any) -> None:
    """Serve one Terraform process until it says so, or is gone."""
    done = threading.Event()
    server = grpc.server(futures.ThreadPoolExecutor(THREADS), options=UNBOUNDED)
    tfplugin_pb2_grpc.add_ProviderServicer_to_server(provider, server)
    grpc_controller_pb2_grpc.add_GRPCControllerServicer_to_server(_Controller(done), server)
    grpc_stdio_pb2_grpc.add_GRPCStdioServicer_to_server(_Stdio(), server)
    with tempfile.TemporaryDirectory() as folder:
        socket = Path(folder) / "provider.sock"
        key, certificate = _certificate()
        pem = certificate.public_bytes(serialization.Encoding.PEM)
        server.add_secure_port(f"unix://{socket}", grpc.ssl_server_credentials([(key, pem)]))
        server.start()
        der = base64.b64encode(certificate.public_bytes(serialization.Encoding.DER)).decode().rstrip("=")
        print("|".join([CORE_PROTOCOL, PROVIDER_PROTOCOL, "unix", str(socket), "grpc", der]), flush=True)
        while not done.wait(ORPHAN_CHECK_SECONDS) and os.getppid() != 1:
            pass
        server.stop(grace=ORPHAN_CHECK_SECONDS).wait()


def main() -> None:
    """Be the provider that Terraform has started."""
    serve(Provider(load(Path(os.environ[SCHEMA])), Aws.of_the_environment()))


def _certificate() -> tuple[bytes, x509.Certificate]:
    """Make a key and a certificate for this one process; Terraform trusts what the first line says."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
    now = dt.datetime.now(dt.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(minutes=5))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .add_extension(x509.ExtendedKeyUsage([x509.oid.ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .sign(key, hashes.SHA256())
    )
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return private, certificate


if __name__ == "__main__":
    main()
