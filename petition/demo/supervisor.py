"""``petition demo``: starts everything, says where it is, stops everything."""

import asyncio
import os
import signal
import socket
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from petition import postgres
from petition.core import i18n
from petition.core.errors import PetitionError
from petition.core.private_folders import make_private
from petition.core.settings import Process, Settings, load
from petition.core.templates import Renderer
from petition.demo import sample
from petition.demo.children import PETITION, Child, first_end
from petition.demo.inbox import Inbox, receiving
from petition.demo.views import showing

SENDER = "letters@localhost"
_POLL = 0.1  # seconds between two looks whether the web answers

Prepare = Callable[[str, Settings], Awaitable[str]]  # returns the address of a one-time link to the desk


@dataclass(frozen=True, slots=True)
class Demo:
    """What one demo runs. ``command`` and ``prepare`` are others in tests of this alone."""

    settings: Settings
    environ: Mapping[str, str]
    command: Sequence[str] = PETITION
    prepare: Prepare = sample.prepare

    async def run(self, database_url: str) -> None:
        """Run until a signal comes. Raises ``PetitionError`` if a child ends before."""
        stop = asyncio.Event()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, stop.set)
        stopping = asyncio.create_task(stop.wait())
        running = asyncio.create_task(self._run(database_url))
        await asyncio.wait({stopping, running}, return_when=asyncio.FIRST_COMPLETED)
        is_stopping = stopping.done()
        for task in (stopping, running):
            task.cancel()
        await asyncio.wait({stopping, running})
        if not is_stopping:
            running.result()

    async def _run(self, database_url: str) -> None:
        desk = await self.prepare(database_url, self.settings)
        inbox = Inbox()
        async with AsyncExitStack() as stack:
            smtp_port = await stack.enter_async_context(receiving(inbox))
            mailbox = await stack.enter_async_context(showing(inbox, self._renderer(), self.settings.port + 1))
            more = {"DATABASE_URL": database_url, "SMTP_URLS": f"smtp://127.0.0.1:{smtp_port}"}
            children = await stack.enter_async_context(self._children({**self.environ, **more}))
            ended = asyncio.create_task(first_end(children))
            answering = asyncio.create_task(_answers(self.settings.port))
            try:
                await asyncio.wait({ended, answering}, return_when=asyncio.FIRST_COMPLETED)
                if answering.done():
                    self._say_where(mailbox, desk)
                raise await ended
            finally:
                ended.cancel()
                answering.cancel()

    @asynccontextmanager
    async def _children(self, environ: Mapping[str, str]) -> AsyncIterator[list[Child]]:
        """Run the web and the worker; stop both together."""
        children: list[Child] = []
        try:
            for name, more in (("serve", ["--port", str(self.settings.port)]), ("worker", [])):
                log = self.settings.data_dir / f"{name}.log"
                children.append(await Child.start([*self.command, name, *more], name, environ, log))
            yield children
        finally:
            await asyncio.gather(*(child.stop() for child in children))

    def _renderer(self) -> Renderer:
        languages = i18n.load(self.settings.locales_dir)
        return Renderer(languages, self.settings.base_url, self.settings.controller)

    def _say_where(self, mailbox: str, desk: str) -> None:
        letters = [f"{self.settings.base_url}/{lang}/{sample.slug()}" for lang in i18n.load(self.settings.locales_dir)]
        urls = [
            *zip(("The letter", *[""] * len(letters)), letters, strict=False),
            ("The desk", desk),
            ("", f"(once, for 15 minutes; afterwards a link comes to {sample.ORGANIZER})"),
            ("The mailbox", mailbox),
        ]
        lines = [f"  {title:<12} {url}" for title, url in urls]
        sys.stdout.write("\n".join(["", *lines, "", "Ctrl-C stops everything.", ""]))
        sys.stdout.flush()


def run(
    port: int | None = None,
    data_dir: Path | None = None,
    environ: Mapping[str, str] = os.environ,
    *,
    is_empty: bool = False,
) -> None:
    """Run the demo until Ctrl-C or SIGTERM, from the main thread. Raises ``PetitionError``."""
    demo = prepared(port, data_dir, environ)
    hold(replace(demo, prepare=sample.prepare_empty) if is_empty else demo)


def hold(demo: Demo) -> None:
    """Run ``demo`` with its database until Ctrl-C or SIGTERM. Raises ``PetitionError``."""
    with _interrupted_by_sigterm():
        try:
            _check_free(demo.settings.port)
            with _database(demo.settings) as url:
                asyncio.run(demo.run(url))
        except KeyboardInterrupt:
            return  # before the loop ran, or while the database was stopping


def prepared(port: int | None, data_dir: Path | None, environ: Mapping[str, str]) -> Demo:
    """Return the demo with the settings that its children will read. Raises ``SettingsError``."""
    # Mail stays here even if relays are set: the demo's addresses are invented, or belong to real people.
    own = {name: value for name, value in environ.items() if name not in {"SMTP_URLS", "SMTP_URLS_FILE"}}
    if data_dir is not None:
        own["DATA_DIR"] = str(data_dir.absolute())
    settings = load(own, role=Process.TOOL, port=_free_port() if port == 0 else port)
    own |= {"DATA_DIR": str(settings.data_dir), "PORT": str(settings.port), "BASE_URL": settings.base_url}
    own.setdefault("MAIL_FROM", SENDER)
    own.pop("DATABASE_URL_FILE", None)
    return Demo(settings, own)


@contextmanager
def _database(settings: Settings) -> Iterator[str]:
    if settings.database_url is not None:
        make_private(settings.data_dir)  # for the logs
        yield settings.database_url
        return
    with postgres.running(settings.data_dir) as url:
        yield url


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _check_free(port: int) -> None:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except (OSError, OverflowError):
            raise PetitionError(f"port {port} cannot be used (already in use?); choose another with --port") from None


@contextmanager
def _interrupted_by_sigterm() -> Iterator[None]:
    """Let SIGTERM do what Ctrl-C does."""

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


async def _answers(port: int) -> None:
    """Wait until the web says that it can serve."""
    while not await _is_ready(port):  # noqa: ASYNC110 - another process, it sets no event of ours
        await asyncio.sleep(_POLL)


async def _is_ready(port: int) -> bool:
    try:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
    except OSError:
        return False
    try:
        writer.write(f"GET /readyz HTTP/1.1\r\nHost: localhost:{port}\r\nConnection: close\r\n\r\n".encode())
        return b" 200 " in await reader.readline()
    except OSError:
        return False
    finally:
        writer.close()
