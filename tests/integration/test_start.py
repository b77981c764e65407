"""What a process has imported when its parts are wired: whatever else it had would make each start later."""

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest
from tests.support.aws_environment import aws_environment

WIRE = """
import sys
from reservation_api.entrypoints.cli import main
from reservation_api.bootstrap import build
from reservation_api.config import load_environment
build(load_environment())
print(*sys.modules)
"""
PACKAGE = "reservation_api"
NOWHERE = "http://127.0.0.1:9"
OPERATORS = frozenset({"botocore", f"{PACKAGE}.adapters.aws_operations", f"{PACKAGE}.application.capacity"})
SENDERS = frozenset({"opentelemetry", f"{PACKAGE}.telemetry.otlp_http"})
GRPC_SERVERS = frozenset({"grpc_health.v1", "grpc_reflection.v1alpha", f"{PACKAGE}.entrypoints.grpc"})
AWS = frozenset({f"{PACKAGE}.adapters.{name}" for name in ("dynamodb", "eventbridge", "sqs")})
DOCUMENTS = frozenset({f"{PACKAGE}.entrypoints.http.openapi"})


def imported(environment: Mapping[str, str], folder: Path) -> frozenset[str]:
    """Return the modules that a process has, by their names and those of their packages."""
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "PYTHONPATH") if name in os.environ}
    finished = subprocess.run(
        [sys.executable, "-c", WIRE],
        env={**kept, "APP_DATA_DIR": str(folder), **environment},
        cwd=folder,
        capture_output=True,
        text=True,
        check=True,
    )
    return frozenset(finished.stdout.split())


@pytest.mark.parametrize(
    ("environment", "uses", "spared"),
    [
        pytest.param(
            {},
            {f"{PACKAGE}.adapters.sqlite.store"},
            {"grpc", "google.protobuf", "httpx", *AWS, *GRPC_SERVERS, *OPERATORS, *SENDERS, *DOCUMENTS},
            id="embedded",
        ),
        pytest.param(
            aws_environment(NOWHERE),
            {"httpx", "grpc", *AWS - {f"{PACKAGE}.adapters.sqs"}},
            {f"{PACKAGE}.adapters.sqlite.store", *GRPC_SERVERS, *OPERATORS, *SENDERS, *DOCUMENTS},
            id="AWS",
        ),
    ],
)
def test_a_process_imports_what_it_is_configured_for(
    environment: Mapping[str, str], uses: set[str], spared: set[str], tmp_path: Path
) -> None:
    modules = imported(environment, tmp_path)
    assert uses - modules == set()
    assert spared & modules == set()
