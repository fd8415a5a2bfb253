"""The one road: sign, confirm, be counted, take it back."""

from tests.pages import without_ticket
from tests.running import SLUG, Installation, code_in, link_in

VERA = "vera@letters.example"


async def test_a_person_signs_confirms_and_is_counted(site_with_worker: Installation) -> None:
    answer = await site_with_worker.sign()
    assert answer.status_code == 303, answer.text
    assert answer.headers["location"] == f"/en/{SLUG}/check-your-inbox"
    assert await site_with_worker.count() == {"people": 0, "organizations": 0, "hidden": 0, "imported": 0}
    link = link_in(await site_with_worker.mail_to(VERA))
    shown = await site_with_worker.client.get(link)
    assert shown.status_code == 200
    assert "Vera Novak" in shown.text
    assert await site_with_worker.count() == {"people": 0, "organizations": 0, "hidden": 0, "imported": 0}
    for _ in range(2):
        confirmed = await site_with_worker.client.post(link)
        assert confirmed.status_code == 303
        assert without_ticket(confirmed.headers["location"]) == f"/en/{SLUG}/signed"
    assert await site_with_worker.count() == {"people": 1, "organizations": 0, "hidden": 0, "imported": 0}
    own = await site_with_worker.client.get(link)
    assert own.status_code == 303
    page = await site_with_worker.client.get(own.headers["location"])
    assert "Vera Novak" in page.text


async def test_the_mailed_code_confirms_too(site_with_worker: Installation) -> None:
    await site_with_worker.sign("ru", visibility="organizers")
    mail = await site_with_worker.mail_to(VERA)
    form = {"email": VERA, "code": code_in(mail)}
    answer = await site_with_worker.client.post(f"/ru/{SLUG}/confirm", data=form)
    assert answer.status_code == 303, answer.text
    assert await site_with_worker.count() == {"people": 1, "organizations": 0, "hidden": 1, "imported": 0}
