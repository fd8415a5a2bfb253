"""A question in words, beside the drawn code: for those who run no scripts and see no picture.

It follows from the challenge's token by a key of ours, so nothing is stored, and one token is answered by either. The
answer is two or three words of a list that is spelled out: easy to hear and to type. A
program made for this very form reads it; what protects is what protects the picture (docs/decisions/captcha.md).
"""

import re
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass

from petition.core.i18n import N_, SOURCE_LANGUAGE

# Common nouns, spelled as they sound.
_ENGLISH = """
apple bread bridge butter candle carpet cherry clock cloud coffee cotton desert dinner engine feather finger
flower forest garden glass hammer harbor honey island jacket kitchen ladder lemon letter lion market mirror
morning mountain needle orange paper pencil pepper piano planet pocket potato rabbit river rocket salad school
shadow silver spring station summer table tiger tomato tunnel village violin water window winter wolf yellow
"""
_RUSSIAN = """
арбуз банан берег билет ветер вишня ворона город гроза груша дерево дорога дождь завод замок зима игла искра
капуста карта книга корабль корова кошка лампа лето лимон лист лодка луна масло молоко море мост музыка небо
ночь облако обед окно осень остров парус перо песок письмо платье поезд поле птица пчела радуга река роза рыба
сад сахар снег солнце стена стол театр трава туман утро хлеб чай школа яблоко ягода
"""
WORDS: dict[str, tuple[str, ...]] = {"en": tuple(_ENGLISH.split()), "ru": tuple(_RUSSIAN.split())}
ASKED, HARD_ASKED = 2, 3  # words to be written
LISTED, HARD_LISTED = 5, 7  # words in the list
MAX_ANSWER = 100  # characters; more is no answer to anything

# Translators: numbers of words in a list, in the sentence "Write the first and the third of these words".
ORDINALS = (N_("first"), N_("second"), N_("third"), N_("fourth"), N_("fifth"), N_("sixth"), N_("seventh"))
TWO = N_("Write the %(first)s and the %(second)s of these words: %(words)s.")
THREE = N_("Write the %(first)s, the %(second)s and the %(third)s of these words: %(words)s.")

_AND = frozenset(("and", "и"))
_WORD = re.compile(r"\w+")


@dataclass(frozen=True, slots=True)
class Question:
    """Which words of a list are to be written: ``positions`` from 0 on, in the order in which they are asked for."""

    words: tuple[str, ...]
    positions: tuple[int, ...]

    @property
    def answer(self) -> str:
        return normal(" ".join(self.words[position] for position in self.positions))

    def text(self, gettext: Callable[[str], str]) -> str:
        """Return the question as a sentence."""
        ordinals = dict(zip(("first", "second", "third"), (ORDINALS[at] for at in self.positions), strict=False))
        sentence = gettext(TWO if len(self.positions) == ASKED else THREE)
        params = {name: gettext(ordinal) for name, ordinal in ordinals.items()}
        return sentence % {**params, "words": ", ".join(self.words)}


def question(seed: bytes, lang: str, *, hard: bool) -> Question:
    """Return the question that follows from ``seed`` (at least 16 random bytes), in a language we have words of."""
    numbers = iter(seed)
    pool = list(WORDS.get(lang, WORDS[SOURCE_LANGUAGE]))
    words = tuple(pool.pop(next(numbers) % len(pool)) for _ in range(HARD_LISTED if hard else LISTED))
    places = list(range(len(words)))
    chosen = [places.pop(next(numbers) % len(places)) for _ in range(HARD_ASKED if hard else ASKED)]
    return Question(words, tuple(sorted(chosen)))


def normal(typed: str) -> str:
    """Return the words of an answer, a space apart: case, ё, punctuation and "and" do not matter."""
    text = unicodedata.normalize("NFKC", typed[:MAX_ANSWER]).casefold().replace("ё", "е")
    return " ".join(word for word in _WORD.findall(text) if word not in _AND)
