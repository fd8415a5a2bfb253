"""The link that stops all mail, and takes it back."""

import re

import pytest

from tests.mail.waiting import until
from tests.pages import check_page
from tests.running import SLUG, Installation

NEMO = "nemo@letters.example"


async def never_link(site: Installation, lang: str = "en") -> str:
    await site.sign(lang, email=NEMO)
    link = re.search(r"/\w\w/never/\S+", (await site.mail_to(NEMO)).body("plain") or "")
    assert link
    return link[0]


async def ask_for_link(site: Installation) -> None:
    """Ask for the lost link, and wait for its mail."""
    form = {"email": NEMO, "altcha": await site.challenge()}
    await site.client.post(f"/en/{SLUG}/find", data=form, headers=site.new_network())
    await until(lambda: any("not confirmed yet" in (mail.body("plain") or "") for mail in site.inbox))


@pytest.mark.parametrize("one_click", [True, False])
async def test_never_again_can_be_taken_back(site_with_worker: Installation, one_click: bool) -> None:
    site = site_with_worker
    link = await never_link(site)
    assert 'value="never"' in (await site.client.get(link)).text
    for _ in range(2):
        if one_click:  # a mail program's button (RFC 8058), from another site
            headers = {"origin": "https://mail.example", "sec-fetch-site": "cross-site"}
            answer = await site.client.post(link, data={"List-Unsubscribe": "One-Click"}, headers=headers)
            check_page(answer, 200)
        else:
            answer = await site.client.post(link, data={"action": "never"})
            assert answer.status_code == 303
    page = await site.client.get(link)
    check_page(page, 200)
    assert "We do not write to you" in page.text
    for _ in range(2):
        assert (await site.client.post(link, data={"action": "allow"})).status_code == 303
    assert 'value="never"' in (await site.client.get(link)).text
    await ask_for_link(site)


async def test_a_one_click_body_in_another_format_is_understood(site_with_worker: Installation) -> None:
    link = await never_link(site_with_worker)
    files = {"List-Unsubscribe": (None, "One-Click")}
    check_page(await site_with_worker.client.post(link, files=files), 200)
    assert "We do not write to you" in (await site_with_worker.client.get(link)).text


async def test_opening_the_link_changes_nothing(site_with_worker: Installation) -> None:
    link = await never_link(site_with_worker, "ru")
    for _ in range(2):
        page = await site_with_worker.client.get(link)
        check_page(page, 200, "ru")
        assert 'value="never"' in page.text
    assert (await site_with_worker.client.get(f"/en/never/{SLUG}")).status_code == 404


async def test_the_confirming_link_of_a_suppressed_mailbox_still_works(site_with_worker: Installation) -> None:
    site = site_with_worker
    await site.sign("en", email=NEMO)
    body = (await site.mail_to(NEMO)).body("plain") or ""
    never, confirm = (re.search(rf"/en/{page}/\S+", body) for page in ("never", "confirm"))
    assert never
    assert confirm
    await site.client.post(never[0], data={"List-Unsubscribe": "One-Click"})
    assert (await site.client.post(confirm[0])).status_code == 303
    own = confirm[0].replace("/confirm/", "/signature/")
    assert "It counts." in (await site.client.get(own)).text
