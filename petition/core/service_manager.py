"""What systemd, and others that speak its protocols, hand to a service: listening sockets, and an ear for its state."""

import contextlib
import os
import socket

_FIRST = 3  # the first descriptor that is handed over, see sd_listen_fds(3)
NAMES = ("LISTEN_FDS", "LISTEN_PID", "LISTEN_FDNAMES", "NOTIFY_SOCKET")


def take_sockets() -> list[socket.socket]:
    """Return the sockets that were handed to this process, and remove them from the environment.

    They stay open in the manager when this process ends, and connections wait in them for the next one.
    """
    count, pid = os.environ.pop("LISTEN_FDS", ""), os.environ.pop("LISTEN_PID", "")
    os.environ.pop("LISTEN_FDNAMES", None)
    if pid != str(os.getpid()) or not count.isdecimal():
        return []
    sockets = [socket.socket(fileno=number) for number in range(_FIRST, _FIRST + int(count))]
    for listener in sockets:
        listener.set_inheritable(False)
    return sockets


def notify(state: str) -> None:
    """Say ``READY=1``, ``RELOADING=1`` or ``STOPPING=1`` if a manager listens, see sd_notify(3)."""
    path = os.environ.get("NOTIFY_SOCKET", "")
    if not path:
        return
    address = f"\0{path[1:]}" if path.startswith("@") else path
    with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as ear:
        ear.sendto(state.encode(), address)


def environment_of_child() -> dict[str, str]:
    """Return the environment without what the manager handed to this process alone."""
    return {name: value for name, value in os.environ.items() if name not in NAMES}
