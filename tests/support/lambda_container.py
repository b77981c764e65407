"""A Lambda container: a process that loads a handler once, and invokes it whenever it is told to.

with container("reservation_api.entrypoints.lambdas.expiry.handler", env) as function:
    answer = function.invoke({})          # or Failed, as Lambda reports a handler that raises
    function.output()                     # the log group: standard output

Run as a module it is what runs in the container, as AWS's runtime client does: standard output is unbuffered
by a wrapper, an error is reported by its type and message, and the process lives on.
"""

import importlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
DEFAULT_SECONDS = 30.0
_KEPT_VARIABLES = ("PATH", "HOME", "LANG", "TMPDIR", "PYTHONPATH")


class FunctionFailedError(Exception):
    """The handler raised; `kind` is the name of the error's class."""

    def __init__(self, kind: str, message: str) -> None:
        super().__init__(f"{kind}: {message}")
        self.kind = kind


@dataclass
class Container:
    """One container, cold until it is first invoked."""

    process: "subprocess.Popen[str]"
    answers: int
    output_file: Path
    log_file: Path

    def invoke(self, event: Any, seconds: float = DEFAULT_SECONDS) -> Any:
        """Return what the handler returns; raises FunctionFailedError for what it raises."""
        if self.process.stdin is None:
            raise TypeError("a container is started with a pipe")
        self.process.stdin.write(json.dumps({"event": event, "seconds": seconds}) + "\n")
        self.process.stdin.flush()
        answer = json.loads(self._read_line())
        if "error" in answer:
            raise FunctionFailedError(*answer["error"])
        return answer["result"]

    def output(self) -> list[dict[str, Any]]:
        """The lines of its standard output."""
        return [json.loads(line) for line in self.output_file.read_text().splitlines()]

    def log_text(self) -> str:
        return self.log_file.read_text()

    def _read_line(self) -> bytes:
        line = b""
        while not line.endswith(b"\n"):
            piece = os.read(self.answers, 65_536)
            if not piece:
                raise AssertionError(f"the container is gone:\n{self.log_text()}")
            line += piece
        return line


@contextmanager
def container(handler: str, folder: Path, env: Mapping[str, str] | None = None) -> Iterator[Container]:
    """Start one whose files are in `folder`; it is gone at the end of the block."""
    kept = {name: os.environ[name] for name in _KEPT_VARIABLES if name in os.environ}
    read_end, write_end = os.pipe()
    output_file, log_file = folder / "function.out", folder / "function.log"
    with output_file.open("wb") as output, log_file.open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-W", "error", "-m", __spec__.name, handler, str(write_end)],
            env={**kept, **(env or {})},
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=output,
            stderr=log,
            pass_fds=[write_end],
            text=True,
        )
    os.close(write_end)
    try:
        yield Container(process, read_end, output_file, log_file)
    finally:
        process.kill()
        process.communicate()
        os.close(read_end)


class _Unbuffered:
    """As AWS's runtime client wraps standard output and error."""

    def __init__(self, stream: Any) -> None:
        self._stream = stream

    def write(self, text: str) -> None:
        self._stream.write(text)
        self._stream.flush()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


@dataclass(frozen=True)
class _Context:
    ends_at: float

    def get_remaining_time_in_millis(self) -> int:
        return int((self.ends_at - time.monotonic()) * 1000)


def main(handler: str, answers: int) -> None:
    """Invoke the handler for each line of standard input."""
    sys.stdout, sys.stderr = _Unbuffered(sys.stdout), _Unbuffered(sys.stderr)
    module, _, name = handler.rpartition(".")
    function = getattr(importlib.import_module(module), name)
    with os.fdopen(answers, "w") as answering:
        for line in sys.stdin:
            request = json.loads(line)
            context = _Context(time.monotonic() + request["seconds"])
            try:
                answer = {"result": function(request["event"], context)}
            except Exception as error:
                answer = {"error": [type(error).__name__, str(error)]}
            answering.write(json.dumps(answer) + "\n")
            answering.flush()


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
