"""The log: rows by name, as they are called now; bulk acts in one line; filters; words instead of codes."""

import re
from datetime import UTC, datetime
from pathlib import Path

import pytest

from petition.core import audit_log
from petition.moderation import bulk_acts, labels
from petition.moderation.model import Action, Filter
from petition.signatures.model import Reason
from tests.moderation.desk import WRAPPER, Bench
from tests.organizers import people
from tests.running import SLUG, Installation

LOG = f"/organizer/{SLUG}/log"
SOURCES = sorted((Path(__file__).parents[2] / "petition").rglob("*.py"))
PREFIXES = (
    "address|campaign|export|import|letter|member|message|note|organization|partner|preview|signature|switch|tally|"
    "update"
)


def lines_in(text: str) -> list[str]:
    body = re.search(r"<tbody>(.*)</tbody>", text, re.DOTALL)
    rows = re.findall(r"<tr>(.*?)</tr>", body[1] if body else "", re.DOTALL)
    return [re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", row)).strip() for row in rows]


async def test_rows_have_names_until_they_are_erased(site: Installation, bench: Bench) -> None:
    vera, olga = await bench.sign("Vera Novak", "Olga Lind")
    await bench.remove(vera, olga)
    async with people.at_desk(site, "moderator", name="Mo") as client:
        (first, *_) = lines_in((await client.get(LOG)).text)
        assert "Vera Novak" in first
        assert "Olga Lind" in first
        await bench.rows("DELETE FROM signature WHERE letter = $1 AND id = $2 RETURNING id", vera)
        (first, *_) = lines_in((await client.get(LOG)).text)
        assert "Vera" not in first
        assert "erased" in first


async def test_a_bulk_act_is_one_line_and_its_steps_can_be_asked_for(site: Installation, bench: Bench) -> None:
    await bench.crowd(70, country="FJ")
    async with bench.database.transaction() as conn:
        made = await bulk_acts.create(conn, bench.actor, Action.REMOVE, Filter(country="FJ"))
        await bulk_acts.advance(conn, bench.actor, made, "start", Reason.FAKE)
    while await bulk_acts.step(bench.database, WRAPPER, 10):
        pass
    async with people.at_desk(site, "moderator", name="Mo") as client:
        lines = [line for line in lines_in((await client.get(LOG)).text) if "bulk act" in line]
        assert len(lines) == 1
        assert "bulk act started" in lines[0]
        steps = lines_in((await client.get(f"{LOG}?bulk={made}")).text)
        assert len(steps) == 8


async def test_filters_by_person_act_and_day(site: Installation, bench: Bench) -> None:
    (vera,) = await bench.sign("Vera Novak")
    async with people.at_desk(site, "moderator", name="Mo") as client:
        await client.post(f"/organizer/{SLUG}/queue", data={f"s{vera}": "0", "act": "remove", "reason": "fake"})
        page = (await client.get(LOG)).text
        person = re.search(r'<option value="(\d+)">Mo<', page)
        assert person
        today = datetime.now(UTC).date().isoformat()
        by_person = lines_in((await client.get(f"{LOG}?person={person[1]}&act=&day=")).text)
        assert len(by_person) == 1
        assert len(lines_in((await client.get(f"{LOG}?act=signature.remove&day={today}")).text)) == 1
        for day in ("2020-02-29", "0001-01-01", "9999-12-30"):
            assert lines_in((await client.get(f"{LOG}?day={day}")).text) == []
        assert lines_in((await client.get(f"{LOG}?act=signature.approve")).text) == []


@pytest.mark.parametrize(
    "query",
    [
        *("person=x", "act=fly", "bulk=-1", "peson=1", "act=note.add&act=note.drop"),
        *("day=2026-02-30", "day=9999-99-99", "day=9999-12-31"),
    ],
)
async def test_an_unknown_filter_is_refused(site: Installation, query: str) -> None:
    async with people.at_desk(site, "moderator") as client:
        answer = await client.get(f"{LOG}?{query}")
    assert answer.status_code == 400
    assert "This filter is not understood" in answer.text


async def test_no_code_is_shown_in_either_language(site: Installation, bench: Bench) -> None:
    values = (
        ("export.list", "form:json,kind:organization,country:fj,lang:ru,q:yes", ""),
        ("campaign.revert", "done", "reverting"),
        ("import.done", "", "people:12,organizations:3"),
        ("import.cancel", "checked", "cancelled"),
        ("member.role", "viewer", "moderator"),
        ("letter.close", "open", "closed"),
    )
    async with bench.database.transaction() as conn:
        for act, before, after in values:
            await audit_log.record(conn, None, bench.letter.id, act, before=before, after=after)
    async with people.at_desk(site, "moderator", lang="ru") as client:
        lines = lines_in((await client.get(LOG)).text)[: len(values)]
    assert [line for line in lines if re.search(r"[a-z]{3,}", line.replace("JSON", "").replace("UTC", ""))] == []
    text = " ".join(lines)
    for words in ("формат: JSON", "Фиджи", "Русский".lower(), "закончено → откатывается", "наблюдатель → модератор"):
        assert words in text.lower() or words in text


def test_every_act_in_the_code_has_words() -> None:
    acts = {act for path in SOURCES for act in re.findall(rf'"((?:{PREFIXES})\.[a-z_]+)"', path.read_text("utf-8"))}
    files_and_columns = (".json", ".toml", ".css", ".country")
    assert {act for act in acts if act not in labels.ACTS and not act.endswith(files_and_columns)} == set()
