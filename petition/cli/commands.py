"""What each command does. Each takes the parsed arguments; what must wait for the database is a coroutine."""

import logging
import os
import sys
from argparse import Namespace

from petition.cli import approve, check, dkim_records, mail, signatures, switch
from petition.cli import mirror as mirrors
from petition.cli import takeout as taking_out
from petition.cli.tool import print_lines, tool, url_of, with_database
from petition.core import database, encryption, i18n, logs, partitions, startup
from petition.core.encryption import Wrapper
from petition.core.environment import EnvironmentReader
from petition.core.errors import PetitionError, SettingsError
from petition.core.keeper import KeeperClient
from petition.core.secret_files import Secrets
from petition.core.settings import Process, Settings, load
from petition.core.templates import Renderer
from petition.formats.dates import DateOrder
from petition.imports.file_adding import Answers
from petition.incoming_mail import pipe
from petition.incoming_mail.model import Outcome
from petition.incoming_mail.receivers import bounce_receiver, receivers_of
from petition.keeper import adoption
from petition.keeper import settings as keeper_settings
from petition.legal import folder as legal_folder
from petition.takeouts import backups


async def prune(_arguments: Namespace) -> None:
    """Do the chores of retention once."""
    from petition.worker import main as working  # takes a while to import, and only this command needs it

    logs.configure(logging.WARNING)
    async with tool() as (settings, db), KeeperClient(settings.keeper, db) as keeper:
        counts = await working.run_chores(db, working.chores_of(settings, keeper=keeper))
    done = {name: count for name, count in counts.items() if count}
    print_lines(*(f"{name}: {count}" for name, count in done.items()) if done else ["nothing was due"])
    failed = [name for name, count in counts.items() if count is None]
    if failed:
        raise PetitionError(f"these failed, see the log above: {', '.join(failed)}")


async def migrate(arguments: Namespace) -> None:
    """Bring the schema up, in the layout that is asked for, and say what was done."""
    with with_database(load(role=Process.TOOL)) as settings:
        url, number = url_of(settings), arguments.partitions
        if arguments.wait:
            logs.configure()
            await startup.wait_for_database(settings)
        if number is not None:
            await partitions.check(url, number)  # before anything is changed
        done = [f"applied {name}" for name in await database.migrate(url)]
        if number is not None and await partitions.divide(url, number):
            done.append(f"the large tables are in {partitions.describe(number)}")
        if settings.keeper is not None:
            await _adopt(settings)
    print_lines(*(done or ["nothing to do"]))


def keeper(_arguments: Namespace) -> None:
    """Hold the second key until SIGTERM."""
    from petition.keeper import server  # the library takes a while to import, and only this command needs it

    logs.configure()
    server.main(keeper_settings.load())


def keeper_keys(_arguments: Namespace) -> None:
    """Print a fresh key and token as lines of an environment file."""
    print_lines(
        "# Only the keeper's environment needs this one. Keep a copy: without it no duplicate is recognized any more.",
        f"KEEPER_KEY={encryption.new_key().hex()}",
        "# The keeper's, and that of the web and the worker.",
        f"KEEPER_TOKEN={encryption.new_key().hex()}",
    )


async def keeper_adopt(_arguments: Namespace) -> None:
    """Have all stored digests go through the keeper."""
    async with tool() as (settings, _):
        if settings.keeper is None:
            raise SettingsError("KEEPER_URL is not set: there is no keeper to adopt")
        await _adopt(settings)


async def _adopt(settings: Settings) -> None:
    async with database.opened(url_of(settings), max_size=2) as db, KeeperClient(settings.keeper, db) as keeper:
        letters = await adoption.adopt(db, keeper, Wrapper(settings.secret_keys))
    print_lines(f"the keeper is used, and {letters} letters were switched to it")


def keys(_arguments: Namespace) -> None:
    """Print fresh secrets as lines of an environment file."""
    public, private = encryption.new_contact_pair()
    print_lines(
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
        print_lines("there is a new SECRET_KEY, and the former one still opens mailed links: restart web and worker")
        return
    print_lines(
        f"SECRET_KEY={encryption.new_key().hex()}",
        f"OLD_SECRET_KEYS={' '.join(settings.secret_keys)}",
        "# Put both into the environment of web and worker, and restart them: links in mails go on working.",
    )


async def takeout(arguments: Namespace) -> None:
    """Write everything to an encrypted file."""
    async with tool() as (settings, _):
        with_secrets = not arguments.without_secrets
        print_lines(*await taking_out.take(settings, arguments.file, arguments.recipient, with_secrets=with_secrets))


async def restore(arguments: Namespace) -> None:
    """Bring a takeout, or a backup, into an empty database."""
    if backups.is_dump(arguments.file):
        return print_lines(*await taking_out.restore_backup(arguments.file, arguments.partitions))
    if arguments.file.is_dir():
        raise PetitionError(f"{arguments.file} holds no backup: `petition backup` calls them petition-….dump")
    if arguments.identity is None:
        raise PetitionError("this is no backup, and a takeout needs --identity")
    resolved, secrets = taking_out.settings_for_restoring(arguments.file, arguments.identity)
    with with_database(resolved) as settings:
        restored = await taking_out.restore(
            settings, arguments.file, arguments.identity, secrets, partitions=arguments.partitions
        )
        return print_lines(*restored)


async def backup(arguments: Namespace) -> None:
    """Dump the database into a folder."""
    async with tool() as (settings, _):
        done = await backups.write(url_of(settings), arguments.folder, arguments.keep)
    print_lines(
        f"{done.path}: {done.size:,} bytes, read through once",
        "secrets are not in it: keep SECRET_KEY and the contact pair elsewhere, without them it is worth nothing",
        *([f"{done.deleted} older ones deleted"] if done.deleted else []),
    )


def keys_dkim(arguments: Namespace) -> None:
    """Print a new DKIM key and its DNS records, or the records of the one in use."""
    print_lines(*(dkim_records.current_lines() if arguments.current else dkim_records.new_lines()))


def run_check(arguments: Namespace) -> int:
    """Tell what is wrong; 1 if anything is."""
    return check.main(arguments.mail)


async def legal(arguments: Namespace) -> None:
    """Write the legal folder."""
    async with tool() as (settings, db):
        renderer = Renderer(i18n.load(settings.locales_dir), settings.base_url, settings.controller)
        langs = [arguments.lang] if arguments.lang else list(renderer.languages)
        if unknown := set(langs) - set(renderer.languages):
            raise PetitionError(f"there is no language {unknown.pop()}; there are {', '.join(renderer.languages)}")
        async with db.connection() as conn:
            facts = await legal_folder.read_facts(conn)
    for path in legal_folder.write(arguments.folder, facts, settings, renderer, langs):
        print_lines(str(path))


async def signatures_import(arguments: Namespace) -> None:
    async with tool() as (settings, db), KeeperClient(settings.keeper, db) as keeper:
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
    async with tool() as (settings, db):
        await signatures.export(db, Wrapper(settings.secret_keys), arguments.slug, arguments.format, sys.stdout.buffer)


async def signatures_held(arguments: Namespace) -> None:
    """List organizations that wait."""
    async with tool() as (settings, db):
        await signatures.held(db, Wrapper(settings.secret_keys), arguments.slug)


async def signatures_approve(arguments: Namespace) -> None:
    """Let waiting organizations in."""
    async with tool() as (settings, db):
        await approve.approve_and_say(db, Wrapper(settings.secret_keys), arguments.ids)


async def switch_put(arguments: Namespace) -> None:
    """Put a kill switch into a position."""
    async with tool() as (settings, db):
        languages = tuple(i18n.load(settings.locales_dir))
        texts = dict(arguments.text)
        print_lines(*await switch.put(db, arguments.owner, arguments.name, arguments.value, texts, languages))


async def bounce(arguments: Namespace) -> int:
    """Take one returned mail from standard input; exit codes are those of sysexits.h, for the mail server."""
    try:
        async with tool() as (settings, db), KeeperClient(settings.keeper, db) as keeper:
            receiver = bounce_receiver(settings, db, keeper)
            outcome = await pipe.receive(receiver, sys.stdin.buffer, envelope_from="", recipient=arguments.recipient)
    except PetitionError as error:
        return _later(error)
    return outcome.value


async def mail_in(arguments: Namespace) -> int:
    """Take one mail to a letter from standard input; exit codes are those of sysexits.h, for the mail server."""
    try:
        async with tool() as (settings, db), KeeperClient(settings.keeper, db) as keeper:
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


async def mail_queue(arguments: Namespace) -> None:
    async with tool() as (_, db):
        await mail.queue(db, as_json=arguments.json)


async def mail_retry(_arguments: Namespace) -> None:
    async with tool() as (_, db):
        await mail.retry(db)


async def mirror(arguments: Namespace) -> None:
    """Write a static copy of a letter."""
    async with tool() as (settings, db):
        print_lines(*await mirrors.write(settings, db, arguments.slug, arguments.folder, single=arguments.single))


async def mirror_verify(arguments: Namespace) -> int:
    """Check a copy; 1 if it is not as it was signed."""
    return await mirrors.verify(arguments.verify, arguments.key, arguments.max_age)
