"""The worker: delivers mail, runs long jobs, deletes what has expired. Several may run at once."""

import asyncio
import contextlib
import logging
import signal
import time
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from urllib.parse import urlsplit

from petition.addressees.mails import AddresseeMails
from petition.audits import questions
from petition.audits import worker as audit_worker
from petition.audits.worker import AuditWorker
from petition.core import decryptions, i18n, metrics
from petition.core.database import Database, opened, schema_number
from petition.core.decryptions import DecryptionCounts
from petition.core.encryption import Opener, Wrapper
from petition.core.errors import SettingsError, Unavailable
from petition.core.ids import LetterId, SignatureId
from petition.core.keeper import KeeperClient
from petition.core.outbox import MailWriter
from petition.core.service_urls import is_this_machine
from petition.core.settings import Settings
from petition.core.templates import Renderer
from petition.core.tokens import Tokens
from petition.core.version import version
from petition.count_log import mending, sequencing, stamping
from petition.drafts import opening
from petition.exports import address_list_worker, address_lists
from petition.imports import owner_mails, undoing
from petition.imports import worker as import_worker
from petition.incoming_mail import bounces, mail_answers
from petition.incoming_mail import maildir as maildir_mail
from petition.incoming_mail.mail_answers import AnswerWriter
from petition.incoming_mail.maildir import Maildir
from petition.incoming_mail.receivers import taking_mail
from petition.letters import taking_down, updates
from petition.letters.published import PublishedLetters
from petition.mail import relay_tests, shared_relays
from petition.mail.choosing import MailSelector
from petition.mail.compose import Composer
from petition.mail.deliver import SENDERS, Deliverer
from petition.mail.mail_hosts import MailHosts
from petition.mail.mailbox_notes import MailboxNotes
from petition.mail.relay_tests import RelayTester
from petition.mail.relays import Relays
from petition.mail.shared_relays import DatabaseStore, SharedRelays
from petition.mail.suppressed_contacts import SuppressedContactCleaner
from petition.mail.suppression import Suppression
from petition.mailings import moves, reminders
from petition.mailings.content import NO_SIGNATURE, TEST, UpdateTests
from petition.mailings.sender import SENDERS as MAILING_SENDERS
from petition.mailings.sender import MailingSender, MailingTools
from petition.mirrors import keeping
from petition.mirrors.keeping import MirrorFolder
from petition.mirrors.making import MirrorMaker
from petition.mirrors.model import addresses_of
from petition.moderation import bulk_acts, bursts, crowds, namesakes
from petition.moderation.messages import Mails
from petition.organizers import act_notices, factor_resets, invitations, recovery_codes, sign_in_links, waiting_mail
from petition.organizers.sign_in_links import SignInMails
from petition.packages.links import PackageLinks
from petition.signatures import hiding, names_end, opening_names
from petition.signatures.opening_names import NameOpener
from petition.statistics import queries as statistics
from petition.worker import deletions, job_loop, metrics_page, retention, vacuuming

LATENESS = 3600.0  # seconds for which a chore may fail before that is said by itself
LATE: dict[str, tuple[float, float]] = {}  # chores that fail: since when, and when that was logged
RETENTION_INTERVAL = 60.0  # seconds between two rounds of retention

# By the purpose of the outbox row.
WRITERS: Mapping[str, MailWriter] = {
    invitations.PURPOSE: invitations.write_mail,
    waiting_mail.PURPOSE: waiting_mail.write_mail,
    factor_resets.ASKED: factor_resets.write_asked,
    factor_resets.DONE: factor_resets.write_done,
    act_notices.PURPOSE: act_notices.write_mail,
    address_lists.PURPOSE: address_lists.write_mail,
    owner_mails.PURPOSE: owner_mails.write_mail,
    moves.PAUSED_MAIL: moves.write_mail,
}

log = logging.getLogger(__name__)

Chore = tuple[str, Callable[[Database], Awaitable[int]]]


def main(settings: Settings) -> None:
    """Run until SIGTERM or SIGINT, finish the mail in progress, return. Raises ``SettingsError``."""
    with asyncio.Runner(loop_factory=_loop_factory()) as runner:
        runner.run(_until_signalled(settings))


async def run(settings: Settings, stop: asyncio.Event) -> None:
    """Work until ``stop`` is set. ``settings`` must be a worker's, with a database URL. Raises ``SettingsError``."""
    if settings.database_url is None or settings.contact_private_key is None or not settings.relays:
        raise SettingsError("the worker needs a database, the private contact key and a relay")
    tokens = Tokens(settings.secret_keys)
    renderer = Renderer(i18n.load(settings.locales_dir), settings.base_url, settings.controller)
    composer = Composer(settings, renderer, tokens)
    wrapper = Wrapper(settings.secret_keys)
    tests = UpdateTests(settings.base_url, tokens.for_updates(LetterId(0), SignatureId(NO_SIGNATURE)))
    answers = AnswerWriter(wrapper, tokens, settings.base_url, settings.mail_in)
    writers = {
        **WRITERS,
        TEST: tests.write,
        sign_in_links.PURPOSE: SignInMails(wrapper).write,
        mail_answers.PURPOSE: answers.write,
        **Mails(wrapper, tokens).writers,
        **questions.writers(tokens),
        **AddresseeMails(tokens, PackageLinks(tokens).path).writers,
    }
    counts, keeper = DecryptionCounts(), KeeperClient(settings.keeper)
    opener, suppression = Opener(settings.contact_private_key, counts), Suppression(wrapper, keeper)
    selector = MailSelector(opener, wrapper, suppression, writers, settings.mail_in)
    languages, chores = tuple(renderer.languages), chores_of(settings, counts, keeper)
    _warn_of_unencrypted_passwords(settings)
    async with (
        opened(settings.database_url, max_size=SENDERS + MAILING_SENDERS + 8) as database,
        counts.counting(database),
        keeper.on(database),
        taking_mail(settings, database, languages, keeper) as receivers,
        metrics_page.listening(settings, database),
        asyncio.TaskGroup() as group,
    ):
        notes = MailboxNotes(database, wrapper, MailHosts(settings.mx_resolver), keeper)
        local_hostname = urlsplit(settings.base_url).hostname or "localhost"
        relays = Relays(settings.relays, local_hostname, DatabaseStore(database))
        tester = RelayTester(database, opener, composer, relays, local_hostname)
        shared = SharedRelays(database, relays.lines)
        group.create_task(_deliver(Deliverer(database, selector, composer, relays, notes), shared, stop))
        rate = max(1, settings.limits.mailing)
        tools = MailingTools(opener, suppression, composer, relays, tokens, settings.base_url, rate)
        group.create_task(MailingSender(database, tools).run(stop))
        jobs: list[tuple[str, float, Callable[[], Awaitable[bool]]]] = [
            ("relays", shared_relays.POLL, shared.step),
            ("sealed names", opening_names.POLL, NameOpener(database, opener, wrapper).step),
            ("relay test", relay_tests.POLL, tester.step),
            ("retention", RETENTION_INTERVAL, lambda: do_chores(database, chores)),
            ("count log", sequencing.POLL, lambda: sequencing.step(database, wrapper, settings.base_url)),
            ("hide names", hiding.POLL, lambda: hiding.step(database, wrapper)),
            ("audits", audit_worker.POLL, AuditWorker(database, opener, wrapper, suppression).step),
            ("bulk act", bulk_acts.POLL, lambda: bulk_acts.step(database, wrapper)),
            ("import", import_worker.POLL, lambda: import_worker.step(database, wrapper, languages, stop, keeper)),
            ("decryptions", decryptions.POLL, lambda: counts.store(database)),
            ("address list", address_list_worker.POLL, lambda: address_list_worker.step(database, opener, suppression)),
        ]
        if settings.timestamp_urls:
            jobs.append(("time stamps", stamping.POLL, stamping.Stamper(database, settings.timestamp_urls).step))
        if settings.mail_in_dir is not None and settings.mail_in is not None:
            maildir = Maildir(settings.mail_in_dir, receivers[settings.mail_in])
            jobs.append(("incoming mail", maildir_mail.POLL, maildir.step))
        if settings.mirrors.folder is not None:
            maker = MirrorMaker(database, wrapper, renderer, addresses_of(settings))
            letters = PublishedLetters(database, wrapper)
            mirrors = MirrorFolder(maker, letters, settings.mirrors.folder, settings.mirrors.max_age)
            jobs.append(("mirrors", keeping.POLL, mirrors.step))
        for name, poll, step in jobs:
            group.create_task(job_loop.run(step, stop, name=name, poll=poll))
        log.info("worker started", extra={"version": version(), "schema": schema_number()})
    log.info("worker stopped")


async def _deliver(deliverer: Deliverer, shared: SharedRelays, stop: asyncio.Event) -> None:
    """Deliver mail until ``stop`` is set; begin with what other workers know of the relays."""
    with contextlib.suppress(Unavailable):  # it is read again every second
        await shared.step()
    await deliverer.run(stop)
    with contextlib.suppress(Unavailable):
        await shared.leave()


async def do_chores(database: Database, chores: list[Chore]) -> bool:
    """Run each chore once; return False: none needs another run at once."""
    try:
        await run_chores(database, chores)
    except Unavailable:
        log.warning("retention is waiting for the database")
    return False


async def run_chores(database: Database, chores: list[Chore]) -> dict[str, int | None]:
    """Run each chore once, also after another has failed; return how many rows each changed, None if it failed.

    Raises ``Unavailable``.
    """
    counts: dict[str, int | None] = {}
    for name, chore in chores:
        started = time.monotonic()
        try:
            count = counts[name] = await chore(database)
        except Unavailable:
            raise
        except Exception:
            log.exception("a scheduled task failed", extra={"task": name})
            metrics.CHORES.labels(name, "failed").inc()
            note_late(name)
            counts[name] = None
            continue
        finally:
            metrics.CHORE_SECONDS.set(time.monotonic() - started, name)
        metrics.CHORES.labels(name, "done").inc()
        metrics.LAST_CHORE.set_now(name)
        LATE.pop(name, None)
        if count:
            log.info("retention", extra={"task": name, "count": count})
            with contextlib.suppress(Unavailable):
                await deletions.count(database, name, count)
    return counts


def note_late(chore: str) -> None:
    """Log once an hour that a chore has not been done for an hour or more."""
    now = time.monotonic()
    since, logged_at = LATE.setdefault(chore, (now, now))
    if now - logged_at >= LATENESS:
        LATE[chore] = since, now
        log.error("retention is late", extra={"task": chore, "seconds": round(now - since)})


def chores_of(
    settings: Settings, counts: DecryptionCounts | None = None, keeper: KeeperClient | None = None
) -> list[Chore]:
    """Return the chores of retention, each after those it builds on: a letter closes before its pending rows go."""
    wrapper, sweep = Wrapper(settings.secret_keys), list[Chore]()
    if settings.contact_private_key:
        opener = Opener(settings.contact_private_key, counts or DecryptionCounts())
        sweep = [("sweep_contacts", SuppressedContactCleaner(opener, Suppression(wrapper, keeper)).sweep)]
    return [
        ("rewrap", lambda database: retention.rewrap(database, settings.secret_keys)),
        ("hash_recovery_codes", recovery_codes.hash_old),
        ("open_letters", opening.open_due),
        ("publish_updates", updates.publish_due),
        ("close_letters", retention.close_letters),
        ("end_names", names_end.end_due),
        ("erase_removed", names_end.erase_removed),
        # Before retention drops the day keys by which bursts are recognized.
        ("forget_networks", lambda database: bursts.delete_networks(database, wrapper)),
        ("look_at_domains", lambda database: crowds.flag(database, settings.limits)),
        ("look_at_names", lambda database: namesakes.check(database, wrapper)),
        *((f"drop_{table}", partial(retention.drop_expired, table=table)) for table in retention.EXPIRED),
        *sweep,
        ("destroy_digest_keys", retention.destroy_digest_keys),
        ("mend_count_logs", lambda database: mending.mend(database, wrapper)),
        ("statistics", _add_up),
        ("lift_bounces", bounces.lift),
        ("note_goals", waiting_mail.note_goals),
        ("mail_what_waits", waiting_mail.enqueue_due),
        ("reset_factors", factor_resets.carry_out_due),
        ("encrypt_undone", lambda database: undoing.encrypt_all(database, wrapper)),
        ("forget_files", import_worker.drop_expired_files),
        ("remind", reminders.enqueue_due),
        ("drop_stamps", moves.drop_stamps),
        ("forget_lists", address_list_worker.drop_expired_lists),
        ("clear_taken_down", taking_down.delete_all_rows),
        ("vacuum", vacuuming.vacuum),
        ("analyze", vacuuming.analyze),
    ]


async def _add_up(database: Database) -> int:
    await statistics.fold(database)
    return 0  # every minute has some: not worth a line in the log


def _warn_of_unencrypted_passwords(settings: Settings) -> None:
    for relay in settings.relays:
        if relay.username and not (relay.tls or relay.starttls or is_this_machine(relay.host)):
            log.warning("the password is sent to this relay unencrypted", extra={"relay": relay.host})


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    """Return what makes uvloop's event loops, in which a mail takes less processor time; None where there is none."""
    try:
        import uvloop  # not on Windows
    except ImportError:
        return None
    return uvloop.new_event_loop


async def _until_signalled(settings: Settings) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    await run(settings, stop)
