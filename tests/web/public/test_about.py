"""The pages on security and privacy, and security.txt, which leads to the first (RFC 9116)."""

import re
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from petition.core.i18n import load
from petition.core.resources import folder
from tests.running import SLUG, Installation, installation

LANGS = ("en", "ru")


async def test_security_txt_names_everything_that_rfc_9116_wants(database_url: str, tmp_path: Path) -> None:
    onion = "http://letters7example.onion"
    controller = "A society, <safe@letters.example>"
    async with installation(database_url, tmp_path, CONTROLLER=controller, ONION_URL=onion) as site:
        answer = await site.client.get("/.well-known/security.txt")
        assert answer.headers["content-type"] == "text/plain; charset=utf-8"
        fields = [line.split(": ", 1) for line in answer.text.splitlines()]
        names = [name for name, _ in fields]
        assert names.count("Expires") == names.count("Preferred-Languages") == 1
        values = dict(fields)
        assert values["Contact"] == "mailto:safe@letters.example"
        assert values["Preferred-Languages"] == ", ".join(LANGS)
        expires = datetime.fromisoformat(values["Expires"])
        assert timedelta(days=30) < expires - datetime.now(UTC) < timedelta(days=366)
        canonical = [value for name, value in fields if name == "Canonical"]
        assert canonical == [f"{origin}/.well-known/security.txt" for origin in (site.base, onion)]
        policies = [value for name, value in fields if name == "Policy"]
        assert policies == [f"{site.base}/{lang}/security" for lang in LANGS]
        for policy in policies:
            page = await site.client.get(policy.removeprefix(site.base))
            assert page.status_code == 200
            assert 'href="mailto:safe@letters.example"' in page.text


async def test_without_a_contact_the_page_names_the_organizers(site: Installation) -> None:
    assert (await site.client.get("/.well-known/security.txt")).status_code == 404
    page = (await site.client.get("/en/security")).text
    assert "mailto:" not in page
    assert "Write to the organizers of this installation." in page


@pytest.mark.parametrize("lang", LANGS)
async def test_security_and_privacy_lead_to_each_other_and_are_in_the_sitemap(site: Installation, lang: str) -> None:
    privacy = (await site.client.get(f"/{lang}/privacy?letter={SLUG}")).text
    assert f'href="/{lang}/security"' in privacy
    answer = await site.client.get(f"/{lang}/security")
    assert f'href="/{lang}/privacy"' in answer.text
    assert f'<link rel="canonical" href="{site.base}/{lang}/security">' in answer.text
    for other in LANGS:
        assert f'hreflang="{other}" href="{site.base}/{other}/security"' in answer.text
    assert answer.headers["cache-control"] == "public, max-age=0, s-maxage=1"
    assert f"{site.base}/{lang}/security<" in (await site.client.get("/sitemap.xml")).text


@pytest.mark.parametrize("lang", LANGS)
async def test_the_page_says_promises_attackers_limits_and_how_to_report(site: Installation, lang: str) -> None:
    page = (await site.client.get(f"/{lang}/security")).text
    gettext = load(folder("locales"))[lang].gettext
    headings = ["What we promise", "Who may attack, and what they learn", "What does not hold"]
    headings_shown = re.findall(r"<h2>([^<]+)</h2>", page)
    assert headings_shown == [gettext(heading) for heading in (*headings, "How to report a weakness")]


async def test_privacy_says_what_the_ceilings_keep_and_what_they_show(site: Installation) -> None:
    page = " ".join((await site.client.get("/en/privacy")).text.split())
    assert "a fingerprint of its domain and of the server that takes its mail" in page
    assert "they see which of these belong together" in page
    assert "an owner of the letter can take your address along" in page
