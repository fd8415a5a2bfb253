"""The Procfile as it stands, run by a process manager: an empty database, web, worker, the main road, a clean end."""

import asyncio
import os
import re
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import httpx2
import pytest

from petition.core.resources import PACKAGE
from petition.demo.inbox import Inbox, receiving
from tests.conftest import in_database
from tests.pages import without_ticket
from tests.running import KEY, PRIVATE_KEY, PUBLIC_KEY, SAMPLE, SLUG, free_port

if TYPE_CHECKING:
    from tests.conftest import Conn

CHECKOUT = PACKAGE.parent
# The process manager's shells end by the signal at once, so the exit codes are written down here.
COMMAND = """#!/bin/sh
trap : TERM
{python} -m petition "$@"
echo $? > {codes}/$1.code
"""
PATIENCE = 120  # seconds, so that a broken test ends


@pytest.fixture
def environ(tmp_path: Path) -> dict[str, str]:
    """Give the environment of an installation that has nothing yet but a database and a way to send mail."""
    commands = tmp_path / "bin"
    commands.mkdir()
    command = commands / "petition"
    command.write_text(COMMAND.format(python=sys.executable, codes=tmp_path))
    command.chmod(0o755)
    return {
        "PATH": f"{commands}:{os.environ['PATH']}",
        "PYTHONPATH": str(CHECKOUT),
        "PYTHONUNBUFFERED": "1",
        "DATA_DIR": str(tmp_path),
        "SECRET_KEY": KEY,
        "CONTACT_PUBLIC_KEY": PUBLIC_KEY,
        "CAPTCHA": "off",
        "MAIL_FROM": "letters@letters.example",
    }


async def run(environ: dict[str, str], *command: str) -> asyncio.subprocess.Process:
    """Start a command in the checkout."""
    return await asyncio.create_subprocess_exec(
        *command,
        cwd=CHECKOUT,
        env=environ,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )


async def started(environ: dict[str, str], *names: str) -> asyncio.subprocess.Process:
    """Have the process manager start what the Procfile calls ``names``."""
    return await run(environ, sys.executable, "-m", "honcho", "--no-colour", "start", *names)


@asynccontextmanager
async def ended_by(process: asyncio.subprocess.Process, number: signal.Signals) -> AsyncIterator[list[str]]:
    """Send ``number`` in the end; give the list that everything said is put in then."""
    said: list[str] = []
    try:
        yield said
        process.send_signal(number)
        output, _ = await asyncio.wait_for(process.communicate(), PATIENCE)
        said += output.decode().splitlines()
    finally:
        if process.returncode is None:
            process.kill()
            print(await process.communicate())


async def code_of(command: str, folder: Path) -> str:
    """Wait until a command has ended; return its exit code."""
    async with asyncio.timeout(PATIENCE):
        while not (file := folder / f"{command}.code").exists() or not file.read_text():
            await asyncio.sleep(0.05)
    return file.read_text().strip()


async def test_the_procfile_as_it_stands(environ: dict[str, str], cluster: str, admin: "Conn", tmp_path: Path) -> None:
    await admin.execute("CREATE DATABASE released")
    port, inbox = free_port(), Inbox()
    environ |= {"DATABASE_URL": in_database(cluster, "released"), "PORT": str(port)}
    environ["BASE_URL"] = f"http://localhost:{port}"

    async with receiving(inbox) as smtp_port:
        environ |= {"SMTP_URLS": f"smtp://127.0.0.1:{smtp_port}", "CONTACT_PRIVATE_KEY": PRIVATE_KEY}
        process = await started(environ)  # all that there is
        async with (
            ended_by(process, signal.SIGTERM) as said,
            asyncio.timeout(PATIENCE),
            httpx2.AsyncClient(base_url=environ["BASE_URL"]) as client,
        ):
            assert await code_of("migrate", tmp_path) == "0"
            published = await run(environ, "petition", "letter", "import", str(SAMPLE), "--publish")
            output, _ = await published.communicate()
            assert output.decode() == f"published {SLUG}, version 1\n"
            await walk_the_road(client, inbox)
        assert await code_of("serve", tmp_path) == await code_of("worker", tmp_path) == "0"
    assert any("applied 0001_main_road.sql" in line for line in said)
    assert not any("Traceback" in line or "vera@" in line or "Vera" in line for line in said)
    await admin.execute("DROP DATABASE released")  # which nobody holds any more


async def walk_the_road(client: httpx2.AsyncClient, inbox: Inbox) -> None:
    """Sign, open the mail, confirm, be counted."""
    await ready(client)
    page = await client.get(f"/en/{SLUG}")
    assert "server" not in page.headers
    found = re.search(r'name="version" value="([^"]+)"', page.text)
    assert found
    form = {"version": found[1], "kind": "person", "name": "Vera Novak", "email": "vera@letters.example"}
    form |= {"visibility": "public", "consent": "yes"}
    signed = await client.post(f"/en/{SLUG}/sign", data=form)
    assert signed.status_code == 303, signed.text
    while not (mails := list(inbox)):
        await asyncio.sleep(0.05)
    link = re.search(rf"{client.base_url}(/en/confirm/\S+)", mails[0].body("plain") or "")
    assert link
    assert without_ticket((await client.post(link[1])).headers["location"]) == f"/en/{SLUG}/signed"
    while (await client.get(f"/api/v1/letters/{SLUG}/count")).json()["people"] != 1:
        await asyncio.sleep(0.05)


async def ready(client: httpx2.AsyncClient) -> None:
    """Wait until the web can serve."""
    while True:
        try:
            if (await client.get("/readyz")).status_code == 200:
                return
        except httpx2.ConnectError:
            await asyncio.sleep(0.05)
