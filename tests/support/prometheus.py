"""A real Prometheus (Debian package `prometheus`), with the rules of deploy/prometheus at a higher pace.

with prometheus_on(find("prometheus", capsys), folder, [8081, 8082]) as prometheus:
    wait_until(lambda: "HighErrorRate" in prometheus.firing())
"""

import os
import re
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from http import HTTPStatus
from pathlib import Path

import httpx
import pytest
from tests.support.ports import HOST, free_port
from tests.support.processes import status_of, wait_until

RULES = Path(__file__).parents[2] / "deploy/prometheus/rules.yml"
ADVICE = "there is no Prometheus: `apt-get install prometheus`, or the like, makes this test run"
MINUTE_MILLISECONDS = 600
"""What a minute of the rules lasts here. All of their windows and waits are minutes."""
LOOK_MILLISECONDS = 250
"""At targets and rules; a window of five minutes has twelve samples, then."""
STOP_SECONDS = 10.0
_CONFIG = """\
global: {{ scrape_interval: {look}ms, scrape_timeout: {look}ms, evaluation_interval: {look}ms }}
rule_files: [{rules}]
scrape_configs:
  - job_name: reservation-api
    metrics_path: /actuator/prometheus
    static_configs: [{{ targets: {targets} }}]
"""


def find(program: str, capsys: pytest.CaptureFixture[str]) -> str:
    """Return a program of the package; skips the test, so that everybody sees it, if there is none."""
    found = shutil.which(program)
    if found is None:
        with capsys.disabled():
            print(f"\nSKIPPED: {ADVICE}")  # noqa: T201 (a skip that nobody sees is no test)
        pytest.skip(ADVICE)
    return found


def faster(rules: str) -> str:
    """Return rules whose minutes are shorter, and whose expressions are the same."""
    return re.sub(
        r"(?<=\[)(\d+)m(?=\])|(?<=for: )(\d+)m",
        lambda found: f"{int(found[1] or found[2]) * MINUTE_MILLISECONDS}ms",
        rules,
    )


@dataclass(frozen=True)
class Prometheus:
    """What it knows."""

    url: str

    def firing(self) -> set[str]:
        """Return the alarms that are set off now."""
        alerts = httpx.get(f"{self.url}/api/v1/alerts", trust_env=False).json()["data"]["alerts"]
        return {alert["labels"]["alertname"] for alert in alerts if alert["state"] == "firing"}

    def fired(self, seconds: float) -> set[str]:
        """Return the alarms that were set off at any time of the last seconds."""
        query = (
            f'count by (alertname) (max_over_time(ALERTS{{alertstate="firing"}}[{round(seconds * 1000)}ms]))'
        )
        return {sample["metric"]["alertname"] for sample in self.ask(query)}

    def ask(self, query: str) -> list[dict[str, dict[str, str]]]:
        answer = httpx.get(f"{self.url}/api/v1/query", params={"query": query}, trust_env=False).json()
        assert answer["status"] == "success", answer
        found: list[dict[str, dict[str, str]]] = answer["data"]["result"]
        return found


@contextmanager
def prometheus_on(program: str, folder: Path, ports: Sequence[int]) -> Iterator[Prometheus]:
    """Start it; it scrapes these ports until the end of the block."""
    port = free_port()
    folder.mkdir()
    (folder / "rules.yml").write_text(faster(RULES.read_text()))
    targets = [f"{HOST}:{port}" for port in ports]
    config = _CONFIG.format(look=LOOK_MILLISECONDS, rules=folder / "rules.yml", targets=targets)
    (folder / "prometheus.yml").write_text(config)
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            [
                *(program, f"--config.file={folder}/prometheus.yml", f"--storage.tsdb.path={folder}/data"),
                f"--web.listen-address={HOST}:{port}",
            ],
            env={"PATH": os.environ["PATH"], "HOME": str(folder)},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
        )
        try:
            url = f"http://{HOST}:{port}"
            is_ready = partial(status_of, f"{url}/-/ready")
            wait_until(lambda: is_ready() == HTTPStatus.OK, (folder / "log").read_text)
            yield Prometheus(url)
        finally:
            process.terminate()
            process.wait(STOP_SECONDS)
