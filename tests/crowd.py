"""A crowd with names as they are: a few are everybody's, most are rare, in two scripts and two genders."""

# ruff: noqa: SIM905  # so many words are read more easily without their quotes

import bisect
import itertools
import random
from collections.abc import Iterator, Sequence

_STEMS = (
    "Иван Петр Сидор Кузнец Поп Васил Смирн Новик Морозов Волк Алексе Лебед Семен Егор Павл Козл Степан Никола "
    "Орл Андре Макар Никит Захар Зайц Солов Борис Яковл Григор Роман Воробь Серге Фрол Александр Дмитри Корол "
    "Гус Кисел Ильин Максим Поляк Сорок Виноград Ковал Белов Медвед Антон Тарас Жук Баран Филип Комар Давыд "
    "Беля Герасим Богдан Осип Сидор Матве Тит Марк Мирон Крыл Куликов Карп Влас Мельник Денис Гаврил Тихон Казак "
    "Афанас Данил Савель Тимоф Фом Черныш Мартын Ефим Федор Щерб Назар Калин Чуж Шульг Мухин Ермол Быстр"
).split()
_MIDDLES = ("", "ич", "ень", "юк", "аш", "иш", "оч", "ад", "ун", "ел", "ар", "ют", "ой", "ав", "ег", "им", "ос", "ыр")
_ENDINGS = (("ов", "ова"), ("ин", "ина"), ("ский", "ская"), ("енко", "енко"), ("ев", "ева"), ("чук", "чук"))
_MEN = (
    "Александр Дмитрий Сергей Андрей Алексей Максим Евгений Иван Михаил Артём Николай Владимир Павел Роман Илья "
    "Денис Игорь Олег Кирилл Пётр Фёдор Юрий Виктор Антон Константин Никита Георгий Борис Семён Глеб Вадим Тимур"
).split()
_WOMEN = (
    "Анна Мария Елена Ольга Наталья Екатерина Татьяна Ирина Юлия Анастасия Светлана Дарья Ксения Александра Марина "
    "Людмила Полина Вера Надежда Любовь Алина Виктория Галина Алёна Евгения Софья Варвара Лидия Нина Зоя Инна Яна"
).split()
_LATIN = str.maketrans(
    {
        "а": "a", "б": "b", "в": "v", "г": "g", "д": "d", "е": "e", "ё": "yo", "ж": "zh", "з": "z", "и": "i",
        "й": "y", "к": "k", "л": "l", "м": "m", "н": "n", "о": "o", "п": "p", "р": "r", "с": "s", "т": "t",
        "у": "u", "ф": "f", "х": "kh", "ц": "ts", "ч": "ch", "ш": "sh", "щ": "shch", "ъ": "", "ы": "y", "ь": "",
        "э": "e", "ю": "yu", "я": "ya",
    }
)  # fmt: skip
_SYLLABLES = tuple(first + second for first in "бвгджзклмнпрстфхцчш" for second in "аеиоуыя")


class Crowd:
    """Names drawn by Zipf's law, the same ones for the same seed."""

    def __init__(self, seed: int = 1, surnames: int = 3000) -> None:
        self._random = random.Random(seed)
        pairs = [
            (stem + middle + ending[0], stem + middle + ending[1])
            for stem, middle, ending in itertools.product(_STEMS, _MIDDLES, _ENDINGS)
        ]
        self._random.shuffle(pairs)
        self._surnames = [("Иванов", "Иванова"), *pairs[: surnames - 1]]
        self._by_surname = _zipf(len(self._surnames))
        self._by_given = _zipf(len(_MEN))

    def names(self) -> Iterator[str]:
        """Yield names without end."""
        while True:
            yield self.name()

    def name(self) -> str:
        """Return one name; one in nine in Latin letters, one in ten with a surname that few share."""
        draw = self._random
        woman = draw.random() < 0.5
        given = (_WOMEN if woman else _MEN)[_drawn(draw, self._by_given)]
        surname = self._surname(woman)
        if draw.random() < 0.1:
            surname = self._rare(woman)
        parts = [given, surname]
        if draw.random() < 0.2:
            parts.insert(1, self._father(woman))
        name = " ".join(parts)
        return _in_latin(name) if draw.random() < 0.11 else name

    def parts(self, part: str, kind: int, number: int) -> Iterator[str]:
        """Yield so many beginnings of names ("front"), surnames ("surname") or surnames that few share ("rare").

        ``kind`` is 1 for women's, and 2 more in Latin letters.
        """
        woman = bool(kind & 1)
        draws = {"front": self._front, "surname": self._surname, "rare": self._rare}
        for _ in range(number):
            yield _in_latin(draws[part](woman)) if kind & 2 else draws[part](woman)

    def _front(self, woman: bool) -> str:
        given = (_WOMEN if woman else _MEN)[_drawn(self._random, self._by_given)]
        return f"{given} {self._father(woman)}" if self._random.random() < 0.2 else given

    def _father(self, woman: bool) -> str:
        father = _MEN[_drawn(self._random, self._by_given)]
        return father.rstrip("йьа") + ("овна" if woman else "ович")

    def _surname(self, woman: bool) -> str:
        return self._surnames[_drawn(self._random, self._by_surname)][woman]

    def _rare(self, woman: bool) -> str:
        draw = self._random
        return "".join(draw.choices(_SYLLABLES, k=draw.randint(2, 4))).title() + draw.choice(_ENDINGS)[woman]


def _in_latin(name: str) -> str:
    return name.lower().translate(_LATIN).title()


def _zipf(count: int) -> list[float]:
    return list(itertools.accumulate(1 / (rank + 3) for rank in range(count)))


def _drawn(draw: random.Random, sums: Sequence[float]) -> int:
    return bisect.bisect_left(sums, draw.random() * sums[-1])
