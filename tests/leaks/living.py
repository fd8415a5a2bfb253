"""What the signatories, the organizers and the operator do, on an installation of real processes."""

import asyncio
import csv
import re
from collections.abc import Coroutine, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

import httpx2

from petition.core import email_addresses
from petition.core.ids import LetterId
from petition.core.tokens import Tokens
from petition.signatures.csv_format import COLUMNS
from petition.stored_data.contents import ANSWERED, LOST_LINK, LetterStage, SignatureCase, SignatureStage
from petition.stored_data.model import TypedValue
from tests import commands, rows
from tests.faults.processes import PATIENCE
from tests.incoming_mail import letters_by_mail
from tests.leaks.signatories import LETTERS, SEALED, Signatory
from tests.mail.post_office import PostOffice
from tests.running import KEY, Installation

AT_ONCE = 12
SEAL = "UPDATE letter SET publish_at_number = 100000, revision = revision + 1 WHERE slug = ANY($1::text[])"
CLOSE_LONG_AGO = "UPDATE letter SET closed_at = closed_at - $2 * interval '1 day' WHERE slug = $1"
END_NAMES = "UPDATE letter SET names_until = (now() AT TIME ZONE 'UTC')::date - 1 WHERE slug = $1"
AGE = "UPDATE pending SET created_at = created_at - interval '8 days' WHERE id = $1"
SENT = "SELECT NOT EXISTS (SELECT FROM outbox WHERE purpose <> 'decision')"
Stage = SignatureStage


@dataclass
class Life:
    """An installation, and everything that is done in it."""

    site: Installation
    post: PostOffice
    organizer: httpx2.AsyncClient
    maildir: Path
    letters: dict[str, LetterId] = field(default_factory=dict)

    async def all(self, acts: Iterable[Coroutine[Any, Any, None]]) -> None:
        """Do all of them, some at once."""
        limit = asyncio.Semaphore(AT_ONCE)

        async def one(act: Coroutine[Any, Any, None]) -> None:
            async with limit:
                await act

        async with asyncio.TaskGroup() as group:
            for act in acts:
                group.create_task(one(act))

    async def live(self, signatories: Sequence[Signatory]) -> None:
        """Have them sign, and do what they do until their letter ends."""
        await self.execute(SEAL, list(SEALED))
        await self.sees_sealing()
        lists = {one.slug for one in signatories if one.way == "list"}
        for slug in sorted(lists):
            await self.import_list([one for one in signatories if one.way == "list" and one.slug == slug])
        for one in signatories:
            if one.way == "mail":
                await self.write_mail(one)
        await self.all(self.sign(one) for one in signatories if one.way == "form")
        await self.all(self.follow(one) for one in signatories)
        await self.all(self.refuse(one) for one in signatories)
        for one in signatories:
            await self.crash(one)

    async def follow(self, one: Signatory) -> None:
        if one.way == "mail":
            await self.mailed(one, 1)
            await self.read_link(one, "signature")
        for before, after in pairwise(one.path):
            if LOST_LINK not in after.marks:
                await self.step(one, before, after)

    async def sign(self, one: Signatory) -> None:
        """Fill in the form, and wait for its mail."""
        kind, fields = one.first.kind, self.form_of(one)
        make = self.site.organization_form if kind == "organization" else self.site.form
        form = await make(one.slug, **fields)
        answer = await self.site.client.post(f"/{one.lang}/{one.slug}/sign", data=form, headers=self.site.new_network())
        assert answer.status_code == 303, answer.text
        await self.mailed(one, 1)
        await self.read_link(one, "confirm")

    async def send(self, one: Signatory, **changes: str) -> int:
        """Send a form of a person; return the status of the answer."""
        form = await self.site.form(one.slug, **(self.form_of(one) | changes))
        path = f"/{one.lang}/{one.slug}/sign"
        return (await self.site.client.post(path, data=form, headers=self.site.new_network())).status_code

    async def refuse(self, one: Signatory) -> None:
        """Send forms that are refused, and ask for what is not there."""
        client, site = self.site.client, self.site
        if one.way == "refused form":
            changes = ({"consent": ""}, {"version": "0" * 64}, {"altcha": ""}, {"email": f"{one.address}@"})
            assert [await self.send(one, **change) for change in changes] == [422] * 4
        elif one.way == "stranger":
            form = {"email": one.address, "altcha": await site.challenge(one.slug)}
            answer = await client.post(f"/ru/{one.slug}/find", data=form, headers=site.new_network())
            assert answer.status_code == 303
            code = {"email": one.address, "code": "000000"}
            answer = await client.post(f"/ru/{one.slug}/confirm", data=code, headers=site.new_network())
            assert answer.status_code == 422
            for word in one.typed[TypedValue.NAME]:
                assert (await client.get(f"/en/{one.slug}/signatories", params={"q": word})).status_code == 200
        elif one.way == "refused mail":
            recipient = email_addresses.parse(one.address).address
            self.post.refused_recipients[recipient] = f"550 no such user <{recipient}>"
            assert await self.send(one) == 303

    async def crash(self, one: Signatory) -> None:
        """Have PostgreSQL refuse a row, so that it and the programs that hear of it would like to quote it."""
        if one.way == "crashed form":
            await self.execute("ALTER TABLE pending ADD CONSTRAINT no_more CHECK (octet_length(fields) < 1) NOT VALID")
            assert await self.send(one) == 500
            await self.execute("ALTER TABLE pending DROP CONSTRAINT no_more")
        elif one.way == "crashed link":
            await self.sign(one)
            await self.execute("ALTER TABLE signature ADD CONSTRAINT no_more CHECK (digest IS NULL) NOT VALID")
            assert (await self.site.client.post(one.link)).status_code == 500
            await self.execute("ALTER TABLE signature DROP CONSTRAINT no_more")

    def form_of(self, one: Signatory) -> dict[str, str]:
        fields = {"name": one.text(TypedValue.NAME), "email": one.address, "visibility": one.first.visibility}
        if one.first.kind == "organization":
            words = one.typed[TypedValue.ORGANIZATION]
            fields |= {"organization_en": words[0], "organization_ru": words[1]}
            fields |= {"website": f"https://{one.text(TypedValue.WEBSITE)}.example"}
            fields |= {"position": one.text(TypedValue.POSITION)}
        elif one.nowhere:
            fields |= {"affiliation": " ".join(one.nowhere[:2]), "city": one.nowhere[2]}
        else:
            fields |= {"affiliation": one.text(TypedValue.AFFILIATION), "city": one.text(TypedValue.CITY)}
        return fields | ({"updates": "yes"} if "updates" in one.first.marks else {})

    async def mailed(self, one: Signatory, number: int) -> None:
        """Wait until so many mails have come."""
        recipient = email_addresses.parse(one.address).address
        async with asyncio.timeout(PATIENCE):
            while self.post.recipients.count(recipient) < number:
                await asyncio.sleep(0.02)

    def mail(self, one: Signatory, index: int) -> str:
        recipient = email_addresses.parse(one.address).address
        mails = [mail for mail, to in zip(self.post.mails, self.post.recipients, strict=True) if to == recipient]
        body = mails[index].get_body(("plain",))
        assert body is not None
        return str(body.get_content())

    async def read_link(self, one: Signatory, page: str) -> None:
        found = re.search(rf"/(?:en|ru)/{page}/[\w.\-~]+", self.mail(one, 0))
        assert found, self.mail(one, 0)
        one.link = found[0].replace("/signature/", "/confirm/")

    async def step(self, one: Signatory, before: SignatureCase, after: SignatureCase) -> None:
        client, own = self.site.client, one.link.replace("/confirm/", "/signature/")
        if ANSWERED in after.marks - before.marks:
            await self.answer(one)
        elif before.stage is Stage.PENDING and after.stage is Stage.DELETED:
            await self.execute(AGE, self.id_of(one))
        elif before.stage is Stage.PENDING:
            assert (await client.post(one.link)).status_code == 303
            assert (await client.get(f"{own}/data.json")).status_code == 200
        elif after.stage in {Stage.REMOVED, Stage.REFUSED}:
            await self.decide(one, "remove")
        elif before.stage is Stage.HELD:
            await self.decide(one, "approve")
        elif after.stage is Stage.CONFIRMED:
            name = one.text(TypedValue.NAME)
            form = {"action": "visibility", "visibility": after.visibility, "name": name}
            assert (await client.post(own, data=form)).status_code == 303
        else:
            action = {Stage.WITHDRAWN: "withdraw", Stage.DELETED: "delete"}[after.stage]
            assert (await client.post(own, data={"action": action})).status_code == 303

    async def decide(self, one: Signatory, act: str, **more: str) -> None:
        signature_id = await self.stored_id_of(one)
        path = f"/organizer/{one.slug}/signatures/{signature_id}"
        page = await self.organizer.get(path)
        assert page.status_code == 200
        seen = page.text.partition('name="seen" value="')[2].partition('"')[0] or "0"
        answer = await self.organizer.post(path, data={"act": act, "reason": "fake", "seen": seen, **more})
        assert answer.status_code == 303, answer.text

    async def answer(self, one: Signatory) -> None:
        """Have an organizer ask a representative, who answers by the link."""
        await self.decide(one, "message", message="Please tell us more.")
        await self.mailed(one, 2)
        found = re.search(r"/(?:en|ru)/reply/[\w.\-~]+", self.mail(one, 1))
        assert found
        form = {"text": f"We are the {one.text(TypedValue.MESSAGE)}."}
        assert (await self.site.client.post(found[0], data=form)).status_code == 303

    def id_of(self, one: Signatory) -> int:
        return int(Tokens([KEY]).read_signature(one.link.rpartition("/")[2])[1])

    async def stored_id_of(self, one: Signatory) -> int:
        if one.link:
            return self.id_of(one)
        (row,) = await rows.rows_of(
            self.site.database, "SELECT id FROM signature WHERE name = $1", one.text(TypedValue.NAME)
        )
        return int(row["id"])

    async def import_list(self, listed: Sequence[Signatory]) -> None:
        path = self.maildir.parent / "list.csv"
        with path.open("w", encoding="utf-8", newline="") as file:
            writer = csv.DictWriter(file, COLUMNS)
            writer.writeheader()
            for one in listed:
                named = one.first.visibility != "counted"
                row = {"kind": "person", "email": one.address, "visibility": one.first.visibility}
                if named:
                    row |= {"name": one.text(TypedValue.NAME), "city": one.text(TypedValue.CITY)}
                    row |= {"affiliation": one.text(TypedValue.AFFILIATION)}
                writer.writerow(row)
        await self.command(f"signatures import {listed[0].slug} {path}")
        path.unlink()

    async def write_mail(self, one: Signatory) -> None:
        """Sign by a mail that its server has signed."""
        async with self.site.database.connection() as conn:
            letter = await rows.letter(conn, one.slug)
        words = f"Name: {one.text(TypedValue.NAME)}; Visibility: {one.first.visibility}"
        affiliation = one.text(TypedValue.AFFILIATION) or " ".join(one.nowhere[:2])
        city = one.text(TypedValue.CITY) or one.nowhere[2]
        mail = letters_by_mail.write(
            f"{words}; City: {city}; Affiliation: {affiliation}\n",
            sender=f"<{one.address}>",
            to=f"sign+{one.slug}@{letters_by_mail.DOMAIN}",
            subject=f"Re: The letter [{letter.version.digest[:12]}]",
        )
        domain = one.address.partition("@")[2]
        path = self.maildir / "new" / f"{one.number}.host"
        path.with_suffix(".tmp").write_bytes(letters_by_mail.signed(mail, domain=domain))
        path.with_suffix(".tmp").rename(path)

    async def ask_for_links(self, signatories: Sequence[Signatory]) -> None:
        """Have those who lost their link ask for it; no worker runs, so the mails wait."""
        for one in signatories:
            if LOST_LINK in one.case.marks:
                form = {"email": one.address, "altcha": await self.site.challenge(one.slug)}
                path = f"/{one.lang}/{one.slug}/find"
                answer = await self.site.client.post(path, data=form, headers=self.site.new_network())
                assert answer.status_code == 303

    async def end_letters(self) -> None:
        """Bring each letter to the stage at which it is in the end."""
        await self.command("switch leaks-hidden hide_list on")
        for slug, stage in LETTERS.items():
            if stage in {LetterStage.CLOSED, LetterStage.DIGESTS_ENDED}:
                await self.command(f"letter close {slug}")
                await self.execute(CLOSE_LONG_AGO, slug, 2 if stage is LetterStage.CLOSED else 31)
            elif stage is LetterStage.NAMES_ENDED:
                await self.execute(END_NAMES, slug)
            elif stage is LetterStage.BURNT:
                await self.command(f"burn {slug}")
            elif stage is LetterStage.GONE:
                await self.command(f"letter take-down {slug} --really {slug}")

    async def sees_sealing(self) -> None:
        """Wait until the web knows of letters whose names wait."""
        for slug in SEALED:
            await self.site.page_when(f"/en/{slug}", lambda page: "Names are shown when" in page)

    async def all_mails_sent(self) -> None:
        async with asyncio.timeout(PATIENCE):
            while not (await rows.rows_of(self.site.database, SENT))[0]["?column?"]:
                await asyncio.sleep(0.05)

    async def command(self, arguments: str, **more: str) -> str:
        code, said = await commands.run(arguments, {**self.site.environ, **more})
        assert code == 0, said
        return said

    async def execute(self, statement: str, *arguments: object) -> None:
        async with self.site.database.connection() as conn:
            await conn.execute(statement, *arguments)


def domain_keys(signatories: Iterable[Signatory]) -> Mapping[tuple[str, str], list[str] | str | None]:
    """Return the DNS records of those who write mails."""
    record = [letters_by_mail.quoted(letters_by_mail.RSA_RECORD)]
    domains = [one.address.partition("@")[2] for one in signatories if one.way == "mail"]
    return {(f"key1._domainkey.{domain}", "TXT"): record for domain in domains}
