"""Which mail a job becomes."""

from datetime import timedelta

import pytest

from petition.core.database import Connection
from petition.core.decryptions import DecryptionCounts
from petition.core.encryption import Opener, new_contact_pair
from petition.core.errors import KeyDestroyed
from petition.mail import queries
from petition.mail.choosing import MailSelector
from petition.mail.model import ChosenMail, DirectMail, SignatureRef, Template
from petition.mail.suppression import Suppression
from tests.mail.installation import Installation

NEMO = "nemo@example.org"
DAY = timedelta(days=1)


async def choose(installation: Installation, private_key: str | None = None) -> ChosenMail | None:
    """Lease the only job and choose its mail."""
    private_key = private_key or installation.settings.contact_private_key
    assert private_key is not None
    chooser = MailSelector(
        Opener(private_key, DecryptionCounts()), installation.wrapper, Suppression(installation.wrapper)
    )
    (job,) = await queries.lease(installation.conn, 10, 1, timedelta(minutes=5))
    choice = await chooser.choose(installation.conn, job)
    assert not isinstance(choice, DirectMail)
    return choice


async def test_a_first_sign_up_is_asked_to_confirm(installation: Installation) -> None:
    letter = await installation.letter()
    pending = await installation.sign_up(letter, NEMO)
    choice = await choose(installation)
    assert choice is not None
    assert (choice.template, choice.address, choice.letter.slug) == (Template.CONFIRM, NEMO, letter.slug)
    assert choice.refs == (SignatureRef(pending, "person"),)
    assert choice.code_works


async def test_a_late_mail_has_no_code_that_no_longer_works(installation: Installation) -> None:
    await installation.sign_up(await installation.letter(), NEMO, ago=timedelta(hours=25))
    choice = await choose(installation)
    assert choice is not None
    assert choice.template is Template.CONFIRM
    assert not choice.code_works


@pytest.mark.parametrize("state", ["confirmed", "held"])
async def test_who_has_signed_is_led_to_their_page(installation: Installation, state: str) -> None:
    letter = await installation.letter()
    signature = await installation.signature(letter, NEMO, "organization", state)
    await installation.sign_up(letter, "Nemo@EXAMPLE.org", "organization")
    choice = await choose(installation)
    assert choice is not None
    assert choice.template is Template.ALREADY_SIGNED
    assert choice.refs == (SignatureRef(signature, "organization"),)
    assert not choice.code_works


async def test_signing_as_a_person_and_for_an_organization_are_two_things(installation: Installation) -> None:
    letter = await installation.letter()
    await installation.signature(letter, NEMO, "organization")
    pending = await installation.sign_up(letter, NEMO, "person")
    choice = await choose(installation)
    assert choice is not None
    assert (choice.template, choice.refs) == (Template.CONFIRM, (SignatureRef(pending, "person"),))


async def test_another_letter_knows_nothing_of_this_one(installation: Installation) -> None:
    first, second = await installation.letter("first"), await installation.letter("second")
    await installation.signature(first, NEMO)
    await installation.sign_up(second, NEMO)
    choice = await choose(installation)
    assert choice is not None
    assert choice.template is Template.CONFIRM


async def test_a_removed_signature_is_said_to_be_removed(installation: Installation) -> None:
    letter = await installation.letter()
    signature = await installation.signature(letter, NEMO, state="removed")
    await installation.sign_up(letter, NEMO)
    choice = await choose(installation)
    assert choice is not None
    assert (choice.template, choice.refs) == (Template.REMOVED, (SignatureRef(signature, "person"),))


async def test_a_barred_mailbox_is_told_so(installation: Installation) -> None:
    letter = await installation.letter()
    await installation.bar(letter, NEMO)
    await installation.sign_up(letter, NEMO)
    choice = await choose(installation)
    assert choice is not None
    assert (choice.template, choice.refs) == (Template.REMOVED, ())


async def test_a_pending_row_that_is_gone_needs_no_mail(installation: Installation) -> None:
    letter = await installation.letter()
    await installation.sign_up(letter, NEMO)
    await installation.conn.execute("DELETE FROM pending")
    assert await choose(installation) is None


@pytest.mark.parametrize("state", ["draft", "archived"])
async def test_a_letter_that_takes_no_confirmations_mails_none(installation: Installation, state: str) -> None:
    await installation.sign_up(await installation.letter(state=state), NEMO)
    assert await choose(installation) is None


async def test_a_closed_letter_takes_confirmations_for_a_day(installation: Installation) -> None:
    letter = await installation.letter(state="closed")
    await installation.sign_up(letter, NEMO)
    choice = await choose(installation)
    assert choice is not None
    assert choice.template is Template.CONFIRM
    await installation.conn.execute("UPDATE letter SET closed_at = now() - interval '24 hours'")
    await installation.hurry()
    assert await choose(installation) is None


async def test_who_never_wants_mail_again_gets_none_however_the_mailbox_is_spelt(installation: Installation) -> None:
    letter = await installation.letter()
    await installation.sign_up(letter, "nemo.captain@gmail.com")
    choice = await choose(installation)
    assert choice is not None
    await installation.conn.execute("INSERT INTO suppressed (digest) VALUES ($1)", choice.never)
    await installation.conn.execute("DELETE FROM outbox")
    await installation.sign_up(letter, "NemoCaptain+letters@gmail.com")
    assert await choose(installation) is None
    await installation.conn.execute("DELETE FROM outbox")
    await installation.signature(letter, "nemocaptain@gmail.com")
    await installation.find(letter, "nemocaptain@gmail.com")
    assert await choose(installation) is None


async def test_a_lost_link_leads_to_every_signature_of_the_mailbox(installation: Installation) -> None:
    letter = await installation.letter()
    person = await installation.signature(letter, NEMO, "person", "removed")
    organization = await installation.signature(letter, NEMO, "organization", "held")
    await installation.find(letter, NEMO)
    choice = await choose(installation)
    assert choice is not None
    assert (choice.template, choice.address) == (Template.FIND_SIGNED, NEMO)
    assert choice.refs == (SignatureRef(person, "person"), SignatureRef(organization, "organization"))


async def test_a_lost_link_of_one_who_has_not_confirmed_leads_to_the_newest(installation: Installation) -> None:
    letter = await installation.letter()
    await installation.sign_up(letter, NEMO, ago=2 * DAY)
    newest = await installation.sign_up(letter, NEMO, "organization")
    await installation.sign_up(letter, NEMO, ago=DAY)
    await installation.conn.execute("DELETE FROM outbox")
    await installation.find(letter, NEMO)
    choice = await choose(installation)
    assert choice is not None
    assert (choice.template, choice.refs) == (Template.FIND_CONFIRM, (SignatureRef(newest, "organization"),))
    assert choice.code_works


async def test_a_lost_link_that_expired_or_never_was_is_not_mailed(installation: Installation) -> None:
    letter = await installation.letter()
    await installation.sign_up(letter, NEMO, ago=7 * DAY)
    await installation.conn.execute("DELETE FROM outbox")
    await installation.find(letter, NEMO)
    assert await choose(installation) is None


async def test_a_barred_mailbox_finds_nothing_to_confirm(installation: Installation) -> None:
    letter = await installation.letter()
    await installation.sign_up(letter, NEMO)
    await installation.conn.execute("DELETE FROM outbox")
    await installation.bar(letter, NEMO)
    await installation.find(letter, NEMO)
    assert await choose(installation) is None


async def test_an_address_sealed_to_another_key_is_an_error(installation: Installation) -> None:
    await installation.sign_up(await installation.letter(), NEMO)
    with pytest.raises(KeyDestroyed):
        await choose(installation, new_contact_pair()[1])


async def test_two_workers_make_one_suppression_key(installation: Installation, conn: Connection) -> None:
    one, other = Suppression(installation.wrapper), Suppression(installation.wrapper)
    await queries.add_suppression_key(conn, installation.wrapper.wrap(bytes(32)))
    await queries.add_suppression_key(conn, installation.wrapper.wrap(bytes(31) + b"1"))
    assert await one.digest(conn, NEMO) == await other.digest(conn, NEMO.upper())
    assert await conn.fetchval("SELECT count(*) FROM installation") == 1
