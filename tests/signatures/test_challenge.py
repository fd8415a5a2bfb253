"""/captcha/challenge and /check-your-inbox: what stands around signing."""

import base64
import json

import pytest

from petition.captcha.pow import ProofOfWork
from petition.core.ids import LetterId
from tests.captcha.installation import CHEAP, solve
from tests.pages import check_page, form_in
from tests.running import KEY, SLUG, Installation

CHALLENGE = f"/captcha/challenge?letter={SLUG}"


async def test_every_visitor_gets_a_challenge_of_their_own(shared_site: Installation) -> None:
    answer = await shared_site.client.get(CHALLENGE)
    assert answer.status_code == 200
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["content-type"] == "application/json"
    assert "set-cookie" not in answer.headers
    challenge = answer.json()
    assert set(challenge) == {"parameters", "signature"}
    assert challenge["parameters"]["data"]["dear"] is False
    another = (await shared_site.client.get(CHALLENGE)).json()
    assert challenge["signature"] != another["signature"]
    # A challenge that is sent back as it came is no answer.
    unsolved = base64.b64encode(json.dumps({"challenge": challenge, "solution": {"counter": 0}}).encode()).decode()
    form = await shared_site.form(email="solver@letters.example") | {"altcha": unsolved}
    check_page(await shared_site.client.post(f"/en/{SLUG}/sign", data=form, headers=shared_site.new_network()), 422)


@pytest.mark.parametrize("query", ["", "?letter=", "?letter=no-such-letter", "?letter=%00", "?letter=%ff", "?x=1"])
async def test_no_challenge_without_a_letter(shared_site: Installation, query: str) -> None:
    assert (await shared_site.client.get(f"/captcha/challenge{query}")).status_code == 404


@pytest.mark.parametrize("path", [CHALLENGE, f"/en/{SLUG}/signed", f"/en/{SLUG}/check-your-inbox", f"/en/{SLUG}"])
@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE"])
async def test_another_method_is_refused(shared_site: Installation, path: str, method: str) -> None:
    assert (await shared_site.client.request(method, path)).status_code == 405


async def test_a_challenge_of_another_letter_does_not_count(shared_site: Installation) -> None:
    foreign = solve(ProofOfWork([KEY], price=CHEAP).challenge(LetterId(999)))
    form = await shared_site.form(email="foreign@letters.example") | {"altcha": foreign}
    check_page(await shared_site.client.post(f"/en/{SLUG}/sign", data=form, headers=shared_site.new_network()), 422)


@pytest.mark.parametrize("lang", ["en", "ru"])
async def test_check_your_inbox_takes_the_code(shared_site: Installation, lang: str) -> None:
    page = await shared_site.client.get(f"/{lang}/{SLUG}/check-your-inbox")
    check_page(page, 200, lang)
    assert form_in(page, f"/{lang}/{SLUG}/confirm") == {"email": "", "code": ""}
    check_page(await shared_site.client.get(f"/{lang}/no-such-letter/check-your-inbox"), 404, lang)
