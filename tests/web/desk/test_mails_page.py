"""The preview of every mail at the desk: each in both languages, and nothing of it runs or is fetched."""

import re

from petition.web.desk import mail_samples
from tests.organizers import people
from tests.running import Installation

HERE = "/organizer/installation/mails"


async def test_every_mail_has_a_preview_in_both_languages(site: Installation) -> None:
    async with people.at_desk(site, "viewer") as client:
        listed = (await client.get(HERE)).text
        names = mail_samples.names()
        assert len(names) > 20
        assert re.findall(r'href="/organizer/installation/mails/([a-z_]+)"', listed) == names
        for name in names:
            page = await client.get(f"{HERE}/{name}")
            assert page.status_code == 200, name
            for lang in ("en", "ru"):
                assert f'src="{HERE}/{name}?html={lang}"' in page.text
                frame = await client.get(f"{HERE}/{name}?html={lang}")
                assert f'<html lang="{lang}">' in frame.text
                policy = frame.headers["content-security-policy"]
                assert "default-src 'none'" in policy
                assert "allow-scripts" not in policy
                assert frame.headers["cache-control"] == "no-store"


async def test_what_is_no_mail_is_not_found(site: Installation) -> None:
    async with people.at_desk(site, "viewer") as client:
        for path in ("nothing", "_parts", "confirm?html=tlh"):
            assert (await client.get(f"{HERE}/{path}")).status_code == 404
    assert (await site.client.get(f"{HERE}/confirm")).status_code in {303, 404}
