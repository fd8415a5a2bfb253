"""Machines that are network namespaces, joined by a bridge in one of their own: nothing of it is in the host's network.

A machine's processes are found by their namespace, so whatever happens all of them can be ended by their ids.
"""

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

PREFIX = "petition-"
SWITCH = "switch"
NETWORK = "10.90.0"
# name → last number of its address
MACHINES: Mapping[str, int] = {
    "visitors": 2,  # the load, the SMTP server, the checker
    "db1": 11,
    "db2": 12,
    "db3": 13,
    "proxy": 31,  # nginx, and Varnish behind it
    "proxy2": 32,  # nginx with a cache of its own
    "web1": 41,
    "web2": 42,
    "worker": 51,
}
PATIENCE = 10.0  # seconds for killed processes to be gone


def address(machine: str) -> str:
    return f"{NETWORK}.{MACHINES[machine]}"


class Network:
    """The machines of one drill, named after the process that owns them."""

    def __init__(self, owner: int) -> None:
        self.owner = owner

    def namespace(self, machine: str) -> str:
        return f"{PREFIX}{self.owner}-{machine}"

    def build(self) -> None:
        """Make the bridge and all machines. Raises ``CalledProcessError``."""
        switch = self.namespace(SWITCH)
        _ip("netns", "add", switch)
        _ip("-n", switch, "link", "add", "br0", "type", "bridge")
        _ip("-n", switch, "link", "set", "br0", "up")
        for machine in MACHINES:
            self._add(machine, switch)

    def _add(self, machine: str, switch: str) -> None:
        namespace, port = self.namespace(machine), f"port-{machine}"
        _ip("netns", "add", namespace)
        _ip("link", "add", "eth0", "netns", namespace, "type", "veth", "peer", "name", port, "netns", switch)
        _ip("-n", switch, "link", "set", port, "master", "br0", "up")
        _ip("-n", namespace, "addr", "add", f"{address(machine)}/24", "dev", "eth0")
        for device in ("lo", "eth0"):
            _ip("-n", namespace, "link", "set", device, "up")

    def command(self, machine: str, account: str | None = None) -> list[str]:
        """Return the beginning of a command that runs on ``machine``, as root or under ``account``."""
        inside = ["ip", "netns", "exec", self.namespace(machine)]
        if account is None:
            return inside
        return [*inside, "setpriv", f"--reuid={account}", f"--regid={account}", "--clear-groups", "--"]

    def pids(self, machine: str, *, besides: str = "") -> list[int]:
        """Return the processes of ``machine``, except those whose program is ``besides``."""
        done = subprocess.run(
            ["ip", "netns", "pids", self.namespace(machine)], capture_output=True, text=True, check=False
        )
        return [pid for pid in map(int, done.stdout.split()) if _program(pid) not in {besides, ""}]

    def signal(self, machine: str, number: signal.Signals, *, besides: str = "") -> None:
        """Send ``number`` to all processes of ``machine``, except those of the program ``besides``."""
        for pid in self.pids(machine, besides=besides):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)

    def unplug(self, machine: str) -> None:
        """Pull the cable of ``machine``."""
        _ip("-n", self.namespace(SWITCH), "link", "set", f"port-{machine}", "down")

    def plug_in(self, machine: str) -> None:
        _ip("-n", self.namespace(SWITCH), "link", "set", f"port-{machine}", "up")

    def part(self, machine: str, others: list[str]) -> None:
        """Have nothing of ``others`` reach ``machine`` any more, while the rest still does."""
        for other in others:
            _ip("-n", self.namespace(other), "route", "add", "blackhole", f"{address(machine)}/32")

    def join(self, machine: str, others: list[str]) -> None:
        for other in others:
            _ip("-n", self.namespace(other), "route", "del", "blackhole", f"{address(machine)}/32")

    def slow_down(self, machine: str, milliseconds: int) -> None:
        """Have everything that leaves ``machine`` arrive later."""
        tc = ["tc", "-n", self.namespace(machine), "qdisc", "replace", "dev", "eth0", "root"]
        subprocess.run([*tc, "netem", "delay", f"{milliseconds}ms"], check=True, capture_output=True)

    def remove(self) -> None:
        """End all processes of all machines, and remove these."""
        _remove(f"{PREFIX}{self.owner}-")


@contextmanager
def network(owner: int) -> Iterator[Network]:
    """Give the machines of one drill; remove them at the end, and those of drills that were killed."""
    _remove_orphans()
    net = Network(owner)
    try:
        net.build()
        yield net
    finally:
        net.remove()


def _remove_orphans() -> None:
    owners = {name.removeprefix(PREFIX).partition("-")[0] for name in _namespaces() if name.startswith(PREFIX)}
    for owner in owners:
        if owner.isdigit() and not Path(f"/proc/{owner}").exists():
            _remove(f"{PREFIX}{owner}-")


def _remove(prefix: str) -> None:
    names = [name for name in _namespaces() if name.startswith(prefix)]
    net = Network(int(prefix.removeprefix(PREFIX).rstrip("-")))
    for name in names:
        _end_all(net, name.removeprefix(prefix))
    for name in names:
        _ip("netns", "del", name)


def _end_all(net: Network, machine: str) -> None:
    deadline = time.monotonic() + PATIENCE
    while net.pids(machine) and time.monotonic() < deadline:
        net.signal(machine, signal.SIGKILL)
        time.sleep(0.05)


def _namespaces() -> list[str]:
    lines = _ip("netns", "list").splitlines()
    return [line.split()[0] for line in lines if line.strip()]


def _program(pid: int) -> str:
    """Return the name of a process's program; "" if it has ended."""
    try:
        status = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8")
    except OSError:
        return ""
    name, _, rest = status.partition("(")[2].rpartition(")")
    return "" if rest.split()[0] in {"Z", "X"} else name


def _ip(*arguments: str) -> str:
    return subprocess.run(["ip", *arguments], check=True, capture_output=True, text=True).stdout
