"""A letter is read and signed by mail: a proven mail signs at once, any other by the usual link; all limits hold."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from petition.core.decryptions import DecryptionCounts, DecryptionPurpose
from petition.core.encryption import Opener
from petition.core.errors import Unavailable
from petition.core.settings import Process, load
from petition.incoming_mail.model import MAX_MESSAGE, Outcome
from petition.incoming_mail.signing_by_mail import SigningByMail
from tests import rows
from tests.incoming_mail import letters_by_mail
from tests.incoming_mail.letters_by_mail import (
    DOMAIN,
    HOME,
    TO,
    MailSite,
    rsa_pair,
    signed,
    with_ed25519,
    write,
    zone,
)
from tests.leaks.columns import dump
from tests.leaks.search import found
from tests.organizers import people
from tests.rows import rows_of
from tests.running import PRIVATE_KEY, SLUG, link_in, working

LINE = "Name: Anna Petrova; Visibility: public; City: Tver"
OTHER, OTHER_RECORD = rsa_pair(1024)
OWN_DOMAIN = "our-own-domain.org"  # asked for at a name server of our own


@pytest.fixture
async def site(database_url: str, with_letter: None, tmp_path: Path) -> AsyncIterator[MailSite]:
    records = zone(key1___domainkey__gmail__com=OTHER_RECORD)
    records[f"key1._domainkey.{OWN_DOMAIN}", "TXT"] = [letters_by_mail.quoted(OTHER_RECORD)]
    async with letters_by_mail.taking_mail(database_url, tmp_path, records) as running:
        yield running


async def switch(site: MailSite, name: str, value: str = "on") -> None:
    async with site.site.database.connection() as conn:
        await conn.execute(
            "INSERT INTO switch (letter, name, value, texts) SELECT id, $1, $2, '{}' FROM letter WHERE slug = $3",
            name,
            value,
            SLUG,
        )


async def execute(site: MailSite, statement: str) -> None:
    async with site.site.database.connection() as conn:
        await conn.execute(statement)


async def reasons(site: MailSite) -> list[str]:
    (job,) = await site.jobs()
    details = job["details"]
    assert isinstance(details, dict)
    return [str(reason) for reason in details["reasons"]]


async def test_a_mail_without_a_line_is_answered_with_the_letter(site: MailSite) -> None:
    await site.receive(write("Hello"))
    assert await site.answers() == ["mail_in_letter"]


@pytest.mark.parametrize("address", [TO, f"{SLUG}@{DOMAIN}", f"Sign+{SLUG.upper()}@{DOMAIN.upper()}"])
async def test_addresses_of_a_letter(site: MailSite, address: str) -> None:
    await site.receive(write("Hello", to=f"The letter <{address}>"), to=address)
    await site.receive(write("Hello", to=address), to="")  # a Maildir knows no envelope
    assert await site.answers() == ["mail_in_letter"] * 2


async def test_a_proven_mail_signs_and_is_counted(site: MailSite) -> None:
    before = await site.site.count()
    await site.receive(signed(await site.line(LINE)))
    assert await site.pending() == 0
    (signature,) = await site.signatures()
    assert signature["state"] == "confirmed"
    assert (signature["name"], signature["city"], signature["visibility"]) == ("Anna Petrova", "Tver", "public")
    assert signature["signals"] == {"by_mail": "dkim"}
    assert (await site.site.count())["people"] == before["people"] + 1
    assert await site.answers() == ["mail_in_signed"]


async def test_ed25519_proves_as_well(site: MailSite) -> None:
    await site.receive(with_ed25519(await site.line(LINE)))
    assert [row["state"] for row in await site.signatures()] == ["confirmed"]


async def test_in_russian(site: MailSite) -> None:
    await site.receive(signed(await site.line("Имя: Анна Петрова; Видимость: организаторам; Город: Тверь")))
    (signature,) = await site.signatures()
    assert (signature["visibility"], signature["name"]) == ("organizers", None)
    assert (signature["read_lang"], signature["mail_lang"]) == ("ru", "ru")


async def test_who_is_only_counted_has_no_name(site: MailSite) -> None:
    await site.receive(signed(await site.line("Name: Anna Petrova; Visibility: counted")))
    async with site.site.database.connection() as conn:
        row = await conn.fetchrow("SELECT name, private, city, visibility::text FROM signature")
    assert row is not None
    assert dict(row) == {"name": None, "private": None, "city": None, "visibility": "counted"}


async def test_without_a_proof_the_usual_link_goes_out(site: MailSite) -> None:
    await site.receive(await site.line(LINE))
    assert (await site.pending(), await site.signatures()) == (1, [])
    assert await site.answers() == ["sign"]


async def test_a_proof_of_another_domain_is_none(site: MailSite) -> None:
    mail = await site.line(LINE, sender="Anna <anna@elsewhere.example>")
    await site.receive(signed(mail), envelope="anna@elsewhere.example")
    assert (await site.pending(), await site.signatures()) == (1, [])


async def test_visibility_is_asked(site: MailSite) -> None:
    await site.receive(signed(await site.line("Name: Anna Petrova; Visibility: ; City: Tver")))
    assert await reasons(site) == ["Choose who may see the name."]
    assert (await site.pending(), await site.signatures()) == (0, [])


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("Visibility: public", "name"),
        ("Name: https://spam.example; Visibility: public", "link"),
        ("Name: Anna; Visibility: public\nName: Ivan", "two different answers"),
        ("Organization: North Pier; Name: Anna; Visibility: public", "Organizations cannot sign"),
    ],
)
async def test_what_is_missing_or_wrong_is_named(site: MailSite, line: str, reason: str) -> None:
    await site.receive(signed(await site.line(line)))
    assert reason.lower() in " ".join(await reasons(site)).lower()
    assert (await site.pending(), await site.signatures()) == (0, [])


async def test_only_the_text_that_was_read_is_signed(site: MailSite) -> None:
    await site.receive(signed(write(LINE, subject="I sign")))
    assert await reasons(site) == ["We could not tell which text you read. Here it is; please reply to this e-mail."]
    await execute(site, "DELETE FROM outbox")
    await site.receive(signed(write(LINE, subject="I sign [0123456789ab]")))
    assert (await reasons(site))[0].startswith("The text has changed")
    assert await site.signatures() == []
    await site.receive(signed(write(f"{LINE}\n> The letter {await site.tag()}", subject="Re: the letter")))
    assert len(await site.signatures()) == 1


async def test_the_same_mail_counts_once(site: MailSite) -> None:
    mail = signed(await site.line(LINE))
    other = SigningByMail(load(site.environ, role=Process.WEB), site.site.database, ("en", "ru"))
    outcomes = await asyncio.gather(*(receiver.receive("a@b", TO, mail) for receiver in (site.receiver, other) * 5))
    assert set(outcomes) == {Outcome.DONE}
    assert len(await site.signatures()) == 1
    assert await site.answers() == ["mail_in_signed"]
    assert (await site.site.count())["people"] == 1
    await execute(site, "DELETE FROM signature")  # as if withdrawn: who has the mail must not sign again with it
    await site.receive(mail)
    assert await site.signatures() == []


async def test_a_mail_handed_over_again_after_a_crash_goes_on(site: MailSite, monkeypatch: pytest.MonkeyPatch) -> None:
    async def crash(*_: object) -> str:
        raise RuntimeError

    mail = signed(await site.line(LINE))
    with monkeypatch.context() as patched:
        patched.setattr(SigningByMail, "_confirm", crash)
        with pytest.raises(RuntimeError):
            await site.receive(mail)
    assert (await site.pending(), await site.signatures()) == (1, [])
    await site.receive(mail)
    assert (await site.pending(), len(await site.signatures())) == (0, 1)


async def test_signing_again_replaces_what_was_said(site: MailSite) -> None:
    await site.receive(signed(await site.line(LINE)))
    await site.receive(signed(await site.line("Name: Anna Ivanova; Visibility: public")))
    assert [row["name"] for row in await site.signatures()] == ["Anna Ivanova"]
    assert await site.answers() == ["mail_in_signed"] * 2  # the same for known and unknown mailboxes
    assert (await site.site.count())["people"] == 1


async def test_a_barred_mailbox_does_not_sign(site: MailSite) -> None:
    await site.receive(await site.line(LINE))
    await execute(site, "INSERT INTO bar (letter, digest) SELECT letter, digest FROM pending; DELETE FROM outbox")
    await site.receive(signed(await site.line(LINE)))
    assert "removed a signature" in (await reasons(site))[0]
    assert await site.signatures() == []


@pytest.mark.parametrize("name", ["stop", "read_only"])
async def test_while_signing_is_stopped(site: MailSite, name: str) -> None:
    await switch(site, name)
    await site.receive(signed(await site.line(LINE)))
    assert await reasons(site) == ["Signing is stopped for now. Please try again later."]
    assert await site.pending() == 0


async def test_a_closed_letter_can_only_be_read(site: MailSite) -> None:
    await execute(site, "UPDATE letter SET state = 'closed', closed_at = now()")
    await site.receive(signed(await site.line(LINE)))
    assert await reasons(site) == ["This letter no longer takes signatures."]
    assert await site.pending() == 0


async def test_while_everything_is_held(site: MailSite) -> None:
    await switch(site, "hold")
    await site.receive(signed(await site.line(LINE)))
    assert [row["state"] for row in await site.signatures()] == ["held"]
    (job,) = await site.jobs()
    assert job["details"]["held"] is True  # type: ignore[index]


async def test_a_domain_above_its_ceiling_waits(site: MailSite) -> None:
    """Mailboxes at a domain of one's own cost nothing: the ceilings of the form hold."""
    limits = load(site.environ | {"LIMIT_DOMAIN": "1"}, role=Process.WEB)
    receiver = SigningByMail(limits, site.site.database, ("en", "ru"))
    for number in range(6):
        line = await site.line(LINE, sender=f"p{number}@{OWN_DOMAIN}")
        mail = signed(line, key=OTHER, domain=OWN_DOMAIN)
        assert await receiver.receive("x@y", TO, mail) is Outcome.DONE
    states = [row["state"] for row in await site.signatures()]
    assert len(states) == 6
    assert states.count("held") >= 5  # the ceiling is drawn: one, or none


@pytest.mark.parametrize("name", ["stop_mail", "sensitive"])
async def test_letters_without_mail(site: MailSite, name: str) -> None:
    if name == "sensitive":
        await execute(site, "UPDATE letter SET sensitive = true")
    else:
        await switch(site, name)
    await site.receive(write("Hello"))
    await site.receive(signed(await site.line(LINE)))
    assert (await site.answers(), await site.pending(), await site.signatures()) == ([], 0, [])


async def test_a_sensitive_letter_that_is_switched_on(site: MailSite) -> None:
    await execute(site, "UPDATE letter SET sensitive = true")
    await switch(site, "mail_in")
    await site.receive(signed(await site.line(LINE)))
    assert len(await site.signatures()) == 1


IGNORED = {
    "unknown letter": {"to": f"no-such-letter@{DOMAIN}"},
    "other domain": {"to": f"{SLUG}@elsewhere.example"},
    "no letter's name": {"to": f"a.b@{DOMAIN}"},
    "own domain": {"sender": f"x@{DOMAIN}"},
    "two senders": {"sender": f"anna@{HOME}, ivan@{HOME}"},
    "no sender": {"sender": ""},
}


@pytest.mark.parametrize("change", IGNORED.values(), ids=IGNORED.keys())
async def test_what_is_ignored(site: MailSite, change: dict[str, str]) -> None:
    sender, to = change.get("sender", f"anna@{HOME}"), change.get("to", TO)
    await site.receive(write("Hello", sender=sender, to=to), to=to)
    assert await site.jobs() == []


async def test_our_address_must_stand_in_to(site: MailSite) -> None:
    """A mail that its author sent to others, handed to us by one of them, signs nothing."""
    await site.receive(signed(await site.line(LINE, to="friend@elsewhere.example")))
    assert (await site.jobs(), await site.pending(), await site.signatures()) == ([], 0, [])


async def test_a_null_sender_is_ignored(site: MailSite) -> None:
    await site.receive(signed(await site.line(LINE)), envelope="")
    assert (await site.jobs(), await site.signatures()) == ([], [])


async def test_refusals_go_out_once_a_day(site: MailSite) -> None:
    for _ in range(3):
        await site.receive(write("-----BEGIN PGP MESSAGE-----\nxx"))
    assert await site.answers() == ["mail_in_problem"]


async def test_a_mail_that_is_too_big_is_refused_once(site: MailSite) -> None:
    for _ in range(2):
        await site.receive(write("x" * 70 + "\n") + b"x" * MAX_MESSAGE)
    assert await site.answers() == ["mail_in_problem"]
    assert "too big" in (await reasons(site))[0]


async def test_a_mailbox_gets_few_answers_a_day(site: MailSite) -> None:
    for number in range(10):
        await site.receive(signed(write(f"Hello {number}")))
        await site.receive(signed(await site.line(f"Name: Anna {number}; Visibility:")))
    assert sorted(await site.answers()) == ["mail_in_letter"] * 2 + ["mail_in_problem"] * 3


async def test_forged_mails_use_up_nothing_of_who_proves_the_mailbox(site: MailSite) -> None:
    """A stranger writes all day in Anna's name; her own mails are answered, and her code is taken."""
    other = load(site.environ | {"LIMIT_MAIL_IN": "100000"}, role=Process.WEB)
    site.receiver = SigningByMail(other, site.site.database, ("en", "ru"))
    for number in range(30):
        await site.receive(write(f"Hello {number}"))
        await site.receive(write(f"{number:06}"))
        await site.receive(await site.line(f"Name: Anna {number}; Visibility:"))
    forged = len(await site.answers())
    assert forged == 5
    await site.receive(signed(write("Hello")))
    assert (await site.answers())[forged:] == ["mail_in_letter"]
    await site.receive(await site.line(LINE))  # her provider does not sign this one: the link and the code are mailed
    async with site.site.database.connection() as conn:
        letter = await rows.letter(conn)
        pending_id = await conn.fetchval("SELECT id FROM pending")
    await site.receive(signed(write(rows.code(letter, pending_id))))
    assert [row["state"] for row in await site.signatures()] == ["confirmed"]
    assert "mail_in_signed" in (await site.answers())[forged:]


async def test_mails_that_prove_nothing_share_a_budget(site: MailSite) -> None:
    receiver = SigningByMail(load(site.environ | {"LIMIT_MAIL_IN": "8"}, role=Process.WEB), site.site.database, ("en",))
    for number in range(40):
        content = write("Hello", sender=f"victim{number}@d{number}.example")
        assert await receiver.receive("x@y", TO, content) is Outcome.DONE
    assert 4 <= len(await site.jobs()) <= 12  # drawn from half to one and a half times
    before = len(await site.jobs())
    assert await receiver.receive(f"anna@{HOME}", TO, signed(write("Hello"))) is Outcome.DONE
    assert len(await site.jobs()) == before + 1  # who proves something is answered all the same


async def test_one_domain_has_a_quarter_of_the_budget(site: MailSite) -> None:
    receiver = SigningByMail(load(site.environ | {"LIMIT_MAIL_IN": "8"}, role=Process.WEB), site.site.database, ("en",))
    for number in range(20):
        await receiver.receive("x@y", TO, write("Hello", sender=f"victim{number}@{HOME}"))
    assert 1 <= len(await site.jobs()) <= 3


async def test_a_provider_signs_for_its_own_mailboxes_only(site: MailSite) -> None:
    mail = signed(await site.line(LINE, sender="anna@gmail.com"), key=OTHER, domain="gmail.com")
    await site.receive(mail, envelope="anna@gmail.com")
    assert [row["state"] for row in await site.signatures()] == ["confirmed"]


async def test_it_comes_again_while_the_database_is_away(site: MailSite, monkeypatch: pytest.MonkeyPatch) -> None:
    def away(*_: object) -> None:
        raise Unavailable

    monkeypatch.setattr(site.site.database, "connection", away)
    assert await site.receiver.receive(f"anna@{HOME}", TO, write("Hello")) is Outcome.LATER


async def test_nothing_personal_is_stored_or_logged(site: MailSite, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("DEBUG")
    await site.receive(signed(await site.line("Name: Zoya Unikova; Visibility: organizers; City: Unikgrad")))
    await site.receive(await site.line("Name: Zoya Unikova; Visibility: organizers", sender="zoya@unik.example"))
    async with site.site.database.connection() as conn:
        tables = await conn.fetch("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")
        rows = [str(dict(row)) for t in tables for row in await conn.fetch(f'SELECT * FROM "{t["tablename"]}"')]
    everything = "\n".join([*rows, caplog.text])
    for word in (f"anna@{HOME}", "zoya@unik", "Unikova", "Unikgrad", HOME):
        assert word not in everything, word


@pytest.mark.parametrize(("is_proven", "words"), [(True, "signature (DKIM)"), (False, "mailed link or code")])
async def test_the_desk_says_how_it_was_confirmed(site: MailSite, is_proven: bool, words: str) -> None:
    mail = await site.line(LINE)
    await site.receive(signed(mail) if is_proven else mail)
    if not is_proven:
        async with working(site.environ, site.site.inbox):
            path = link_in(await site.site.mail_to(f"anna@{HOME}"))
            await site.site.client.post(path, headers=site.site.new_network())
    async with site.site.database.connection() as conn:
        number = await conn.fetchval("SELECT id FROM signature")
    async with people.at_desk(site.site, "owner") as organizer:
        page = await organizer.get(f"/organizer/{SLUG}/signatures/{number}")
    assert words in page.text


async def test_a_name_is_sealed_where_names_wait(site: MailSite) -> None:
    await execute(site, "UPDATE letter SET publish_at_number = 9, revision = revision + 1")
    await site.receive(signed(await site.line(LINE)))
    (row,) = await rows_of(site.site.database, "SELECT state, visibility, name, city, private, sealed FROM signature")
    assert (row["state"], row["visibility"]) == ("confirmed", "public")
    assert (row["name"], row["city"], row["private"]) == (None, None, None)
    opener = Opener(PRIVATE_KEY, DecryptionCounts())
    opened = opener.open_fields(row["sealed"], 1, DecryptionPurpose.SEALED_NAMES)
    assert opened == {"name": "Anna Petrova", "city": "Tver"}
    # Without a proof the form waits, and so does the name in it.
    await site.receive(
        await site.line(LINE, sender="Boris <boris@elsewhere.example>"), envelope="boris@elsewhere.example"
    )
    assert await site.pending() == 1
    assert not found({"Petrova"}, [await dump(site.site.database)])
    async with site.site.database.connection() as conn:
        letter = await rows.letter(conn)
    (waiting,) = await rows_of(site.site.database, "SELECT fields FROM pending")
    assert "Petrova" not in str(letter.keys.reveal(waiting["fields"]))
