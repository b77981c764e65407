"""Write the Python modules of proto/ into src/reservation_proto (`make protos`), or `--check` that they are.

protoc makes modules import each other by their place in proto/ (`from common.v1 import types_pb2`); they
are rewritten to import by their place in the package, so that nothing has to be put on the path. Only
messages are generated: calls name their method, which saves a stub class of ten parameters a method.
"""

import importlib.resources
import re
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

from grpc_tools import protoc

ROOT = Path(__file__).parents[1]
PROTO = ROOT / "proto"
PACKAGE = "reservation_proto"
TARGET = ROOT / "src" / PACKAGE

_OWN_IMPORT = re.compile(r"^from ((?:common|payment|reservation)\.v1 import \w+_pb2)", re.MULTILINE)
_OWN_NAME = re.compile(r"'((?:common|payment|reservation)\.v1\.\w+_pb2)'")


def generated() -> Mapping[str, str]:
    """Return every file of the package by its path in it; raises RuntimeError if protoc refuses."""
    with tempfile.TemporaryDirectory() as folder:
        _run_protoc(folder)
        files = {
            path.relative_to(folder).as_posix(): _placed(path.read_text())
            for path in sorted(Path(folder).rglob("*_pb2.py*"))
        }
    packages = {parent for name in files for parent in Path(name).parents}
    return files | {(package / "__init__.py").as_posix(): "" for package in packages}


def _placed(text: str) -> str:
    text = _OWN_IMPORT.sub(rf"from {PACKAGE}.\1", text)
    return _OWN_NAME.sub(rf"'{PACKAGE}.\1'", text)


def _run_protoc(folder: str) -> None:
    well_known = importlib.resources.files("grpc_tools") / "_proto"
    sources = sorted(path.relative_to(PROTO).as_posix() for path in PROTO.rglob("*.proto"))
    includes = [f"--proto_path={PROTO}", f"--proto_path={well_known}"]
    outputs = [f"--python_out={folder}", f"--pyi_out={folder}"]
    if protoc.main(["protoc", *includes, *outputs, *sources]) != 0:
        raise RuntimeError("protoc refuses these files; what it says stands above")


def outdated() -> list[str]:
    """Name the package's files that are missing, too many, or not what would be generated."""
    expected = generated()
    found = {
        path.relative_to(TARGET).as_posix(): path.read_text()
        for path in TARGET.rglob("*.py*")
        if "__pycache__" not in path.parts
    }
    return sorted(name for name in found.keys() | expected.keys() if found.get(name) != expected.get(name))


def write() -> None:
    """Replace the package's files."""
    files = generated()
    for name in outdated():
        path = TARGET / name
        path.unlink(missing_ok=True)
        if name in files:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(files[name])


def main() -> None:
    """Write, or check and exit with 1 if there would be anything to write."""
    if sys.argv[1:] == ["--check"]:
        names = outdated()
        sys.exit(f"run `make protos`: {', '.join(names)}" if names else 0)
    write()


if __name__ == "__main__":
    main()
