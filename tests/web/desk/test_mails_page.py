"""The preview of every mail at the desk: each in both languages, and nothing of it runs or is fetched."""

import re

import pytest

from petition.web.desk import mail_cases, mail_samples
from tests.organizers import people
from tests.running import SLUG, Installation

HERE = "/organizer/installation/mails"


async def test_every_mail_has_a_preview_in_both_languages(site: Installation) -> None:
    async with people.at_desk(site, "viewer") as client:
        listed = (await client.get(HERE)).text
        names = mail_samples.names()
        assert len(names) > 20
        assert sorted(re.findall(r'href="/organizer/installation/mails/([a-z_]+)"', listed)) == names
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


def test_every_mail_has_an_audience() -> None:
    assert sorted(name for names in mail_cases.AUDIENCES.values() for name in names) == mail_samples.names()
    assert set(mail_cases.CASES) <= set(mail_samples.names())


async def test_every_case_has_a_preview_that_says_something_else(site: Installation) -> None:
    async with people.at_desk(site, "viewer", lang="ru") as client:
        listed = (await client.get(HERE)).text
        for name in mail_samples.names():
            usual = (await client.get(f"{HERE}/{name}?html=ru")).text
            for case in mail_cases.cases_of(name):
                address = f"{HERE}/{name}?case={case.key}"
                assert f'href="{address}"' in listed
                page = (await client.get(address)).text
                assert f'src="{address}&amp;html=ru"' in page
                assert f'href="{address}" aria-current="page"' in " ".join(page.split())
                assert (await client.get(f"{address}&html=ru")).text != usual, address
        assert (await client.get(f"{HERE}/confirm?case=nothing")).status_code == 404


@pytest.mark.parametrize(
    ("page", "mail"),
    [("updates", "update"), ("updates", "reminder"), ("delivery", "addressee"), ("delivery/1", "addressee")],
)
async def test_pages_lead_to_the_mails_they_send(site: Installation, page: str, mail: str) -> None:
    async with people.at_desk(site, "editor") as client:
        assert f'href="{HERE}/{mail}"' in (await client.get(f"/organizer/{SLUG}/{page}")).text
        assert f'href="{HERE}/waiting"' in (await client.get("/organizer/security")).text
