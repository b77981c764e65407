"""What a figure depends on besides our code: the machine and the versions."""

import os
import platform
import sqlite3
import subprocess
import sys
import sysconfig
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

PACKAGES = (
    "httptools",
    "uvloop",
    "msgspec",
    "joserfc",
    "cryptography",
    "prometheus-client",
    "grpcio",
    "protobuf",
)
ROOT = Path(__file__).parent.parent


def facts() -> Iterator[tuple[str, str]]:
    """Name the things that a reader must know to compare two reports."""
    yield "Processor", f"{_processor()}, {os.cpu_count()} cores"
    yield "System", f"{platform.system()} {platform.release()}, {platform.libc_ver()[1]} libc"
    yield "Python", f"{platform.python_version()}, {_build()}"
    yield "SQLite", sqlite3.sqlite_version
    yield "Packages", ", ".join(f"{name} {_version(name)}" for name in PACKAGES)
    yield "Commit", _commit()


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        name, _, value = line.partition(":")
        if name.strip() == "model name":
            return value.strip()
    return platform.machine()


def _build() -> str:
    """Say who built it; a distribution keeps to itself with which options."""
    if sys.base_prefix == "/usr":
        return f"of {platform.freedesktop_os_release()['PRETTY_NAME']}"
    optimised = "--enable-optimizations" in (sysconfig.get_config_var("CONFIG_ARGS") or "")
    return f"built {'with' if optimised else 'without'} profile-guided optimisation"


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"


def _commit() -> str:
    command = ["git", "describe", "--always", "--dirty"]
    try:
        finished = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
    return finished.stdout.strip()
