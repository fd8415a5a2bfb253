"""The figures of mail for Prometheus, read from the database: of web and worker, whichever is asked."""

from collections import Counter
from datetime import datetime

from petition.core import metrics, relay_report
from petition.core.database import Connection
from petition.incoming_mail import bounce_queries

BOUNCE_DAYS = 7

BACKED_UP_AT = "SELECT backed_up_at FROM installation"
JOBS = """
SELECT (SELECT count(*) FROM intake WHERE state IN ('reading', 'checking', 'importing', 'undoing', 'redoing'))
         AS import,
       (SELECT count(*) FROM campaign WHERE state IN ('running', 'reverting')) AS bulk_act,
       (SELECT count(*) FROM address_job WHERE state = 'waiting') AS address_list,
       (SELECT count(*) FROM mailing WHERE state = 'sending') AS mailing
"""


async def read(conn: Connection) -> None:
    """Set what the workers noted of relays and mail: a worker that is down must be seen here, too."""
    await _read_queue(conn)
    await _read_relays(conn)
    if (backed_up_at := await conn.fetchval(BACKED_UP_AT)) is not None:
        metrics.LAST_BACKUP.set(backed_up_at.timestamp())
    metrics.BOUNCES.clear()
    for row in await bounce_queries.counts(conn, BOUNCE_DAYS):
        metrics.BOUNCES.set(row["number"], row["kind"])


async def _read_queue(conn: Connection) -> None:
    queue = await relay_report.whole_queue(conn)
    metrics.MAIL_WAITING.set(queue["waiting"] - queue["in_bulk"], "normal")
    metrics.MAIL_WAITING.set(queue["in_bulk"], "bulk")
    metrics.MAIL_PUT_OFF.set(queue["put_off"])
    metrics.MAIL_OLDEST.set(_age(queue["oldest"], queue["now"]))
    metrics.MAIL_OLDEST_OF_KIND.set(_age(queue["oldest_normal"], queue["now"]), "normal")
    metrics.MAIL_OLDEST_OF_KIND.set(_age(queue["oldest_in_bulk"], queue["now"]), "bulk")


def _age(since: datetime | None, now: datetime) -> float:
    return (now - since).total_seconds() if since else 0.0


async def _read_relays(conn: Connection) -> None:
    relays = await relay_report.load(conn)
    metrics.RELAY_UP.clear()
    metrics.RELAY_MAILS.clear()
    metrics.RELAY_REFUSALS.clear()
    for relay in relays:
        name = relay.row["name"]
        metrics.RELAY_UP.set(relay.row["in_use"] and not relay.is_in_trouble, name)
        for outcome, mails in relay.counts.items():
            metrics.RELAY_MAILS.set(mails, name, outcome)
        refusals = Counter[str]()
        for outcome in ("deferred", "refused"):
            refusals.update(dict(relay.reasons[outcome]))
        for reason, mails in refusals.items():
            metrics.RELAY_REFUSALS.set(mails, name, reason)


async def read_jobs(conn: Connection) -> None:
    """Set how many long jobs are under way."""
    row = await conn.fetchrow(JOBS)
    for kind, number in (row or {}).items():
        metrics.JOBS_OPEN.set(number, kind)
