"""What a mirror is made of: the letter as its public page shows it, and never who signed it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from petition.core.database import Record
from petition.core.errors import PetitionError
from petition.core.ids import PictureId, ResponseId
from petition.core.settings import Settings
from petition.count_report.model import CountReport
from petition.letters.model import Letter, Text, Version
from petition.letters.published import PublishedLetter

ENDINGS = {"application/pdf": "pdf", "image/png": "png", "image/jpeg": "jpg", "image/webp": "webp"}


class BadMirror(PetitionError):
    """A copy is not as it was signed, or cannot be read; the text says why."""


@dataclass(frozen=True, slots=True)
class StoredFile:
    """A document of an addressee's answer, or a picture that is passed on."""

    media_type: str
    content: bytes = field(repr=False)

    @property
    def ending(self) -> str:
        return ENDINGS[self.media_type]


@dataclass(frozen=True, slots=True)
class LetterSnapshot:
    """A letter and everything about it that readers see, at the time of its count."""

    published: PublishedLetter
    versions: Sequence[Version]  # newest first
    news: Sequence[tuple[Record, Mapping[str, Text]]]  # newest first
    documents: Mapping[ResponseId, StoredFile]
    pictures: Mapping[PictureId, StoredFile]
    report: CountReport  # of the same moment as the count
    log: Mapping[str, bytes] = field(default_factory=dict)  # the count log's files, by their path below its address
    log_state: str = ""  # changes with them

    @property
    def letter(self) -> Letter:
        return self.published.letter


@dataclass(frozen=True, slots=True)
class Addresses:
    """Where the letters of an installation are: ``signing`` answers, ``copies`` are static."""

    signing: tuple[str, ...]
    copies: tuple[str, ...]

    @property
    def base_url(self) -> str:
        return self.signing[0]

    @property
    def host(self) -> str:
        """Return the installation's name in what it signs."""
        return self.base_url.partition("://")[2]


def addresses_of(settings: Settings) -> Addresses:
    onion = (settings.onion_url,) if settings.onion_url else ()
    return Addresses((settings.base_url, *onion), settings.mirrors.urls)


@dataclass(frozen=True, slots=True)
class CopyFacts:
    """What a copy says of itself."""

    addresses: Addresses
    written_at: datetime
