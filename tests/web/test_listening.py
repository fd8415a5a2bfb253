"""Where the web listens: both kinds of addresses, sockets that were handed over, and a queue that runs empty."""

import asyncio
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from petition.core import service_manager
from petition.core.errors import PetitionError
from petition.core.settings import Process, Settings, load
from petition.web.listening import has_waiting, listening, refuse_new, take_waiting
from tests.running import environment, free_port


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return load(environment(tmp_path, "postgresql://nowhere/x", free_port()), role=Process.WEB)


def test_all_addresses_are_those_of_both_kinds(settings: Settings) -> None:
    with listening(replace(settings, host="::")) as sockets:
        assert [listener.family for listener in sockets] == [socket.AF_INET6, socket.AF_INET]
        for host in ("127.0.0.1", "::1"):
            with socket.create_connection((host, settings.port), timeout=60) as client:
                assert client.getpeername()[0] == host


@contextmanager
def handed(port: int = 0) -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", port)) as held:
        yield held


def test_a_socket_that_was_handed_over_is_used(settings: Settings) -> None:
    with handed(settings.port) as held, listening(settings, [held.dup()]) as sockets:
        assert [listener.getsockname() for listener in sockets] == [held.getsockname()]


def test_a_socket_for_another_port_is_an_error(settings: Settings) -> None:
    with handed() as held, pytest.raises(PetitionError, match="the two must agree"), listening(settings, [held.dup()]):
        pass


def test_the_environment_says_which_sockets_and_for_whom(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(service_manager, "_FIRST", 300)
    with handed() as held:
        for pid, count in ((os.getpid() + 1, 0), (os.getpid(), 1)):
            os.dup2(held.fileno(), 300)
            monkeypatch.setenv("LISTEN_FDS", "1")
            monkeypatch.setenv("LISTEN_PID", str(pid))
            sockets = service_manager.take_sockets()
            assert [listener.getsockname() for listener in sockets] == [held.getsockname()] * count
            assert not {"LISTEN_FDS", "LISTEN_PID"} & os.environ.keys()
            for listener in sockets:
                listener.close()


def test_a_manager_hears_that_it_is_ready(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "ear"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as ear:
        ear.bind(str(path))
        monkeypatch.setenv("NOTIFY_SOCKET", str(path))
        service_manager.notify("READY=1")
        assert ear.recv(100) == b"READY=1"
    assert "NOTIFY_SOCKET" not in service_manager.environment_of_child()


async def test_who_waits_in_the_queue_is_accepted_and_no_one_comes_after(settings: Settings) -> None:
    accepted = 0

    async def serve(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal accepted
        accepted += 1
        writer.close()

    with listening(settings) as sockets:
        waiting = [socket.create_connection(("127.0.0.1", settings.port), timeout=60) for _ in range(50)]
        assert has_waiting(sockets)
        refuse_new(sockets)
        with socket.socket() as late:
            late.setblocking(False)
            assert late.connect_ex(("127.0.0.1", settings.port))
            server = await asyncio.start_server(serve, sock=sockets[0])
            await take_waiting(sockets)
            server.close()
            late_is_open = late.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) == 0 and _is_connected(late)
        assert not late_is_open
        for client in waiting:
            assert await asyncio.to_thread(client.recv, 1) == b""  # it was accepted and closed, not reset
            client.close()
    assert accepted == 50


def _is_connected(client: socket.socket) -> bool:
    try:
        client.getpeername()
    except OSError:
        return False
    return True
