"""``petition letter`` and ``petition burn``: letters as folders, and their ends."""

import sys
from argparse import Namespace
from collections.abc import Coroutine

from petition.cli.tool import print_json, print_lines, tool
from petition.core import i18n
from petition.core.encryption import Wrapper
from petition.core.errors import PetitionError, Refused
from petition.drafts import folder, publishing
from petition.letters import burning, lifecycle, lifecycle_queries, taking_down
from petition.organizers import member_queries
from petition.signatures import burnt_names


async def print_all(arguments: Namespace) -> None:
    """Print a line for each letter: its state, its count and its owners' names."""
    async with tool() as (_, db), db.connection() as conn:
        rows = await member_queries.all_letters(conn, None)
    if arguments.json:
        return print_json([dict(row) for row in rows])
    for row in rows:
        owners = ", ".join(row["owners"]) or "without an owner"
        print(f"{row['slug']}  {row['state']}  signatures: {row['total']}  {row['created_at']:%Y-%m-%d}  {owners}")
    if not rows:
        print("there are no letters")


async def take_in(arguments: Namespace) -> None:
    """Take in a letter, and publish it if asked."""
    async with tool() as (settings, db):
        languages = tuple(i18n.load(settings.locales_dir))
        wrapper = Wrapper(settings.secret_keys)
        slug, number = await publishing.import_folder(
            db, wrapper, arguments.folder, languages, publish=arguments.publish
        )
        print_lines(*folder.losses(folder.read(arguments.folder, languages)))
        if not arguments.publish:
            print_lines(f"imported {slug}; use --publish to show it to readers")
            return
        print_lines(f"published {slug}, version {number}" if number else f"{slug}: the text is unchanged")


async def export(arguments: Namespace) -> None:
    async with tool() as (_, db):
        await publishing.export_folder(db, arguments.slug, arguments.folder)


async def move(arguments: Namespace) -> None:
    """Close, reopen or archive a letter, or take it out of the archive."""
    async with tool() as (_, db), db.transaction() as conn:
        letter = await publishing.number_of(conn, arguments.slug)
        try:
            await lifecycle.move(conn, None, letter, arguments.move)
        except Refused as refused:
            if refused.message != lifecycle.CHANGED:
                raise
            now = await lifecycle_queries.state(conn, letter)
            raise PetitionError(f"the letter {arguments.slug} is {now and now['state']}") from None
    print_lines(f"{arguments.slug}: {lifecycle.WAYS[arguments.move].after}")


async def take_down(arguments: Namespace) -> None:
    """Delete everything about a letter."""
    async with tool() as (_, db):
        async with db.transaction() as conn:
            letter = await publishing.number_of(conn, arguments.slug)
            await taking_down.take_down(conn, None, letter, arguments.really)
        rows = await taking_down.delete_rows(db, letter, patience=3600)
    print_lines(f"{arguments.slug}: taken down, {rows} rows deleted")


def burn(arguments: Namespace) -> Coroutine[None, None, None]:
    """Destroy a letter's keys; on a terminal, only if its short name is typed once more."""
    if sys.stdin.isatty() and input("Type the letter's short name to destroy its keys: ").strip() != arguments.slug:
        raise PetitionError("that is another name; nothing was destroyed")
    return _burn(arguments.slug)


async def _burn(slug: str) -> None:
    async with tool() as (_, db):
        async with db.transaction() as conn:
            letter = await publishing.number_of(conn, slug)
            await burning.burn(conn, None, letter)
        rows = await burning.delete_addresses(db, letter) + await burnt_names.erase(db, letter)
    print_lines(
        f"{slug}: the keys are destroyed and {rows} stored addresses, forms and sealed names deleted;"
        " count and public names stay. Dumps and takeouts made before still hold them."
    )
