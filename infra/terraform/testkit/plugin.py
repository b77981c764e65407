"""Serves one provider to all of a workspace's commands; Terraform would start four of its own for each."""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from concurrent import futures
from contextlib import contextmanager
from pathlib import Path
from subprocess import PIPE
from typing import Any, Final

import grpc

from testkit.aws import ENDPOINTS, Aws
from testkit.fetch import HERE, Fetched
from testkit.schema import PROVIDER, load

REATTACH: Final = "TF_REATTACH_PROVIDERS"
"""The environment variable in which Terraform finds providers that run already."""
HOST: Final = "127.0.0.1"
"""Not a socket of a file: Terraform opens a connection for each configuration, and ports tell them apart."""
THREADS: Final = 16
"""Terraform asks for ten resources at once."""
STOP_SECONDS: Final = 10.0
UNBOUNDED: Final = [("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1)]


class ProviderError(Exception):
    """The provider did not start; the message is what it wrote."""


@contextmanager
def serving(folder: Path, fetched: Fetched, endpoints: Mapping[str, str]) -> Iterator[str]:
    """Run the provider until the end of the block; yields what Terraform is to find in TF_REATTACH_PROVIDERS.

    It works in the folder that Terraform works in: names of files are relative to it.
    """
    path = os.pathsep.join([str(HERE.parent), str(fetched.protocol)])
    command = [sys.executable, "-W", "error", "-m", "testkit.plugin", str(fetched.schema)]
    variables = os.environ | {"PYTHONPATH": path, ENDPOINTS: json.dumps(dict(endpoints))}
    with (
        tempfile.TemporaryFile("w+") as errors,
        subprocess.Popen(
            command, cwd=folder, env=variables, stdin=PIPE, stdout=PIPE, stderr=errors, text=True
        ) as process,
    ):
        line = process.stdout.readline() if process.stdout else ""
        if not line:
            process.wait(STOP_SECONDS)
            errors.seek(0)
            raise ProviderError(errors.read())
        yield line


def serve(provider: Any) -> None:
    """Say where the provider is, and serve until standard input ends, as it does when its parent is gone."""
    from tf.gen import tfplugin_pb2_grpc  # noqa: PLC0415 (only in the path of this process)

    server = grpc.server(futures.ThreadPoolExecutor(THREADS), options=UNBOUNDED)
    tfplugin_pb2_grpc.add_ProviderServicer_to_server(provider, server)
    port = server.add_insecure_port(f"{HOST}:0")
    server.start()
    print(json.dumps({PROVIDER: _address(port)}), flush=True)
    sys.stdin.read()
    server.stop(None).wait()


def _address(port: int) -> dict[str, object]:
    """Write where we are as go-plugin reads it; to a "test" it sends no order to shut down."""
    where = {"Network": "tcp", "String": f"{HOST}:{port}"}
    return {"Protocol": "grpc", "ProtocolVersion": 6, "Pid": os.getpid(), "Test": True, "Addr": where}


def main() -> None:
    """Be the provider of the schema that is named."""
    from testkit.provider import Provider  # noqa: PLC0415 (needs the protocol)

    serve(Provider(load(Path(sys.argv[1])), Aws.of_the_environment()))


if __name__ == "__main__":
    main()
