"""Workers killed at random moments of one mailing: every subscriber ends in exactly one state, and the sums hold."""

import asyncio
import base64
import os
import random
from collections import Counter
from pathlib import Path

from petition.core.database import Database, opened
from petition.core.ids import SignatureId
from petition.core.settings import Process, load
from petition.letters.model import Letter
from petition.mailings.sender import SENDERS
from petition.signatures import self_service_queries
from tests.faults.processes import worker_environ
from tests.mailings import subscribers
from tests.mailings.processes import kill, sink, start_worker, stop
from tests.running import environment

READERS = int(os.environ.get("MAILING_READERS", "5000"))
KILLS = int(os.environ.get("MAILING_KILLS", "20"))
TABLES = (
    "SELECT format('%I', relname) AS name FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind = 'r'"
)
EXPIRE = "UPDATE mailing_stamp SET due_at = now() WHERE state = 'in_flight'"


async def test_twenty_kills_of_one_mailing(
    database: Database, letter: Letter, database_url: str, tmp_path: Path
) -> None:
    readers = list(range(1, READERS + 1))
    await subscribers.add(database, letter, readers[: READERS // 2])
    await subscribers.add(database, letter, readers[READERS // 2 :], lang="ru")
    update_id = await subscribers.publish(database, letter)
    leaving = random.Random(7).sample(readers, 50)
    async with sink(tmp_path / "accepted") as relay, opened(database_url, max_size=2) as other:
        environ = worker_environ(environment(tmp_path, database_url, 8000, LIMIT_MAILING="60000"), relay.port)
        # Half of them may be used in bulk: as many as there are senders.
        environ["SMTP_URLS"] += f"?connections={2 * SENDERS}"
        settings, log = load(environ, role=Process.WORKER), tmp_path / "worker.log"
        await subscribers.mail(database, letter, update_id)
        workers = [start_worker(settings, log) for _ in range(2)]
        step = READERS // (KILLS + 1)
        for number in range(KILLS):
            goal = step * (number + 1) + random.Random(number).randrange(step // 2)
            while len(relay.recipients()) < goal - step // 2:
                await asyncio.sleep(0.05)
            await kill(workers.pop(0))
            row = await subscribers.numbers(database, letter)
            workers.append(start_worker(settings, log))
            if number == KILLS // 2:  # some leave: reached ones, and ones that are not
                for reader in leaving:
                    async with other.transaction() as conn:
                        await self_service_queries.stop_updates(conn, letter.id, SignatureId(reader))
        while (row := await subscribers.numbers(database, letter))["unreached"]:
            await asyncio.sleep(0.25)
        for worker in workers:
            await stop(worker)
        async with database.connection() as conn:
            await conn.execute(EXPIRE)  # the leases of the killed ones end after half a minute; here at once
        last = start_worker(settings, log)
        while (row := await subscribers.numbers(database, letter))["state"] != "done":
            await asyncio.sleep(0.25)
        await stop(last)
    times = Counter(relay.recipients())
    assert row["recipients"] == READERS
    assert row["accepted"] + row["suppressed"] == READERS
    # Who leaves right behind a kill may have been reached by the killed worker, which could not note it any more.
    assert row["accepted"] <= len(times) <= row["accepted"] + SENDERS
    assert row["suppressed"] <= len(leaving)
    assert set(times) <= set(map(subscribers.address, readers))
    # Only what a killed worker was handing over may have come twice, one mail a sender; each is counted.
    twice = sum(count - 1 for count in times.values())
    assert twice <= row["repeated"] <= KILLS * SENDERS
    assert max(times.values()) <= 3  # the worker that took over may be killed while it hands over the same one
    await check_no_address(database, log)


async def check_no_address(database: Database, log: Path) -> None:
    """No address stands in the clear, or as base64 or hex, in any table or in any log."""
    needles = [form for number in (1, READERS // 3, READERS) for form in _forms(subscribers.address(number))]
    assert not [needle for needle in needles if needle in log.read_text(encoding="utf-8")]
    async with database.connection() as conn:
        for table in [row["name"] for row in await conn.fetch(TABLES)]:
            condition = " OR ".join(f"position(${n + 1} IN t::text) > 0" for n in range(len(needles)))
            found = await conn.fetchval(f"SELECT count(*) FROM {table} t WHERE {condition}", *needles)
            assert found == 0, table


def _forms(address: str) -> list[str]:
    content = address.encode()
    return [address, content.hex(), base64.b64encode(content).decode().rstrip("=")]
