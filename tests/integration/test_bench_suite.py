"""A section of the benchmark that fails half-way: the suite says so, and nothing is left of it."""

import json
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parents[2]
SCRIPT = """
import os, sys
from pathlib import Path
import msgspec
from bench.cpu import descendants
from bench.scale import QUICK
from bench.suite import adopt_orphans, run_section

adopt_orphans()
folder = Path(sys.argv[1])
no_time = msgspec.structs.replace(QUICK, step_seconds=0.0)
failed = run_section("floor", no_time, folder)
print(len(descendants(os.getpid())) - 1, len(list(Path(os.environ["TMPDIR"]).iterdir())))
"""


def test_a_section_that_fails_is_on_record_and_its_servers_and_files_are_gone(tmp_path: Path) -> None:
    results, scratch = tmp_path / "results", tmp_path / "scratch"
    results.mkdir()
    scratch.mkdir()
    finished = subprocess.run(
        [sys.executable, "-c", SCRIPT, str(results)],
        cwd=HERE,
        env={"TMPDIR": str(scratch), "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert finished.stdout.split() == ["0", "0"]
    failed = json.loads((results / "floor.failed.json").read_text())
    assert failed["error"].startswith("it ended with 1:")
    assert "rate, seconds and drain must be positive" in failed["error"]
    assert not (results / "floor.json").exists()
