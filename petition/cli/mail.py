"""``petition mail``: the relays and the queue by hand."""

from collections.abc import Iterator
from datetime import datetime

from petition.cli.tool import print_json
from petition.core import relay_report
from petition.core.database import Database, Record
from petition.core.errors import PetitionError
from petition.core.relay_report import RelayReport
from petition.core.relay_urls import names_of
from petition.core.settings import Settings
from petition.mail import trial_mail


async def test(settings: Settings, address: str, only: str | None) -> int:
    """Send a test mail through each relay, or one; return how many did not take it. Raises ``PetitionError``."""
    if settings.mail_from is None or not settings.relays:
        raise PetitionError("no test mail was sent: the worker's settings are needed for it")
    names = names_of(settings.relays)
    if only is not None and only not in names:
        raise PetitionError(f"there is no relay {only}; there are {', '.join(names)}")
    wrong = 0
    for name, relay in zip(names, settings.relays, strict=True):
        if only not in {None, name}:
            continue
        try:
            await trial_mail.send(settings, relay, address)
        except PetitionError as error:
            wrong += 1
            print(f"relay {name}: the test mail was not accepted: {error}")
        else:
            print(f"relay {name}: accepted the test mail; see that it arrives, and not as spam")
    return wrong


async def queue(database: Database, *, as_json: bool = False) -> None:
    """Print what waits, and how the relays are doing. Raises ``Unavailable``."""
    async with database.connection() as conn:
        waiting, relays = await relay_report.whole_queue(conn), await relay_report.load(conn)
    if as_json:
        return print_json({**waiting, "relays": [{**relay.row, **relay.counts} for relay in relays]})
    print(*_queue_lines(waiting), *map(_relay_line, relays), sep="\n")
    if not relays:
        print("no worker has noted its relays yet")


async def retry(database: Database) -> None:
    """Make mail that was put off due now. Raises ``Unavailable``."""
    async with database.transaction() as conn:
        number = await relay_report.retry(conn)
    print(f"{number} mails that were put off are due now" if number else "no mail was put off")


def _queue_lines(row: Record) -> Iterator[str]:
    if not row["waiting"]:
        yield "no mail waits"
        return
    yield f"{row['waiting']} mails wait, the oldest for {_age(row['oldest'], row['now'])}"
    if row["in_bulk"]:
        yield f"{row['in_bulk']} of them in bulk, behind all others"
    if row["put_off"]:
        yield f"{row['put_off']} of them were put off by relays"
    if row["next_at"]:
        yield f"the next attempt of those is in {_age(row['now'], row['next_at'])}"


def _relay_line(relay: RelayReport) -> str:
    row, counts = relay.row, relay.counts
    parts = [f"{counts[outcome]} {outcome}" for outcome in relay_report.OUTCOMES]
    line = f"relay {row['name']}: {_state(row)}; in 24 hours {', '.join(parts)}"
    if not row["trouble"]:
        return line
    answer = " ".join(str(part) for part in (row["trouble_step"], row["trouble_code"], row["trouble_status"]) if part)
    return f"{line}; last trouble: {relay_report.TROUBLES[row['trouble']]}{f' ({answer})' if answer else ''}"


def _state(row: Record) -> str:
    if not row["in_use"]:
        return "not in use"
    if row["failures"]:
        return "paused"
    return "not used yet" if row["tls"] is None else "works"


def _age(since: datetime, until: datetime) -> str:
    seconds = max(0, int((until - since).total_seconds()))
    for unit, length in (("days", 86400), ("hours", 3600), ("minutes", 60)):
        if seconds >= 2 * length:
            return f"{seconds // length} {unit}"
    return f"{seconds} seconds"
