"""The worker: delivers mail and keeps what is kept no longer than promised. Several may run at once."""

import asyncio
import logging
import signal
from collections.abc import Awaitable, Callable, Mapping
from urllib.parse import urlsplit

from petition.core import i18n
from petition.core.database import Database, opened
from petition.core.encryption import Opener, Wrapper
from petition.core.errors import SettingsError, Unavailable
from petition.core.outbox import MailWriter
from petition.core.settings import Settings
from petition.core.templates import Renderer
from petition.core.tokens import Tokens
from petition.exports import address_list_worker, address_lists
from petition.imports import worker
from petition.letters import taking_down
from petition.mail.choosing import MailSelector
from petition.mail.compose import Composer
from petition.mail.deliver import SENDERS, Deliverer
from petition.mail.relays import Relays
from petition.mail.smtp_connection import is_on_this_machine
from petition.mail.suppressed_contacts import SuppressedContactCleaner
from petition.mail.suppression import Suppression
from petition.moderation import bulk_acts, bursts, namesakes
from petition.moderation.messages import Mails
from petition.organizers import invitations, sign_in_links
from petition.statistics import queries as statistics
from petition.worker import retention

EVERY = 60.0  # seconds between two rounds of retention

# Who writes the direct mails of each purpose in the outbox.
WRITERS: Mapping[str, MailWriter] = {
    sign_in_links.PURPOSE: sign_in_links.write_mail,
    invitations.PURPOSE: invitations.write_mail,
    address_lists.PURPOSE: address_lists.write_mail,
}

log = logging.getLogger(__name__)

Chore = tuple[str, Callable[[Database], Awaitable[int]]]


def main(settings: Settings) -> None:
    """Run until SIGTERM or SIGINT, finish the mail under way, return. Raises ``SettingsError``."""
    asyncio.run(_until_signalled(settings))


async def run(settings: Settings, stop: asyncio.Event) -> None:
    """Work until ``stop`` is set. ``settings`` must be a worker's, with a database URL. Raises ``SettingsError``."""
    if settings.database_url is None or settings.contact_private_key is None or not settings.relays:
        raise SettingsError("the worker needs a database, the private contact key and a relay")
    tokens = Tokens(settings.secret_keys)
    renderer = Renderer(i18n.load(settings.locales_dir), settings.base_url, settings.controller)
    composer = Composer(settings, renderer, tokens)
    wrapper = Wrapper(settings.secret_keys)
    writers = {**WRITERS, **Mails(wrapper, tokens).writers}
    opener, suppression = Opener(settings.contact_private_key), Suppression(wrapper)
    chooser = MailSelector(opener, suppression, writers)
    relays = Relays(settings.relays, urlsplit(settings.base_url).hostname or "localhost")
    _warn_of_open_passwords(settings)
    async with opened(settings.database_url, max_size=SENDERS + 6) as database, asyncio.TaskGroup() as group:
        group.create_task(Deliverer(database, chooser, composer, relays).run(stop))
        group.create_task(keep_tidy(database, settings, stop))
        group.create_task(bulk_acts.run(database, wrapper, stop))
        group.create_task(worker.run(database, wrapper, tuple(renderer.languages), stop))
        group.create_task(address_list_worker.run(database, opener, suppression, stop))
        log.info("worker started")
    log.info("worker stopped")


async def keep_tidy(database: Database, settings: Settings, stop: asyncio.Event) -> None:
    """Do every chore of retention now and once a minute until ``stop`` is set."""
    chores = chores_of(settings)
    while not stop.is_set():
        await do_chores(database, chores)
        try:
            await asyncio.wait_for(stop.wait(), EVERY)
        except TimeoutError:
            continue


async def do_chores(database: Database, chores: list[Chore]) -> None:
    """Do each chore once; one that fails does not keep the others from being done. Raises nothing."""
    for name, chore in chores:
        try:
            count = await chore(database)
        except Unavailable:
            log.warning("retention is waiting for the database")
            return
        except Exception:
            log.exception("a scheduled task failed", extra={"task": name})
            continue
        if count:
            log.info("retention", extra={"task": name, "count": count})


def chores_of(settings: Settings) -> list[Chore]:
    """List them in the order in which they build on each other: a letter closes before its pending rows go."""
    wrapper = Wrapper(settings.secret_keys)
    private = settings.contact_private_key
    return [
        ("rewrap", lambda database: retention.rewrap(database, settings.secret_keys)),
        ("close_letters", retention.close_letters),
        # Before retention forgets what bursts are known by.
        ("forget_networks", lambda database: bursts.delete_networks(database, wrapper)),
        ("look_at_names", lambda database: namesakes.check(database, wrapper)),
        *((f"drop_{table}", _dropping(table)) for table in retention.BATCHED),
        *(
            (("sweep_contacts", SuppressedContactCleaner(Opener(private), Suppression(wrapper)).sweep),)
            if private
            else ()
        ),
        ("destroy_digest_keys", retention.destroy_digest_keys),
        ("statistics", _add_up),
        ("forget_files", worker.forget_files),
        ("forget_lists", address_list_worker.forget_lists),
        ("clear_taken_down", taking_down.delete_all_rows),
    ]


def _dropping(table: str) -> Callable[[Database], Awaitable[int]]:
    return lambda database: retention.drop_expired(database, table)


async def _add_up(database: Database) -> int:
    """Bring the statistics up to date; that is nothing to tell of every minute."""
    await statistics.fold(database)
    return 0


def _warn_of_open_passwords(settings: Settings) -> None:
    for relay in settings.relays:
        if relay.username and not (relay.tls or relay.starttls or is_on_this_machine(relay)):
            log.warning("the password is sent to this relay unencrypted", extra={"relay": relay.host})


async def _until_signalled(settings: Settings) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    await run(settings, stop)
