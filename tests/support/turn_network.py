"""Two networks that cannot reach each other, and a TURN server that is in both.

Run as `unshare --net python -m tests.support.turn_network SERVERS [OPTION...]`, where
SERVERS is the setting of both devices with HOST for the server's address, and the
options are turnserver's. Prints what came of a dial from one network to the other.
"""

import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory

REPOSITORY = Path(__file__).parents[2]
SECRET = "only for tests"


def run(*command: str) -> None:
    subprocess.run(command, check=True, timeout=10)


@contextmanager
def device(role: str, servers: str, number: int) -> Iterator[subprocess.Popen[str]]:
    """Run a device in a network of its own, 10.NUMBER.0.0/24, with us as the other."""
    command = ["unshare", "--net", sys.executable, "-m", "tests.support.turn_device"]
    host = f"10.{number}.0.1"
    with subprocess.Popen(
        [*command, role, servers.replace("HOST", host)],
        cwd=REPOSITORY,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            wait_for_network(process.pid)
            inside = ["nsenter", f"--net=/proc/{process.pid}/ns/net", "ip"]
            here, there = f"here{number}", f"there{number}"
            run("ip", "link", "add", here, "type", "veth", "peer", "name", there)
            run("ip", "link", "set", there, "netns", str(process.pid))
            run("ip", "address", "add", f"{host}/24", "dev", here)
            run("ip", "link", "set", here, "up")
            run(*inside, "address", "add", f"10.{number}.0.2/24", "dev", there)
            run(*inside, "link", "set", there, "up")
            yield process
        finally:
            process.kill()


def wait_for_network(pid: int) -> None:
    """Wait until a process that was started has left our network."""
    ours = Path("/proc/self/ns/net").readlink()
    while Path(f"/proc/{pid}/ns/net").readlink() == ours:
        pass


@contextmanager
def turn_server(options: list[str]) -> Iterator[None]:
    """Run coturn in this network until it listens, and then on."""
    with TemporaryDirectory() as folder:
        command = [
            "turnserver",
            "-n",
            "--use-auth-secret",
            f"--static-auth-secret={SECRET}",
            "--realm=fractality.test",
            "--listening-ip=10.1.0.1",
            "--listening-ip=10.2.0.1",
            "--relay-ip=10.1.0.1",
            "--listening-port=3478",
            "--min-port=50000",
            "--max-port=50099",
            "--no-cli",
            "--no-tls",
            "--no-dtls",
            "--no-multicast-peers",
            "--stale-nonce=600",
            f"--pidfile={folder}/pid",
            f"--userdb={folder}/users",
            "--log-file=stdout",
            *options,
        ]
        with subprocess.Popen(
            command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        ) as server:
            try:
                while not listens("10.1.0.1") or not listens("10.2.0.1"):
                    with suppress(subprocess.TimeoutExpired):
                        server.wait(timeout=0.02)
                        sys.exit("turnserver ended at once")
                yield
            finally:
                server.kill()


def listens(host: str) -> bool:
    """Whether the server takes connections at an address."""
    try:
        with socket.create_connection((host, 3478), timeout=1):
            return True
    except OSError:
        return False


def main() -> None:
    """Build the networks, carry the signals, tell the outcome."""
    servers, *options = sys.argv[1:]
    with ExitStack() as stack:
        run("ip", "link", "set", "lo", "up")
        dialling = stack.enter_context(device("dial", servers, 1))
        answering = stack.enter_context(device("answer", servers, 2))
        stack.enter_context(turn_server(options))
        for process in (dialling, answering):
            tell(process, "\n")
        tell(answering, hear(dialling))
        tell(dialling, hear(answering))
        print(hear(dialling).strip())  # noqa: T201 - it is what the test reads


def tell(process: subprocess.Popen[str], line: str) -> None:
    assert process.stdin is not None
    process.stdin.write(line)
    process.stdin.flush()


def hear(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline()


if __name__ == "__main__":
    main()
