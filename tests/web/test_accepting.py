"""Connections that come at once are accepted many at a time: a crowd does not wait for turns of a busy event loop."""

import asyncio
import os
import socket
from contextlib import ExitStack
from typing import Any

import pytest
import uvicorn
import uvloop

from petition.web import server

CROWD = 10 * server.ACCEPTED


async def _application(scope: Any, receive: Any, send: Any) -> None:
    """Answer nothing: connections are enough."""


async def _turns_until_accepted() -> int:
    """Return how often the event loop came round from the first connection of ``CROWD`` that wait to the last."""
    with ExitStack() as stack:
        listener = stack.enter_context(socket.create_server(("127.0.0.1", 0), backlog=CROWD))
        listener.setblocking(False)
        address = listener.getsockname()
        for _ in range(CROWD):
            stack.enter_context(socket.create_connection(address))
        web = server.Server(server.configuration(_application, *address))
        serving = asyncio.create_task(web.serve([listener]))
        turns = 0
        async with asyncio.timeout(60):
            while len(web.server_state.connections) < CROWD:
                turns += bool(web.server_state.connections)
                await asyncio.sleep(0)
        web.should_exit = web.force_exit = True
        await serving
        return turns


def test_a_crowd_needs_few_turns() -> None:
    assert uvloop.run(_turns_until_accepted()) <= CROWD / server.ACCEPTED + 2


def test_without_copies_each_waits_for_a_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    """If this fails libuv accepts in a loop again, and the copies can go."""
    monkeypatch.setattr(server, "ACCEPTED", 1)
    assert uvloop.run(_turns_until_accepted()) >= CROWD - 2


async def test_copying_never_makes_a_socket_block(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whether it blocks is shared with other processes, whose event loop would stand in ``accept``."""
    seen: list[list[bool]] = []

    async def startup(_self: uvicorn.Server, sockets: list[socket.socket]) -> None:
        seen.append([os.get_blocking(each.fileno()) for each in sockets])
        for copy in sockets[1:]:
            copy.close()

    monkeypatch.setattr(uvicorn.Server, "startup", startup)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.setblocking(False)
        with socket.socket(fileno=os.dup(listener.fileno())) as inherited:  # as in a process that starts later
            assert inherited.gettimeout() is None
            copied: list[bool] = []
            dup = socket.socket.dup

            def watched(each: socket.socket) -> socket.socket:
                copy = dup(each)
                copied.append(os.get_blocking(listener.fileno()))
                return copy

            monkeypatch.setattr(socket.socket, "dup", watched)
            web = server.Server(server.configuration(_application, "127.0.0.1", listener.getsockname()[1]))
            await web.startup([inherited])
    assert copied == [False] * (server.ACCEPTED - 1)
    assert seen == [[False] * server.ACCEPTED]
