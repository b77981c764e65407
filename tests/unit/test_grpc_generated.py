"""The generated messages are those of proto/, and can be imported from anywhere."""

import subprocess
import sys
from pathlib import Path

from scripts.generate_proto import TARGET, generated


def test_the_committed_modules_are_the_generated_ones() -> None:
    committed = {
        path.relative_to(TARGET).as_posix(): path.read_text()
        for path in sorted(TARGET.rglob("*.py*"))
        if "__pycache__" not in path.parts
    }
    expected = dict(generated())
    assert committed.keys() == expected.keys(), "run `python scripts/generate_proto.py`"
    for name, text in expected.items():
        assert committed[name] == text, f"{name}: run `python scripts/generate_proto.py`"


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
