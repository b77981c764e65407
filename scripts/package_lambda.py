"""Build the zip of the Lambda functions (`make lambda-package`): our wheel, and what `uv.lock` has with it.

The same sources make the same bytes, so that Terraform deploys what changed and nothing else: entries are
sorted, have one date, and nothing in them knows where or when they were made.
"""

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parents[1]
PLATFORMS: Final = {"arm64": "aarch64-manylinux_2_28", "x86_64": "x86_64-manylinux_2_28"}
"""Lambda's architectures, and wheels that their Amazon Linux 2023 (glibc 2.34) takes."""
PYTHON: Final = "3.13"
"""Lambda's runtime: `runtime` of the functions module says the same."""
MAX_UNPACKED_BYTES: Final = 250 * 1024 * 1024
"""What Lambda unpacks at most, layers included."""
EPOCH: Final = (1980, 1, 1, 0, 0, 0)
"""The earliest date that a zip can hold."""
NOT_OURS_TO_RUN: Final = frozenset({"__pycache__", "bin"})
"""Compiled for whoever packs, and commands that start with that machine's interpreter."""
LEFT_BY_UV: Final = frozenset({".lock", "INSTALLER", "RECORD", "REQUESTED", "direct_url.json"})
"""Who installed it, where from: another on each machine."""


class PackageError(Exception):
    """It can not be packed; the message says why."""


@dataclass(frozen=True, slots=True)
class Target:
    """Where the functions run."""

    architecture: str = "arm64"
    python: str = PYTHON


def uv() -> str:
    """Return where uv is: the one that `make` sets up, or one on the PATH; raises PackageError."""
    ours = ROOT / ".tools" / "bin" / "uv"
    found = str(ours) if ours.exists() else shutil.which("uv")
    if found is None:
        raise PackageError("there is no uv; `make lambda-package` sets one up in .tools")
    return found


def collect(folder: Path, target: Target) -> None:
    """Put everything that the functions import into a folder."""
    requirements = folder.parent / "requirements.txt"
    wheels = folder.parent / "wheels"
    _run("export", "--frozen", "--no-default-groups", "--no-emit-project", "-o", str(requirements))
    _run(
        *(
            "pip",
            "install",
            "--target",
            str(folder),
            "--no-deps",
            "--require-hashes",
            "--only-binary",
            ":all:",
        ),
        *("--python-platform", PLATFORMS[target.architecture], "--python-version", target.python),
        *("-r", str(requirements)),
    )
    _run("build", "--wheel", "--out-dir", str(wheels))
    [wheel] = wheels.glob("*.whl")
    with zipfile.ZipFile(wheel) as ours:
        ours.extractall(folder)


def _run(*arguments: str) -> None:
    # An environment that is active here must not decide on what runs there.
    environment = {name: value for name, value in os.environ.items() if name != "VIRTUAL_ENV"}
    command = [uv(), "--quiet", *arguments]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)  # noqa: S603
    if done.returncode:
        raise PackageError(f"{' '.join(command)}\n{done.stderr}")


def files_of(folder: Path) -> Iterator[tuple[str, Path]]:
    """Yield what goes into the zip, in the order of its names."""
    for path in sorted(folder.rglob("*"), key=lambda path: path.relative_to(folder).as_posix()):
        name = path.relative_to(folder)
        if path.is_file() and path.name not in LEFT_BY_UV and NOT_OURS_TO_RUN.isdisjoint(name.parts[:-1]):
            yield name.as_posix(), path


def pack(folder: Path, archive: Path) -> int:
    """Write the zip; return how large its files are. Raises PackageError if Lambda would not unpack it."""
    files = list(files_of(folder))
    size = sum(path.stat().st_size for _, path in files)
    if size > MAX_UNPACKED_BYTES:
        raise PackageError(f"{size} bytes unpacked are more than the {MAX_UNPACKED_BYTES} that Lambda takes")
    archive.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as written:
        for name, path in files:
            entry = zipfile.ZipInfo(name, EPOCH)
            entry.compress_type = zipfile.ZIP_DEFLATED
            entry.create_system = 3  # Unix, wherever this runs: Lambda reads the permissions below
            entry.external_attr = 0o644 << 16
            written.writestr(entry, path.read_bytes())
    return size


def build(archive: Path, target: Target) -> int:
    """Build the zip from nothing; return how large its files are."""
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary) / "package"
        collect(folder, target)
        return pack(folder, archive)


def main(arguments: Sequence[str] | None = None) -> int:
    """Read the command line and build."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--architecture", choices=sorted(PLATFORMS), default="arm64")
    parser.add_argument("--python", default=PYTHON, help="the runtime's version (%(default)s)")
    parser.add_argument("--output", type=Path, help="dist/lambda-ARCHITECTURE.zip if not given")
    given = parser.parse_args(arguments)
    archive = given.output or ROOT / "dist" / f"lambda-{given.architecture}.zip"
    try:
        size = build(archive, Target(given.architecture, given.python))
    except PackageError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    sys.stdout.write(f"{archive}: {archive.stat().st_size:,} bytes, {size:,} unpacked\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
