"""Which stored addressee each line of an edited letter is: what happened with it must stay with it.

A letter names its addressees without numbers, on the desk as in its folder. So a line is recognized by its names or
its address on the web, and where it stands by names that are nearly the same. What is none of these is another one: an
answer must never be put in the mouth of an addressee that did not give it.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher

from petition.core.ids import AddresseeId
from petition.letters.parties import Party

SIMILAR = 0.75  # of two names, by the characters they share; a misprint is above, another company below


@dataclass(frozen=True, slots=True)
class StoredAddressee:
    """A row; ``position`` is None if the letter named it once, ``has_history`` if something depends on it."""

    id: AddresseeId
    party: Party
    position: int | None
    has_history: bool


Rule = Callable[[StoredAddressee, int, Party], bool]


def match(stored: Sequence[StoredAddressee], parties: Sequence[Party]) -> list[AddresseeId | None]:
    """Return the row of each party, None for a new one. No row is used twice; the strictest rule chooses first."""
    rows: list[AddresseeId | None] = [None] * len(parties)
    free = {row.id: row for row in stored}
    for rule in _RULES:
        for index, party in enumerate(parties):
            if rows[index] is None:
                chosen = next((row for row in free.values() if rule(row, index, party)), None)
                if chosen is not None:
                    rows[index] = chosen.id
                    del free[chosen.id]
    return rows


def _same(row: StoredAddressee, _index: int, party: Party) -> bool:
    return dict(row.party.names) == dict(party.names) and row.party.url == party.url


def _same_names(row: StoredAddressee, _index: int, party: Party) -> bool:
    return dict(row.party.names) == dict(party.names)


def _one_name(row: StoredAddressee, _index: int, party: Party) -> bool:
    return any(row.party.names.get(lang, "").casefold() == name.casefold() for lang, name in party.names.items())


def _same_url(row: StoredAddressee, _index: int, party: Party) -> bool:
    return party.url is not None and row.party.url == party.url


def _misprint(row: StoredAddressee, index: int, party: Party) -> bool:
    return row.position == index and any(
        lang in row.party.names and _are_similar(row.party.names[lang], name) for lang, name in party.names.items()
    )


def _unused(row: StoredAddressee, index: int, _party: Party) -> bool:
    return row.position == index and not row.has_history


def _are_similar(first: str, second: str) -> bool:
    return SequenceMatcher(None, first.casefold(), second.casefold(), autojunk=False).ratio() >= SIMILAR


_RULES: tuple[Rule, ...] = (_same, _same_names, _one_name, _same_url, _misprint, _unused)
