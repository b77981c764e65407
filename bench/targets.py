"""The services that are measured, and what they all have in common: the tokens, the endpoints, the cores."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import click

from bench.canned_aws import Endpoints, canned_endpoints
from bench.cpu import Pins, choose_pins
from bench.identity import Identity, make_identity
from bench.server import HOST, PROGRAM, QUICK_END, Launch, ServerFailedError, host_and_port

ROOT = Path(__file__).parents[1]
PEERS = ROOT / "bench" / "peers"
PEER_ENVIRONMENT = ROOT / ".tools" / "peer-venv"
UV = ROOT / ".tools" / "bin" / "uv"
TABLES = ("reservations", "orders", "idempotency", "outbox")
FOREVER_MILLISECONDS = "10000"
"""A stall of a shared machine must not open a breaker: what is measured is work, not refusals."""
NGINX_PLACES = "/usr/sbin:/usr/local/sbin"
NGINX = """\
daemon off; pid {folder}/pid; error_log stderr; worker_processes 1; events {{ worker_connections 1024; }}
http {{
  access_log off; keepalive_requests 1000000; default_type application/json;
  client_body_temp_path {folder}/b; proxy_temp_path {folder}/p; fastcgi_temp_path {folder}/f;
  uwsgi_temp_path {folder}/u; scgi_temp_path {folder}/s;
  server {{ listen {host}:{port}; location / {{ return 201 '{{"reservation_id":"rsv_1"}}'; }} }}
}}
"""


@dataclass(frozen=True, slots=True)
class Stage:
    """What every section finds: the cores, who asks, and where endpoints answer."""

    pins: Pins
    identity: Identity
    endpoints: Endpoints

    @property
    def aws_settings(self) -> Mapping[str, str]:
        """Return the document's environment variables, as ours and the peer read them."""
        tables = {f"APP_DYNAMODB_TABLES_{name.upper()}": f"bench-reservation-{name}" for name in TABLES}
        return {
            **tables,
            **self.identity.settings,
            **QUICK_END,
            "AWS_REGION": "ap-northeast-2",
            "AWS_DEFAULT_REGION": "ap-northeast-2",
            "AWS_ACCESS_KEY_ID": "AKIDBENCH",
            "AWS_SECRET_ACCESS_KEY": "secret",
            "DYNAMODB_ENDPOINT": self.endpoints.aws_url,
            "EVENTBRIDGE_ENDPOINT": self.endpoints.aws_url,
            "AWS_EVENTBRIDGE_BUS_NAME": "bench-reservation-events",
            "INVENTORY_GRPC_ADDRESS": self.endpoints.inventory_address,
            "APP_INVENTORY_TIMELIMITER_TIMEOUT_DURATION_MILLISECONDS": FOREVER_MILLISECONDS,
            "APP_STORE_TIMELIMITER_TIMEOUT_DURATION_MILLISECONDS": FOREVER_MILLISECONDS,
        }

    def on_aws(self, workers: int = 1, program: Path = PROGRAM) -> Launch:
        """Describe our service on the canned endpoints."""
        settings = {**self.aws_settings, "APP_WORKERS": str(workers)}
        return Launch(settings, self.identity, program=program)

    def peer(self) -> Launch:
        """Describe the plain peer on the same endpoints; raises ServerFailedError."""
        program = install_peer()
        arguments = (
            "bench.peers.fastapi_aioboto3:app",
            *["--loop", "uvloop", "--http", "httptools", "--no-access-log"],
        )
        paths = {"PYTHONPATH": os.pathsep.join((str(ROOT), str(ROOT / "src")))}
        settings = {**self.aws_settings, **paths}
        return Launch(settings, self.identity, arguments, program, address=host_and_port)

    def hello(self) -> Launch:
        """Describe the least that our HTTP server can do."""
        options = "--interface rsgi --workers 1 --runtime-mode st --loop uvloop --http 1 --no-ws"
        arguments = (*options.split(), "bench.peers.granian_hello:app")
        program = Path(sys.executable).parent / "granian"
        return Launch({"PYTHONPATH": str(ROOT)}, self.identity, arguments, program, address=host_and_port)

    def nginx(self) -> Launch | None:
        """Describe a server that answers without looking; None where there is no nginx."""
        program = shutil.which("nginx", path=os.pathsep.join((os.environ.get("PATH", ""), NGINX_PLACES)))
        if program is None:
            return None
        return Launch({}, self.identity, (), Path(program), address=_write_nginx_file)


def _write_nginx_file(folder: Path, port: int) -> Sequence[str]:
    file = folder / "nginx.conf"
    file.write_text(NGINX.format(folder=folder, host=HOST, port=port))
    folder.chmod(0o755)  # its worker is another user
    return ("-p", str(folder), "-e", "stderr", "-c", str(file))


@contextmanager
def stage() -> Iterator[Stage]:
    """Make tokens and start the endpoints, for the block."""
    pins, identity = choose_pins(), make_identity()
    with canned_endpoints(pins.generator) as endpoints:
        yield Stage(pins, identity, endpoints)


def install_peer() -> Path:
    """Make the peer's environment, unless it is there and of this Python; return its uvicorn.

    Raises ServerFailedError.
    """
    program, python = PEER_ENVIRONMENT / "bin" / "uvicorn", PEER_ENVIRONMENT / "bin" / "python"
    if program.exists() and python.resolve() == Path(sys.executable).resolve():
        return program
    click.echo("making the peer's environment", err=True)
    steps = [
        ["venv", "--clear", "--python", str(Path(sys.executable).resolve()), str(PEER_ENVIRONMENT)],
        ["pip", "install", "--python", str(python), "--requirements", str(PEERS / "requirements.txt")],
    ]
    for step in steps:
        finished = subprocess.run([UV, *step], capture_output=True, text=True, check=False)
        if finished.returncode != 0:
            raise ServerFailedError(f"{' '.join(step)}: {finished.stderr[-2000:]}")
    return program
