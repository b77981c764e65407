"""The image, by its Dockerfile: who runs what in it, and that its steps install the service and nothing else.

Nothing here builds images: the file is read, and its own installing steps are run in a folder that has what
`.dockerignore` lets through.
"""

import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path
from typing import Final

import pytest
from click import Context
from scripts.package_lambda import PYTHON, PackageError, uv

from reservation_api.entrypoints.cli import main

ROOT: Final = Path(__file__).parents[2]
DOCKERFILE: Final = ROOT / "Dockerfile"
PROJECT: Final = tomllib.loads((ROOT / "pyproject.toml").read_text())
INSTALL_SECONDS: Final = 240


@dataclass(frozen=True)
class Instruction:
    name: str
    arguments: str


def instructions(text: str) -> list[Instruction]:
    """Read a Dockerfile: no comments, and lines that go on as one."""
    lines = [line for line in text.splitlines() if line.strip() and not line.lstrip().startswith("#")]
    joined = re.sub(r"\\\n\s*", "", "\n".join(lines))
    return [Instruction(*line.split(maxsplit=1)) for line in joined.splitlines()]


def stages(text: str) -> list[list[Instruction]]:
    """Return the instructions of each stage; what stands before the first is left out."""
    found: list[list[Instruction]] = []
    for instruction in instructions(text):
        if instruction.name == "FROM":
            found.append([])
        if found:
            found[-1].append(instruction)
    return found


BUILD, FINAL = stages(DOCKERFILE.read_text())


def of(stage: list[Instruction], name: str) -> list[str]:
    return [instruction.arguments for instruction in stage if instruction.name == name]


def from_context(stage: list[Instruction]) -> list[tuple[list[str], str]]:
    """Return what is copied from the project: sources and target."""
    copied = [line.split() for line in of(stage, "COPY") if "--from=" not in line]
    return [(words[:-1], words[-1]) for words in copied]


def is_let_through(name: str) -> bool:
    """Say whether `.dockerignore` leaves a file in the context: the last rule that fits decides."""
    kept = True
    for rule in (ROOT / ".dockerignore").read_text().split("\n"):
        pattern = rule.strip()
        if pattern and not pattern.startswith("#"):
            is_kept = pattern.startswith("!")
            bare = pattern.removeprefix("!").removeprefix("**/")
            if fnmatch(name, bare) or any(fnmatch(part, bare) for part in Path(name).parts):
                kept = is_kept
    return kept


def test_it_runs_as_nobody_by_number() -> None:
    users = of(FINAL, "USER")
    assert len(users) == 1
    user, _, group = users[0].partition(":")
    assert int(user) > 0
    assert int(group) > 0
    last_copy = max(place for place, it in enumerate(FINAL) if it.name in {"COPY", "RUN", "ADD"})
    assert FINAL.index(Instruction("USER", users[0])) > last_copy


def test_the_same_number_is_what_fargate_and_kubernetes_ask_for() -> None:
    [user] = of(FINAL, "USER")
    terraform = (ROOT / "infra/terraform/modules/service/main.tf").read_text()
    assert f'"{user}"' in terraform


def test_signals_reach_the_process_and_no_shell_is_asked() -> None:
    [entrypoint], [command] = of(FINAL, "ENTRYPOINT"), of(FINAL, "CMD")
    [program], [what] = json.loads(entrypoint), json.loads(command)
    assert program in PROJECT["project"]["scripts"]
    commands = main.list_commands(Context(main))
    assert what in commands
    assert "worker" in commands, "the other command that orchestrators give"
    assert of(FINAL, "RUN") == [], "what runs is what was built"
    assert of(FINAL, "SHELL") == []


def test_its_base_is_named_by_a_version_and_is_the_same_twice() -> None:
    [base] = [it.arguments for it in instructions(DOCKERFILE.read_text()) if it.name == "ARG"]
    assert re.fullmatch(r"BASE=python:3\.\d+-slim-\w+", base)
    assert PYTHON in base, "as the functions' runtime"
    assert [it.split()[0] for it in of(BUILD, "FROM") + of(FINAL, "FROM")] == ["${BASE}", "${BASE}"]


def test_the_lock_file_decides_and_development_stays_outside() -> None:
    installing = [line for line in of(BUILD, "RUN") if line.startswith("uv ")]
    assert len(installing) == 2
    for line in installing:
        assert line.startswith("uv sync --frozen --no-default-groups ")
    assert "--no-editable" in installing[-1]
    makefile = (ROOT / "Makefile").read_text()
    pinned = re.findall(r"uv==[\d.]+", makefile + " ".join(of(BUILD, "RUN")))
    assert len(pinned) == 2
    assert len(set(pinned)) == 1


def test_nothing_is_fetched_or_kept_that_was_not_locked() -> None:
    for stage in (BUILD, FINAL):
        assert of(stage, "ADD") == []
    assert not [line for line in of(BUILD, "RUN") if "pip install" in line and "--no-cache-dir" not in line]
    names = " ".join(of(BUILD, "ENV") + of(FINAL, "ENV") + of(BUILD, "ARG") + of(FINAL, "ARG"))
    assert not re.search(r"(?i)(secret|token|password|_key)\w*=", names)


def test_what_is_copied_is_let_through_and_nothing_else_is() -> None:
    sources = [source for sources, _ in from_context(BUILD) + from_context(FINAL) for source in sources]
    assert sorted(sources) == ["README.md", "pyproject.toml", "src", "uv.lock"]
    for source in sources:
        assert (ROOT / source).exists()
        assert is_let_through(source)
    for name in (
        ".git",
        ".venv",
        "data",
        "dist",
        "infra",
        "src/reservation_api/__pycache__",
        "tests",
        ".env",
    ):
        assert not is_let_through(name), name


def uv_is_there() -> bool:
    try:
        uv()
    except PackageError:
        return False
    return True


@pytest.mark.skipif(not uv_is_there(), reason="there is no uv; make sets one up")
@pytest.mark.timeout(300)
def test_its_own_steps_install_a_service_that_runs(tmp_path: Path) -> None:
    context, installed = tmp_path / "source", tmp_path / "installed"
    context.mkdir()
    environment = {
        **{name: value for name, value in os.environ.items() if name != "VIRTUAL_ENV"},
        "PATH": f"{Path(uv()).parent}{os.pathsep}{os.environ['PATH']}",
        "UV_LINK_MODE": "copy",
        "UV_PROJECT_ENVIRONMENT": str(installed),
        "UV_PYTHON": sys.executable,
        "UV_PYTHON_DOWNLOADS": "never",
    }
    for instruction in BUILD:
        if instruction.name == "COPY":
            for source in instruction.arguments.split()[:-1]:
                copy(ROOT / source, context / source)
        elif instruction.name == "RUN" and instruction.arguments.startswith("uv "):
            step = instruction.arguments.split()
            done = subprocess.run(
                step,
                cwd=context,
                env=environment,
                capture_output=True,
                text=True,
                timeout=INSTALL_SECONDS,
                check=False,
            )
            assert done.returncode == 0, done.stderr
    shutil.rmtree(context)  # the last stage has none of it
    programs = {path.name for path in (installed / "bin").iterdir()}
    assert "reservation-api" in programs
    assert programs.isdisjoint({"pytest", "ruff", "mypy", "aws"}), "tools of development"
    said = subprocess.run(
        [installed / "bin" / "reservation-api", "--version"],
        env={},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert said.stdout.strip() == f"reservation-api, version {PROJECT['project']['version']}", said.stderr


def copy(source: Path, target: Path) -> None:
    if source.is_dir():
        shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__"))
    else:
        shutil.copy(source, target)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("# a comment\nFROM a AS b\n", [Instruction("FROM", "a AS b")]),
        ("FROM a\nENV A=1 \\\n    B=2\n", [Instruction("FROM", "a"), Instruction("ENV", "A=1 B=2")]),
    ],
)
def test_the_file_is_read_as_docker_reads_it(text: str, found: list[Instruction]) -> None:
    assert instructions(text) == found
