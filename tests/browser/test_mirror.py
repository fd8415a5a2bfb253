"""Copies of a letter, in a browser without scripts: served by a plain server, and one file without any server."""

from pathlib import Path

import pytest
from axe_playwright_python.base import AXE_SCRIPT
from playwright.async_api import Browser, ConsoleMessage

from petition.mirrors.model import addresses_of
from tests import commands
from tests.browser.test_accessible import RUN
from tests.mirrors.test_mirror import Handler, served
from tests.running import SLUG, Installation, environment

pytestmark = pytest.mark.browser

WORDS = {"en": "Keep transit and peering running", "ru": "Продлевать сертификаты"}
SIGN = {"en": "Sign this letter", "ru": "Подписать письмо"}


async def write(site: Installation, target: Path, more: str = "") -> None:
    url = site.settings.database_url
    assert url is not None
    environ = environment(target.parent / "data", url, site.settings.port, BASE_URL=site.settings.base_url)
    code, said = await commands.run(f"mirror {SLUG} {target} {more}".strip(), environ)
    assert code == 0, said


@pytest.mark.parametrize("lang", ["en", "ru"])
@pytest.mark.parametrize("width", [360, 1280])
async def test_every_page_of_a_served_copy_is_reached_without_scripts(
    clean: Installation, chromium: Browser, tmp_path: Path, lang: str, width: int
) -> None:
    await write(clean, tmp_path / "web" / "some" / "copy")
    context = await chromium.new_context(java_script_enabled=False, viewport={"width": width, "height": 800})
    page = await context.new_page()
    refused: list[str] = []

    def hear(message: ConsoleMessage) -> None:
        # A file of JSON names no picture; the browser looks for one by itself.
        if not message.location["url"].endswith("/favicon.ico"):
            refused.append(f"{message.text} ({message.location})")

    page.on("console", hear)
    with served(tmp_path / "web", Handler) as url:
        page.on("response", lambda response: refused.append(response.url) if response.status >= 400 else None)
        await page.goto(f"{url}/some/copy/")
        await page.click(f"main a[hreflang={lang}]")
        assert WORDS[lang] in await page.inner_text("main")
        await page.click(f"text={SIGN[lang]} >> visible=true") if width == 1280 else await page.click(".banner a")
        assert page.url.endswith("#sign")
        way = page.locator("#sign a").first
        assert await way.get_attribute("href") == f"{clean.settings.base_url}/{lang}/{SLUG}#sign"
        for number in range(await page.locator("footer a").count()):
            await page.goto(f"{url}/some/copy/{lang}/index.html")
            answer = page.locator("footer a").nth(number)
            target = await answer.evaluate("link => link.href")
            response = await page.goto(target)
            assert response is not None
            assert response.status == 200
            assert target.startswith(url)
            if target.endswith(".html"):
                wide = await page.evaluate("document.documentElement.scrollWidth > innerWidth")
                assert not wide, target
    assert refused == []
    await context.close()


@pytest.mark.parametrize("lang", ["en", "ru"])
async def test_one_file_opens_offline(clean: Installation, chromium: Browser, tmp_path: Path, lang: str) -> None:
    file = tmp_path / "letter.html"
    await write(clean, file, "--single")
    context = await chromium.new_context(
        java_script_enabled=False, offline=True, viewport={"width": 360, "height": 800}
    )
    page = await context.new_page()
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    await page.goto(file.as_uri())
    await page.click(f"header a[hreflang={lang}]")
    assert WORDS[lang] in await page.inner_text(f"#{lang}")
    assert await page.locator(f"#sign-{lang} a").first.get_attribute("href") == (
        f"{clean.settings.base_url}/{lang}/{SLUG}#sign"
    )
    assert not await page.evaluate("document.documentElement.scrollWidth > innerWidth")
    assert {address.partition("#")[0] for address in asked if not address.startswith("data:")} == {file.as_uri()}
    await context.close()


@pytest.mark.parametrize("lang", ["en", "ru"])
async def test_readers_save_the_file_from_the_letter(
    clean: Installation, chromium: Browser, tmp_path: Path, lang: str
) -> None:
    page = await chromium.new_page(java_script_enabled=False, accept_downloads=True)
    await page.goto(f"{clean.base}/{lang}/{SLUG}")
    async with page.expect_download() as waiting:
        await page.click("footer a[href$='copy.html']")
    download = await waiting.value
    assert download.suggested_filename.endswith(".html")
    await download.save_as(tmp_path / "saved.html")
    code, said = await commands.run(f"mirror --verify {tmp_path / 'saved.html'}", {})
    assert code == 0, said
    host = addresses_of(clean.settings).host
    security = await clean.client.get(f"/{lang}/security")
    key = next(line.removeprefix("key: ") for line in said.splitlines() if line.startswith("key: "))
    assert key.startswith(f"{host}+")
    assert key in security.text
    await page.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_the_pages_of_a_copy_are_accessible(
    clean: Installation, chromium: Browser, tmp_path: Path, scheme: str
) -> None:
    await write(clean, tmp_path / "copy")
    await write(clean, tmp_path / "one.html", "--single")
    pages = [*sorted((tmp_path / "copy").rglob("*.html")), tmp_path / "one.html"]
    assert len(pages) == 12
    context = await chromium.new_context(color_scheme="dark" if scheme == "dark" else "light")
    page = await context.new_page()
    problems = []
    for path in pages:
        await page.goto(path.as_uri())
        await page.evaluate(AXE_SCRIPT)
        problems += [f"{path.name}: {problem}" for problem in await page.evaluate(RUN)]
    assert problems == []
    await context.close()
