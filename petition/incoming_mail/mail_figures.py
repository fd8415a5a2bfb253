"""The figures of mail for Prometheus, read from the database: of web and worker, whichever is asked."""

from petition.core import metrics, relay_report
from petition.core.database import Connection
from petition.incoming_mail import bounce_queries

BOUNCE_DAYS = 7

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
    metrics.BOUNCES.clear()
    for row in await bounce_queries.counts(conn, BOUNCE_DAYS):
        metrics.BOUNCES.labels(row["kind"]).set(row["number"])


async def _read_queue(conn: Connection) -> None:
    queue = await relay_report.whole_queue(conn)
    metrics.MAIL_WAITING.labels("normal").set(queue["waiting"] - queue["in_bulk"])
    metrics.MAIL_WAITING.labels("bulk").set(queue["in_bulk"])
    metrics.MAIL_OLDEST.set((queue["now"] - queue["oldest"]).total_seconds() if queue["oldest"] else 0)


async def _read_relays(conn: Connection) -> None:
    relays = await relay_report.load(conn)
    metrics.RELAY_UP.clear()
    metrics.RELAY_MAILS.clear()
    for relay in relays:
        name = relay.row["name"]
        metrics.RELAY_UP.labels(name).set(relay.row["in_use"] and not relay.is_in_trouble)
        for outcome, mails in relay.counts.items():
            metrics.RELAY_MAILS.labels(name, outcome).set(mails)


async def read_jobs(conn: Connection) -> None:
    """Set how many long jobs are under way."""
    row = await conn.fetchrow(JOBS)
    for kind, number in (row or {}).items():
        metrics.JOBS_OPEN.labels(kind).set(number)
