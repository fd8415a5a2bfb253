"""No answer of an import depends on who has signed: pages, downloads, log, mails are the same for every mailbox."""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from petition.core import email_addresses
from petition.core.encryption import Wrapper
from petition.imports import undoing, worker
from petition.moderation.model import Action
from petition.worker.main import chores_of
from tests import rows
from tests.imports.desk import IMPORT, Carrier
from tests.imports.test_steering import carrying
from tests.moderation.desk import Bench
from tests.running import KEY, SLUG, Installation

WHO = ("unknown", "pending", "public", "organizers", "counted", "removed", "suppressed", "barred")
LOG = "SELECT act, ids, before, after, reason FROM log WHERE letter = $1 ORDER BY id"
# More rows than the least number, so that the real import runs; one has a problem.
OTHERS = (
    "".join(f"person,Crowd {n},crowd{n}@example.org,public\n" for n in range(60)) + "person,,nobody@x.example,public\n"
)


@pytest.fixture
async def bench(site: Installation) -> Bench:
    async with site.database.connection() as conn:
        return Bench(site.database, await rows.letter(conn))


async def bring_into_state(bench: Bench, who: str, address: str) -> None:
    """Have the mailbox do what ``who`` says."""
    digest = bench.letter.keys.digest(email_addresses.canonical(address, bench.letter.rules_version))
    if who == "pending":
        async with bench.database.transaction() as conn:
            await rows.add_pending(conn, bench.letter, [address])
    elif who in {"public", "organizers", "counted", "removed"}:
        fields = {"visibility": who} if who in {"organizers", "counted"} else {}
        (signature_id,) = await bench.confirm([address], name="Vera Known", **fields)
        if who == "removed":
            await bench.decide(Action.REMOVE, signature_id)
    elif who == "barred":
        await bench.rows("INSERT INTO bar (letter, digest) VALUES ($1, $2)", digest)
    elif who == "suppressed":
        async with bench.database.connection() as conn:
            await conn.execute("INSERT INTO suppressed (digest) VALUES ($1)", digest)


def normalized(text: str) -> str:
    """Return a page without times, and without the revision of its scripts."""
    text = re.sub(r"<time.*?</time>", "<time>", text, flags=re.DOTALL)
    return re.sub(r"\d{4}-\d\d-\d\d[T ][\d:.+Z]+|\d{1,2}:\d\d", "TIME", text)


async def seen(one: Carrier, bench: Bench) -> dict[str, Any]:
    """Return what the newest import shows anywhere."""
    job = await one.newest()
    page, log = await one.see(), await one.client.get(f"/organizer/{SLUG}/log.csv")
    problems = await one.client.get(f"{IMPORT}/{job.number}/problems.csv")
    mails = await rows.rows_of(
        one.site.database, "SELECT purpose, details FROM outbox WHERE purpose = 'import_started'"
    )
    acts = [row for row in await bench.rows(LOG) if row["act"].startswith("import.")]
    return {
        "page": normalized(page.text),
        "all": normalized((await one.client.get(IMPORT)).text),
        "problems": problems.text,
        "log": [line.partition(",")[2] for line in normalized(log.text).splitlines() if "import" in line],
        "acts": [tuple(row.values()) for row in acts],
        "mails": [tuple(row.values()) for row in mails],
        "job": (job.state, dict(job.report), dict(job.notes), job.problems, job.failure),
    }


async def answers(site: Installation, bench: Bench, who: str) -> Sequence[dict[str, Any]]:
    """Bring a list with the mailbox through all steps; return what each of them shows."""
    await bring_into_state(bench, who, "colleague@example.org")
    text = f"kind,name,email,visibility\nperson,Some Colleague,Colleague@example.org,organizers\n{OTHERS}"
    shown = []
    async with carrying(site, min_mailboxes=50) as one:
        await one.upload(text.encode())
        await one.work()
        await one.check({"visibility": "organizers"})
        shown.append(await seen(one, bench))
        assert (await one.do("start", {"skip": "1"})).status_code == 303
        shown.append(await seen(one, bench))
        await one.upload(text.encode())  # a trial of the same list once more
        await one.work()
        await one.check({"visibility": "organizers"})
        shown.append(await seen(one, bench))
        await one.do("cancel")
        first = {"step": "undo", "changed": str((await rows.rows_of(site.database, CHANGED))[0]["changed"])}
        await one.client.post(f"{IMPORT}/1", data=first)
        await one.work()
        undone = normalized((await one.client.get(f"{IMPORT}/1")).text)
        shown.append({"undone": undone, **await seen(one, bench)})
        await bench.check()
    return shown


CHANGED = "SELECT changed FROM intake WHERE number = 1"
_SEEN: dict[str, Sequence[dict[str, Any]]] = {}


@pytest.mark.parametrize("who", WHO)
async def test_an_import_says_the_same_of_every_mailbox(site: Installation, bench: Bench, who: str) -> None:
    shown = await answers(site, bench, who)
    assert shown[0]["job"][1]["people"] == 61
    assert shown[1]["job"][0] == "done"
    reference = _SEEN.setdefault("reference", shown)
    for step, (one, other) in enumerate(zip(shown, reference, strict=True)):
        for what in one:
            assert one[what] == other[what], (step, what)


async def test_the_list_is_still_counted_once(site: Installation, bench: Bench) -> None:
    await answers(site, bench, "counted")
    people = await bench.rows("SELECT count(*) AS n FROM signature WHERE letter = $1 AND import IS NULL")
    assert people[0]["n"] == 1
    assert (await bench.check())["people"] == 1, "the import is undone, the one who signed is counted"


async def test_an_editor_cannot_import_mailboxes(site: Installation, bench: Bench) -> None:
    async with carrying(site, "editor", min_mailboxes=50) as one:
        text = "kind,name,email\n" + "".join(f"person,Crowd {n},crowd{n}@example.org\n" for n in range(60))
        await one.upload(text.encode())
        await one.work()
        await one.check()
        assert 'value="start"' not in (await one.see()).text
        assert (await one.do("start")).status_code == 422
        assert (await one.newest()).state == "checked"
        assert (await one.counted())["people"] == 0
        await one.bring(b"kind,name\nperson,Without Address\n")
        assert (await one.counted())["people"] == 1, "lists without addresses need no owner"


async def test_a_short_list_of_mailboxes_is_refused(site: Installation) -> None:
    async with carrying(site, min_mailboxes=50) as one:
        text = "kind,name,email\n" + "".join(f"person,Crowd {n},crowd{n}@example.org\n" for n in range(60))
        await one.bring(text.encode())
        await one.upload((text + "person,Some Colleague,colleague@example.org\n").encode())
        await one.work()
        await one.check()
        assert (await one.newest()).report["mailboxes"] == 1, "those of the first list are not new"
        refused = await one.do("start")
        assert refused.status_code == 422
        assert "at least 50" in refused.text
        assert (await one.newest()).state == "checked"


async def test_the_worker_refuses_what_became_new_after_the_trial(site: Installation) -> None:
    """An editor tries a list while an import has its rows, undoes that one, and starts."""
    text = "kind,name,email\n" + "".join(f"person,Crowd {n},crowd{n}@example.org\n" for n in range(60))
    async with carrying(site, min_mailboxes=50) as owner:
        await owner.bring(text.encode())
        async with carrying(site, "editor", min_mailboxes=50, email="editor@letters.example") as one:
            await one.upload((text + "person,Nobody Special,\n").encode())
            await one.work()
            await one.check()
            changed = (await rows.rows_of(site.database, CHANGED))[0]["changed"]
            await one.client.post(f"{IMPORT}/1", data={"step": "undo", "changed": str(changed)})
            await one.work()
            await one.do("start")
            assert (await one.newest()).state == "failed"
            assert (await one.counted())["people"] == 0


async def test_all_owners_get_a_mail(site: Installation) -> None:
    text = "kind,name,email\n" + "".join(f"person,Crowd {n},crowd{n}@example.org\n" for n in range(60))
    async with carrying(site, min_mailboxes=50) as one, carrying(site, "owner", email="second@letters.example"):
        await one.bring(text.encode())
        mails = await rows.rows_of(site.database, "SELECT digest FROM outbox WHERE purpose = 'import_started'")
        assert len({row["digest"] for row in mails}) == 2
        await one.bring(b"kind,name\nperson,Without Address\n")
        assert len(await rows.rows_of(site.database, "SELECT FROM outbox WHERE purpose = 'import_started'")) == 2


async def test_what_was_undone_is_encrypted(site: Installation, bench: Bench) -> None:
    async with carrying(site) as one:
        await one.bring(b"kind,name,visibility\nperson,Vera Novak,public\norganization,North Pier,public\n")
        await one.do("undo")
        stored = await rows.rows_of(site.database, "SELECT * FROM undone")
        assert len(stored) == 2
        for row in stored:
            assert row["fields"] is row["organization"] is None
            assert not re.search(rb"Novak|Pier", row["sealed"])


async def test_rows_undone_by_an_earlier_version_are_encrypted_and_restored(
    site: Installation, bench: Bench, tmp_path: Path
) -> None:
    async with carrying(site) as one:
        await one.bring(b"kind,name,visibility\nperson,Vera Novak,public\norganization,North Pier,public\n")
        imported = await bench.rows("SELECT id, name, kind FROM signature WHERE letter = $1 ORDER BY id")
        await one.do("undo")
        async with site.database.transaction() as conn:
            for row in await conn.fetch("SELECT signature, sealed FROM undone"):
                fields, organization = undoing._opened(
                    {"sealed": row["sealed"]},  # type: ignore[arg-type]
                    bench.letter.keys,
                )
                await conn.execute(
                    "UPDATE undone SET sealed = NULL, fields = $2, organization = $3 WHERE signature = $1",
                    row["signature"],
                    fields,
                    organization,
                )
        assert await undoing.encrypt_all(site.database, Wrapper([KEY])) == 2
        assert not await rows.rows_of(site.database, "SELECT FROM undone WHERE fields IS NOT NULL")
        await one.do("redo")
        assert await bench.rows("SELECT id, name, kind FROM signature WHERE letter = $1 ORDER BY id") == imported
        await bench.check()
        assert await worker.drop_expired_files(site.database) == 0


def test_the_worker_encrypts_them(site: Installation) -> None:
    from petition.core.settings import Process, load

    settings = load(site.environ, role=Process.WEB)
    assert "encrypt_undone" in [name for name, _ in chores_of(settings)]
