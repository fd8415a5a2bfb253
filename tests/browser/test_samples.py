"""Every code sample of the API's page runs as it stands: curl, Python, and JavaScript on a page of another origin."""

import asyncio
import html
import os
import re
import sys

import pytest
from playwright.async_api import Browser

from tests.browser.visitor import Town

pytestmark = pytest.mark.browser

NAMES = ["letter", "count", "history", "signatories", "affiliations", "partners", "events"]
TIMED_OUT = 28  # curl's: it was told to stop listening


async def sample(town: Town, name: str, label: str) -> str:
    """Return a sample as the page shows it."""
    page = await town.site.client.get("/en/api")
    found = re.search(rf'data-sample="{name} {label}"><code>(.*?)</code>', page.text, re.DOTALL)
    assert found, (name, label)
    return html.unescape(found[1])


async def run(*command: str) -> tuple[int, str]:
    """Run a command without what this machine says about proxies; return its status and what it printed."""
    child = await asyncio.create_subprocess_exec(
        *command, stdout=asyncio.subprocess.PIPE, env={"PATH": os.environ["PATH"], "LANG": "C.UTF-8"}
    )
    printed, _ = await child.communicate()
    return child.returncode or 0, printed.decode()


async def test_the_page_has_them_all(town: Town) -> None:
    page = await town.site.client.get("/ru/api")
    samples = re.findall(r'data-sample="(\w+) (\w+)"', page.text)
    assert sorted(samples) == sorted((name, label) for name in NAMES for label in ("curl", "JavaScript", "Python"))


@pytest.mark.parametrize("name", NAMES)
async def test_with_curl(town: Town, name: str) -> None:
    command = (await sample(town, name, "curl")).replace("--max-time 10", "--max-time 2")
    status, printed = await run("sh", "-c", command)
    assert status == (TIMED_OUT if name == "events" else 0)
    assert '"people":' in printed or '"items":' in printed


@pytest.mark.parametrize("name", NAMES)
async def test_in_python(town: Town, name: str) -> None:
    status, printed = await run(sys.executable, "-c", await sample(town, name, "Python"))
    assert status == 0
    assert re.fullmatch(r"\d+\n", printed)


@pytest.mark.parametrize("name", NAMES)
async def test_in_javascript_on_another_site(town: Town, chromium: Browser, name: str) -> None:
    page = await chromium.new_page()
    await page.goto(town.base.replace("localhost", "127.0.0.1") + "/healthz")
    # Not what the browser itself says, of the icon it asks every site for, say.
    async with page.expect_console_message(lambda message: message.type == "log") as told:
        await page.evaluate("async () => {" + await sample(town, name, "JavaScript") + "}")
    assert re.fullmatch(r"\d+", (await told.value).text)
    await page.close()
