"""Kill switches: put at the desk, in force on every public page at once, in every process; on record, and undone."""

import asyncio
from dataclasses import replace
from typing import Any

import httpx2
import pytest

from petition.core.ids import LetterId, SignatureId
from petition.exports.filtered import COLUMNS
from petition.letters import switch_actions
from petition.letters.switches import OFF, ON, STRONGER, Setting, Switch, Switches
from petition.signatures import approval
from tests import rows
from tests.letters.switches import ESCAPED, GENERAL, HERE, PAGE, SIGN, WHY, put, revision_of
from tests.organizers import people
from tests.pages import assert_redirect, check_page
from tests.rows import rows_of
from tests.running import SLUG, Installation, free_port, serving
from tests.signatures.waiting import VERA, Waiting


@pytest.mark.parametrize("lang", ["en", "ru"])
async def test_signing_stops_and_the_page_says_why(site: Installation, editor: httpx2.AsyncClient, lang: str) -> None:
    form = await site.form()
    assert_redirect(await put(editor, "stop", **WHY), f"{HERE}?done=stop")
    page = await site.client.get(f"/{lang}/{SLUG}")
    assert page.status_code == 200
    assert (ESCAPED if lang == "en" else WHY["text_ru"]) in page.text
    assert "sign-form" not in page.text
    assert "sign.js" not in page.text
    refused = await site.client.post(f"/{lang}/{SLUG}/sign", data=form, headers=site.new_network())
    check_page(refused, 503, lang)
    assert refused.headers["retry-after"]
    assert await rows_of(site.database, "SELECT 1 FROM pending UNION ALL SELECT 1 FROM outbox") == []
    assert_redirect(await put(editor, "stop", OFF), f"{HERE}?done=stop")
    assert "sign-form" in (await site.client.get(f"/{lang}/{SLUG}")).text
    assert (await site.sign(lang)).status_code == 303


async def test_the_database_knows_before_a_process_does(site: Installation) -> None:
    """Whoever posts between the switch and the look is refused by the transaction itself."""
    waiting = await Waiting.of(site)
    form = await site.form(email="other@letters.example")
    assert (await site.client.get(PAGE)).status_code == 200
    async with site.database.transaction() as conn:
        await switch_actions.set_switch(conn, None, waiting.letter.id, Switch.STOP, 0, ON, {"en": "Stopped."})
    signing, confirming, typing = await asyncio.gather(
        site.client.post(SIGN, data=form, headers=site.new_network()),
        site.client.post(waiting.link),
        waiting.type_code(),
    )
    assert [each.status_code for each in (signing, confirming, typing)] == [503, 503, 503]
    assert await rows_of(site.database, "SELECT 1 FROM signature") == []
    assert len(await rows_of(site.database, "SELECT 1 FROM pending")) == 1


async def test_a_mailed_link_keeps_working_while_signing_is_stopped(
    site: Installation, editor: httpx2.AsyncClient
) -> None:
    waiting = await Waiting.of(site)
    await put(editor, "stop", **WHY)
    shown = await site.client.get(waiting.link)
    check_page(shown, 200)
    for text in (ESCAPED, "This link works again", "you can use it until"):
        assert text in shown.text
    assert "<button>Confirm" not in shown.text
    for refused in (await site.client.post(waiting.link), await waiting.type_code()):
        check_page(refused, 503)
        assert refused.headers["retry-after"]
    assert (await site.count())["people"] == 0
    await put(editor, "stop", OFF)
    assert (await site.client.post(waiting.link)).status_code == 303
    assert (await site.count())["people"] == 1


async def test_who_has_signed_finds_the_own_page_while_signing_is_stopped(
    site: Installation, editor: httpx2.AsyncClient
) -> None:
    waiting = await Waiting.of(site)
    await site.client.post(waiting.link)
    await put(editor, "stop", **WHY)
    assert_redirect(await site.client.get(waiting.link), waiting.own)
    assert (await site.client.post(waiting.link)).status_code == 303  # the second time is harmless
    assert (await site.client.post(waiting.own, data={"action": "withdraw"})).status_code == 303


@pytest.mark.parametrize("visibility", ["public", "organizers", "counted"])
async def test_whoever_confirms_is_held_and_let_in_at_the_desk(
    site: Installation, editor: httpx2.AsyncClient, visibility: str
) -> None:
    await put(editor, "hold")
    waiting = await Waiting.of(site, visibility=visibility, name="Zora Quill", city="Uppsala", affiliation="Weaver")
    answer = await site.client.post(waiting.link)
    assert_redirect(answer, f"/en/{SLUG}/signed?as=waiting")
    assert "waits for approval" in (await site.client.get(answer.headers["location"])).text
    assert "waiting for the organizers’ approval" in (await site.client.get(waiting.own)).text
    (row,) = await rows_of(site.database, "SELECT state, name, city, name_key, private FROM signature")
    assert (row["state"], row["name"], row["city"], row["name_key"]) == ("held", None, None, None)
    assert (row["private"] is None) is (visibility == "counted")
    await check(site, people=0, hidden=0)
    assert "Zora" not in (await site.client.get(f"/en/{SLUG}/signatories?q=zora")).text

    queue = f"/organizer/{SLUG}/queue"
    assert ("Zora Quill" in (await editor.get(f"{queue}?state=held")).text) is (visibility != "counted")
    assert (await approve(editor, waiting.id)).status_code == 303
    (row,) = await rows_of(site.database, "SELECT state, name, city, private FROM signature")
    assert row["state"] == "confirmed"
    assert (row["name"], row["city"]) == (("Zora Quill", "Uppsala") if visibility == "public" else (None, None))
    assert (row["private"] is None) is (visibility != "organizers")
    await check(site, people=1, hidden=int(visibility != "public"))
    listed = (await site.client.get(f"/en/{SLUG}/signatories?q=zora")).text
    assert ("Zora Quill" in listed) is (visibility == "public")
    shown = (await site.client.get(waiting.own)).text
    assert ("Zora Quill" in shown) is (visibility != "counted")
    assert (await site.client.post(waiting.own, data={"action": "withdraw"})).status_code == 303
    await check(site, people=0, hidden=0)


async def approve(editor: httpx2.AsyncClient, signature_id: SignatureId) -> httpx2.Response:
    """Press the button on the page of one signature."""
    page = f"/organizer/{SLUG}/signatures/{signature_id}"
    seen = (await editor.get(page)).text.partition('name="seen" value="')[2].partition('"')[0]
    return await editor.post(page, data={"act": "approve", "seen": seen})


async def check(site: Installation, **wanted: int) -> None:
    async with site.database.connection() as conn:
        count = await rows.check_count(conn, await rows.letter(conn))
    assert {key: count[key] for key in wanted} == wanted


async def test_who_confirmed_before_stays_and_held_changes_of_mind_stay_hidden(
    site: Installation, editor: httpx2.AsyncClient
) -> None:
    before = await Waiting.of(site, "before@letters.example", name="Early Bird")
    await site.client.post(before.link)
    await put(editor, "hold")
    later = await Waiting.of(site, VERA, visibility="organizers", name="Late Riser")
    await site.client.post(later.link)
    form = {"action": "visibility", "visibility": "public"}
    assert (await site.client.post(later.own, data=form)).status_code == 303
    await check(site, people=1)
    assert "Late Riser" not in (await site.client.get(f"/en/{SLUG}/signatories?q=late")).text
    await approve(editor, later.id)
    await check(site, people=2, hidden=0)
    assert "Late Riser" in (await site.client.get(f"/en/{SLUG}/signatories?q=late")).text


async def test_a_held_person_is_no_organization_that_waits(site: Installation, editor: httpx2.AsyncClient) -> None:
    await put(editor, "hold")
    waiting = await Waiting.of(site, visibility="counted")
    await site.client.post(waiting.link)
    async with site.database.transaction() as conn:
        assert await approval.held(conn, waiting.letter.id, waiting.letter.keys) == []


async def test_the_captcha_gets_dear_for_everybody(site: Installation, editor: httpx2.AsyncClient) -> None:
    ask = f"/captcha/challenge?letter={SLUG}"
    assert (await site.client.get(ask)).json()["parameters"]["data"]["dear"] is False
    await put(editor, "captcha", STRONGER)
    assert (await site.client.get(ask)).json()["parameters"]["data"]["dear"] is True
    cheap = await site.sign()
    check_page(cheap, 422)
    assert 'name="drawn"' in cheap.text
    assert (await site.sign(altcha=await site.challenge(price=1))).status_code == 303
    await put(editor, "captcha", OFF)
    assert (await site.sign(email="other@letters.example")).status_code == 303


async def test_names_hide_everywhere_and_the_count_stays(site: Installation, editor: httpx2.AsyncClient) -> None:
    waiting = await Waiting.of(site, name="Zora Quill")
    await site.client.post(waiting.link)
    places = [f"/en/{SLUG}/signatories", f"/en/{SLUG}/signatories?q=zora", f"/api/v1/letters/{SLUG}/signatories"]
    report = f"/en/{SLUG}/report/person/{waiting.id}"
    for place in (*places, report):
        assert "Zora Quill" in (await site.client.get(place)).text
    await put(editor, "hide_list")
    hidden = [await site.client.get(place) for place in places]
    assert [each.status_code for each in hidden] == [200, 200, 403]
    for each in hidden:
        assert "Zora" not in each.text.replace("zora", "")
    assert hidden[2].headers["content-type"] == "application/problem+json"
    check_page(await site.client.get(report), 404)
    page = (await site.client.get(PAGE)).text
    assert "hidden at the moment" in page
    assert "/signatories?" not in page
    counts = (await site.client.get(f"/api/v1/letters/{SLUG}/count")).json()
    assert counts["people"] == 1
    about = (await site.client.get(f"/api/v1/letters/{SLUG}")).json()["counts"]
    assert (about["total"], about["hidden"]) == (1, 1)
    assert "Zora Quill" in (await site.client.get(waiting.own)).text  # one's own
    check_page(await put(editor, "hide_list", OFF), 403)
    check_page(
        await editor.post(
            HERE, data={"name": "hide_list", "act": "undo", "revision": await revision_of(editor, "hide_list")}
        ),
        403,
    )
    assert "Zora" not in (await site.client.get(places[0])).text
    async with people.at_desk(site, "owner", email="owner@letters.example") as owner:
        assert_redirect(await put(owner, "hide_list", OFF), f"{HERE}?done=hide_list")
    assert "Zora Quill" in (await site.client.get(places[0])).text


async def test_at_the_desk_only_owners_see_hidden_names(site: Installation) -> None:
    waiting = await Waiting.of(site, name="Zora Quill", affiliation="Quillworks", city="Quilltown")
    await site.client.post(waiting.link)
    async with site.database.connection() as conn:
        await conn.execute("UPDATE signature SET flags = '{burst}'")
    desk = f"/organizer/{SLUG}"
    pages = ["", "queue?state=confirmed", "queue?q=quill", f"signatures/{waiting.id}", "log", "queue?wait=flagged"]
    export = {"form": "csv", "back": "state=confirmed", **{f"c_{name}": "1" for name in COLUMNS}}

    async def reads(client: httpx2.AsyncClient) -> dict[str, bool]:
        texts = {page: (await client.get(f"{desk}/{page}")).text for page in pages}
        texts["export"] = (await client.post(f"{desk}/export", data=export)).text
        return {page: "Zora Quill" in text or "Quillworks" in text for page, text in texts.items()}

    async with (
        people.at_desk(site, "owner", email="owner@letters.example") as owner,
        people.at_desk(site, "editor", email="editor@letters.example") as other,
        people.at_desk(site, "moderator", email="moderator@letters.example") as moderator,
    ):
        await owner.post(f"{desk}/queue", data={"act": "clear", "pick": f"s{waiting.id}"})
        seen = {page: True for page in pages if page != "log"} | {"log": False, "export": True}
        assert await reads(moderator) == seen
        await put(owner, "hide_list")
        assert not any((await reads(moderator)).values())
        assert not any((await reads(other)).values())
        assert (await moderator.get(f"{desk}/")).status_code == 200
        check_page(await moderator.get(f"{desk}/queue"), 403)
        assert await reads(owner) == seen | {"export": False}
        await put(owner, "hide_list", OFF)
        assert await reads(moderator) == seen


async def test_a_banner_stands_on_every_public_page(
    site: Installation, editor: httpx2.AsyncClient, keeper: httpx2.AsyncClient
) -> None:
    waiting = await Waiting.of(site)
    await put(editor, "banner", text_en="Only <i>here</i>.")
    await put(keeper, "banner", where=GENERAL, text_en="Everywhere.", text_ru="Везде.")
    mine = (PAGE, f"{PAGE}/text", f"{PAGE}/versions", f"{PAGE}/updates", f"{PAGE}/signatories", f"{PAGE}/find")
    for path in (*mine, f"{PAGE}/check-your-inbox", f"{PAGE}/signed", waiting.link):
        text = (await site.client.get(path)).text
        assert text.index("Everywhere.") < text.index("Only &lt;i&gt;here&lt;/i&gt;."), path
    for path in ("/en/", "/en/privacy", "/en/no-such-letter"):
        text = (await site.client.get(path)).text
        assert "Everywhere." in text
        assert "Only" not in text.partition("<main")[0]
    russian = (await site.client.get(f"/ru/{SLUG}")).text
    assert "Везде." in russian
    assert '<p lang="en">Only &lt;i&gt;' in russian
    await put(keeper, "banner", OFF, where=GENERAL)
    await put(editor, "banner", OFF)
    for path in (PAGE, "/en/"):
        assert "banner" not in (await site.client.get(path)).text.partition("<main")[0].partition("</style>")[2]


async def test_a_letter_that_can_only_be_read(site: Installation, editor: httpx2.AsyncClient) -> None:
    signed = await Waiting.of(site, "before@letters.example")
    await site.client.post(signed.link)
    waiting = await Waiting.of(site)
    form = await site.form(email="new@letters.example")
    await put(editor, "read_only", **WHY)
    for path in (PAGE, waiting.link, signed.own, f"{PAGE}/signatories"):
        assert (await site.client.get(path)).status_code == 200
    posts: list[tuple[str, dict[str, str]]] = [
        (SIGN, form),
        (waiting.link, {}),
        (f"{PAGE}/confirm", {"email": VERA, "code": waiting.code}),
        (signed.own, {"action": "withdraw"}),
        (f"{PAGE}/find", {"email": VERA, "altcha": await site.challenge()}),
        (f"{PAGE}/report/person/{signed.id}", {"reason": "fake", "altcha": await site.challenge()}),
    ]
    for path, data in posts:
        answer = await site.client.post(path, data=data, headers=site.new_network())
        check_page(answer, 503)
        assert answer.headers["retry-after"], path
    assert (await site.count())["people"] == 1
    assert await rows_of(site.database, "SELECT 1 FROM outbox UNION ALL SELECT 1 FROM report") == []
    await put(editor, "read_only", OFF)
    assert (await site.client.post(waiting.link)).status_code == 303


async def test_an_installation_that_can_only_be_read(site: Installation, keeper: httpx2.AsyncClient) -> None:
    waiting = await Waiting.of(site)
    await put(keeper, "read_only", where=GENERAL, text_en="We move to another <server>.")
    assert (await site.client.get(PAGE)).status_code == 200
    for path in (SIGN, waiting.link, f"{PAGE}/find", f"{PAGE}/confirm", "/en/never/x", waiting.own, "/en/nothing"):
        answer = await site.client.post(path, data={"email": VERA})
        check_page(answer, 503)
        assert "another &lt;server&gt;" in answer.text
        assert answer.headers["retry-after"]
    russian = await site.client.post(f"/ru/{SLUG}/sign")
    assert '<p class="lead" lang="en">We move' in russian.text
    assert await rows_of(site.database, "SELECT 1 FROM signature") == []
    assert_redirect(await put(keeper, "read_only", OFF, where=GENERAL), f"{GENERAL}?done=read_only")
    assert (await site.client.post(waiting.link)).status_code == 303


async def test_every_process_knows_within_a_moment(site: Installation, editor: httpx2.AsyncClient) -> None:
    port = free_port()
    second = replace(site.settings, port=port)
    async with serving(second), httpx2.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=120) as elsewhere:
        headers = {"Host": site.base.removeprefix("http://")}
        assert "sign-form" in (await elsewhere.get(PAGE, headers=headers)).text
        await put(editor, "stop", **WHY)
        async with asyncio.timeout(120):
            while ESCAPED not in (await elsewhere.get(PAGE, headers=headers)).text:
                await asyncio.sleep(0.02)


def test_what_a_letter_says_of_itself_goes_first() -> None:
    def on(name: Switch, value: str = ON, **texts: str) -> Setting:
        return Setting(name, value, texts)

    both = Switches.of(
        [on(Switch.STOP, en="all"), on(Switch.CAPTCHA, STRONGER), on(Switch.BANNER, en="all")],
        [on(Switch.STOP, en="one"), on(Switch.CAPTCHA), on(Switch.BANNER, en="one"), on(Switch.HOLD, OFF)],
    )
    assert both == Switches(stop={"en": "one"}, captcha=STRONGER, banners=({"en": "all"}, {"en": "one"}))
    assert Switches.of([on(Switch.READ_ONLY)], [on(Switch.STOP, en="one")]).pause == {}
    assert Switches.of([]) == Switches()


async def test_captcha_can_be_forced_where_the_settings_leave_it_off(site: Installation) -> None:
    from petition.captcha import Captchas, Passed
    from petition.core.captcha_settings import Captcha

    captchas = Captchas(replace(site.settings, captcha=Captcha.OFF))
    nothing: dict[str, Any] = {}
    assert captchas.challenge(LetterId(1)) == {"kind": "off"}
    assert isinstance(await captchas.check(nothing, LetterId(1)), Passed)
    assert "parameters" in captchas.challenge(LetterId(1), forced=True)
    assert not isinstance(await captchas.check(nothing, LetterId(1), forced=True), Passed)
