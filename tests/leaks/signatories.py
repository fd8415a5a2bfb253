"""200 signatories of every kind, at every stage of life, each with words that no one else types."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from itertools import count

from petition.stored_data.contents import (
    ANSWERED,
    DECIDED,
    LOST_LINK,
    SEALED_NAMES,
    UPDATES,
    LetterStage,
    SignatureCase,
    SignatureStage,
)
from petition.stored_data.model import TypedValue
from tests.leaks.search import word_of

# Letters by short name: their stage in the end.
LETTERS: Mapping[str, LetterStage] = {
    "leaks-open": LetterStage.OPEN,
    "leaks-hidden": LetterStage.OPEN,  # all names are hidden by the switch
    "leaks-sealed": LetterStage.OPEN,  # names wait to be shown together
    "leaks-closed": LetterStage.CLOSED,
    "leaks-digests-ended": LetterStage.DIGESTS_ENDED,
    "leaks-names-ended": LetterStage.NAMES_ENDED,
    "leaks-burnt": LetterStage.BURNT,
    "leaks-sealed-burnt": LetterStage.BURNT,
    "leaks-gone": LetterStage.GONE,
}
SEALED = ("leaks-sealed", "leaks-sealed-burnt")
Stage = SignatureStage
DECISIONS = {Stage.REFUSED, Stage.REMOVED, Stage.CONFIRMED}


@dataclass
class Signatory:
    """One of them; ``typed`` are the words by value, ``past`` where it stood before, ``case`` where it stands."""

    number: int
    slug: str
    way: str  # form, list, mail
    typed: dict[TypedValue, tuple[str, ...]]
    address: str = field(repr=False)
    path: tuple[SignatureCase, ...]
    nowhere: tuple[str, ...] = ()  # words that are typed, and never stored
    link: str = ""  # /en/confirm/…

    @property
    def case(self) -> SignatureCase:
        return self.path[-1]

    @property
    def first(self) -> SignatureCase:
        return self.path[0]

    @property
    def lang(self) -> str:
        return "ru" if self.number % 2 else "en"

    @property
    def past(self) -> tuple[SignatureCase, ...]:
        """Return each case that it was in, with its letter open, and the last one."""
        return (*(replace(case, letter=LetterStage.OPEN) for case in self.path), self.case)

    def text(self, value: TypedValue) -> str:
        return " ".join(self.typed.get(value, ()))

    @property
    def words(self) -> set[str]:
        return {word for words in self.typed.values() for word in words} | set(self.nowhere)

    def words_of(self, *values: TypedValue) -> set[str]:
        return {word for value in values for word in self.typed.get(value, ())}


_numbers = count()


def signatory(slug: str, *path: SignatureCase, way: str = "form") -> Signatory:
    number = next(_numbers)
    words = (word_of(number * 20 + n, cyrillic=bool(number % 2)) for n in range(12))
    plain = [word_of(400_000 + number * 20 + n) for n in range(3)]
    typed: dict[TypedValue, tuple[str, ...]] = {
        TypedValue.NAME: (next(words), next(words)),
        TypedValue.ADDRESS: (plain[0], plain[1].lower()),
    }
    if path[0].kind == "organization":
        typed |= {
            TypedValue.POSITION: (next(words),),
            TypedValue.ORGANIZATION: (next(words), next(words)),
            TypedValue.WEBSITE: (plain[2].lower(),),
            TypedValue.MESSAGE: (next(words),),
        }
    else:
        typed |= {TypedValue.AFFILIATION: (next(words), next(words)), TypedValue.CITY: (next(words),)}
    address = f"{plain[0]}@{plain[1].lower()}.example"
    end, marks = LETTERS[slug], frozenset({SEALED_NAMES} if slug in SEALED else ())
    path = tuple(replace(case, letter=end, marks=case.marks | marks) for case in path)
    end_case = path[-1]
    has_address = end_case.kind == "organization" or UPDATES in end_case.marks
    # A decision that is changed within ten minutes sends no mail at all.
    decisions = [case for case in path if case.stage in (DECISIONS if case.kind == "organization" else {Stage.REMOVED})]
    if has_address and decisions == [end_case]:
        path = (*path[:-1], replace(end_case, marks=end_case.marks | {DECIDED}))
    nowhere: tuple[str, ...] = ()
    if path[0].visibility == "counted":  # the details that the form took no notice of
        nowhere = (*typed.pop(TypedValue.AFFILIATION), *typed.pop(TypedValue.CITY))
    return Signatory(number, slug, way, typed, address, path, nowhere)


def _case(kind: str, visibility: str, stage: Stage, *marks: str) -> SignatureCase:
    return SignatureCase(kind, visibility, stage, marks=frozenset(marks))


def people_of(slug: str) -> Iterator[Signatory]:
    """Yield people who signed a letter by the form, at each stage."""
    for number, visibility in enumerate(("public", "organizers", "counted")):
        marks = (UPDATES,) if number != 1 else ()
        pending = _case("person", visibility, Stage.PENDING, *marks)
        confirmed = _case("person", visibility, Stage.CONFIRMED, *marks)
        yield signatory(slug, pending)
        yield signatory(slug, pending, confirmed)
        later = "public" if visibility == "counted" else "counted"
        yield signatory(slug, pending, confirmed, _case("person", later, Stage.CONFIRMED, *marks))
        yield signatory(slug, pending, confirmed, _case("person", visibility, Stage.WITHDRAWN))
        yield signatory(slug, pending, confirmed, _case("person", visibility, Stage.DELETED))
        yield signatory(slug, pending, confirmed, _case("person", visibility, Stage.REMOVED, *marks))
    public = _case("person", "public", Stage.PENDING)
    shown = _case("person", "public", Stage.CONFIRMED)
    yield signatory(slug, public, shown, _case("person", "organizers", Stage.CONFIRMED))
    if LETTERS[slug] is LetterStage.OPEN:
        yield signatory(slug, public, shown, _case("person", "public", Stage.CONFIRMED, LOST_LINK))
    yield signatory(slug, public, _case("person", "public", Stage.DELETED))  # never confirmed


def representatives_of(slug: str) -> Iterator[Signatory]:
    for visibility in ("public", "organizers"):
        pending = _case("organization", visibility, Stage.PENDING)
        held = _case("organization", visibility, Stage.HELD)
        yield signatory(slug, pending)
        yield signatory(slug, pending, held)
        yield signatory(slug, pending, held, _case("organization", visibility, Stage.REFUSED))
        yield signatory(slug, pending, held, _case("organization", visibility, Stage.CONFIRMED))
        yield signatory(slug, pending, held, _case("organization", visibility, Stage.HELD, ANSWERED))
    public = _case("organization", "public", Stage.PENDING), _case("organization", "public", Stage.HELD)
    approved = _case("organization", "public", Stage.CONFIRMED)
    yield signatory(slug, *public, approved, _case("organization", "public", Stage.REMOVED))
    yield signatory(slug, *public, approved, _case("organization", "public", Stage.WITHDRAWN))


def listed_of(slug: str) -> Iterator[Signatory]:
    """Yield people of an imported list. Of one that was undone, what was typed is kept for a week."""
    for visibility in ("public", "organizers", "counted"):
        confirmed = _case("person", visibility, Stage.CONFIRMED)
        yield signatory(slug, confirmed, way="list")
    public = _case("person", "public", Stage.CONFIRMED)
    yield signatory(slug, public, _case("person", "public", Stage.REMOVED), way="list")


def by_mail_of(slug: str) -> Iterator[Signatory]:
    for visibility in ("public", "organizers", "counted"):
        yield signatory(slug, _case("person", visibility, Stage.CONFIRMED), way="mail")


def others() -> Iterator[Signatory]:
    """Yield those whom something goes wrong with: forms and mails that are refused, a database that takes no more."""
    for visibility in ("public", "organizers"):
        pending = _case("person", visibility, Stage.PENDING)
        never = _case("person", visibility, Stage.DELETED)
        yield signatory("leaks-open", never, way="refused form")
        yield signatory("leaks-open", never, way="stranger")
        yield signatory("leaks-open", pending, way="refused mail")
        yield signatory("leaks-open", never, way="crashed form")
        yield signatory("leaks-open", pending, way="crashed link")


def everyone() -> list[Signatory]:
    """Return all of them."""
    people = [one for slug in LETTERS for one in people_of(slug)]
    organizations = [one for slug in ("leaks-open", "leaks-burnt") for one in representatives_of(slug)]
    lists = [one for slug in ("leaks-open", "leaks-burnt", "leaks-names-ended") for one in listed_of(slug)]
    mails = [one for slug in ("leaks-open",) for one in by_mail_of(slug)]
    return [*people, *organizations, *lists, *mails, *others()]
