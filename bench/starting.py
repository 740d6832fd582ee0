"""A server's environment, its start and its end.

Server -> its virtual environment under .bench/ (made on the first run) -> a process on 127.0.0.1 -> answering ->
ended with its whole process tree.
"""

import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import httpx
import psutil

from bench import machine
from bench.client import family
from bench.servers import Server, Start
from bench.workload import Unavailable, Workload, last_words, without_lineside

HERE = Path(__file__).resolve().parent
ENVIRONMENTS = (HERE.parent / ".bench").resolve()
"""Resolved: scripts name the interpreter's real place, which may outlive a link to it."""
PATIENCE_S = 240.0


def environment_of(server: Server) -> Path:
    """The server's own virtual environment, made anew when it is not there or was made of other versions."""
    if not server.packages:
        return Path(sys.prefix)
    folder = ENVIRONMENTS / server.name.replace(" ", "-").lower()
    ready, wanted = folder / "ready", "\n".join((server.python, *server.packages))
    if not ready.exists() or ready.read_text("utf-8") != wanted:
        print(f"installing {', '.join(server.packages)} into {folder}", file=sys.stderr)
        shutil.rmtree(folder, ignore_errors=True)
        uv = [sys.executable, "-m", "uv"]
        path = {**os.environ, "PYTHONPATH": str(HERE.parent / ".uv")}
        commands: list[list[str | Path]] = [
            [*uv, "venv", "-q", "--python", server.python, folder],
            [*uv, "pip", "install", "-q", "--python", folder / "bin/python", *server.packages],
        ]
        for command in commands:
            done = subprocess.run(command, check=False, env=path, stderr=subprocess.PIPE, text=True)
            if done.returncode:
                raise Unavailable(f"cannot be installed: {last_words(done.stderr)}")
        ready.write_text(wanted, "utf-8")
    return folder


def versions_of(server: Server) -> dict[str, str]:
    """What its environment really holds."""
    names = [package.partition("==")[0].partition("[")[0] for package in server.packages]
    code = "import sys\nfrom importlib.metadata import version\nprint('Python', sys.version.split()[0])\n"
    code += "".join(f"print({name!r}, version({name!r}))\n" for name in names)
    python = environment_of(server) / "bin/python"
    lines = subprocess.run([python, "-c", code], check=True, capture_output=True, text=True).stdout
    return dict(line.split(" ", 1) for line in lines.splitlines())


def free_port() -> int:
    """A port that nobody listens on just now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@dataclass(frozen=True)
class Running:
    """A server that was started."""

    server: Server
    url: str
    pid: int
    log: Path

    @property
    def has_ended(self) -> bool:
        """Whether it is gone; a child that ended stays a zombie until it is waited for."""
        with suppress(psutil.NoSuchProcess):
            return psutil.Process(self.pid).status() == psutil.STATUS_ZOMBIE
        return True

    def memory_mib(self) -> float:
        """Of all its processes; pages that they share with anybody are not counted."""
        total = 0
        for member in family(self.pid):
            with suppress(psutil.NoSuchProcess):  # ended meanwhile, or a zombie
                total += member.memory_full_info().uss
        return total / 2**20

    def rss_mib(self) -> float:
        """Resident memory of its first process."""
        return psutil.Process(self.pid).memory_info().rss / 2**20


@contextmanager
def running(server: Server, workload: Workload) -> Iterator[Running]:
    """The server, answering pictures; its whole process tree is ended afterwards.

    Raises:
        Unavailable: it cannot run here or did not come up, with its own last words.
    """
    if reason := server.needs():
        raise Unavailable(reason)
    environment = environment_of(server)
    # Short and under /tmp: Ray's socket paths have 107 bytes.
    with tempfile.TemporaryDirectory(prefix="lsb-", dir="/tmp", ignore_cleanup_errors=True) as scratch:
        start = Start(environment, Path(scratch), free_port(), (free_port(), free_port()), workload)
        if server.prepare:
            server.prepare(start)
        log = start.work / "log"
        with log.open("wb") as output:
            process = subprocess.Popen(
                _command(server, start),
                cwd=HERE,
                env=_variables(server, start),
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        started = Running(server, f"http://127.0.0.1:{start.port}{server.path}", process.pid, log)
        try:
            _wait_until_answering(started, workload.pictures[0])
            yield started
        finally:
            _stop(process)


def _command(server: Server, start: Start) -> list[str]:
    words = [part.format(port=start.port, work=start.work) for part in server.command]
    return [str(start.environment / "bin" / words[0]), *words[1:]]


def _variables(server: Server, start: Start) -> dict[str, str]:
    variables = {
        "PATH": f"{start.environment / 'bin'}:{os.environ['PATH']}",
        "PORT": str(start.port),
        "TMPDIR": str(start.work),
        **{name: value.format(work=start.work) for name, value in server.variables.items()},
    }
    workload, threads = start.workload, str(machine.cores())
    if not server.is_peer:
        return workload.lineside_environment(server.repository(workload), **variables)
    inherited = without_lineside()
    inherited.pop("VIRTUAL_ENV", None)
    return inherited | {
        "PYTHONPATH": str(HERE / "peer_servers"),
        "PEER_WEIGHTS": str(workload.weights),
        "PEER_THREADS": threads,
        "OMP_NUM_THREADS": threads,
        **variables,
    }


def _wait_until_answering(started: Running, picture: bytes) -> None:
    server = started.server
    message, headers = server.body(picture), dict(line.split(": ", 1) for line in server.headers)
    end = time.monotonic() + PATIENCE_S
    last = "no connection"
    while time.monotonic() < end:
        if started.has_ended:
            raise Unavailable(
                f"it ended while starting: {last_words(started.log.read_text('utf-8', 'replace'))}"
            )
        try:
            answer = httpx.post(started.url, content=message, headers=headers, timeout=60)
        except httpx.TransportError as error:
            last = str(error)
        else:
            if answer.status_code == 200:
                return
            last = f"{answer.status_code} {answer.text[:200]}"
        time.sleep(0.2)
    said = last_words(started.log.read_text("utf-8", "replace"))
    raise Unavailable(f"no answer within {PATIENCE_S:.0f} s: {last}; its log ends with: {said}")


def _stop(process: "subprocess.Popen[bytes]") -> None:
    """SIGTERM to the server, then SIGKILL to whatever of its tree is left."""
    members = family(process.pid)
    process.send_signal(signal.SIGTERM)
    with suppress(subprocess.TimeoutExpired):
        process.wait(timeout=20)
    for member in members:
        with suppress(psutil.NoSuchProcess):
            member.kill()
    process.wait()
    psutil.wait_procs(members, timeout=20)
