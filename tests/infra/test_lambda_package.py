"""The zip of the Lambda functions: whole, alike whoever builds it, and for the machine that it is for."""

import json
import os
import platform
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Final

import pytest
from scripts.package_lambda import (
    MAX_UNPACKED_BYTES,
    PLATFORMS,
    PYTHON,
    PackageError,
    Target,
    build,
    collect,
    files_of,
    pack,
    uv,
)
from tests.support.bus_events import created

HERE: Final = {"x86_64": "x86_64", "aarch64": "arm64"}
ELF_MACHINES: Final = {"x86_64": 62, "arm64": 183}
"""Two bytes of each shared library (ELF specification, e_machine)."""
RUNTIME: Final = Path(__file__).parents[2] / "infra/terraform/modules/functions/variables.tf"


def uv_is_there() -> bool:
    try:
        uv()
    except PackageError:
        return False
    return True


needs_uv = pytest.mark.skipif(not uv_is_there(), reason="there is no uv; make sets one up")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "package" / "ours").mkdir(parents=True)
    (tmp_path / "package" / "ours" / "b.py").write_text("b = 1\n")
    (tmp_path / "package" / "a.py").write_text("a = 1\n")
    return tmp_path / "package"


def test_the_same_files_make_the_same_bytes_whenever_and_by_whomever(folder: Path, tmp_path: Path) -> None:
    pack(folder, tmp_path / "one.zip")
    os.utime(folder / "a.py", (1, 1))
    (folder / "a.py").chmod(0o600)
    pack(folder, tmp_path / "other.zip")
    assert (tmp_path / "one.zip").read_bytes() == (tmp_path / "other.zip").read_bytes()


def test_all_may_read_what_is_packed(folder: Path, tmp_path: Path) -> None:
    (folder / "a.py").chmod(0o600)
    pack(folder, tmp_path / "one.zip")
    with zipfile.ZipFile(tmp_path / "one.zip") as packed:
        assert {entry.external_attr >> 16 for entry in packed.infolist()} == {0o644}
        assert packed.namelist() == ["a.py", "ours/b.py"]


@pytest.mark.parametrize(
    "name", ["bin/reservation-api", "ours/__pycache__/b.pyc", "x.dist-info/direct_url.json", ".lock"]
)
def test_what_belongs_to_the_machine_that_packs_is_left_out(folder: Path, tmp_path: Path, name: str) -> None:
    (folder / name).parent.mkdir(parents=True, exist_ok=True)
    (folder / name).write_text("here")
    pack(folder, tmp_path / "one.zip")
    with zipfile.ZipFile(tmp_path / "one.zip") as packed:
        assert packed.namelist() == ["a.py", "ours/b.py"]


def test_what_lambda_would_not_unpack_is_refused(folder: Path, tmp_path: Path) -> None:
    with (folder / "large.so").open("wb") as large:
        large.truncate(MAX_UNPACKED_BYTES)
    with pytest.raises(PackageError, match="more than the 262144000"):
        pack(folder, tmp_path / "one.zip")
    assert not (tmp_path / "one.zip").exists()


def test_it_is_for_the_runtime_that_terraform_asks_for() -> None:
    assert f'"python{PYTHON}"' in RUNTIME.read_text()


@needs_uv
@pytest.mark.timeout(300)
@pytest.mark.parametrize("architecture", sorted(PLATFORMS))
def test_its_libraries_are_for_the_architecture_that_is_asked_for(tmp_path: Path, architecture: str) -> None:
    archive = tmp_path / "one.zip"
    build(archive, Target(architecture))
    with zipfile.ZipFile(archive) as packed:
        libraries = [name for name in packed.namelist() if name.endswith(".so")]
        machines = {packed.read(name)[18] for name in libraries}
    assert machines == {ELF_MACHINES[architecture]}
    assert any("uvloop" in name for name in libraries)
    assert archive.stat().st_size < 50_000_000, "more has to go by S3"


@needs_uv
@pytest.mark.timeout(300)
def test_each_handler_runs_from_the_package_alone(tmp_path: Path) -> None:
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    collect(tmp_path / "collected", Target(HERE[platform.machine()], version))
    for name, path in files_of(tmp_path / "collected"):
        packed = tmp_path / "package" / name
        packed.parent.mkdir(parents=True, exist_ok=True)
        path.rename(packed)
    program = (
        "import json, sys; sys.path.append(sys.argv[1]);"
        "from reservation_api.entrypoints.lambdas import event_processor, expiry;"
        "event_processor.handler(json.loads(sys.argv[2]), None);"
        "expiry.handler({}, None)"
    )
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", program, str(tmp_path / "package"), json.dumps(created())],
        env={"APP_NO_SUCH_SETTING": "1"},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert json.loads(done.stdout)["id"] == "rsv_1.1", done.stderr
    assert "ConfigError: APP_NO_SUCH_SETTING is no setting" in done.stderr, (
        "the expiry function reads its settings"
    )
