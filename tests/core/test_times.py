"""Times in words: beside UTC the clock of a zone, over the days on which clocks change; one full stop behind a date."""

from datetime import UTC, datetime

import pytest

from petition.core import i18n, resources, time_zones
from petition.core.templates import Renderer

LANGUAGES = i18n.load(resources.folder("locales"))


@pytest.mark.parametrize(
    ("moment", "zone", "lang", "words"),
    [
        ("2026-03-16T09:20", "Europe/Berlin", "en", "16 March 2026, 09:20 UTC · Berlin\xa010:20"),
        ("2026-03-16T09:20", "Europe/Moscow", "ru", "16 марта 2026\u202fг., 09:20 UTC · Москва\xa012:20"),
        ("2026-03-16T23:20", "Europe/Berlin", "en", "16 March 2026, 23:20 UTC · Berlin\xa017 Mar, 00:20"),
        ("2026-03-16T03:20", "America/New_York", "en", "16 March 2026, 03:20 UTC · New York\xa015 Mar, 23:20"),
        # The clocks are put forward at 01:00 UTC on 29 March, and back on 25 October: an hour is missing, one is twice.
        ("2026-03-29T00:59", "Europe/Berlin", "en", "29 March 2026, 00:59 UTC · Berlin\xa001:59"),
        ("2026-03-29T01:00", "Europe/Berlin", "en", "29 March 2026, 01:00 UTC · Berlin\xa003:00"),
        ("2026-10-25T00:30", "Europe/Berlin", "en", "25 October 2026, 00:30 UTC · Berlin\xa002:30"),
        ("2026-10-25T01:30", "Europe/Berlin", "en", "25 October 2026, 01:30 UTC · Berlin\xa002:30"),
        ("2026-03-16T09:20", "", "en", "16 March 2026, 09:20 UTC"),
        ("2026-03-16T09:20", "Moon/Base", "en", "16 March 2026, 09:20 UTC"),
        ("2026-03-16T09:20", "../../etc/passwd", "en", "16 March 2026, 09:20 UTC"),
    ],
)
def test_a_zone_stands_beside_utc(moment: str, zone: str, lang: str, words: str) -> None:
    at = datetime.fromisoformat(moment).replace(tzinfo=UTC)
    assert LANGUAGES[lang].datetime_beside(at, zone).replace("\xa0г.", "\u202fг.") == words


def test_every_zone_to_choose_has_a_city_in_each_language() -> None:
    assert {"Europe/Moscow", "Europe/Berlin", "Asia/Yekaterinburg"} <= set(time_zones.names())
    assert len(time_zones.names()) > 300
    for language in LANGUAGES.values():
        assert all(language.city(name) for name in time_zones.names())
    assert LANGUAGES["ru"].city("Europe/Berlin") == "Берлин"


def test_no_date_is_followed_by_two_full_stops() -> None:
    renderer = Renderer(LANGUAGES, "https://letters.example", None)
    template = renderer._environments["ru"].from_string('{{ _("Since %(date)s.", date=moment|date) }}')
    words = template.render(moment=datetime(2026, 12, 29, tzinfo=UTC))
    assert words.endswith("г.")
    assert ".." not in words
