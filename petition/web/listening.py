"""The web's listening sockets: bound here, or handed over by what started this process; and how they are let go."""

import asyncio
import contextlib
import ctypes
import logging
import os
import select
import socket
import struct
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager

from petition.core.database import schema_number
from petition.core.errors import PetitionError
from petition.core.settings import Settings
from petition.core.version import version
from petition.web.slow_clients import WRITE_TIMEOUT

log = logging.getLogger(__name__)

MAX_UNSENT = 64 * 1024  # bytes of a response that the kernel takes before the network does
BACKLOG = 4096  # connections that wait to be accepted; the kernel takes less if net.core.somaxconn says so
QUIET = 0.1  # seconds in which a handshake that has begun ends
MAX_WAIT = 2.0  # seconds for those in the queue
NOTICE = 1.5  # seconds in which proxies that ask how we are learn that they should turn to another instance
ANY = "::"

_SO_ATTACH_FILTER = 26  # asm-generic/socket.h
# A classic packet filter on the TCP header: whether it is the first packet of a connection (SYN without ACK).
_DROP_NEW = ((0x30, 0, 0, 13), (0x54, 0, 0, 0x12), (0x15, 0, 1, 0x02), (0x06, 0, 0, 0), (0x06, 0, 0, 0xFFFFFFFF))


@contextmanager
def listening(settings: Settings, inherited: Sequence[socket.socket] = ()) -> Iterator[list[socket.socket]]:
    """Give the sockets of the web's port, and of Tor's if there is one; close them at the end.

    A port for which one was handed over is not bound. Raises ``PetitionError``.
    """
    ports = [settings.port] if settings.onion_port is None else [settings.port, settings.onion_port]
    with ExitStack() as stack:
        sockets = [stack.enter_context(listener) for listener in inherited]
        for listener in sockets:
            _check(listener, ports)
        bound = {_port_of(listener) for listener in inherited}
        hosts = [settings.host, "0.0.0.0"] if settings.host == ANY else [settings.host]  # noqa: S104 - all, as asked
        sockets += [stack.enter_context(_bind(host, port)) for port in ports if port not in bound for host in hosts]
        yield sockets


def note_start(settings: Settings, workers: int) -> None:
    """Note in the log where the web listens, and what runs."""
    where = {"host": settings.host, "port": settings.port, "workers": workers, "pid": os.getpid()}
    if settings.onion_port is not None:
        where["onion_port"] = settings.onion_port
    elif settings.onion_origin is not None:
        log.warning("the Onion service has no port of its own", extra={"setting": "ONION_PORT"})
    log.info("listening", extra=where | {"version": version(), "schema": schema_number()})


def _port_of(listener: socket.socket) -> int | None:
    is_internet = listener.family in {socket.AF_INET, socket.AF_INET6}
    return int(listener.getsockname()[1]) if is_internet else None


def _check(listener: socket.socket, ports: Sequence[int]) -> None:
    if _port_of(listener) not in ports:
        name = _port_of(listener) or "a path"
        raise PetitionError(f"a socket for {name} was handed over, and PORT is {ports[0]}: the two must agree")
    _bound_writes(listener)


def _bind(host: str, port: int) -> socket.socket:
    """Bind the port here: uvicorn would report a failure only to its log, which is filtered (petition.core.logs)."""
    try:
        family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
        # Of IPv6 alone: readers by IPv4 come to a socket of their own, with addresses that look like theirs.
        listener = socket.create_server(address[:2], family=family, backlog=BACKLOG)
    except OSError as error:
        reason = str(error.strerror).partition(" (")[0]  # Python appends the address
        raise PetitionError(f"cannot listen at {host}, port {port}: {reason}") from None
    _bound_writes(listener)
    return listener


def _bound_writes(listener: socket.socket) -> None:
    """Have the kernel hold little of a response that is not read, and not for long; connections inherit it.

    Without these options it would take some megabytes, so that the server would never see that a client does not read.
    """
    if hasattr(socket, "TCP_USER_TIMEOUT"):  # Linux
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, int(WRITE_TIMEOUT * 1000))
    if hasattr(socket, "TCP_NOTSENT_LOWAT"):
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT, MAX_UNSENT)


def refuse_new(sockets: Sequence[socket.socket]) -> None:
    """Have the kernel ignore new connections; those in the queue can still be accepted. Linux; elsewhere no change.

    When a listening socket is closed, the kernel resets what waits in its queue, and a proxy cannot send a POST again
    that it has already sent into it. A connection that was ignored is refused once the socket is closed, with nothing
    sent: a proxy takes another instance for that.
    """
    if not sys.platform.startswith("linux"):
        return
    program = b"".join(struct.pack("=HBBI", *step) for step in _DROP_NEW)
    memory = ctypes.create_string_buffer(program)
    value = struct.pack("@HL", len(_DROP_NEW), ctypes.addressof(memory))
    for listener in sockets:
        with contextlib.suppress(OSError):
            listener.setsockopt(socket.SOL_SOCKET, _SO_ATTACH_FILTER, value)


def has_waiting(sockets: Sequence[socket.socket]) -> bool:
    """Return whether a connection waits to be accepted."""
    poll = select.poll()
    for listener in sockets:
        poll.register(listener, select.POLLIN)
    return bool(sockets) and bool(poll.poll(0))


async def take_waiting(sockets: Sequence[socket.socket]) -> None:
    """Ignore new connections, and wait until those that were made before have been accepted."""
    if not sockets:
        return
    refuse_new(sockets)
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(MAX_WAIT):
            await asyncio.sleep(QUIET)
            while has_waiting(sockets):  # noqa: ASYNC110 - the server accepts them, without an event
                await asyncio.sleep(0)
