"""CPU a hold, get and confirm on the AWS runtime, beside a plain peer: `python -m bench.aws_runtime`.

Both ask the same canned endpoints: DynamoDB after 5 ms, the inventory after 3 ms (bench/canned_aws.py). The
peer is the same three calls on FastAPI and aioboto3 (bench/peers/), in an environment of its own. Rounds
alternate, so that whoever else uses the machine disturbs both alike. Ratios are the result.
"""

import asyncio
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import click
import uvloop
from joserfc import jwt
from joserfc.jwk import ECKey

from bench import machine
from bench.canned_aws import SUBJECT, Endpoints, canned_endpoints
from bench.cpu import Pins, choose_pins, pinned_to
from bench.report import RESULTS, WARM_UP_SECONDS, Measurement, measure_once, table
from bench.server import PROGRAM, Server, ServerFailedError, running_configured
from bench.workloads import NAMES, Name, Pace, Session, TooFewHoldsError, is_good

ROOT = Path(__file__).parents[1]
PEERS = ROOT / "bench" / "peers"
PEER_ENVIRONMENT = ROOT / ".tools" / "peer-venv"
ISSUER = "https://issuer.bench"
TABLES = ("reservations", "orders", "idempotency", "outbox")
AIM_HOLD_MICROSECONDS = 200.0
AIM_HOLD_RATIO = 5.0
TOKEN_SECONDS = 3600


@dataclass(slots=True)
class Peer:
    """A service under measurement, and what each round came to."""

    name: str
    session: Session
    rate_share: float
    """Of the rate that is asked of the fastest: nobody is measured beyond saturation."""
    rounds: list[Measurement] = field(default_factory=list)

    def median(self, name: Name) -> float:
        """Return CPU microseconds a request."""
        taken = sorted(one.microseconds for one in self.rounds if one.name == name)
        return taken[len(taken) // 2]

    def spread(self, name: Name) -> str:
        """Return the lowest and the highest round."""
        taken = [one.microseconds for one in self.rounds if one.name == name]
        return f"{min(taken):.0f} to {max(taken):.0f}"


def settings_of(endpoints: Endpoints, jwks: str) -> Mapping[str, str]:
    """Return the document's environment variables, as both services read them."""
    tables = {f"APP_DYNAMODB_TABLES_{name.upper()}": f"bench-reservation-{name}" for name in TABLES}
    return {
        **tables,
        "AWS_REGION": "ap-northeast-2",
        "AWS_DEFAULT_REGION": "ap-northeast-2",
        "AWS_ACCESS_KEY_ID": "AKIDBENCH",
        "AWS_SECRET_ACCESS_KEY": "secret",
        "DYNAMODB_ENDPOINT": endpoints.aws_url,
        "EVENTBRIDGE_ENDPOINT": endpoints.aws_url,
        "AWS_EVENTBRIDGE_BUS_NAME": "bench-reservation-events",
        "INVENTORY_GRPC_ADDRESS": endpoints.inventory_address,
        "JWT_ISSUER_URI": ISSUER,
        "JWT_JWKS": jwks,
        # A stall of a shared machine must not open a breaker: what is measured is work, not refusals.
        "APP_INVENTORY_TIMELIMITER_TIMEOUT_DURATION_MILLISECONDS": "5000",
        "APP_STORE_TIMELIMITER_TIMEOUT_DURATION_MILLISECONDS": "5000",
    }


def make_identity() -> tuple[str, str]:
    """Return a token of the canned reservations' owner, and the keys that prove it."""
    key = ECKey.generate_key("P-256", parameters={"kid": "bench", "alg": "ES256", "use": "sig"})
    now = int(time.time())
    claims = {"iss": ISSUER, "sub": SUBJECT, "iat": now, "exp": now + TOKEN_SECONDS}
    token = jwt.encode({"alg": "ES256", "kid": "bench"}, claims, key)
    return token, json.dumps({"keys": [key.as_dict(private=False)]})


def install_peer() -> Path:
    """Make the peer's environment if it is not there; return its uvicorn. Raises ServerFailedError."""
    program = PEER_ENVIRONMENT / "bin" / "uvicorn"
    if not program.exists():
        click.echo("making the peer's environment", err=True)
        steps = [
            [sys.executable, "-m", "venv", str(PEER_ENVIRONMENT)],
            [
                *(str(PEER_ENVIRONMENT / "bin" / "pip"), "install", "--quiet"),
                *("--disable-pip-version-check", "-r", str(PEERS / "requirements.txt")),
            ],
        ]
        for step in steps:
            finished = subprocess.run(step, capture_output=True, text=True, check=False)
            if finished.returncode != 0:
                raise ServerFailedError(f"{' '.join(step)}: {finished.stderr[-2000:]}")
    return program


@contextmanager
def running_peer(core: int | None, settings: Mapping[str, str], token: str) -> Iterator[Server]:
    """Start the plain peer on one core, and end it; raises ServerFailedError."""
    program = install_peer()
    arguments = (
        "bench.peers.fastapi_aioboto3:app",
        "--loop",
        "uvloop",
        "--http",
        "httptools",
        "--no-access-log",
    )
    paths = {"PYTHONPATH": os.pathsep.join((str(ROOT), str(ROOT / "src")))}
    with running_configured(core, program, arguments, {**settings, **paths}, token) as server:
        yield server


async def measure(peers: Sequence[Peer], rate: float, seconds: float, repeats: int, pins: Pins) -> None:
    """Run the rounds in turns."""
    for peer in peers:
        for name in NAMES:
            await peer.session.run(name, Pace(rate * peer.rate_share, WARM_UP_SECONDS))
    for _ in range(repeats):
        for peer in peers:
            for name in NAMES:
                pace = Pace(rate * peer.rate_share, seconds)
                peer.rounds.append(await measure_once(peer.session, name, pace, pins.server))
                click.echo(f"{peer.name} {name}: {peer.rounds[-1].microseconds:.0f} us", err=True)
            await asyncio.sleep(0)


def render(ours: Peer, plain: Peer, rate: float) -> str:
    """Write the report as Markdown."""
    bad = [
        f"**Not valid: {peer.name}, {one.name}: {dict(one.load.statuses)}.**"
        for peer in (ours, plain)
        for one in peer.rounds
        if not is_good(one.name, one.load)
    ]
    head = (
        "call",
        "ours",
        "lowest to highest",
        "FastAPI + aioboto3",
        "lowest to highest",
        "ratio",
        "verdict",
    )
    rows = [_row(name, ours, plain) for name in NAMES]
    parts = [
        f"# The AWS runtime beside a plain peer, {datetime.now(UTC):%Y-%m-%d %H:%M UTC}",
        *bad,
        f"CPU us a request; {rate:g} requests a second for ours, {rate * plain.rate_share:g} for the peer.",
        table(head, rows),
        "Ours also relays each event (PutEvents, ten at a time) and deletes its row; the peer does not.",
        table(("what", "value"), machine.facts()),
    ]
    return "\n\n".join(parts) + "\n"


def _row(name: Name, ours: Peer, plain: Peer) -> tuple[str, ...]:
    ratio = plain.median(name) / ours.median(name)
    verdict = ""
    if name == "hold":
        is_met = ratio >= AIM_HOLD_RATIO and ours.median(name) <= AIM_HOLD_MICROSECONDS
        verdict = (
            "pass" if is_met else f"MISS: aim {AIM_HOLD_MICROSECONDS:.0f} us and {AIM_HOLD_RATIO:g} times"
        )
    figures = (
        f"**{ours.median(name):.0f}**",
        ours.spread(name),
        f"{plain.median(name):.0f}",
        plain.spread(name),
    )
    return (name, *figures, f"{ratio:.1f}", verdict)


@click.command()
@click.option("--rate", default=600.0, show_default=True, help="Requests a second, of ours.")
@click.option("--seconds", default=5.0, show_default=True, help="Of each workload in each repeat.")
@click.option("--repeats", default=3, show_default=True)
@click.option("--program", type=click.Path(path_type=Path), default=PROGRAM, help="Another build to measure.")
def main(rate: float, seconds: float, repeats: int, program: Path) -> None:
    """Measure hold, get and confirm of both; print the report and write bench/results/aws_runtime.md."""
    pins, (token, jwks) = choose_pins(), make_identity()
    try:
        with ExitStack() as stack:
            endpoints = stack.enter_context(canned_endpoints(pins.generator))
            settings = settings_of(endpoints, jwks)
            ours = stack.enter_context(running_configured(pins.server, program, ("serve",), settings, token))
            plain = stack.enter_context(running_peer(pins.server, settings, token))
            stack.enter_context(pinned_to(pins.generator))
            peers = [Peer("ours", Session(ours), 1.0), Peer("peer", Session(plain), 0.25)]
            uvloop.run(measure(peers, rate, seconds, repeats, pins))
    except (ServerFailedError, TooFewHoldsError, OSError) as error:
        raise click.ClickException(str(error)) from error
    text = render(peers[0], peers[1], rate)
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / "aws_runtime.md").write_text(text)
    click.echo(text)


if __name__ == "__main__":
    main()
