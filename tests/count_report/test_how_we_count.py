"""The page "How we count" and its signed JSON: what each says, in both languages, and what is not shown."""

import base64
import hashlib
import json
import re
from typing import Any

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from petition.letters import sensitivity
from petition.moderation.model import Action
from tests import rows
from tests.count_log.conftest import LogBench
from tests.count_report.reports import API, MARKS, PAGE, TOUCH, age, mark, plain, report
from tests.running import SLUG, Installation

END = """
UPDATE letter SET state = $2::text::letter_state, closed_at = now(), revision = revision + 1 WHERE id = $1
"""
PAPER = """
WITH t AS (INSERT INTO tally (letter, people, counted_on, source) VALUES ($1, 40, '2026-01-02', '{"en": "Sheets"}')),
     l AS (UPDATE letter SET revision = revision + 1 WHERE id = $1)
UPDATE count SET people = people + 40, imported = imported + 40 WHERE letter = $1
"""


async def test_the_json_is_signed_by_the_key_on_the_page_about_security(site: Installation, logged: LogBench) -> None:
    await logged.sign("Vera Novak")
    body = await report(site)
    # The key as anyone reads it, the check with another library than ours.
    (key,) = set(re.findall(r"--key (\S+?)<", (await site.client.get("/en/security")).text))
    assert body["key"] == key
    public = Ed25519PublicKey.from_public_bytes(base64.b64decode(key.split("+", 2)[2])[1:])

    def verify(content: dict[str, Any]) -> None:
        text, _, line = content["signature"].rpartition("\n\n\N{EM DASH} ")
        rest = {name: value for name, value in content.items() if name != "signature"}
        written = json.dumps(rest, ensure_ascii=False, sort_keys=True, separators=(",", ":")).encode()
        assert text.splitlines()[0] == f"{site.base.partition('://')[2]}/how-we-count/{SLUG}"
        if f"sha256 {hashlib.sha256(written).hexdigest()}" not in text.splitlines():
            raise InvalidSignature
        public.verify(base64.b64decode(line.split()[1])[4:], f"{text}\n".encode())

    verify(body)
    for changed in (
        body | {"counts": body["counts"] | {"people": 2}},
        body | {"quote": {}},
        body | {"signature": body["signature"].replace("counted 2", "counted 3")},
    ):
        with pytest.raises(InvalidSignature):
            verify(changed)


async def test_the_report_goes_on_while_nothing_changes(site: Installation, logged: LogBench) -> None:
    await logged.sign("Vera Novak")
    await report(site)
    first = await site.client.get(API)
    assert first.headers["access-control-allow-origin"] == "*"
    assert first.headers["cache-control"] == "public, max-age=0, s-maxage=1"
    again = await site.client.get(API, headers={"If-None-Match": first.headers["etag"]})
    assert again.status_code == 304
    await logged.sign("Bela Quill")
    await report(site)
    again = await site.client.get(API, headers={"If-None-Match": first.headers["etag"]})
    assert (again.status_code, again.json()["counts"]["people"]) == (200, 2)


@pytest.mark.parametrize("lang", ["en", "ru"])
async def test_the_page_has_a_sentence_to_quote_in_both_languages(
    site: Installation, logged: LogBench, lang: str
) -> None:
    await logged.sign("Vera Novak", "Bela Quill")
    await logged.decide(Action.APPROVE, await logged.sign_for("North Pier"))
    body = await report(site)
    english, russian = plain(body["quote"]["en"]), plain(body["quote"]["ru"])
    assert re.fullmatch(
        r"As of \d{1,2}:\d\d.{0,3} UTC on .+ \d{4}, 2 people and 1 organization had signed the open letter “.+” and "
        r"confirmed by e-mail\.",
        english,
    )
    assert re.fullmatch(
        r"Подписи под открытым письмом «.+», подтверждённые по электронной почте, на \d{1,2}:\d\d UTC .+ \d{4} г\.: "
        r"2 человека и 1 организация\.",
        russian,
    )
    page = await site.client.get(f"/{lang}/{SLUG}/how-we-count")
    assert (page.status_code, page.headers["content-language"]) == (200, lang)
    assert english.split(",")[-1] in plain(page.text)
    assert russian.split(":")[-1] in plain(page.text)
    titles = {"en": "How we count", "ru": "Как мы считаем"}
    assert f"<h1>{titles[lang]}</h1>" in plain(page.text)
    for path in ("", "/signatories"):
        assert f'href="/{lang}/{SLUG}/how-we-count"' in (await site.client.get(f"/{lang}/{SLUG}{path}")).text


async def test_what_did_not_confirm_here_is_said_apart(site: Installation, logged: LogBench) -> None:
    await logged.sign("Vera Novak")
    await logged.change(PAPER)
    quote = (await report(site))["quote"]
    assert plain(quote["en"]).endswith(
        "confirmed by e-mail. Another 40 people signed on paper. Together these are 41 people."
    )
    assert plain(quote["ru"]).endswith(": 1 человек. На бумаге ещё 40 человек. Всего 41 человек.")


async def test_each_organization_stands_with_its_proof(site: Installation, logged: LogBench) -> None:
    for number, kind in enumerate([*MARKS, "vouched"]):
        one = await logged.sign_for(f"Pier {number} {kind}")
        await logged.decide(Action.APPROVE, one)
        await mark(logged, one, kind)
    await logged.decide(Action.APPROVE, await logged.sign_for("Pier 5 reviewed"))
    body = await report(site)
    assert body["evidence"] == dict.fromkeys([*MARKS, "vouched", "reviewed"], 1) | {"imported": 0}
    items = (await site.client.get(f"/api/v1/letters/{SLUG}/signatories?kind=organization")).json()["items"]
    assert {(item["name_en"].split()[2], *item["evidence"]) for item in items} == {
        (kind, kind) for kind in [*MARKS, "vouched", "reviewed"]
    }
    assert [item["vouched_by"] for item in items if item["evidence"] == ["vouched"]] == [["Anna of the League"]]
    for path in (PAGE, f"/en/{SLUG}/signatories?kind=organization"):
        page = plain((await site.client.get(path)).text)
        assert re.search(r"Pier 4 vouched.{0,200}Vouched for by Anna of the League", page, re.DOTALL)
        assert re.search(r"Pier 0 mailbox.{0,200}Mailbox on its domain", page, re.DOTALL)
        assert re.search(r"Pier 5 reviewed.{0,200}Reviewed by the organizers", page, re.DOTALL)


async def test_the_organizations_are_paged(site: Installation, logged: LogBench) -> None:
    ids = [await logged.sign_for(f"Pier number {number}") for number in range(103)]
    await logged.decide(Action.APPROVE, *ids)
    await report(site)
    first = (await site.client.get(PAGE)).text
    (following,) = re.findall(r'rel="next" href="([^"#]+)#organizations"', first)
    second = (await site.client.get(following)).text
    names = [set(re.findall("Pier number ([0-9]+)", page)) for page in (first, second)]
    assert [len(part) for part in names] == [100, 3]
    assert len(names[0] | names[1]) == 103
    assert (await site.client.get(f"{PAGE}?after=nothing")).status_code == 404


async def test_names_go_from_the_page_while_the_numbers_stay(site: Installation, logged: LogBench) -> None:
    await logged.decide(Action.APPROVE, await logged.sign_for("North Pier"))
    await report(site)
    assert "North Pier" in (await site.client.get(PAGE)).text
    await logged.change("INSERT INTO switch (letter, name, value) VALUES ($1, 'hide_list', 'on')")
    body = await report(site)
    page = (await site.client.get(PAGE)).text
    assert "North Pier" not in page
    assert "The list of signatories is hidden at the moment." in page
    assert (body["counts"]["organizations"], body["counts"]["hidden"]) == (1, 1)
    assert body["evidence"]["reviewed"] == 1


async def test_a_sensitive_letter_shows_no_name_no_week_and_moves_in_steps(
    site: Installation, logged: LogBench
) -> None:
    await logged.decide(Action.APPROVE, await logged.sign_for("North Pier"))
    crowd = await logged.crowd(30)
    await logged.remove(*crowd[:12])
    await age(logged, 7)
    await logged.remove(*crowd[12:24])
    await age(logged, 7)
    async with site.database.transaction() as conn:
        await sensitivity.set_sensitive(conn, None, logged.letter.id, sensitive=True)
    before = await report(site)
    assert "North Pier" not in (await site.client.get(PAGE)).text
    assert [week["reasons"] for week in before["removals"]["weeks"]] == [{"fake": 24}]
    assert before["removals"]["minimum"] == 10
    one = await logged.sign_for("South Pier")
    await logged.decide(Action.APPROVE, one)
    await mark(logged, one, "mailbox")
    between = await report(site)
    same = ("counts", "counted_at", "quote", "evidence", "sources", "removals", "confirmations")
    assert {name: between[name] for name in same} == {name: before[name] for name in same}
    await logged.change("UPDATE count_step SET stepped_at = stepped_at - interval '10 minutes' WHERE letter = $1")
    after = await report(site)
    assert (after["evidence"]["mailbox"], after["counts"]["organizations"]) == (1, 2)
    assert sum(after["evidence"].values()) == 2


async def test_the_share_moves_once_a_day_and_from_fifty_forms_on(site: Installation, logged: LogBench) -> None:
    async def confirmations() -> tuple[object, ...]:
        body = (await report(site))["confirmations"]
        return body["asked"], body["confirmed"], body["percent"]

    async with site.database.transaction() as conn:
        ids = await rows.add_pending(conn, logged.letter, [f"voice{number}@letters.example" for number in range(49)])
    await logged.use_links(ids[:20])
    await age(logged, 1)
    assert await confirmations() == (None, None, None)
    async with site.database.transaction() as conn:
        await rows.add_pending(conn, logged.letter, ["one@letters.example"])
    await logged.change(TOUCH)
    assert await confirmations() == (None, None, None)  # it came today
    await age(logged, 1)
    assert await confirmations() == (50, 20, 40)
    assert "Of 50 forms sent in until" in plain((await site.client.get(PAGE)).text)
    async with site.database.transaction() as conn:
        await sensitivity.set_sensitive(conn, None, logged.letter.id, sensitive=True)
    assert await confirmations() == (None, None, 40)


@pytest.mark.parametrize(("state", "status"), [("closed", 200), ("archived", 200)])
async def test_a_letter_that_is_over_keeps_its_report(
    site: Installation, logged: LogBench, state: str, status: int
) -> None:
    await logged.sign("Vera Novak")
    await logged.change(
        END,
        state,
    )
    body = await report(site)
    assert (body["state"], body["counts"]["people"]) == (state, 1)
    assert (await site.client.get(PAGE)).status_code == status


async def test_there_is_no_report_of_a_letter_that_is_not_there(site: Installation) -> None:
    assert (await site.client.get("/en/no-such-letter/how-we-count")).status_code == 404
    problem = await site.client.get("/api/v1/letters/no-such-letter/how-we-count")
    assert (problem.status_code, problem.headers["content-type"]) == (404, "application/problem+json")
