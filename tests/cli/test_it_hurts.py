"""The handbook's recipes: each trouble is planted in an installation, and the page's own commands are run."""

import asyncio
import contextlib
import re
import shlex
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pyrage
import pytest

from petition.core import database
from petition.core.database import schema_number
from petition.core.resources import PACKAGE
from tests.commands import called
from tests.mail.post_office import PostOffice
from tests.organizers import people
from tests.rows import rows_of
from tests.running import PRIVATE_KEY, SLUG, Installation, working

PAGE = (PACKAGE.parent / "docs/operators.md").read_text(encoding="utf-8")
YOU = "you@letters.example"
Said = Mapping[str, str]  # by command, its first two words


def recipes() -> dict[str, list[str]]:
    """Return the commands of each recipe, by its heading."""
    part = PAGE.partition("## It hurts: what now\n")[2].partition("\n## ")[0]
    sections = re.split(r"^### (.+)$", part, flags=re.MULTILINE)
    named = zip(["first", *sections[1::2]], [sections[0], *sections[2::2]], strict=True)
    blocks = {name: re.findall(r"^```\n(.*?)^```", text, re.MULTILINE | re.DOTALL) for name, text in named}
    return {name: "".join(texts).splitlines() for name, texts in blocks.items()}


@dataclass
class Patient:
    """The installation that hurts."""

    site: Installation
    folder: Path
    office: PostOffice
    environ: dict[str, str]
    identity: pyrage.x25519.Identity = field(default_factory=pyrage.x25519.Identity.generate)
    is_empty: bool = False

    async def run(self, line: str) -> tuple[int, str]:
        """Run a line of the page with what it leaves open filled in."""
        words = {"SLUG": SLUG, "RECIPIENT": str(self.identity.to_public())}
        arguments = [
            words.get(word, word.replace("DIR/", f"{self.folder}/"))
            for word in shlex.split(line.removeprefix("letters "))
        ]
        done = await asyncio.to_thread(called, *arguments, **self.environ)
        return done.returncode, done.stdout + done.stderr

    async def sql(self, statement: str) -> None:
        async with self.site.database.connection() as conn:
            await conn.execute(statement)


Act = Callable[[Patient], Awaitable[None]]
See = Callable[[Patient, Said], Awaitable[None]]
RECIPES: dict[str, tuple[Act, See]] = {}


def recipe(name: str, plant: Act) -> Callable[[See], See]:
    def add(see: See) -> See:
        RECIPES[name] = plant, see
        return see

    return add


async def nothing(_patient: Patient) -> None:
    return None


async def unmigrated(patient: Patient) -> None:
    await patient.sql("DROP TABLE IF EXISTS backups_of_test")
    await patient.sql("ALTER TABLE installation DROP COLUMN backed_up_at")
    await patient.sql(f"DELETE FROM migration WHERE number >= {BACKUPS}")
    await patient.sql("DROP FUNCTION first_bits(integer[]) CASCADE")  # and the indexes of later migrations with it


BACKUPS = next(number for number, name, _ in database.migrations() if "note_backups" in name)


async def put_off(patient: Patient) -> None:
    """Have a mail put off by a relay that was suspended, which is then well again."""
    patient.office.at["DATA"] = "554 5.7.1 sending suspended"
    assert (await patient.site.sign(email="vera@letters.example")).status_code == 303
    async with _worker(patient):
        while not await rows_of(patient.site.database, "SELECT FROM outbox WHERE attempts > 0"):
            await asyncio.sleep(0.05)


@contextlib.asynccontextmanager
async def _worker(patient: Patient) -> AsyncIterator[None]:
    async with working(patient.environ, patient.site.inbox, SMTP_URLS=patient.office.url):
        yield


async def locked_out(patient: Patient) -> None:
    organizer = await people.add(patient.site, YOU, name="Vera Novak")
    await people.give_totp(patient.site, organizer.id)


async def due(patient: Patient) -> None:
    await patient.sql("UPDATE letter SET closes_at = now() - interval '1 minute'")


@recipe("first", lambda patient: patient.sql("UPDATE count SET people = people + 1"))
async def see_first(_patient: Patient, said: Said) -> None:
    assert "its rows are" in said["check"]


@recipe("No one can sign", unmigrated)
async def see_signing(patient: Patient, said: Said) -> None:
    assert "run `petition migrate`" in said["check"]
    assert "note_backups" in said["migrate"]
    assert (await patient.site.client.get("/readyz")).status_code == 200
    assert (await patient.site.sign()).status_code == 303


@recipe("Mail does not go out", put_off)
async def see_mail(patient: Patient, said: Said) -> None:
    assert "1 mails wait" in said["mail queue"]
    assert "its filter or policy refuses the mail (DATA 554 5.7.1)" in said["mail queue"]
    assert "the test mail was not accepted" in said["mail test"]
    assert "1 mails that were put off are due now" in said["mail retry"]
    patient.office.at.clear()
    async with _worker(patient):
        while "vera@letters.example" not in patient.office.recipients:
            await asyncio.sleep(0.05)


@recipe("A flood, or pages are slow", nothing)
async def see_flood(patient: Patient, _said: Said) -> None:
    assert await _switch(patient) == ("captcha", "stronger")


@recipe("Forged signatures", nothing)
async def see_forged(patient: Patient, _said: Said) -> None:
    assert await _switch(patient) == ("hold", "on")


@recipe("A name must disappear now", nothing)
async def see_name(patient: Patient, _said: Said) -> None:
    assert await _switch(patient) == ("hide_list", "on")


async def _switch(patient: Patient) -> tuple[str, str]:
    (row,) = await rows_of(patient.site.database, "SELECT name::text, value::text FROM switch")
    return str(row["name"]), str(row["value"])


@recipe("The desk is needed, and its organizer is locked out", locked_out)
async def see_organizer(patient: Patient, said: Said) -> None:
    assert "Vera Novak" in said["organizer list"]
    link = re.search(r"/organizer/enter/\S+", said["organizer reset"])
    assert link is not None
    assert (await patient.site.client.get(link[0])).status_code == 200
    assert await rows_of(patient.site.database, "SELECT admin FROM organizer") == [{"admin": True}]


@recipe("The disk is full", due)
async def see_disk(_patient: Patient, said: Said) -> None:
    assert "close_letters: 1" in said["prune"]


@recipe("The domain is seized", nothing)
async def see_domain(patient: Patient, _said: Said) -> None:
    assert (patient.folder / "mirror/index.html").exists() or list((patient.folder / "mirror").rglob("*.html"))
    assert list((patient.folder / "file").glob("*.html"))
    content = (patient.folder / "everything.age").read_bytes()
    assert pyrage.decrypt(content, [patient.identity])


@recipe("A wrong secret, or a stolen one", nothing)
async def see_secret(patient: Patient, said: Said) -> None:
    assert (
        f"OLD_SECRET_KEYS={patient.environ['SECRET_KEY']}" in said["keys rotate"]
        or "new SECRET_KEY" in said["keys rotate"]
    )


@recipe("An upgrade failed", unmigrated)
async def see_upgrade(_patient: Patient, said: Said) -> None:
    assert f"schema {schema_number()}" in said["--version"]
    assert "note_backups" in said["migrate"]
    assert "its schema is at" not in said["check"]


@recipe("Everything must stop for a move", nothing)
async def see_move(patient: Patient, _said: Said) -> None:
    assert list((patient.folder / "backups").glob("*.dump"))
    assert await _switch(patient) == ("read_only", "on")
    while (answer := await patient.site.sign()).status_code != 503:
        await asyncio.sleep(0.05)
    assert "We are moving" in answer.text


async def empty(patient: Patient) -> None:
    """Back up, and lose the database."""
    assert (await patient.run(f"letters backup {patient.folder}/backups"))[0] == 0
    await patient.sql("DROP SCHEMA public CASCADE; CREATE SCHEMA public")


@recipe("The database is gone", empty)
async def see_restored(patient: Patient, said: Said) -> None:
    assert "its schema is at" not in said["check"]
    assert await rows_of(patient.site.database, "SELECT slug FROM letter") == [{"slug": SLUG}]


@recipe("A letter must go", nothing)
async def see_gone(patient: Patient, _said: Said) -> None:
    while (await patient.site.client.get(f"/en/{SLUG}")).status_code != 410:
        await asyncio.sleep(0.05)


def test_the_handbook_begins_with_what_hurts_and_every_recipe_is_run() -> None:
    assert re.findall(r"^## (.+)$", PAGE, re.MULTILINE)[0] == "It hurts: what now"
    with_commands = {name for name, lines in recipes().items() if lines}
    assert with_commands == RECIPES.keys()
    assert all(line.startswith("letters ") for lines in recipes().values() for line in lines)


@pytest.mark.parametrize("name", RECIPES)
async def test_the_recipe_works(name: str, site: Installation, tmp_path: Path) -> None:
    office = PostOffice()
    await office.open()
    folder = tmp_path / "out"
    folder.mkdir()
    mail = {"SMTP_URLS": office.url, "MAIL_FROM": "Letters <post@letters.example>", "CONTACT_PRIVATE_KEY": PRIVATE_KEY}
    patient = Patient(site, folder, office, site.environ | mail)
    plant, see = RECIPES[name]
    await plant(patient)
    said = dict[str, str]()
    for line in recipes()[name]:
        code, text = await patient.run(line)
        is_check = line.startswith(("letters check", "letters mail test"))  # they say what is wrong by 1
        assert code == 0 or is_check, f"{line}: {text}"
        assert "Traceback" not in text
        words = line.split()[1:3] if line.split()[1] in {"mail", "organizer", "keys", "letter"} else line.split()[1:2]
        said[" ".join(words)] = text
    await see(patient, said)
    await office.close()
