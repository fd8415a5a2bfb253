"""No form and no address at the desk is answered with a 500: every route, with values that no page of ours sends."""

import random
from collections.abc import Iterator

import pytest

from petition.moderation import bulk_acts
from petition.moderation.bulk_acts import BulkActState
from petition.moderation.model import Action
from petition.web.desk.routes import DESK, DeskRoute
from tests.running import SLUG
from tests.web.desk.test_refusals import World
from tests.web.desk.test_routes import name_of

HOSTILE = (
    *("", " ", "0", "-1", "1", "01", "1e5", "²", "٣", "99999999999999999999", "2147483648", "9223372036854775807"),
    *("x", "null", "None", "true", "on", "any", "all", ":", ":::", "a:b:c:d", "remove:s1:0:fake", "ask:s1:0", "..."),
    *("\0", "a\0b", "\ud7ff\uffff", "\u202e", "'; DROP TABLE log; --", "<b>", "%00", "%s", "{}", "[]", '{"a": 1}'),
    *("2026-02-30", "0000-00-00", "99999-01-01", "24:61", "x" * 5000, "ё" * 3000, "\r\n", "http://", "//", "\\", "@"),
    *("approve", "remove", "back", "start", "cancel", "revert", "fake", "held", "done", "en", "ru", "owner", "public"),
)
FIELDS = (
    *(
        "act",
        "one",
        "why",
        "reason",
        "back",
        "order",
        "from",
        "seen",
        "log",
        "step",
        "note",
        "text",
        "message",
        "second",
    ),
    *(
        "name_en",
        "name_ru",
        "website",
        "into",
        "talk",
        "q",
        "wait",
        "state",
        "kind",
        "flag",
        "group",
        "country",
        "lang",
    ),
    *(
        "source",
        "partner",
        "witness",
        "after",
        "sort",
        "before",
        "person",
        "day",
        "bulk",
        "done",
        "missed",
        "other",
        "with",
        "like",
    ),
    *("name", "email", "role", "organizer", "id", "value", "number", "slug", "title", "goal", "closes_at", "form"),
    *("picture", "version", "revision", "what", "code", "key", "invitation", "update", "switch", "job", "from", "at"),
)
TIMES = 12
UNSTARTED = {BulkActState.DRAFT, BulkActState.CANCELLED}  # without a reason, if nothing was changed


def _forms(route: DeskRoute, world: World, draw: random.Random) -> Iterator[dict[str, str]]:
    """Yield an empty form, then the plausible one with some values exchanged, missing or added."""
    yield {}
    for _ in range(TIMES):
        form = world.form(route)
        for name in draw.sample(sorted(form), min(len(form), 3)):
            if draw.random() < 0.3:
                del form[name]
            else:
                form[name] = draw.choice(HOSTILE)
        form |= {draw.choice(FIELDS): draw.choice(HOSTILE) for _ in range(draw.randrange(4))}
        yield form


@pytest.mark.parametrize("route", [route for route in DESK if "{slug}" in route.path], ids=name_of)
async def test_odd_values_are_refused_with_words(world: World, route: DeskRoute) -> None:
    draw = random.Random(f"{route.method} {route.path}")
    client = world.clients["owner"]
    path = world.path(route)
    for form in _forms(route, world, draw):
        if route.method == "GET":
            answer = await client.get(path, params=form)
        else:
            answer = await client.post(path, data=form)
        assert answer.status_code < 500, (path, form)
        if answer.status_code in {400, 404, 409, 410, 422, 429}:
            assert answer.text.strip(), (path, form)
        if await _is_gone(world):
            return


async def _is_gone(world: World) -> bool:
    """True once the letter was taken down, which one of the routes is for."""
    return (await world.clients["owner"].get(f"/organizer/{SLUG}/")).status_code in {404, 410}


@pytest.mark.parametrize("state", list(BulkActState))
@pytest.mark.parametrize("action", list(Action))
async def test_every_button_of_a_bulk_act_in_every_state(world: World, action: Action, state: BulkActState) -> None:
    client = world.clients["owner"]
    for step in (*bulk_acts.TRANSITIONS, "", "fly"):
        for changed in (0, 3):
            has_reason = action is Action.REMOVE and (changed or state not in UNSTARTED)
            (row,) = await world.bench.rows(
                "WITH one AS (INSERT INTO campaign (letter, act, reason, conditions, state, matched, changed,"
                " listed_at, signature) VALUES ($1, $2, $3, '{}', $4, 3, $5, now(), 0) RETURNING id)"
                " SELECT id FROM one",
                action.value,
                "fake" if has_reason else None,
                state.value,
                changed,
            )
            path = f"/organizer/{SLUG}/campaigns/{row['id']}"
            answer = await client.post(path, data={"step": step})
            assert answer.status_code in {303, 422}, (step, changed)
            assert (await client.get(path)).status_code == 200
