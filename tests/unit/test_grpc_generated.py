"""The generated messages are those of proto/, and can be imported from anywhere."""

import shutil
import subprocess
import sys
from pathlib import Path

from scripts.generate_proto import ROOT, TARGET, generated, outdated


def test_the_committed_modules_are_the_generated_ones() -> None:
    assert outdated() == [], "run `make protos`"


def test_a_check_names_what_is_not_current_and_writing_makes_it_so(tmp_path: Path) -> None:
    for folder in ("scripts", "proto", "src/reservation_proto"):
        shutil.copytree(ROOT / folder, tmp_path / folder)
    package = tmp_path / "src" / "reservation_proto"

    def run(*arguments: str) -> tuple[int, str]:
        script = str(tmp_path / "scripts" / "generate_proto.py")
        done = subprocess.run(
            [sys.executable, script, *arguments], capture_output=True, text=True, check=False
        )
        return done.returncode, done.stderr.strip()

    assert run("--check") == (0, "")
    (package / "common" / "v1" / "types_pb2.py").unlink()
    (package / "common" / "v1" / "errors_pb2.pyi").write_text("changed")
    (package / "left_pb2.py").write_text("over")
    stale = "common/v1/errors_pb2.pyi, common/v1/types_pb2.py, left_pb2.py"
    assert run("--check") == (1, f"run `make protos`: {stale}")
    assert run() == (0, "")
    assert run("--check") == (0, "")


def test_generating_twice_gives_the_same() -> None:
    assert generated() == generated()


def test_every_module_can_be_imported_first_and_by_its_own_name(tmp_path: Path) -> None:
    modules = [
        path.relative_to(TARGET.parent).with_suffix("").as_posix().replace("/", ".")
        for path in sorted(TARGET.rglob("*_pb2.py"))
    ]
    assert len(modules) == 5
    for module in modules:
        program = (
            f"import {module} as m; print({{c.__module__ for c in vars(m).values() if isinstance(c, type)}})"
        )
        environment = {"PYTHONPATH": str(TARGET.parent)}
        done = subprocess.run(
            [sys.executable, "-W", "error", "-c", program],
            cwd=tmp_path,
            env=environment,
            capture_output=True,
            text=True,
            check=True,
        )
        assert done.stdout.strip() in (f"{{'{module}'}}", "set()")
