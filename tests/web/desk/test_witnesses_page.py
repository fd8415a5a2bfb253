"""An owner registers the witnesses of a letter's count log, retires one, and takes that back."""

import pytest

from petition.count_log.cosignatures import Cosigner
from tests.organizers import people
from tests.rows import rows_of
from tests.running import SLUG, Installation

PAGE = f"/organizer/{SLUG}/witnesses"
KEY = str(Cosigner("witness.example.org", b"1" * 32).key)


async def test_a_witness_is_registered_retired_and_restored(site: Installation) -> None:
    async with people.at_desk(site, "owner") as owner:
        assert "There are no witnesses yet." in (await owner.get(PAGE)).text
        form = {"act": "add", "title": "Harbour <Watch>", "key": f" {KEY}\n"}
        answer = await owner.post(PAGE, data=form)
        assert answer.headers["location"] == f"{PAGE}?done=add"
        page = (await owner.get(answer.headers["location"])).text
        assert "Harbour &lt;Watch&gt;" in page
        assert "not yet" in page
        assert (await owner.post(PAGE, data=form)).status_code == 422
        (row,) = await rows_of(site.database, "SELECT id, verifier_key FROM witness")
        assert row["verifier_key"] == KEY
        answer = await owner.post(PAGE, data={"act": "retire", "witness": str(row["id"])})
        page = (await owner.get(answer.headers["location"])).text
        assert "retired" in page
        assert "Undo" in page
        answer = await owner.post(PAGE, data={"act": "restore", "witness": str(row["id"])})
        assert "The witness has been restored." in (await owner.get(answer.headers["location"])).text
    (row,) = await rows_of(site.database, "SELECT retired_at FROM witness")
    assert row["retired_at"] is None


@pytest.mark.parametrize(
    ("title", "key", "words"),
    [
        ("", KEY, "Enter the partner’s name"),
        ("Harbour Watch", "", "one line with two plus signs"),
        ("Harbour Watch", KEY[:-1], "one line with two plus signs"),
        ("Harbour Watch", KEY.replace("witness", "another"), "one line with two plus signs"),
    ],
)
async def test_what_is_no_witness_is_refused(site: Installation, title: str, key: str, words: str) -> None:
    async with people.at_desk(site, "owner") as owner:
        answer = await owner.post(PAGE, data={"act": "add", "title": title, "key": key})
    assert (answer.status_code, words in answer.text) == (422, True)
    assert await rows_of(site.database, "SELECT FROM witness") == []
