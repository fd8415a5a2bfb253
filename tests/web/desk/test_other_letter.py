"""Ids of another letter in every route: a letter with an object of each kind, and the owner of another one."""

import re
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import httpx2
import pytest

from petition.count_log.cosignatures import Cosigner
from petition.drafts import publishing
from petition.moderation import messages, notes
from petition.web.desk.routes import DESK
from petition.web.desk.visit import Access
from tests import rows
from tests.addressees.records import record
from tests.exports.test_address_lists import ADDRESSES, REGISTER, make, wait_three_days
from tests.imports.desk import Carrier
from tests.letters.folders import other_letter
from tests.moderation.desk import WRAPPER, Bench
from tests.organizers import people
from tests.rows import picture, rows_of
from tests.running import SLUG, Installation

OTHER = "another-letter"
SECRETS = (
    "Vera Novak",
    "Тайный Пётр",
    "North Pier",
    "Anna Berg",
    "Quiet Note",
    "Partner Inc",
    "Kept Mapping",
)
NAMED = "Full name;E-mail\nVera Imported;vera.imported@letters.example\n;x\n"

# By path, the forms that name an id; ``<name>`` is that of the letter's object.
FORMS: Mapping[str, list[dict[str, str]]] = {
    "/organizer/{slug}/": [{"one": "remove:s<vera>:0:fake"}, {"log": "<log>"}],
    "/organizer/{slug}/witnesses": [{"act": act, "witness": "<witness>"} for act in ("retire", "restore")],
    "/organizer/{slug}/partners": [
        {"act": "retire", "partner": "<partner>"},
        {"act": "restore", "partner": "<partner>"},
        {"act": "change", "partner": "<partner>", "title": "X", "title_before": "Partner Inc"},
    ],
    "/organizer/{slug}/employers": [
        {"act": "stop", "employer": "<employer>"},
        {"act": "offer", "employer": "<employer>"},
    ],
    "/organizer/{slug}/members": [
        {"organizer": "<editor>", "before": "editor", "role": "owner"},
        {"organizer": "<editor>", "before": "editor", "act": "remove"},
    ],
    "/organizer/{slug}/members/cancel": [{"invitation": "<invitation>"}],
    "/organizer/{slug}/members/restore": [{"organizer": "<editor>"}, {"organizer": "<removed>"}],
    "/organizer/{slug}/members/reset": [{"organizer": "<editor>"}],
    "/organizer/{slug}/members/reset/stop": [{"organizer": "<removed>"}, {"organizer": "<editor>"}],
    "/organizer/{slug}/updates/{update}": [
        {"act": act, "revision": "1", "seen": "1", "title_en": "X", "text_en": "Y", "publish_at": "2099-01-01T00:00"}
        for act in ("save", "publish", "schedule", "unschedule", "remove", "back", "preview")
    ],
    "/organizer/{slug}/updates/{update}/mail": [
        {"act": act, "mail_at": "2099-01-01T00:00"}
        for act in ("mail", "schedule", "test", "undo", "pause", "resume", "cancel", "resend")
    ],
    "/organizer/{slug}/queue": [
        {"act": "remove", "reason": "fake", "s<vera>": "0"},
        {"act": "approve", "s<held>": "0"},
        {"one": "remove:s<vera>:0:fake"},
        {"one": "ask:s<vera>:0"},
    ],
    "/organizer/{slug}/undo": [{"log": "<log>"}, {"log": "<log>", "from": "signatures/<vera>"}],
    "/organizer/{slug}/signatures/{signature}": [
        {"act": "approve", "seen": "0"},
        {"act": "remove", "reason": "fake", "seen": "0"},
        {"act": "names", "name_en": "X", "name_ru": "", "website": ""},
        {"act": "merge", "into": "<organization>"},
        {"act": "adopt", "into": "<organization>"},
        {"act": "talk", "talk": "x"},
        {"act": "untalk"},
        {"act": "note", "text": "x"},
        {"act": "drop_note", "note": "<note>"},
        {"act": "message", "message": "x"},
        {"act": "drop_message", "message": "<message>"},
        {"act": "read_messages"},
        {"act": "second", "second": "x@northpier.example"},
    ],
    "/organizer/{slug}/delivery/{addressee}": [
        {"act": "contact", "way": "hand", "revision": "1"},
        *({"act": act, "revision": "1"} for act in ("mail", "remind", "link", "revoke")),
        *({"act": act, "event": "<response>", "revision": "1"} for act in ("undo", "redo")),
    ],
    "/organizer/{slug}/delivery/{addressee}/event": [
        {"act": "deliver", "way": "hand", "on": "2026-01-01", "revision": "1"},
        {"act": "respond", "state": "refused", "on": "2026-01-01", "summary_en": "x", "revision": "1"},
    ],
    "/organizer/{slug}/campaigns/{campaign}": [
        {"step": step, "reason": "fake"} for step in ("start", "pause", "resume", "cancel", "revert")
    ],
    "/organizer/{slug}/import/mappings": [{"mapping": "<mapping>"}],
    "/organizer/{slug}/import/{number}": [
        {"step": step, "changed": "<changed>"} for step in ("again", "check", "back", "start", "cancel", "undo", "redo")
    ],
    "/organizer/{slug}/addresses": [{"step": "revoke", "key": "<key>"}, {"step": "ask", "key": "<key>"}],
    "/organizer/{slug}/audits": [{"act": "abandon", "audit": "<audit>"}],
    "/organizer/{slug}/audits/{audit}": [{"act": "abandon"}, {"act": "key"}, {"act": "draw"}],
    "/organizer/{slug}/tally": [
        {"step": "undo", "tally": "<tally>"},
        {"step": "redo", "tally": "<tally>"},
        {"step": "correct", "tally": "<tally>", "people": "3", "counted_on": "2026-01-01", "source_en": "x"},
    ],
}
# Queries that name an id.
QUERIES: Mapping[str, list[str]] = {
    "/organizer/{slug}/": ["done=<log>", "done=<log>&missed=1&other=<vera>"],
    "/organizer/{slug}/queue": [
        "done=<log>&wait=all",
        "wait=all&missed=1&other=<vera>",
        "group=<group>",
        "partner=partner",
    ],
    "/organizer/{slug}/signatures/{signature}": ["with=<held>", "like=north"],
    "/organizer/{slug}/log": ["done=<log>", "person=<editor>", "bulk=<campaign>", "before=99999999"],
    "/organizer/{slug}/members": ["done=removed&who=<editor>"],
    "/organizer/{slug}/partners": ["done=retire&partner=<partner>"],
    "/organizer/{slug}/witnesses": ["done=retire&witness=<witness>"],
    "/organizer/{slug}/export": ["partner=partner", "group=<group>"],
}
# Without the number of another letter in the path there is nothing to refuse.
NUMBERS = {"audit", "signature", "campaign", "number", "update", "picture", "job", "addressee", "file"}


@dataclass
class Letters:
    """The ids of one letter's objects, and the clients of its owner and of another letter's."""

    bench: Bench
    ids: dict[str, str]
    owner: httpx2.AsyncClient
    other: httpx2.AsyncClient
    auditor: httpx2.AsyncClient  # of the other letter

    def filled(self, text: str) -> str:
        return re.sub(r"<(\w+)>", lambda match: self.ids[match[1]], text)

    def path(self, path: str, slug: str) -> str:
        known = self.ids | {"slug": slug, "what": "people"}
        return re.sub(r"{(\w+)}", lambda match: known[match[1]], path)


async def id_in(site: Installation, statement: str) -> str:
    (row,) = await rows_of(site.database, f"{statement} LIMIT 1")
    return str(next(iter(row.values())))


async def hear(site: Installation) -> None:
    """Have an addressee answer with a document."""
    await record(site.database, "Halden Cloud", "answered", datetime.now(UTC))
    async with site.database.connection() as conn:
        await conn.execute(
            "INSERT INTO addressee_file (letter, type, content) SELECT id, 'application/pdf', '%PDF-' FROM letter"
            " WHERE slug = $1",
            SLUG,
        )


async def furnish(site: Installation, bench: Bench, owner: httpx2.AsyncClient) -> dict[str, str]:
    """Give the letter an object of each kind; return their ids."""
    desk, letter = f"/organizer/{SLUG}", bench.letter.id
    (vera, removed, _) = await bench.sign("Vera Novak", "Erna Neu", "Тайный Пётр", updates="1")
    listed, held = await bench.sign_for("North Pier One"), await bench.sign_for("North Pier Two")
    await owner.post(f"{desk}/signatures/{listed}", data={"act": "approve", "seen": "0"})
    outcome = await bench.remove(removed)
    async with site.database.transaction() as conn:
        await notes.add(conn, bench.actor, bench.letter.keys, held, "Quiet Note")
        await messages.send(conn, bench.actor, bench.letter.keys, held, "Are you there?")
    editor, former = await people.add(site, "e@letters.example"), await people.add(site, "f@letters.example")
    for organizer in (editor, former):
        await people.give_totp(site, organizer.id)
        await people.give_role(site, organizer.id, "editor")
    form = {"organizer": str(former.id), "before": "editor", "act": "remove"}
    posts: list[tuple[str, dict[str, str]]] = [
        ("members", form),
        ("members/invite", {"name": "Asked", "email": "asked@letters.example", "role": "viewer"}),
        ("members/reset", {"organizer": str(editor.id)}),
        ("partners", {"act": "add", "name": "partner", "title": "Partner Inc"}),
        ("witnesses", {"act": "add", "title": "Partner Inc", "key": str(Cosigner("w.example", b"1" * 32).key)}),
        ("employers", {"act": "add", "name_en": "Partner Inc", "domains": "partner.example"}),
        ("updates", {"act": "save", "title_en": "Draft of Partner Inc", "text_en": "North Pier"}),
        ("campaigns", {"act": "remove", "back": "kind=person"}),
        (
            "tally",
            {"step": "add", "people": "7", "counted_on": "2026-01-01", "source_en": "North Pier", "source_ru": ""},
        ),
        ("addresses", REGISTER),
        ("delivery/package", {}),
    ]
    for path, data in posts:
        answer = await owner.post(f"{desk}/{path}", data=data)
        assert answer.status_code == 303, (path, answer.status_code)
    await hear(site)
    key = await wait_three_days(site)
    assert (await owner.post(ADDRESSES, data={"step": "ask", "key": str(key)})).status_code == 303
    assert await make(site)
    carrier = Carrier(site, owner)
    await carrier.upload(NAMED.encode(), "North Pier.csv")
    await carrier.work()
    await carrier.check({"mapping": "Kept Mapping"})
    job = await carrier.newest()
    assert job.problems
    async with site.database.connection() as conn:
        await conn.execute(
            "INSERT INTO audit (letter, number, auditor, sample, source, round, draw_at)"
            " VALUES ($1, 1, 'North Pier', 20, 'drand', 7, now() + interval '2 days')",
            letter,
        )
        await conn.execute("UPDATE signature SET group_number = 77 WHERE id = $1", vera)
        await conn.execute("INSERT INTO picture (letter, id, type, content) VALUES ($1, 5, 'image/png', 'x')", letter)
    return {
        "vera": str(vera),
        "held": str(held),
        "signature": str(held),
        "log": str(outcome.log_id),
        "editor": str(editor.id),
        "removed": str(former.id),
        "picture": "5",
        "group": "77",
        "number": str(job.number),
        "changed": str(job.changed),
        "key": str(key),
        "campaign": await id_in(site, "SELECT id FROM campaign"),
        "job": await id_in(site, "SELECT id FROM address_job"),
        "audit": await id_in(site, "SELECT number FROM audit"),
        "update": await id_in(site, "SELECT id FROM news"),
        "addressee": await id_in(site, "SELECT addressee FROM addressee_event"),
        "response": await id_in(site, "SELECT id FROM addressee_event"),
        "file": await id_in(site, "SELECT id FROM addressee_file"),
        "partner": await id_in(site, "SELECT id FROM partner"),
        "witness": await id_in(site, "SELECT id FROM witness"),
        "employer": await id_in(site, "SELECT id FROM employer"),
        "invitation": await id_in(site, "SELECT id FROM invitation"),
        "organization": await id_in(site, "SELECT id FROM organization"),
        "note": await id_in(site, "SELECT id FROM note"),
        "message": await id_in(site, "SELECT id FROM message"),
        "mapping": await id_in(site, "SELECT id FROM import_mapping"),
        "tally": await id_in(site, "SELECT id FROM tally"),
    }


@pytest.fixture
async def letters(site: Installation, tmp_path: Path) -> AsyncIterator[Letters]:
    folder = other_letter(tmp_path, OTHER)
    await publishing.import_folder(site.database, WRAPPER, folder, ("en", "ru"), publish=True)
    async with site.database.connection() as conn:
        bench = Bench(site.database, await rows.letter(conn))
    async with (
        people.at_desk(site, "owner", email="owner@letters.example") as owner,
        people.at_desk(site, "owner", slug=OTHER, email="other@letters.example", name="Olga Other") as other,
        people.at_desk(site, "auditor", slug=OTHER, email="a@letters.example", name="Aud") as auditor,
    ):
        yield Letters(bench, await furnish(site, bench, owner), owner, other, auditor)


async def test_ids_of_another_letter_are_not_there(site: Installation, letters: Letters) -> None:
    """Each is there for its own letter's owner; for another letter's there is nothing to read or to change."""
    here = letters.bench.letter.id
    wrong: list[tuple[str, object, int, list[str]]] = []
    before = await picture(site.database, here)
    for route in [route for route in DESK if "{slug}" in route.path]:
        numbered = bool(numbers_in(route.path))
        if route.method == "GET":
            for query in ["", *QUERIES.get(route.path, [])]:
                query = f"?{letters.filled(query)}" if query else ""
                answer = await letters.other.get(letters.path(route.path, OTHER) + query)
                seen = [word for word in SECRETS if word in answer.text]
                if seen or (numbered and answer.status_code != 404) or answer.status_code >= 500:
                    wrong.append((route.path, query, answer.status_code, seen))
            own = await letters.owner.get(letters.path(route.path, SLUG))
            assert own.status_code == 200, (route.path, own.status_code)
            continue
        for form in FORMS.get(route.path, [{}] if numbered else []):
            data = {letters.filled(name): letters.filled(value) for name, value in form.items()}
            client = letters.auditor if route.access is Access.AUDITOR else letters.other
            answer = await client.post(letters.path(route.path, OTHER), data=data)
            seen = [word for word in SECRETS if word in answer.text]
            if seen or answer.status_code >= 500 or (numbered and answer.status_code not in {404, 422}):
                wrong.append((route.path, data, answer.status_code, seen))
    assert wrong == []
    after = await picture(site.database, here)
    assert [table for table in before if before[table] != after[table]] == []


def numbers_in(path: str) -> set[str]:
    return set(re.findall(r"{(\w+)}", path)) & NUMBERS


def test_every_route_with_a_number_is_tried() -> None:
    posts = {route.path for route in DESK if route.method == "POST" and numbers_in(route.path)}
    downloads = {"/organizer/{slug}/addresses/{job}", "/organizer/{slug}/audits/{audit}/addresses"}
    assert posts <= FORMS.keys() | downloads
