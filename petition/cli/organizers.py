"""``petition organizer``: what admins do at the desk, for when it cannot be reached."""

from argparse import Namespace

from petition.cli.tool import print_json, print_lines, tool
from petition.core.database import Record
from petition.organizers import accounts, member_queries


async def add(arguments: Namespace) -> None:
    """Print a one-time link for an organizer, new or known."""
    async with tool() as (settings, db):
        print_lines(await accounts.add(db, settings, arguments.email, admin=arguments.admin))


async def print_all(arguments: Namespace) -> None:
    """Print a line for each organizer; addresses are sealed, so they are known by number and name."""
    async with tool() as (_, db), db.connection() as conn:
        rows = await member_queries.organizers(conn)
    if arguments.json:
        return print_json([dict(row) for row in rows])
    print_lines(*(_line(row) for row in rows) if rows else ["there are no organizers: petition organizer add EMAIL"])


async def reset(arguments: Namespace) -> None:
    """Remove an organizer's second factor and sessions, and print a one-time link."""
    async with tool() as (settings, db):
        print_lines(await accounts.reset(db, settings, arguments.organizer))


async def remove(arguments: Namespace) -> None:
    """Delete an organizer with all rights."""
    async with tool() as (settings, db):
        print_lines(await accounts.remove(db, settings, arguments.organizer))


async def promote(arguments: Namespace) -> None:
    """Make an organizer an admin, or the owner of a letter."""
    async with tool() as (settings, db):
        print_lines(await accounts.promote(db, settings, arguments.organizer, arguments.letter))


def _line(row: Record) -> str:
    seen = f"last seen {row['seen_at']:%Y-%m-%d}" if row["seen_at"] else "never signed in"
    facts = [f"letters: {row['letters']}", seen, *(["no second factor"] if not row["has_factor"] else [])]
    return f"{row['id']}  {row['name'] or '–'}{'  admin' if row['admin'] else ''}  {', '.join(facts)}"
