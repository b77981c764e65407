"""The two packages that are fetched when tests run: the provider's schema and the plugin protocol."""

import importlib.util
import json
import subprocess
import sys
import zipfile
import zlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from testkit import bindings

HERE: Final = Path(__file__).parent
ROOT: Final = HERE.parents[2]
PINS: Final = HERE / "wheels.txt"
"""The packages, each with the digest that it must have."""
CACHE: Final = ROOT / ".tools" / "terraform"
PIP_SECONDS: Final = 300
"""71 MB from a slow mirror."""


class FetchError(Exception):
    """What the testkit needs could not be fetched."""


@dataclass(frozen=True, slots=True)
class Fetched:
    """Where the schema is, and the folder that holds the package `tf`."""

    schema: Path
    protocol: Path
    provider_version: str


def fetched(
    resources: Iterable[str], data_sources: Iterable[str], cache: Path = CACHE, pins: Path = PINS
) -> Fetched:
    """Return the schema of these types and the protocol; the first call downloads and reads them."""
    wheels = _wheels(cache, pins)
    protocol = cache / "protocol"
    if not (protocol / "tf").exists():
        with zipfile.ZipFile(wheels["tf"]) as wheel:
            wheel.extractall(protocol)
    wanted = [*sorted(resources), *(f"data.{name}" for name in sorted(data_sources))]
    schema = cache / "schema.json"
    key = [wheels["cdktn_provider_aws"].name, _fingerprint(), *wanted]
    document = json.loads(schema.read_text()) if schema.exists() else {}
    if document.get("key") != key:
        document = {"key": key, **bindings.schema_of(wheels["cdktn_provider_aws"], wanted)}
        schema.with_suffix(".new").write_text(json.dumps(document, sort_keys=True))
        schema.with_suffix(".new").replace(schema)
    return Fetched(schema, protocol, document["provider_version"])


def _fingerprint() -> int:
    """Tell one version of the reader of bindings from another, so that a better one reads again."""
    return zlib.crc32(Path(bindings.__file__).read_bytes())


def _wheels(cache: Path, pins: Path) -> dict[str, Path]:
    folder = cache / "wheels"
    pinned = pins.read_text()
    done = folder / "wheels.txt"
    if not done.exists() or done.read_text() != pinned:
        folder.mkdir(parents=True, exist_ok=True)
        _download(folder, pins)
        done.write_text(pinned)
    return {path.name.partition("-")[0]: path for path in sorted(folder.glob("*.whl"))}


def _download(folder: Path, pins: Path) -> None:
    arguments = ["download", "--quiet", "--no-deps", "--only-binary=:all:", "--require-hashes"]
    command = [*_pip(), *arguments, "-d", str(folder), "-r", str(pins)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=PIP_SECONDS, check=False)
    if done.returncode:
        raise FetchError(f"{' '.join(command)}\n{done.stderr}")


def _pip() -> Sequence[str]:
    """Use the pip of this Python, or the one beside uv (the project's own environment has none)."""
    if importlib.util.find_spec("pip"):
        return [sys.executable, "-m", "pip"]
    beside = ROOT / ".tools" / "bin" / "pip"
    if not beside.exists():
        raise FetchError("there is no pip; `make` sets one up in .tools")
    return [str(beside)]
