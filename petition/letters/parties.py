"""Who stands on a letter: those who issued it, those who are asked, employers whose employees sign without names."""

from collections.abc import Mapping
from dataclasses import dataclass

from petition.core.ids import EmployerId


@dataclass(frozen=True, slots=True)
class Party:
    """An initiator or an addressee: a name per language, and perhaps an address on the web."""

    names: Mapping[str, str]
    url: str | None = None

    def name(self, lang: str) -> str:
        return self.names.get(lang) or next(iter(self.names.values()))

    def lang(self, lang: str) -> str:
        """Return the language in which ``name(lang)`` is written."""
        return lang if self.names.get(lang) else next(iter(self.names))


@dataclass(frozen=True, slots=True)
class Employer:
    """An organization whose employees may sign without their names, by a mailbox on one of its ``domains``."""

    id: EmployerId
    party: Party
    domains: tuple[str, ...]
    is_offered: bool

    def name(self, lang: str) -> str:
        return self.party.name(lang)
