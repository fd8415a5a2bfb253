"""What each command does. Each takes the parsed arguments; what must wait for the database is a coroutine."""

import os
import sys
from argparse import Namespace
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack, asynccontextmanager, contextmanager
from dataclasses import replace

from petition import postgres
from petition.cli import approve, check, signatures
from petition.core import database, encryption, i18n, logs
from petition.core.database import Database
from petition.core.encryption import Wrapper
from petition.core.errors import PetitionError, Refused
from petition.core.settings import Process, Settings, load
from petition.demo import supervisor
from petition.drafts import publishing
from petition.letters import lifecycle, lifecycle_queries, taking_down
from petition.organizers import accounts


def demo(given: Namespace) -> None:
    """Run everything on this machine."""
    supervisor.run(given.port, given.data)


def serve(given: Namespace) -> None:
    """Serve the web until SIGTERM."""
    from petition.web import server  # the server takes a while to import, and only this command needs it

    settings = replace(load(role=Process.WEB, port=given.port), host=given.host)
    logs.configure()
    with _database(settings) as ready:
        server.run(ready, given.workers)


def worker(_given: Namespace) -> None:
    """Deliver mail and keep retention until SIGTERM."""
    from petition.worker import main as working

    settings = load(role=Process.WORKER)
    logs.configure()
    with _database(settings) as ready:
        working.main(ready)


async def migrate(_given: Namespace) -> None:
    """Bring the schema up and say what was applied."""
    with _database(load(role=Process.TOOL)) as settings:
        applied = await database.migrate(_url(settings))
    _print(*(f"applied {name}" for name in applied) if applied else ["nothing to do"])


def keys(_given: Namespace) -> None:
    """Print fresh secrets as lines of an environment file."""
    public, private = encryption.new_contact_pair()
    _print(
        f"SECRET_KEY={encryption.new_key().hex()}",
        f"CONTACT_PUBLIC_KEY={public}",
        "# Only the worker's environment needs this one; keep a copy where the web server cannot read it.",
        f"CONTACT_PRIVATE_KEY={private}",
    )


def run_check(_given: Namespace) -> int:
    """Tell what is wrong; 1 if anything is."""
    return check.main()


async def organizer_add(given: Namespace) -> None:
    """Print a one-time link for an organizer, new or known."""
    async with _tool() as (settings, db):
        _print(await accounts.add(db, settings, given.email, admin=given.admin))


async def organizer_reset(given: Namespace) -> None:
    """Remove an organizer's second factor and sessions, and print a one-time link."""
    async with _tool() as (settings, db):
        _print(await accounts.reset(db, settings, given.email))


async def letter_import(given: Namespace) -> None:
    """Take in a letter, and publish it if asked."""
    async with _tool() as (settings, db):
        languages = tuple(i18n.load(settings.locales_dir))
        wrapper = Wrapper(settings.secret_keys)
        slug, number = await publishing.import_folder(db, wrapper, given.folder, languages, publish=given.publish)
        if not given.publish:
            _print(f"imported {slug}; readers see it after --publish")
            return
        _print(f"published {slug}, version {number}" if number else f"{slug}: the text is unchanged")


async def letter_export(given: Namespace) -> None:
    """Write a letter as a folder."""
    async with _tool() as (_, db):
        await publishing.export_folder(db, given.slug, given.folder)


async def letter_move(given: Namespace) -> None:
    """Close, reopen or archive a letter, or take it out of the archive."""
    async with _tool() as (_, db), db.transaction() as conn:
        letter = await publishing.number_of(conn, given.slug)
        try:
            await lifecycle.move(conn, None, letter, given.move)
        except Refused as refused:
            if refused.message != lifecycle.CHANGED:
                raise
            now = await lifecycle_queries.state(conn, letter)
            raise PetitionError(f"the letter {given.slug} is {now and now['state']}") from None
    _print(f"{given.slug}: {lifecycle.WAYS[given.move].after}")


async def letter_take_down(given: Namespace) -> None:
    """Delete everything about a letter."""
    async with _tool() as (_, db):
        async with db.transaction() as conn:
            letter = await publishing.number_of(conn, given.slug)
            await taking_down.take_down(conn, None, letter, given.really)
        rows = await taking_down.delete_rows(db, letter, patience=3600)
    _print(f"{given.slug}: taken down, {rows} rows deleted")


async def signatures_import(given: Namespace) -> None:
    """Take in signatories."""
    async with _tool() as (settings, db):
        await signatures.import_csv(db, Wrapper(settings.secret_keys), given.slug, given.file, dry_run=given.dry_run)


async def signatures_export(given: Namespace) -> None:
    """Write signatories to standard output."""
    async with _tool() as (settings, db):
        await signatures.export(db, Wrapper(settings.secret_keys), given.slug, given.format, sys.stdout.buffer)


async def signatures_held(given: Namespace) -> None:
    """List organizations that wait."""
    async with _tool() as (settings, db):
        await signatures.held(db, Wrapper(settings.secret_keys), given.slug)


async def signatures_approve(given: Namespace) -> None:
    """Let waiting organizations in."""
    async with _tool() as (settings, db):
        await approve.approve_and_say(db, Wrapper(settings.secret_keys), given.ids)


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
