"""The invented signatories of the sample letter: the same each time, spread over the weeks before today.

Every person and organization here is made up. An earlier list brings most of them; a few confirm here, one organization
waits for approval, one entry is reported by a reader.
"""

import csv
import io
import random
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

WEEKS = 5
PEOPLE = 340
COLUMNS = ("kind", "name", "name_ru", "email", "affiliation", "city", "country", "signed_at", "visibility")


class Words(NamedTuple):
    """What people of one script are called, where they live, what they do."""

    first: tuple[str, ...]
    last: tuple[str, ...]
    cities: tuple[tuple[str, str], ...]
    trades: tuple[str, ...]


LATIN = Words(
    ("Ada", "Bruno", "Clara", "Dario", "Elin", "Felix", "Greta", "Hugo", "Ines", "Jonas", "Katja", "Lukas", "Maren"),
    ("Albrin", "Bergholt", "Castelvan", "Dovrelin", "Eskeby", "Fjordal", "Grunev", "Hallinder", "Iversund", "Kestrel"),
    (("Riga", "LV"), ("Vilnius", "LT"), ("Berlin", "DE"), ("Tallinn", "EE"), ("Prague", "CZ"), ("Warsaw", "PL")),
    ("teacher", "network engineer", "physician", "librarian", "translator", "journalist", "student", "lawyer"),
)
CYRILLIC = Words(
    ("Анна", "Вера", "Дарья", "Ирина", "Лидия", "Мария", "Нина", "Ольга", "Полина", "Софья", "Таисия", "Юлия"),
    ("Берестова", "Ветрова", "Громыхалина", "Долгополова", "Ёлкина", "Заречная", "Калинова", "Лугова", "Мостовая"),
    (("Казань", "RU"), ("Пермь", "RU"), ("Томск", "RU"), ("Ереван", "AM"), ("Алматы", "KZ"), ("Тбилиси", "GE")),
    ("учитель", "сетевой инженер", "врач", "библиотекарь", "переводчица", "журналистка", "студентка", "юрист"),
)
ORGANIZATIONS = (
    ("North Pier Network", "Сеть «Северный причал»"),
    ("Quiet Library Union", "Союз тихих библиотек"),
    ("Open Ledger Workshop", "Мастерская открытых книг"),
    ("Harbour Radio Society", "Общество портового радио"),
    ("Lantern School of Maps", "Школа карт «Фонарь»"),
    ("Third Bridge Fund", "Фонд «Третий мост»"),
    ("Riverside Repair Club", "Клуб ремонта «У реки»"),
    ("The Long Table", "Длинный стол"),
)
WAITING = ("Polar Post Cooperative", "Кооператив «Полярная почта»")
# Confirm here, when the demo is made: name, visibility, country.
HERE = (
    ("Tove Lindqvarn", "public", "SE"),
    ("Олег Приречный", "public", "RU"),
    ("Marit Osterhus", "organizers", "NO"),
    ("", "counted", ""),
    ("Роза Каменская", "public", "KG"),
    ("Emil Vastergaard", "public", "DK"),
    ("", "counted", ""),
    ("Зоя Снежина", "organizers", "RU"),
    ("Petra Holmgrav", "public", "FI"),
)
TALLY = 64, {"en": "Sheets collected at the spring meeting", "ru": "Листы, собранные на весенней встрече"}
# Which addressee (by its English name), what happened, how many days ago, in which words.
ADDRESSEES: tuple[tuple[str, str, int, Mapping[str, str]], ...] = (
    ("Halden Cloud", "delivered", 19, {}),
    ("Meridian Networks", "delivered", 19, {}),
    ("Orsa Telecom", "delivered", 12, {}),
    (
        "Halden Cloud",
        "answered",
        3,
        {
            "en": "We are looking for a way to keep hospitals and libraries connected.",
            "ru": "Мы ищем способ оставить связь больницам и\u00a0библиотекам.",
        },
    ),
)

UPDATE = {
    "en": {
        "title": "The first answer",
        "markdown": "Halden Cloud has written that it looks for a way to keep hospitals and libraries connected.\n\n"
        "The two others are silent. We go on collecting signatures.",
    },
    "ru": {
        "title": "Первый ответ",
        "markdown": "Halden Cloud сообщает, что ищет способ оставить связь больницам и\u00a0библиотекам.\n\n"
        "Двое других молчат. Сбор подписей продолжается.",
    },
}


def began(now: datetime) -> datetime:
    """Return when the letter opened: some weeks ago, at nine in the morning (UTC)."""
    return now.replace(hour=9, minute=0, second=0, microsecond=0) - timedelta(weeks=WEEKS)


def as_csv(now: datetime) -> bytes:
    """Return the list of those who signed before the demo was made."""
    out = io.StringIO()
    writer = csv.DictWriter(out, COLUMNS, restval="")
    writer.writeheader()
    writer.writerows(_rows(now.astimezone(UTC)))
    return out.getvalue().encode()


def _rows(now: datetime) -> Iterator[dict[str, str]]:
    draw = random.Random("keep the channels open")  # noqa: S311  # the same crowd each time
    names: set[str] = set()
    while len(names) < PEOPLE:
        words = CYRILLIC if draw.random() < 0.55 else LATIN
        middle = draw.choice("АВДКЛМНПРС" if words is CYRILLIC else "ABDEHJKLMR")
        name = f"{draw.choice(words.first)} {middle}. {draw.choice(words.last)}"
        if name not in names:
            names.add(name)
            yield _person(draw, name, words, now)
    for number, (english, russian) in enumerate(ORGANIZATIONS):
        moment = began(now) + timedelta(days=3.4 * number + 0.3)
        yield {"kind": "organization", "name": english, "name_ru": russian, "signed_at": _time(moment)}


def _person(draw: random.Random, name: str, words: Words, now: datetime) -> dict[str, str]:
    city, country = draw.choice(words.cities)
    # Many in the first days, then fewer, with a second wave when the first answer came.
    age = draw.betavariate(1, 3) if draw.random() < 0.65 else draw.betavariate(12, 9)
    moment = began(now) + timedelta(days=age * (7 * WEEKS - 1), hours=draw.random() * 12)
    row = {"kind": "person", "name": name, "country": country, "signed_at": _time(moment)}
    row["visibility"] = "public" if draw.random() < 0.8 else "organizers"
    row |= {"city": city} if draw.random() < 0.7 else {}
    return row | ({"affiliation": draw.choice(words.trades)} if draw.random() < 0.4 else {})


def _time(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")
