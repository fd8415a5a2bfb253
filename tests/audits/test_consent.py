"""Agreeing to be asked is an act of its own: on the page that confirms, or on the own page, and taken back there."""

import pytest

from petition.worker import retention
from tests.audits.audits import AUDITOR, AuditBench, address_of
from tests.pages import assert_redirect
from tests.running import SLUG, Installation, link_in

CONTACTS = "SELECT purpose FROM contact ORDER BY purpose"
BOX = 'name="audit" value="yes"'
VERA = "vera@letters.example"


async def sign(site: Installation, email: str = VERA, **fields: str) -> str:
    """Have someone sign; return the path of the mailed link."""
    assert_redirect(await site.sign(email=email, **fields), f"/en/{SLUG}/check-your-inbox")
    return link_in(await site.mail_to(email))


@pytest.fixture
async def audit(site_with_worker: Installation) -> AuditBench:
    bench = await AuditBench.of(site_with_worker)
    await bench.name_auditor()
    return bench


async def test_the_box_is_there_unticked_and_counts_only_if_ticked(audit: AuditBench) -> None:
    client = audit.site.client
    link = await sign(audit.site)
    page = (await client.get(link)).text
    assert AUDITOR in page
    assert BOX in page
    assert "checked" not in page
    assert_redirect(await client.post(link), f"/en/{SLUG}/signed")
    assert not await audit.rows(CONTACTS)
    other = await sign(audit.site, "olga@letters.example", updates="yes")
    assert_redirect(await client.post(other, data={"audit": "yes"}), f"/en/{SLUG}/signed")
    assert await audit.rows(CONTACTS) == [{"purpose": "audit"}, {"purpose": "updates"}]
    third = await sign(audit.site, "anna@letters.example")
    assert_redirect(await client.post(third, data={"audit": "no"}), f"/en/{SLUG}/signed")
    assert len(await audit.rows(CONTACTS)) == 2


async def test_without_an_auditor_no_one_is_asked_and_nothing_is_stored(audit: AuditBench) -> None:
    client = audit.site.client
    for number, statement in enumerate(("DELETE FROM auditor", "UPDATE letter SET sensitive = true")):
        await audit.change(statement)
        link = await sign(audit.site, address_of(number))
        assert BOX not in (await client.get(link)).text
        assert_redirect(await client.post(link, data={"audit": "yes"}), f"/en/{SLUG}/signed")
        own = (await client.get(link.replace("/confirm/", "/signature/"))).text
        assert "Let an auditor ask" not in own
        await audit.change("DELETE FROM auditor")
        await audit.name_auditor()
    assert not await audit.rows(CONTACTS)


async def test_an_organizations_representative_is_not_asked(audit: AuditBench) -> None:
    form = await audit.site.organization_form(email=VERA)
    sent = await audit.site.client.post(f"/en/{SLUG}/sign", data=form, headers=audit.site.new_network())
    assert_redirect(sent, f"/en/{SLUG}/check-your-inbox")
    link = link_in(await audit.site.mail_to(VERA))
    assert BOX not in (await audit.site.client.get(link)).text
    await audit.site.client.post(link, data={"audit": "yes"})
    assert await audit.rows(CONTACTS) == [{"purpose": "representative"}]


async def test_it_is_given_and_taken_back_on_the_own_page(audit: AuditBench) -> None:
    client = audit.site.client
    link = await sign(audit.site)
    await client.post(link)
    own = link.replace("/confirm/", "/signature/")
    assert "Let an auditor ask whether you signed" in (await client.get(own)).text
    wrong = await client.post(own, data={"action": "audit", "audit_email": "olga@letters.example"})
    assert wrong.status_code == 422
    assert "not the address that this signature was made with" in wrong.text
    assert not await audit.rows(CONTACTS)
    for _ in range(2):
        given = await client.post(own, data={"action": "audit", "audit_email": VERA})
        assert_redirect(given, f"{own}?done=audit")
        assert await audit.rows(CONTACTS) == [{"purpose": "audit"}]
    page = (await client.get(f"{own}?done=audit")).text
    assert "the auditor may ask you whether you signed" in page
    assert "Your e-mail address is not stored" not in page
    assert (await client.get(f"{own}/data.json")).json()["address_kept_for"] == ["audit"]
    for _ in range(2):
        taken = await client.post(own, data={"action": "no_audit"})
        assert_redirect(taken, f"{own}?done=no_audit")
        assert not await audit.rows(CONTACTS)


@pytest.mark.parametrize("act", ["withdraw", "delete"])
async def test_with_the_signature_it_goes(audit: AuditBench, act: str) -> None:
    link = await sign(audit.site)
    await audit.site.client.post(link, data={"audit": "yes"})
    assert await audit.rows(CONTACTS)
    await audit.site.client.post(link.replace("/confirm/", "/signature/"), data={"action": act})
    assert not await audit.rows(CONTACTS)


async def test_a_removed_one_is_not_asked(audit: AuditBench) -> None:
    (one,) = await audit.agree(1)
    outcome = await audit.bench.remove(one)
    assert not await audit.rows(CONTACTS)
    await audit.bench.undo(outcome.log_id)
    assert not await audit.rows(CONTACTS)


@pytest.mark.parametrize(
    ("statement", "stays"),
    [
        ("UPDATE letter SET state = 'closed', closed_at = now() - interval '29 days'", True),
        ("UPDATE letter SET state = 'closed', closed_at = now() - interval '30 days'", False),
        ("UPDATE letter SET sensitive = true", False),
        ("UPDATE letter SET wrapped_name_key = NULL", False),
    ],
)
async def test_the_address_goes_in_time(audit: AuditBench, statement: str, stays: bool) -> None:
    await audit.agree(1)
    await audit.change(statement)
    await retention.drop_expired(audit.site.database, "contact")
    assert bool(await audit.rows(CONTACTS)) is stays


async def test_a_later_form_of_the_mailbox_can_agree_as_well(audit: AuditBench) -> None:
    client = audit.site.client
    first = await sign(audit.site, name="Vera Novak")
    await audit.change("UPDATE pending SET created_at = created_at - interval '1 minute'")
    assert_redirect(await audit.site.sign(email=VERA, name="Vera Nováková"), f"/en/{SLUG}/check-your-inbox")
    (row,) = await audit.rows("SELECT id FROM pending ORDER BY created_at DESC LIMIT 1")
    later = audit.link_to(int(str(row["id"])))
    await client.post(first)
    assert not await audit.rows(CONTACTS)
    answer = await client.post(later, data={"audit": "yes"})
    assert "again=replaced" in answer.headers["location"]
    assert await audit.rows(CONTACTS) == [{"purpose": "audit"}]
