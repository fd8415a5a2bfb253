"""What each command does. Each takes the parsed arguments; what must wait for the database is a coroutine."""

import asyncio
import os
import sys
from argparse import Namespace
from collections.abc import AsyncIterator, Coroutine, Iterator
from contextlib import ExitStack, asynccontextmanager, contextmanager, suppress
from dataclasses import replace

from petition import postgres
from petition.cli import approve, check, dkim_records, mail, signatures, switch
from petition.cli import mirror as mirrors
from petition.cli import takeout as taking_out
from petition.core import database, encryption, i18n, logs, startup
from petition.core.database import Database
from petition.core.encryption import Wrapper
from petition.core.environment import EnvironmentReader
from petition.core.errors import PetitionError, Refused, SettingsError, Unavailable
from petition.core.keeper import KeeperClient
from petition.core.secret_files import Secrets
from petition.core.settings import Process, Settings, load
from petition.core.templates import Renderer
from petition.demo import supervisor
from petition.drafts import folder, publishing
from petition.formats.dates import DateOrder
from petition.imports.file_adding import Answers
from petition.incoming_mail import pipe
from petition.incoming_mail.model import Outcome
from petition.incoming_mail.receivers import bounce_receiver, receivers_of
from petition.keeper import adoption
from petition.keeper import settings as keeper_settings
from petition.legal import folder as legal_folder
from petition.letters import burning, lifecycle, lifecycle_queries, taking_down
from petition.organizers import accounts
from petition.signatures import burnt_names


def demo(arguments: Namespace) -> None:
    """Run everything on this machine."""
    supervisor.run(arguments.port, arguments.data, is_empty=arguments.empty)


def serve(arguments: Namespace) -> None:
    """Serve the web until SIGTERM."""
    from petition.web import server  # the server takes a while to import, and only this command needs it

    settings = replace(load(role=Process.WEB, port=arguments.port), host=arguments.host)
    logs.configure()
    with _database(settings) as ready:
        asyncio.run(_look(ready))
        server.run(ready, arguments.workers)


def worker(_arguments: Namespace) -> None:
    """Deliver mail and keep retention until SIGTERM."""
    from petition.worker import main as working

    settings = load(role=Process.WORKER)
    logs.configure()
    with _database(settings) as ready:
        asyncio.run(_look(ready))
        working.main(ready)


async def migrate(_arguments: Namespace) -> None:
    """Bring the schema up and say what was applied."""
    with _database(load(role=Process.TOOL)) as settings:
        applied = await database.migrate(_url(settings))
        if settings.keeper is not None:
            await _adopt(settings)
    _print(*(f"applied {name}" for name in applied) if applied else ["nothing to do"])


async def _look(settings: Settings) -> None:
    """Look at the database and the keeper before a process begins. Raises ``SettingsError``."""
    await startup.look_at_database(settings)
    with suppress(Unavailable):
        async with database.opened(_url(settings), max_size=1) as db:
            await adoption.look(db, settings)


def keeper(_arguments: Namespace) -> None:
    """Hold the second key until SIGTERM."""
    from petition.keeper import server  # the library takes a while to import, and only this command needs it

    logs.configure()
    server.main(keeper_settings.load())


def keeper_keys(_arguments: Namespace) -> None:
    """Print a fresh key and token as lines of an environment file."""
    _print(
        "# Only the keeper's environment needs this one. Keep a copy: without it no duplicate is recognized any more.",
        f"KEEPER_KEY={encryption.new_key().hex()}",
        "# The keeper's, and that of the web and the worker.",
        f"KEEPER_TOKEN={encryption.new_key().hex()}",
    )


async def keeper_adopt(_arguments: Namespace) -> None:
    """Have all stored digests go through the keeper."""
    async with _tool() as (settings, _):
        if settings.keeper is None:
            raise SettingsError("KEEPER_URL is not set: there is no keeper to adopt")
        await _adopt(settings)


async def _adopt(settings: Settings) -> None:
    async with database.opened(_url(settings), max_size=2) as db, KeeperClient(settings.keeper, db) as keeper:
        letters = await adoption.adopt(db, keeper, Wrapper(settings.secret_keys))
    _print(f"the keeper is used, and {letters} letters were switched to it")


def keys(_arguments: Namespace) -> None:
    """Print fresh secrets as lines of an environment file."""
    public, private = encryption.new_contact_pair()
    _print(
        f"SECRET_KEY={encryption.new_key().hex()}",
        f"CONTACT_PUBLIC_KEY={public}",
        "# Only the worker's environment needs this one; keep a copy where the web server cannot read it.",
        f"CONTACT_PRIVATE_KEY={private}",
        "# The key that signs mail, and its DNS records: petition keys dkim",
    )


def keys_rotate(_arguments: Namespace) -> None:
    """Put a new SECRET_KEY in front of the former ones: into DATA_DIR if it is kept there, else print the lines."""
    settings = load(role=Process.TOOL)
    if settings.loopback and not EnvironmentReader(os.environ).secret("SECRET_KEY"):
        Secrets(settings.data_dir).rotate_secret_key()
        _print("there is a new SECRET_KEY, and the former one still opens mailed links: restart web and worker")
        return
    _print(
        f"SECRET_KEY={encryption.new_key().hex()}",
        f"OLD_SECRET_KEYS={' '.join(settings.secret_keys)}",
        "# Put both into the environment of web and worker, and restart them: links in mails go on working.",
    )


async def takeout(arguments: Namespace) -> None:
    """Write everything to an encrypted file."""
    async with _tool() as (settings, _):
        with_secrets = not arguments.without_secrets
        _print(*await taking_out.take(settings, arguments.file, arguments.recipient, with_secrets=with_secrets))


async def restore(arguments: Namespace) -> None:
    """Bring a takeout into an empty database."""
    resolved, secrets = taking_out.settings_for_restoring(arguments.file, arguments.identity)
    with _database(resolved) as settings:
        _print(*await taking_out.restore(settings, arguments.file, arguments.identity, secrets))


def burn(arguments: Namespace) -> Coroutine[None, None, None]:
    """Destroy a letter's keys; on a terminal, only if its short name is typed once more."""
    if sys.stdin.isatty() and input("Type the letter's short name to destroy its keys: ").strip() != arguments.slug:
        raise PetitionError("that is another name; nothing was destroyed")
    return _burn(arguments.slug)


async def _burn(slug: str) -> None:
    async with _tool() as (_, db):
        async with db.transaction() as conn:
            letter = await publishing.number_of(conn, slug)
            await burning.burn(conn, None, letter)
        rows = await burning.delete_addresses(db, letter) + await burnt_names.erase(db, letter)
    _print(
        f"{slug}: the keys are destroyed and {rows} stored addresses, forms and sealed names deleted;"
        " count and public names stay. Dumps and takeouts made before still hold them."
    )


def keys_dkim(arguments: Namespace) -> None:
    """Print a new DKIM key and its DNS records, or the records of the one in use."""
    _print(*(dkim_records.current_lines() if arguments.current else dkim_records.new_lines()))


def run_check(arguments: Namespace) -> int:
    """Tell what is wrong; 1 if anything is."""
    return check.main(arguments.mail)


async def organizer_add(arguments: Namespace) -> None:
    """Print a one-time link for an organizer, new or known."""
    async with _tool() as (settings, db):
        _print(await accounts.add(db, settings, arguments.email, admin=arguments.admin))


async def organizer_reset(arguments: Namespace) -> None:
    """Remove an organizer's second factor and sessions, and print a one-time link."""
    async with _tool() as (settings, db):
        _print(await accounts.reset(db, settings, arguments.email))


async def letter_import(arguments: Namespace) -> None:
    """Take in a letter, and publish it if asked."""
    async with _tool() as (settings, db):
        languages = tuple(i18n.load(settings.locales_dir))
        wrapper = Wrapper(settings.secret_keys)
        slug, number = await publishing.import_folder(
            db, wrapper, arguments.folder, languages, publish=arguments.publish
        )
        _print(*folder.losses(folder.read(arguments.folder, languages)))
        if not arguments.publish:
            _print(f"imported {slug}; use --publish to show it to readers")
            return
        _print(f"published {slug}, version {number}" if number else f"{slug}: the text is unchanged")


async def legal(arguments: Namespace) -> None:
    """Write the legal folder."""
    async with _tool() as (settings, db):
        renderer = Renderer(i18n.load(settings.locales_dir), settings.base_url, settings.controller)
        langs = [arguments.lang] if arguments.lang else list(renderer.languages)
        if unknown := set(langs) - set(renderer.languages):
            raise PetitionError(f"there is no language {unknown.pop()}; there are {', '.join(renderer.languages)}")
        async with db.connection() as conn:
            facts = await legal_folder.read_facts(conn)
    for path in legal_folder.write(arguments.folder, facts, settings, renderer, langs):
        _print(str(path))


async def letter_export(arguments: Namespace) -> None:
    async with _tool() as (_, db):
        await publishing.export_folder(db, arguments.slug, arguments.folder)


async def letter_move(arguments: Namespace) -> None:
    """Close, reopen or archive a letter, or take it out of the archive."""
    async with _tool() as (_, db), db.transaction() as conn:
        letter = await publishing.number_of(conn, arguments.slug)
        try:
            await lifecycle.move(conn, None, letter, arguments.move)
        except Refused as refused:
            if refused.message != lifecycle.CHANGED:
                raise
            now = await lifecycle_queries.state(conn, letter)
            raise PetitionError(f"the letter {arguments.slug} is {now and now['state']}") from None
    _print(f"{arguments.slug}: {lifecycle.WAYS[arguments.move].after}")


async def letter_take_down(arguments: Namespace) -> None:
    """Delete everything about a letter."""
    async with _tool() as (_, db):
        async with db.transaction() as conn:
            letter = await publishing.number_of(conn, arguments.slug)
            await taking_down.take_down(conn, None, letter, arguments.really)
        rows = await taking_down.delete_rows(db, letter, patience=3600)
    _print(f"{arguments.slug}: taken down, {rows} rows deleted")


async def signatures_import(arguments: Namespace) -> None:
    async with _tool() as (settings, db), KeeperClient(settings.keeper, db) as keeper:
        answers = Answers(
            dates={"day": DateOrder.DAY, "month": DateOrder.MONTH}.get(arguments.dates),
            hidden={"read": True, "leave-out": False}.get(arguments.hidden),
            same_names=arguments.add_same_names,
        )
        await signatures.import_file(
            db,
            Wrapper(settings.secret_keys),
            arguments.slug,
            arguments.file,
            dry_run=arguments.dry_run,
            answers=answers,
            keeper=keeper,
        )


async def signatures_export(arguments: Namespace) -> None:
    """Write signatories to standard output."""
    async with _tool() as (settings, db):
        await signatures.export(db, Wrapper(settings.secret_keys), arguments.slug, arguments.format, sys.stdout.buffer)


async def signatures_held(arguments: Namespace) -> None:
    """List organizations that wait."""
    async with _tool() as (settings, db):
        await signatures.held(db, Wrapper(settings.secret_keys), arguments.slug)


async def signatures_approve(arguments: Namespace) -> None:
    """Let waiting organizations in."""
    async with _tool() as (settings, db):
        await approve.approve_and_say(db, Wrapper(settings.secret_keys), arguments.ids)


async def switch_put(arguments: Namespace) -> None:
    """Put a kill switch into a position."""
    async with _tool() as (settings, db):
        languages = tuple(i18n.load(settings.locales_dir))
        texts = dict(arguments.text)
        _print(*await switch.put(db, arguments.owner, arguments.name, arguments.value, texts, languages))


async def bounce(arguments: Namespace) -> int:
    """Take one returned mail from standard input; exit codes are those of sysexits.h, for the mail server."""
    try:
        async with _tool() as (settings, db), KeeperClient(settings.keeper, db) as keeper:
            receiver = bounce_receiver(settings, db, keeper)
            outcome = await pipe.receive(receiver, sys.stdin.buffer, envelope_from="", recipient=arguments.recipient)
    except PetitionError as error:
        return _later(error)
    return outcome.value


async def mail_in(arguments: Namespace) -> int:
    """Take one mail to a letter from standard input; exit codes are those of sysexits.h, for the mail server."""
    try:
        async with _tool() as (settings, db), KeeperClient(settings.keeper, db) as keeper:
            if settings.mail_in is None:
                raise SettingsError("MAIL_IN is not set: letters are not read or signed by mail here")
            receiver = receivers_of(settings, db, tuple(i18n.load(settings.locales_dir)), keeper)[settings.mail_in]
            outcome = await pipe.receive(
                receiver, sys.stdin.buffer, envelope_from=arguments.sender, recipient=arguments.recipient
            )
    except PetitionError as error:
        return _later(error)
    return outcome.value


def _later(error: PetitionError) -> int:
    """Return the one exit code that makes a mail server keep the mail, and not send it back."""
    print(f"petition: {error}", file=sys.stderr)
    return Outcome.LATER.value


async def mail_test(arguments: Namespace) -> int:
    """Send a test mail through the relays; 1 if one did not take it."""
    return min(1, await mail.test(load(role=Process.WORKER), arguments.address, arguments.relay))


async def mail_queue(_arguments: Namespace) -> None:
    async with _tool() as (_, db):
        await mail.queue(db)


async def mail_retry(_arguments: Namespace) -> None:
    async with _tool() as (_, db):
        await mail.retry(db)


async def mirror(arguments: Namespace) -> None:
    """Write a static copy of a letter."""
    async with _tool() as (settings, db):
        _print(*await mirrors.write(settings, db, arguments.slug, arguments.folder, single=arguments.single))


async def mirror_verify(arguments: Namespace) -> int:
    """Check a copy; 1 if it is not as it was signed."""
    return await mirrors.verify(arguments.verify, arguments.key, arguments.max_age)


@asynccontextmanager
async def _tool() -> AsyncIterator[tuple[Settings, Database]]:
    with ExitStack() as stack:
        settings = stack.enter_context(_database(load(role=Process.TOOL)))
        async with database.opened(_url(settings), max_size=2) as db:
            yield settings, db


@contextmanager
def _database(settings: Settings) -> Iterator[Settings]:
    """Start the embedded database if no other is set, for as long as the command runs."""
    if settings.database_url is not None:
        yield settings
        return
    with postgres.running(settings.data_dir) as url:
        # Where the web runs in several processes, each reads the environment anew.
        os.environ["DATABASE_URL"] = url
        yield replace(settings, database_url=url)


def _url(settings: Settings) -> str:
    return settings.database_url or ""


def _print(*lines: str) -> None:
    for line in lines:
        print(line)
