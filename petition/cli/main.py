"""``petition``, the command. Errors are one clear line and exit 1, wrong usage is exit 2; never a traceback."""

import argparse
import asyncio
import os
import sys
from collections.abc import Sequence
from datetime import timedelta
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from petition.core import email_addresses
from petition.core.database import schema_number
from petition.core.email_addresses import BadAddress
from petition.core.errors import ImportRefused, PetitionError
from petition.core.partitions import MAX_PARTITIONS, MIN_PARTITIONS
from petition.core.version import version
from petition.count_log import witness
from petition.incoming_mail.maildir import UNKNOWN_SENDER
from petition.letters.lifecycle import StateChange
from petition.letters.switches import Switch


class _Deferred:
    """A module of commands that is imported when one of them runs: a web process has no use for their libraries."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __getattr__(self, command: str) -> partial[Any]:
        return partial(self._run, command)

    def _run(self, command: str, arguments: argparse.Namespace) -> Any:
        return getattr(import_module(self._name), command)(arguments)


if TYPE_CHECKING:
    from petition.cli import commands, letters, organizers, running
else:
    commands, letters, organizers, running = (
        _Deferred(f"petition.cli.{name}") for name in ("commands", "letters", "organizers", "running")
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """Carry out one command; return the exit code."""
    parsed = _parser().parse_args(arguments)
    umask = os.umask(0o077)  # files that we or what we start make are for our account alone
    try:
        result = parsed.run(parsed)
        code = (asyncio.run(result) if asyncio.iscoroutine(result) else result) or 0
        sys.stdout.flush()
        return int(code)
    except ImportRefused as error:
        for line in (*error.problems, str(error)):
            _say(line)
    except PetitionError as error:
        _say(str(error))
    except BrokenPipeError:  # the reader of the output has enough
        _drop_output()
    except OSError as error:  # a full disk, a folder that cannot be written to
        _say(": ".join(str(part) for part in (error.filename, error.strerror or error) if part))
        _drop_output()
    except (KeyboardInterrupt, EOFError):  # Ctrl-C, or Ctrl-D where something is asked for
        return 130
    finally:
        os.umask(umask)
    return 1


def _drop_output() -> None:
    """Send what is left of the output nowhere, or Python would try once more while it ends, and complain."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _say(line: str) -> None:
    print(f"petition: {line}", file=sys.stderr)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="petition", description="Open letters and petitions people can trust.")
    parser.add_argument("--version", action=_Version, help="print the version and the schema's number")
    commands_ = parser.add_subparsers(required=True, metavar="COMMAND")

    demo = commands_.add_parser("demo", help="try everything on this machine, with a mailbox that shows every e-mail")
    demo.add_argument("--port", type=_port, default=None, help="default: $PORT or 8000")
    demo.add_argument("--data", type=Path, default=None, metavar="DIR")
    demo.add_argument("--empty", action="store_true", help="without the invented signatories of the sample letter")
    demo.set_defaults(run=running.demo)

    serve = commands_.add_parser("serve", help="run the web server")
    serve.add_argument("--host", default="127.0.0.1")
    serve.add_argument("--port", type=_port, default=None, help="default: $PORT or 8000")
    serve.add_argument("--workers", type=_workers, default=1, metavar="N")
    serve.set_defaults(run=running.serve)

    prune = commands_.add_parser(
        "prune", help="do now what the worker does each minute: close, open, delete what is due"
    )
    prune.set_defaults(run=commands.prune)
    commands_.add_parser("worker", help="run the worker: mail, schedules, retention").set_defaults(run=running.worker)
    migrate = commands_.add_parser("migrate", help="bring the database schema up to date")
    _partitions(migrate, "divide the large tables of a new, empty database by letter")
    migrate.add_argument("--wait", action="store_true", help="until the database can be reached")
    migrate.set_defaults(run=commands.migrate)
    _keys(commands_.add_parser("keys", help="print new secrets, ready for an environment file"))
    check = commands_.add_parser("check", help="check settings, database and relays, and say what is wrong")
    check.add_argument("--mail", metavar="ADDRESS", type=_mailbox, help="send a test mail through each relay")
    check.set_defaults(run=commands.run_check)
    bounce = commands_.add_parser("bounce", help="take one returned e-mail, or a complaint, from standard input")
    bounce.add_argument(
        "--recipient", metavar="ADDRESS", default="", help="of the envelope; else the mail's own fields"
    )
    bounce.set_defaults(run=commands.bounce)
    mail_in = commands_.add_parser("mail-in", help="take one e-mail to a letter from standard input")
    mail_in.add_argument("--sender", metavar="ADDRESS", default=UNKNOWN_SENDER, help="of the envelope, may be empty")
    mail_in.add_argument("--recipient", metavar="ADDRESS", default="", help="of the envelope; else “To” decides")
    mail_in.set_defaults(run=commands.mail_in)
    legal = commands_.add_parser("legal", help="write the legal folder: record, notice, proof …")
    legal.add_argument("folder", metavar="DIR", type=Path)
    legal.add_argument("--lang", metavar="LANG", default=None, help="en or ru; default: both")
    legal.set_defaults(run=commands.legal)
    _keeper(commands_.add_parser("keeper", help="run the small process that holds the second key of digests"))
    _organizer(commands_.add_parser("organizer", help="people who can sign in to the organizers' desk"))
    _letter(commands_.add_parser("letter", help="letters as folders"))
    _signatures(commands_.add_parser("signatures", help="import and export signatories; approve organizations"))
    _switch(commands_.add_parser("switch", help="kill switches of a letter or of the installation"))
    _takeout(commands_)
    _mail(commands_.add_parser("mail", help="relays and waiting mail by hand"))
    _mirror(commands_.add_parser("mirror", help="write a static copy of a letter, or verify one"))
    watch = commands_.add_parser("witness", help="check the log of a letter, and cosign its checkpoint; for cron")
    witness.add_arguments(watch)
    watch.set_defaults(run=witness.run)
    return parser


def _mirror(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("slug", metavar="SLUG", nargs="?")
    parser.add_argument("folder", type=Path, metavar="DIR", nargs="?")
    parser.add_argument("--single", action="store_true", help="write the letter as one HTML file to pass on")
    parser.add_argument("--verify", metavar="URL|DIR|FILE", help="check the signature and every file of a copy")
    parser.add_argument("--key", metavar="KEY", help="the installation's key, as `petition mirror` prints it")
    parser.add_argument("--max-age", metavar="AGE", type=_age, help="fail if the copy is older: 90m, 36h, 2d")
    parser.set_defaults(run=partial(_run_mirror, parser))


def _run_mirror(parser: argparse.ArgumentParser, arguments: argparse.Namespace) -> object:
    """Hand over to one of the two commands. Ends with 2 where it is unclear which one is meant."""
    is_writing = arguments.slug is not None and arguments.folder is not None
    if arguments.verify is None and (not is_writing or arguments.key or arguments.max_age):
        parser.error("name the letter and a folder, or --verify a copy")
    if arguments.verify is not None and (arguments.slug is not None or arguments.single):
        parser.error("--verify takes a copy alone")
    return commands.mirror(arguments) if arguments.verify is None else commands.mirror_verify(arguments)


def _age(text: str) -> timedelta:
    from petition.cli import mirror

    try:
        return mirror.read_age(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def _takeout(commands_: Any) -> None:
    take = commands_.add_parser("takeout", help="write everything to one file, encrypted to an age key")
    take.add_argument("file", type=Path, metavar="FILE")
    take.add_argument(
        "--recipient", metavar="age1…", action="append", required=True, help="of age-keygen; can be repeated"
    )
    take.add_argument("--without-secrets", action="store_true", help="leave SECRET_KEY and the contact pair out")
    take.set_defaults(run=commands.takeout)
    backup = commands_.add_parser("backup", help="dump the database into a folder, and read the dump through")
    backup.add_argument("folder", type=Path, metavar="DIR")
    backup.add_argument("--keep", type=_at_least_one, metavar="N", help="delete our dumps beyond the newest N")
    backup.set_defaults(run=commands.backup)
    restore = commands_.add_parser("restore", help="bring a takeout or a backup into an empty database")
    restore.add_argument("file", type=Path, metavar="FILE|DIR", help="a takeout, a dump, or a folder of dumps")
    restore.add_argument("--identity", type=Path, metavar="FILE", help="the secret key of age-keygen, for a takeout")
    _partitions(restore, "divide the large tables by letter first")
    restore.set_defaults(run=commands.restore)
    burn = commands_.add_parser("burn", help="destroy a letter's keys now: count and public names stay")
    burn.add_argument("slug", metavar="SLUG")
    burn.set_defaults(run=letters.burn)


def _switch(parser: argparse.ArgumentParser) -> None:
    names = [switch.value for switch in Switch]
    parser.add_argument("owner", metavar="SLUG|installation")
    parser.add_argument(
        "name", metavar="NAME", choices=[*names, *(name.replace("_", "-") for name in names)], help=", ".join(names)
    )
    parser.add_argument("value", metavar="on|off", choices=["on", "off", "stronger"])
    parser.add_argument(
        "--text",
        metavar="LANG=TEXT",
        type=_text,
        action="append",
        default=[],
        help="what readers see of it, in a language; can be repeated",
    )
    parser.set_defaults(run=commands.switch_put)


def _text(text: str) -> tuple[str, str]:
    lang, equals, words = text.partition("=")
    if not equals:
        raise argparse.ArgumentTypeError(f"{text!r} is not LANG=TEXT")
    return lang, words


def _json(parser: argparse.ArgumentParser, run: object) -> None:
    parser.add_argument("--json", action="store_true", help="for programs")
    parser.set_defaults(run=run)


def _mail(parser: argparse.ArgumentParser) -> None:
    commands_ = parser.add_subparsers(required=True, metavar="COMMAND")
    test = commands_.add_parser("test", help="send a test mail through each relay")
    test.add_argument("address", metavar="ADDRESS", type=_mailbox)
    test.add_argument("--relay", metavar="HOST:PORT", default=None, help="through this one only")
    test.set_defaults(run=commands.mail_test)
    queue = commands_.add_parser("queue", help="what waits, and how the relays are doing")
    _json(queue, commands.mail_queue)
    commands_.add_parser("retry", help="try mail that relays put off at once").set_defaults(run=commands.mail_retry)


def _keys(parser: argparse.ArgumentParser) -> None:
    parser.set_defaults(run=commands.keys)
    commands_ = parser.add_subparsers(metavar="COMMAND")
    rotate = commands_.add_parser("rotate", help="a new SECRET_KEY; links in mails go on working")
    rotate.set_defaults(run=commands.keys_rotate)
    dkim = commands_.add_parser("dkim", help="print a new key that signs mail, and the DNS records for it")
    dkim.add_argument("--current", action="store_true", help="print the records of the key in use instead")
    dkim.set_defaults(run=commands.keys_dkim)


def _keeper(parser: argparse.ArgumentParser) -> None:
    parser.set_defaults(run=commands.keeper)
    commands_ = parser.add_subparsers(metavar="COMMAND")
    commands_.add_parser("keys", help="print a new key and token").set_defaults(run=commands.keeper_keys)
    adopt = commands_.add_parser("adopt", help="switch all stored digests to the keeper; there is no way back")
    adopt.set_defaults(run=commands.keeper_adopt)


def _organizer(parser: argparse.ArgumentParser) -> None:
    commands_ = parser.add_subparsers(required=True, metavar="COMMAND")
    add = commands_.add_parser("add", help="print a one-time sign-in link for a new or existing organizer")
    add.add_argument("email", metavar="EMAIL")
    add.add_argument("--admin", action="store_true", help="make this organizer an admin of the installation")
    add.set_defaults(run=organizers.add)
    listing = commands_.add_parser("list", help="print the organizers, with the numbers that the others take")
    _json(listing, organizers.print_all)
    for name, run, help_text in (
        ("reset", organizers.reset, "remove a lost second factor, end all sessions, print a link"),
        ("remove", organizers.remove, "delete an organizer, with all rights and sessions"),
        ("promote", organizers.promote, "make an organizer an admin, or the owner of a letter"),
    ):
        command = commands_.add_parser(name, help=help_text)
        command.add_argument("organizer", metavar="EMAIL|NUMBER")
        command.set_defaults(run=run)
    command.add_argument("--letter", metavar="SLUG", help="of this letter, not of the installation")


def _letter(parser: argparse.ArgumentParser) -> None:
    commands_ = parser.add_subparsers(required=True, metavar="COMMAND")
    listing = commands_.add_parser("list", help="print the letters: state, count, owners")
    _json(listing, letters.print_all)
    take = commands_.add_parser("import", help="import a letter from a folder")
    take.add_argument("folder", type=Path, metavar="DIR")
    take.add_argument("--publish", action="store_true", help="publish it at once")
    take.set_defaults(run=letters.take_in)
    give = commands_.add_parser("export", help="export a letter to a folder")
    give.add_argument("slug", metavar="SLUG")
    give.add_argument("folder", type=Path, metavar="DIR")
    give.set_defaults(run=letters.export)
    for move, help_text in (
        (StateChange.CLOSE, "take no more signatures"),
        (StateChange.REOPEN, "take signatures again; possible until 30 days after closing"),
        (StateChange.ARCHIVE, "make a closed letter read-only"),
        (StateChange.UNARCHIVE, "take it out of the archive"),
    ):
        command = commands_.add_parser(move.value, help=help_text)
        command.add_argument("slug", metavar="SLUG")
        command.set_defaults(run=letters.move, move=move)
    down = commands_.add_parser("take-down", help="delete everything about a letter; its addresses answer 410")
    down.add_argument("slug", metavar="SLUG")
    down.add_argument(
        "--really", metavar="SLUG", required=True, help="the short name again, because this cannot be undone"
    )
    down.set_defaults(run=letters.take_down)


def _signatures(parser: argparse.ArgumentParser) -> None:
    commands_ = parser.add_subparsers(required=True, metavar="COMMAND")
    take = commands_.add_parser("import", help="import signatories from a CSV, XLSX, XLS or ODS file")
    take.add_argument("slug", metavar="SLUG")
    take.add_argument("file", type=Path, metavar="FILE")
    take.add_argument("--dry-run", action="store_true", help="only report what would happen")
    take.add_argument("--dates", choices=("day", "month"), help="which comes first in dates like 03/05/2022")
    take.add_argument("--hidden", choices=("read", "leave-out"), help="what to do with rows that a workbook hides")
    take.add_argument("--add-same-names", action="store_true", help="also add new rows whose name was imported before")
    take.set_defaults(run=commands.signatures_import)
    give = commands_.add_parser("export", help="write signatories to standard output")
    give.add_argument("slug", metavar="SLUG")
    give.add_argument("--format", choices=["csv", "json", "xlsx"], default="csv")
    give.set_defaults(run=commands.signatures_export)
    held = commands_.add_parser("held", help="list organizations waiting for approval")
    held.add_argument("slug", metavar="SLUG")
    held.set_defaults(run=commands.signatures_held)
    approve = commands_.add_parser("approve", help="approve waiting organizations")
    approve.add_argument("ids", nargs="+", type=int, metavar="ID")
    approve.set_defaults(run=commands.signatures_approve)


class _Version(argparse.Action):
    """Prints the version and ends; the schema's number is looked up only then."""

    def __init__(self, option_strings: Sequence[str], dest: str, **options: Any) -> None:
        super().__init__(option_strings, dest, nargs=0, **options)

    def __call__(self, parser: argparse.ArgumentParser, *_arguments: object) -> NoReturn:
        print(f"petition {version()}, schema {schema_number()}")
        parser.exit()


def _mailbox(text: str) -> str:
    try:
        return email_addresses.parse(text).address
    except BadAddress:
        raise argparse.ArgumentTypeError(f"{text!r} is no e-mail address") from None


def _port(text: str) -> int:
    return _number(text, 0, 65535)


def _partitions(parser: argparse.ArgumentParser, help_text: str) -> None:
    parser.add_argument("--partitions", type=_number_of_partitions, default=None, metavar="N", help=help_text)


def _number_of_partitions(text: str) -> int:
    return _number(text, MIN_PARTITIONS, MAX_PARTITIONS)


def _at_least_one(text: str) -> int:
    return _number(text, 1, sys.maxsize)


def _workers(text: str) -> int:
    return _number(text, 1, 64)


def _number(text: str, minimum: int, maximum: int) -> int:
    try:
        number = int(text)
    except ValueError:
        number = minimum - 1
    if not minimum <= number <= maximum:
        limits = f"from {minimum} to {maximum}" if maximum < sys.maxsize else f"of at least {minimum}"
        raise argparse.ArgumentTypeError(f"{text!r} is no number {limits}")
    return number
