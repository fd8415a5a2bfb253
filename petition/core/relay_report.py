"""How the relays and the queue of mail are doing, as the worker noted it: for the desk, the commands, the metrics.

Nothing here talks to a relay, and nothing here knows an address.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from petition.core.database import Connection, Record
from petition.core.i18n import N_
from petition.core.ids import OrganizerId

MAX_COUNTED = 1000  # mails that the desk counts; beyond that it says "more"
MAX_TESTS = 20  # test mails an hour that one organizer may ask for
CERTIFICATE_DAYS = 14  # before its end a relay's certificate is worth a warning
OUTCOMES = ("accepted", "deferred", "refused")

# The last trouble of a relay, by the word in its row.
TROUBLES: Mapping[str, str] = {
    "unknown_host": N_("its host name is unknown"),
    "refused": N_("it refuses connections"),
    "unreachable": N_("it cannot be reached"),
    "silent": N_("it does not answer in time"),
    "closed": N_("it closes the connection"),
    "no_starttls": N_("it offers no STARTTLS"),
    "no_tls": N_("it speaks no TLS on this port"),
    "certificate": N_("its certificate is not valid for this name"),
    "tls": N_("TLS cannot be agreed on"),
    "no_auth": N_("it offers no authentication"),
    "password": N_("it does not accept the user name and password"),
    "auth_required": N_("it requires a user name and password"),
    "sender": N_("it does not accept the sender"),
    "not_now": N_("it is busy or shutting down"),
    "refuses_us": N_("it refuses to serve us"),
    "not_smtp": N_("it does not answer as an SMTP server"),
    "takes_nothing": N_("it takes none of our mails"),
    "rejected_mailbox": N_("a mailbox is full or closed for now"),
    "rejected_greylisting": N_("it asks to try again later (greylisting)"),
    "rejected_filter": N_("its filter or policy refuses the mail"),
    "rejected_quota": N_("its quota for us is used up"),
    "rejected_other": N_("it does not take the mail"),
    "mailbox": N_("the mailbox refuses the mail"),
}
REASONS: Mapping[str, str] = {
    "mailbox": N_("mailbox"),
    "greylisting": N_("greylisting"),
    "filter": N_("filter or policy"),
    "quota": N_("quota"),
    "other": N_("other reasons"),
    "unreachable": N_("relay not reached"),
}

RELAYS = """
SELECT name, failures, rests_until > now() AS rests, seen_at > now() - interval '1 minute' AS in_use, trouble,
       trouble_step, trouble_code, trouble_status, trouble_at, accepted_at, connected_at, tls, tls_verified,
       tls_until, coalesce(tls_until < now() + make_interval(days => $1), false) AS is_certificate_ending
FROM relay ORDER BY position, name
"""

DAY = """
SELECT relay, outcome, reason, sum(mails)::bigint AS mails FROM relay_hour
WHERE hour > now() - interval '24 hours' GROUP BY relay, outcome, reason ORDER BY relay, outcome, mails DESC, reason
"""

# The same rule as ``RelayReport.is_in_trouble``.
IN_TROUBLE = """
SELECT count(*) FROM relay
WHERE seen_at > now() - interval '1 minute'
  AND (failures > 0 OR trouble_at > greatest(accepted_at, now() - interval '1 day'))
"""

# What is worth a mail: not one mail that was put off, nor a failure of seconds.
IN_LASTING_TROUBLE = """
SELECT count(*) FROM relay
WHERE seen_at > now() - interval '1 minute' AND (failures >= 5 OR (
  trouble_at > greatest(accepted_at, now() - interval '1 day')
  AND trouble_at > coalesce(accepted_at, since) + interval '5 minutes'))
"""

QUEUE = """
SELECT (SELECT count(*) FROM (SELECT FROM outbox LIMIT $1) AS w) AS waiting,
       (SELECT created_at FROM outbox ORDER BY id LIMIT 1) AS oldest, now() AS now
"""

WHOLE_QUEUE = """
SELECT count(*) AS waiting, count(*) FILTER (WHERE priority = 1) AS in_bulk,
       count(*) FILTER (WHERE attempts > 0) AS put_off,
       min(created_at) AS oldest, min(created_at) FILTER (WHERE priority <> 1) AS oldest_normal,
       min(created_at) FILTER (WHERE priority = 1) AS oldest_in_bulk,
       min(due_at) FILTER (WHERE due_at > now() AND lease IS NULL) AS next_at, now() AS now
FROM outbox
"""

# Only what was tried before: other mail waits for its time on purpose.
RETRY = "UPDATE outbox SET due_at = now() WHERE lease IS NULL AND attempts > 0 AND due_at > now()"

WAKE_RELAYS = "UPDATE relay SET rests_until = now(), trying_until = NULL WHERE failures > 0"

ASK_FOR_TEST = """
INSERT INTO relay_test (relay, organizer) SELECT r.name, $2 FROM relay r WHERE r.name = $1
  AND (SELECT count(*) FROM relay_test WHERE organizer = $2 AND asked_at > now() - interval '1 hour') < $3
RETURNING id
"""

TESTS = """
SELECT DISTINCT ON (relay) id, relay, asked_at, finished_at, trouble, step, code, status,
       finished_at IS NULL AND asked_at < now() - interval '10 minutes' AS is_lost
FROM relay_test WHERE organizer = $1 AND asked_at > now() - interval '1 day' ORDER BY relay, id DESC
"""


@dataclass(frozen=True, slots=True)
class RelayReport:
    """One relay as the workers see it, and what it did in 24 hours."""

    row: Record
    counts: Mapping[str, int] = field(default_factory=dict)  # by outcome
    reasons: Mapping[str, Sequence[tuple[str, int]]] = field(default_factory=dict)  # by outcome, most frequent first

    @property
    def is_in_trouble(self) -> bool:
        """Whether it is paused, or its last answer to a mail of the last day was no."""
        at, accepted_at = self.row["trouble_at"], self.row["accepted_at"]
        is_last = at is not None and (accepted_at is None or at > accepted_at)
        return bool(self.row["failures"]) or bool(is_last and datetime.now(at.tzinfo) - at < timedelta(days=1))


async def load(conn: Connection) -> list[RelayReport]:
    """Return all relays in order of preference."""
    day = await conn.fetch(DAY)
    return [
        RelayReport(
            row,
            {
                outcome: sum(
                    part["mails"] for part in day if (part["relay"], part["outcome"]) == (row["name"], outcome)
                )
                for outcome in OUTCOMES
            },
            {
                outcome: [
                    (part["reason"], part["mails"])
                    for part in day
                    if (part["relay"], part["outcome"]) == (row["name"], outcome) and part["reason"]
                ]
                for outcome in OUTCOMES
            },
        )
        for row in await conn.fetch(RELAYS, CERTIFICATE_DAYS)
    ]


async def count_in_trouble(conn: Connection) -> int:
    """Return how many relays are in trouble."""
    number: int = await conn.fetchval(IN_TROUBLE)
    return number


async def count_in_lasting_trouble(conn: Connection) -> int:
    """Return how many relays have taken no mail for minutes."""
    number: int = await conn.fetchval(IN_LASTING_TROUBLE)
    return number


async def queue(conn: Connection) -> Record:
    """Return ``waiting`` (mails, at most ``MAX_COUNTED`` + 1), ``oldest`` (a time or None) and ``now``."""
    row = await conn.fetchrow(QUEUE, MAX_COUNTED + 1)
    assert row is not None  # noqa: S101 - an aggregate has a row
    return row


async def whole_queue(conn: Connection) -> Record:
    """Return counts and times of all that waits, under the names in ``WHOLE_QUEUE``; it reads the whole outbox."""
    row = await conn.fetchrow(WHOLE_QUEUE)
    assert row is not None  # noqa: S101 - an aggregate has a row
    return row


async def retry(conn: Connection) -> int:
    """Make mail that was put off due now, and let resting relays be tried; return how many mails."""
    await conn.execute(WAKE_RELAYS)
    return int((await conn.execute(RETRY)).split()[-1])


async def ask_for_test(conn: Connection, relay: str, organizer_id: OrganizerId) -> int | None:
    """Ask the worker for a test mail to the organizer; return its number.

    None if there is no such relay, or the organizer has asked for ``MAX_TESTS`` within an hour.
    """
    number: int | None = await conn.fetchval(ASK_FOR_TEST, relay, organizer_id, MAX_TESTS)
    return number


async def tests(conn: Connection, organizer_id: OrganizerId) -> dict[str, Record]:
    """Return the organizer's last test mail of each relay within a day."""
    return {row["relay"]: row for row in await conn.fetch(TESTS, organizer_id)}
