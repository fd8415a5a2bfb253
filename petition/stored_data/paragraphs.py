"""What the page "What we know about you" says in a language, where these circumstances hold."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import date

from petition.core.i18n import Language
from petition.stored_data.model import RetentionPeriod
from petition.stored_data.sentences import PARTS, Sentence, When, all_sentences
from petition.stored_data.translation import period_text


@dataclass(frozen=True, slots=True)
class Circumstances:
    """What holds on this installation, and for the letter that a reader comes from."""

    holds: Collection[When] = ()
    values: Mapping[str, date | int] = field(default_factory=dict)


def of_installation(*, mail_in: bool, hcaptcha: bool) -> list[When]:
    """Return what holds for all letters."""
    return [*([When.MAIL_IN] if mail_in else []), When.HCAPTCHA if hcaptcha else When.NO_HCAPTCHA]


def of_letter(
    names_until: date | None, names_days: int | None, *, names_wait: bool = False
) -> tuple[list[When], dict[str, date | int]]:
    """Return what holds for a letter, and its values."""
    values: dict[str, date | int] = {}
    holds = [When.NAMES_WAIT] if names_wait else []
    if names_until is not None:
        holds.append(When.NAMES_UNTIL)
        values["date"] = names_until
    if names_days is not None:
        holds.append(When.NAMES_DAYS)
        values["days"] = names_days
    return (holds if values else [*holds, When.NAMES_STAY]), values


def names_end(language: Language, names_until: date | None, names_days: int | None) -> list[str]:
    """Return the sentences that say when a letter's names go."""
    holds, values = of_letter(names_until, names_days)
    return [text_of(language, sentence, values) for sentence in all_sentences() if sentence.when in holds]


def text_of(language: Language, sentence: Sentence, values: Mapping[str, date | int] | None = None) -> str:
    """Return a sentence in a language; a period is the table's, other values are the letter's."""
    texts = {name: _value_text(language, value) for name, value in (values or {}).items()}
    if sentence.period is not None:
        texts["period"] = period_text(language, sentence.period)
    return language.gettext(sentence.text) % texts


def _value_text(language: Language, value: date | int) -> str:
    return language.date(value) if isinstance(value, date) else period_text(language, RetentionPeriod(value))


@dataclass(frozen=True, slots=True)
class Paragraphs:
    """A part as a page displays it."""

    title: str
    texts: tuple[tuple[str, str], ...]  # id, text
    is_folded: bool


def page(language: Language, circumstances: Circumstances) -> list[Paragraphs]:
    """Return the parts that have anything to say, in their order."""
    parts = []
    for part in PARTS:
        applicable = [sentence for sentence in part.sentences if sentence.when in {None, *circumstances.holds}]
        texts = tuple((sentence.id, text_of(language, sentence, circumstances.values)) for sentence in applicable)
        if texts:
            parts.append(Paragraphs(language.gettext(part.title), texts, part.is_folded))
    return parts
