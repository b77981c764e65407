"""Write the Python modules of proto/ into src/reservation_proto: `python scripts/generate_proto.py`.

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


def main() -> None:
    """Replace the package's files."""
    files = generated()
    for path in sorted(TARGET.rglob("*.py*")):
        if path.relative_to(TARGET).as_posix() not in files and "__pycache__" not in path.parts:
            path.unlink()
    for name, text in files.items():
        path = TARGET / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    sys.stdout.write(f"{len(files)} files in {TARGET.relative_to(ROOT)}\n")


if __name__ == "__main__":
    main()
