"""A letter that very many sign within the hour, end to end on one machine: the form, the mail through ``petition
worker`` to a sink, the link out of the mail, and the row in the list.

No DKIM, as where the relay signs. At the end the answers that people got are compared with the database.
"""

import asyncio
import json
import os
import pickle
import sys
from pathlib import Path

from petition.core.database import connect
from tests.bench import mail
from tests.bench.crowd_forms import Crowded, Tally
from tests.bench.place import MANY, Place, cpu_of
from tests.bench.visitors import Visitors
from tests.running import PRIVATE_KEY, environment, free_port

QUEUED = "SELECT count(*) FROM outbox"
STORED = """
SELECT (SELECT count(*) FROM signature) AS signatures, (SELECT count(DISTINCT digest) FROM signature) AS mailboxes,
       (SELECT people FROM count) AS counted, (SELECT count(*) FROM pending) AS pending,
       (SELECT count(*) FROM signature WHERE state = 'confirmed' AND visibility = 'public' AND name IS NOT NULL)
         AS listed,
       (SELECT hidden FROM count) AS hidden, pg_database_size(current_database()) AS bytes
"""


async def run(place: Place, url: str, people: int) -> dict[str, float]:
    """Have so many sign and confirm; return the figures by name. Processor time is in µs for a signatory."""
    sink_port = free_port()
    async with place.over(url, {"LIMIT_MAILBOX": MANY}) as web:
        own = environment(place.folder, url, web.port) | {
            "SMTP_URLS": f"smtp://127.0.0.1:{sink_port}",
            "MAIL_FROM": "Open letters <post@letters.example>",
            "CONTACT_PRIVATE_KEY": PRIVATE_KEY,
        }
        with mail.worker(place.folder, own) as worker:
            postmaster = await _postmaster(url)
            before = web.cpu(), mail.cpu(worker), _cpu_of_postgresql(postmaster)
            tally = await _send(Crowded(web.port, sink_port, people, Visitors(web.letter)))
            used = [
                now - then
                for now, then in zip((web.cpu(), mail.cpu(worker), _cpu_of_postgresql(postmaster)), before, strict=True)
            ]
    figures = await _compared(url, tally, people)
    parts = dict(zip(("web", "worker", "postgresql"), used, strict=True)) | {
        "generator": tally.cpu,
        "sink": tally.sink_cpu,
    }
    figures |= {f"million {name} cpu": seconds / people * 1e6 for name, seconds in parts.items()}
    figures["million cpu"] = sum(parts.values()) / people * 1e6
    return figures | {"million minutes": tally.seconds / 60, "million rate": people / tally.seconds}


async def _send(order: Crowded) -> Tally:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tests.bench.crowd_forms"),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        env=os.environ,
    )
    output, _ = await process.communicate(pickle.dumps(order))
    if process.returncode:
        raise RuntimeError("the generator failed")
    tally = Tally(**json.loads(output))
    print(f"answers: {tally.statuses}; mails {tally.mails}, different links {tally.links}", flush=True)
    print("confirmations a second, by tenths: " + " ".join(f"{rate:.0f}" for rate in tally.rates), flush=True)
    return tally


async def _compared(url: str, tally: Tally, people: int) -> dict[str, float]:
    """Compare what was answered with what is stored. Raises ``RuntimeError`` if an answer was none of success."""
    if tally.statuses != {"sign 303": people, "confirm 303": people}:
        raise RuntimeError(f"answers were {tally.statuses}")
    conn = await connect(url)
    row = await conn.fetchrow(STORED)
    await conn.close()
    assert row is not None
    print(f"stored: {dict(row)}", flush=True)
    lost = {
        "signatures": people - row["signatures"],
        "counted": people - row["counted"],
        "listed or hidden": people - row["listed"] - row["hidden"],
        "links": people - tally.links,
    }
    doubled = row["signatures"] - row["mailboxes"] + row["pending"] + tally.mails - tally.links
    return {
        "million lost": sum(map(abs, lost.values())),
        "million doubled": doubled,
        "million bytes": row["bytes"] / people,
    }


def _cpu_of_postgresql(postmaster: int) -> float:
    """Return what all processes of the server have used so far, those included that have ended."""
    return cpu_of(postmaster) + sum(cpu_of(pid) for pid in _pids() if _parent_of(pid) == postmaster)


async def _postmaster(url: str) -> int:
    conn = await connect(url)
    folder = Path(await conn.fetchval("SHOW data_directory"))
    await conn.close()
    return int((folder / "postmaster.pid").read_text().split()[0])


def _pids() -> list[int]:
    return [int(path.name) for path in Path("/proc").iterdir() if path.name.isdecimal()]


def _parent_of(pid: int) -> int:
    try:
        return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
    except OSError:
        return 0
