"""What the worker decrypts is counted, and no code decrypts without a purpose."""

import ast
import asyncio
import contextlib
from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest

from petition.addressees import mails as addressee_mails
from petition.audits import questions
from petition.core import decryptions
from petition.core.database import Database
from petition.core.decryptions import DecryptedContent, DecryptionCounts, DecryptionPurpose, decrypting_for, note_name
from petition.core.errors import Unavailable
from petition.incoming_mail import mail_answers
from petition.mail.choosing import DECRYPTS_FOR
from petition.mailings import reminders
from petition.moderation import messages, second_mailbox
from petition.web.desk.access_page import PURPOSES
from petition.worker.main import WRITERS
from tests.organizers import people
from tests.pages import assert_redirect
from tests.rows import rows_of
from tests.running import SLUG, Installation, link_in
from tests.signatures.waiting import VERA

PACKAGE = Path(decryptions.__file__).parents[1]
BY_PURPOSE = "SELECT purpose, content, uses::integer FROM decryption WHERE letter = $1 ORDER BY purpose, content"
P = DecryptionPurpose
WEB: set[DecryptionPurpose] = set()  # not called by the worker; the web counts in the journal of access

# Every module outside ``web`` and ``cli`` that decrypts names, with what the worker does it for.
NAMES = {
    "addressees/files.py": WEB,
    "addressees/queries.py": WEB,
    "core/letter_facts.py": {P.CONFIRMATION, P.REMINDER, P.LOST_LINK, P.SIGNATORY_MAIL},
    "exports/whole_letter.py": WEB,
    "imports/file_info.py": {P.IMPORT},
    "imports/kept_mappings.py": WEB,
    "imports/model.py": WEB,
    "imports/prepared_rows.py": {P.IMPORT},
    "imports/problem_rows.py": WEB,
    "imports/same_names.py": {P.IMPORT},
    "imports/steering.py": WEB,
    "imports/undoing.py": {P.IMPORT},
    "imports/worker.py": {P.IMPORT},
    "keeper/adoption.py": WEB,  # a command
    "moderation/decisions.py": {P.MODERATION},
    "moderation/hidden_names.py": WEB,
    "moderation/namesakes.py": {P.REPEATED_NAMES},
    "moderation/notes.py": {P.SIGNATORY_MAIL},
    "moderation/organizations.py": WEB,
    "moderation/queue.py": WEB,
    "packages/making.py": WEB,
    "signatures/approval.py": {P.MODERATION},
    "signatures/confirming.py": {P.MAIL_IN},
    "signatures/later_form.py": {P.MAIL_IN},
    "signatures/opening_names.py": {P.SEALED_NAMES},
    "signatures/self_service.py": WEB,
}
OPENERS = {
    "audits/worker.py": {P.AUDIT},
    "core/stored_keys.py": {P.KEY_CHECK},
    "exports/address_list_worker.py": {P.ADDRESS_LIST},
    "mail/choosing.py": {*DECRYPTS_FOR.values(), P.ORGANIZER},
    "mail/relay_tests.py": {P.ORGANIZER},
    "mail/suppressed_contacts.py": {P.SUPPRESSION},
    "mailings/sender.py": {P.UPDATE},
    "signatures/opening_names.py": {P.SEALED_NAMES},
}
CIPHERS = {"core/encryption.py", "core/quotas.py", "organizers/recovery_codes.py"}  # which import PyNaCl
SIGNING = {"nacl.signing", "nacl.exceptions"}  # decrypts nothing


def modules() -> Iterator[tuple[str, ast.Module]]:
    for path in sorted(PACKAGE.rglob("*.py")):
        yield path.relative_to(PACKAGE).as_posix(), ast.parse(path.read_text("utf-8"))


def calls(tree: ast.Module, *methods: str) -> list[ast.Call]:
    nodes = [node for node in ast.walk(tree) if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)]
    return [node for node in nodes if isinstance(node.func, ast.Attribute) and node.func.attr in methods]


def test_every_module_that_decrypts_names_is_known() -> None:
    there = {name for name, tree in modules() if calls(tree, "reveal", "reveal_if_left", "decrypt")} - CIPHERS
    assert {name for name in there if not name.startswith(("web/", "cli/"))} == set(NAMES)


def test_every_opened_address_has_a_letter_and_a_purpose() -> None:
    opening = {}
    for name, tree in modules():
        on_opener = [call for call in calls(tree, "open", "open_fields") if "opener" in ast.unparse(call.func).lower()]
        if on_opener:
            opening[name] = [len(call.args) for call in on_opener]
    assert set(opening) == set(OPENERS)
    assert {count for counts in opening.values() for count in counts} == {3}


def test_no_other_module_knows_the_cipher() -> None:
    importing = set()
    for name, tree in modules():
        names = [node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)]
        names += [alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names]
        if any(module.startswith("nacl.") and module not in SIGNING for module in names):
            importing.add(name)
    assert importing == CIPHERS


def test_every_purpose_is_used_and_has_a_label() -> None:
    used = {purpose for purposes in (*NAMES.values(), *OPENERS.values()) for purpose in purposes}
    assert used == set(DecryptionPurpose) - {P.OTHER}
    assert set(PURPOSES) == set(DecryptionPurpose)


def test_mails_to_signatories_and_addressees_have_purposes_of_their_own() -> None:
    direct = {messages.DECISION, messages.MESSAGE, second_mailbox.PURPOSE, mail_answers.PURPOSE, questions.PURPOSE}
    assert set(DECRYPTS_FOR) == {"sign", "find", reminders.PURPOSE, addressee_mails.PURPOSE, *direct}
    assert not set(DECRYPTS_FOR) & set(WRITERS)  # these write to organizers


async def test_the_worker_counts_each_address_and_name(site_with_worker: Installation) -> None:
    site = site_with_worker
    assert_redirect(await site.sign(email=VERA), f"/en/{SLUG}/check-your-inbox")
    link = link_in(await site.mail_to(VERA))
    assert_redirect(await site.client.post(link), f"/en/{SLUG}/signed")
    await find(site, VERA)
    await site.mail_to(VERA)
    await find(site, "stranger@letters.example")
    expected = [
        {"purpose": "confirmation", "content": "address", "uses": 1},
        {"purpose": "confirmation", "content": "name", "uses": 1},
        {"purpose": "lost_link", "content": "address", "uses": 2},
        {"purpose": "lost_link", "content": "name", "uses": 2},
    ]
    async with people.at_desk(site, "owner") as owner:
        counted: list[dict[str, object]] = []
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(20):
                while (counted := await rows_of(site.database, BY_PURPOSE, 1)) != expected:
                    await asyncio.sleep(0.1)
        assert counted == expected
        page = (await owner.get(f"/organizer/{SLUG}/access")).text
    assert "mails that answer a signed form" in page
    assert "lost links" in page


@pytest.mark.parametrize("visibility", ["counted", "organizers", "public"])
@pytest.mark.parametrize("form", ["find", "sign"])
async def test_an_owner_cannot_test_an_address_with_it(
    site_with_worker: Installation, visibility: str, form: str
) -> None:
    """The same is counted of a mailbox that has signed and of a stranger's, whichever form it is typed in."""
    site, seen = site_with_worker, list[list[dict[str, object]]]()
    assert_redirect(await site.sign(email=VERA, visibility=visibility), f"/en/{SLUG}/check-your-inbox")
    assert_redirect(await site.client.post(link_in(await site.mail_to(VERA))), f"/en/{SLUG}/signed")
    for number, address in enumerate([VERA, "stranger@letters.example"]):
        await (find(site, address) if form == "find" else site.sign(email=address, visibility="counted"))
        async with asyncio.timeout(60):
            while await rows_of(site.database, "SELECT FROM outbox"):
                await asyncio.sleep(0.02)
            while len(seen) == number:
                counted = await rows_of(site.database, BY_PURPOSE, 1)
                if sum(int(row["uses"]) for row in counted if row["content"] == "address") == number + 2:
                    seen.append(counted)
                await asyncio.sleep(0.05)
    before = {"find": [("lost_link", 1, 2)], "sign": [("confirmation", 2, 3)]}[form]
    for purpose, first, second in before:
        for content in ("address", "name"):
            numbers = [{(row["purpose"], row["content"]): row["uses"] for row in one}[purpose, content] for one in seen]
            assert numbers == [first, second]


async def find(site: Installation, email: str) -> httpx2.Response:
    form = {"email": email, "altcha": await site.challenge()}
    return await site.client.post(f"/en/{SLUG}/find", data=form, headers=site.new_network())


async def test_counts_add_up_and_survive_an_outage(database: Database) -> None:
    counts = DecryptionCounts()
    for _ in range(2):
        for _ in range(3):
            counts.add(7, P.UPDATE, DecryptedContent.ADDRESS)
        counts.add(None, P.ORGANIZER, DecryptedContent.ADDRESS)
        assert not await counts.store(database)
    counts.add(7, P.IMPORT, DecryptedContent.NAME)
    with pytest.raises(Unavailable):
        await counts.store(Away())  # type: ignore[arg-type]
    assert await rows_of(database, BY_PURPOSE, 7) == [{"purpose": "update", "content": "address", "uses": 6}]
    await counts.store(database)
    assert await rows_of(database, BY_PURPOSE, 7) == [
        {"purpose": "import", "content": "name", "uses": 1},
        {"purpose": "update", "content": "address", "uses": 6},
    ]
    assert await rows_of(database, BY_PURPOSE, 0) == [{"purpose": "organizer", "content": "address", "uses": 2}]


class Away:
    def transaction(self) -> object:
        raise Unavailable("the database is away")


async def test_a_name_without_a_purpose_is_logged(database: Database, caplog: pytest.LogCaptureFixture) -> None:
    note_name(3)  # in a process that does not count
    counts = DecryptionCounts()
    async with counts.counting(database):
        with decrypting_for(P.IMPORT):
            note_name(3)
        assert not caplog.records
        note_name(3)
    assert [record.message for record in caplog.records] == ["decrypted without a purpose"]
    assert await rows_of(database, BY_PURPOSE, 3) == [
        {"purpose": "import", "content": "name", "uses": 1},
        {"purpose": "other", "content": "name", "uses": 1},
    ]
