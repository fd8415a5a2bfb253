"""A web process without file descriptors: who has a connection reads on, no one gets a 500, and it needs no restart."""

import asyncio
import os
import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx2

from petition.core import open_files
from tests.captcha.installation import solve
from tests.faults.load import POW
from tests.faults.patient import READ, Running, check_put_off, fields_of, in_time, pending, typed_in
from tests.running import SLUG

NEWCOMERS = 20
STANDARD_STREAMS = 3  # are never closed


def lowest_free(pid: int) -> int:
    """Return the number that the next file of a process would have."""
    taken = {int(path.name) for path in Path(f"/proc/{pid}/fd").iterdir()}
    return next(number for number in range(len(taken) + 1) if number not in taken)


@contextmanager
def no_descriptors(pid: int, limit: int = STANDARD_STREAMS) -> Iterator[None]:
    """Let a process open no file and no connection: by default also not in place of one that it closes."""
    before = resource.prlimit(pid, resource.RLIMIT_NOFILE)
    resource.prlimit(pid, resource.RLIMIT_NOFILE, (limit, before[1]))
    try:
        yield
    finally:
        resource.prlimit(pid, resource.RLIMIT_NOFILE, before)


def processor_time(pid: int) -> float:
    """Return the seconds that a process has used so far."""
    parts = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    return (int(parts[11]) + int(parts[12])) / os.sysconf("SC_CLK_TCK")


async def test_out_of_descriptors(running: Running) -> None:
    pid, base = running.web.process.pid, running.client.base_url
    headers = {"host": running.client.headers["host"]}
    async with httpx2.AsyncClient(base_url=base, headers=headers, timeout=120) as visitor:
        assert (await visitor.get(f"/en/{SLUG}")).status_code == 200  # in a connection that stays open
        form = running.form()
        with no_descriptors(pid, lowest_free(pid)):
            newcomers = [asyncio.create_task(asyncio.open_connection(base.host, base.port)) for _ in range(NEWCOMERS)]
            await asyncio.gather(*newcomers, return_exceptions=True)
            before, began = processor_time(pid), asyncio.get_running_loop().time()
            for path in READ * 4:
                assert (await in_time(visitor.get(path))).status_code == 200, path
                await asyncio.sleep(0.03)
            seconds = asyncio.get_running_loop().time() - began
            assert processor_time(pid) - before < seconds / 2, "it does nothing but refuse connections"
        with no_descriptors(pid):
            ready = await in_time(visitor.get("/readyz"))
            assert (ready.status_code, ready.text.splitlines()[0]) == (503, open_files.NONE_LEFT)

            # Its connections to the database are cut, and it cannot open others.
            async with running.database.connection() as conn:
                await conn.execute(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                    " WHERE pid <> pg_backend_pid() AND backend_type = 'client backend'"
                )
            answer = await in_time(visitor.post(f"/en/{SLUG}/sign", data=form))
            check_put_off(answer, typed_in(form))
            find = {"email": "vera@letters.example"}
            solved = {"altcha": solve(POW.challenge(running.letter.id))}
            check_put_off(await in_time(visitor.post(f"/ru/{SLUG}/find", data=find | solved)), find, "ru")
            for path in READ:
                assert (await in_time(visitor.get(path))).status_code == 200, path
        await running.until_ready()
        for newcomer in newcomers:
            if newcomer.exception() is None:
                newcomer.result()[1].close()
        assert (await in_time(running.client.get(f"/ru/{SLUG}"))).status_code == 200
        assert (await in_time(visitor.post(f"/en/{SLUG}/sign", data=fields_of(answer)))).status_code == 303
        assert await pending(running, form) == 1
