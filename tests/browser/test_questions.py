"""At the choice of visibility: what everyone, the organizers and nobody see, and two questions, sent nowhere."""

import asyncio
from urllib.parse import parse_qsl

import pytest
from playwright.async_api import Page, Request, Route, expect

from tests.browser.test_weight import FIELDS
from tests.browser.visitor import Meet, Town

pytestmark = pytest.mark.browser

SCRIPTS = pytest.mark.parametrize("scripts", [True, False], ids=["scripts", "no-scripts"])
LOADED = {"altcha"}  # what the script adds to the form
MARKS = "#sign-form .choice:has([value={}]) b i"
# Answers to the two questions → the choice that they fit.
FITS = {
    "person": {
        ("Yes", ""): "counted",
        ("No", "Yes"): "public",
        ("No", "No"): "organizers",
        ("No", ""): "",
        ("", ""): "",
    },
    "organization": {("Yes", "Yes"): "organizers", ("No", "Yes"): "public", ("No", "No"): "organizers"},
}


async def marked(page: Page) -> list[str]:
    """Return the choices that are marked at this moment."""
    values = ("public", "organizers", "counted")
    counts = [await page.locator(MARKS.format(value)).filter(visible=True).count() for value in values]
    assert max(counts) <= 1
    return [value for value, count in zip(values, counts, strict=True) if count]


@SCRIPTS
@pytest.mark.parametrize("kind", ["person", "organization"])
async def test_the_answers_mark_a_choice_and_take_none(town: Town, meet: Meet, scripts: bool, kind: str) -> None:
    visitor = await meet(town, scripts=scripts)
    page = visitor.page
    await visitor.open(f"?as={kind}")
    await page.wait_for_load_state("networkidle")
    before = len(visitor.requests)
    assert await marked(page) == []
    await page.click("#sign-form .ask > summary")
    for (first, second), choice in FITS[kind].items():
        await page.select_option("#q1", label=first or "–")
        await page.select_option("#q2", label=second or "–")
        assert await marked(page) == [choice] * bool(choice), (first, second)
        advice = await visitor.text(".ask output")
        assert bool(advice) == bool(choice)
        assert await page.locator("#sign-form [name=visibility]:checked").count() == 0
    assert {kind for kind, _ in visitor.requests[before:]} <= {
        "fetch",
        "script",
    }  # the challenge, for the field in focus
    assert [url for _, url in visitor.requests[before:] if "q1" in url or "q2" in url] == []


@SCRIPTS
async def test_the_answers_are_sent_nowhere(town: Town, meet: Meet, scripts: bool) -> None:
    visitor = await meet(town, scripts=scripts)
    page, posts = visitor.page, list[str]()

    def note(request: Request) -> None:
        posts.append(request.post_data or "")

    page.on("request", note)
    await visitor.open()
    await page.click("#sign-form .ask > summary")
    await page.select_option("#q1", label="Yes")
    await page.select_option("#q2", label="No")
    await visitor.fill(email="asked@typed.example", visibility="organizers")
    await visitor.send()
    page.remove_listener("request", note)
    sent = [dict(parse_qsl(body, keep_blank_values=True)) for body in posts if body]
    assert sent[0]["visibility"] == "organizers"
    assert set(sent[0]) <= FIELDS | LOADED
    kept = await page.evaluate("Object.values(sessionStorage).join() + Object.values(localStorage).join()")
    assert "q1" not in kept
    assert await visitor.left_behind() == []


async def test_the_preview_says_what_is_seen_by_everyone_the_organizers_and_nobody(town: Town, meet: Meet) -> None:
    visitor = await meet(town)
    page = visitor.page
    await visitor.open()
    lines = page.locator("#sign-form .choice:has([value=organizers]) .slip")
    await expect(lines.filter(visible=True)).to_have_count(1)
    await visitor.fill(name="Vera Novak", city="Riga", visibility="organizers")
    await expect(lines.filter(visible=True)).to_have_count(3)
    everyone, organizers, no_one = [" ".join(text.split()) for text in await lines.all_inner_texts()]
    assert everyone.startswith("Everyone sees and ")
    assert "Vera" not in everyone
    assert organizers == "Organizers see Vera NovakRiga"  # with a comma that the style puts between them
    assert no_one == "Nobody sees your e-mail, unless you ask for news"
    await page.check("#sign-form [value=public]")
    public = "#sign-form .choice:has([value=public]) .slip"
    assert await visitor.text(public) == "Everyone sees Vera NovakRiga"
    await page.fill("#f-city", "")
    assert await visitor.text(public) == "Everyone sees Vera Novak"
    await page.check("#sign-form [value=counted]")
    counted = " ".join((await page.locator("#sign-form .choice:has([value=counted])").inner_text()).split())
    assert "Vera" not in counted
    assert "your name, never stored" in counted


async def test_what_was_typed_before_the_script_came_is_in_the_preview(town: Town, meet: Meet) -> None:
    visitor = await meet(town)
    page, held = visitor.page, asyncio.Event()

    async def late(route: Route) -> None:
        await held.wait()
        await route.continue_()

    await page.route("**/static/js/pow.js*", late)
    await page.goto(visitor.address(), wait_until="commit")
    await page.fill("#f-name", "Early Bird")
    assert await visitor.text("#sign-form .choice:has([value=public]) .slip") == "Everyone sees Your name"
    held.set()
    await expect(page.locator("#sign-form .choice:has([value=public]) .slip").first).to_contain_text("Early Bird")
    await page.unroute("**/static/js/pow.js*")
