"""What can go wrong, in the words of the domain. ``app`` alone maps these to status codes and pages."""

from collections.abc import Mapping


class PetitionError(Exception):
    """Base of every error this project raises on purpose; its text is one clear line for a person."""


class SettingsError(PetitionError):
    """A setting is missing, malformed or contradicts another."""


class EmbeddedError(PetitionError):
    """The embedded PostgreSQL cannot be made or started; the text says why."""


class NotFound(PetitionError):
    """There is no such letter, signature or page (or the asker may not know that there is)."""


class Unavailable(PetitionError):
    """The database cannot be reached, or too much waits for it; worth trying again in ``retry_after`` seconds."""

    def __init__(self, message: str = "the database cannot be reached", retry_after: int = 5) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class Crowded(Unavailable):
    """Too many requests run at once."""

    def __init__(self) -> None:
        super().__init__("too many concurrent requests")


class Locked(Unavailable):
    """Another transaction holds a lock for longer than this one may wait."""


class TooMany(PetitionError):
    """One network asks for too much; worth trying again in ``retry_after`` seconds."""

    def __init__(self, message: str, retry_after: int) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class Taken(PetitionError):
    """Another row has this already: a name, a number, that only one may have."""


class Gone(NotFound):
    """The letter was taken down; everything about it is deleted."""


class Paused(PetitionError):
    """Nothing is taken for now. ``reasons`` say why, by language; worth trying again in ``retry_after`` seconds."""

    def __init__(self, reasons: Mapping[str, str], retry_after: int = 600) -> None:
        super().__init__("read-only for now")
        self.reasons = reasons
        self.retry_after = retry_after


class BadToken(PetitionError):
    """A token was not made here, or was cut off in the mail."""


class KeyDestroyed(PetitionError):
    """The letter's key is gone, so what it protected cannot be read or compared any more."""


class ImportRefused(PetitionError):
    """A file cannot be taken in. ``problems`` has one line for each refused row."""

    def __init__(self, message: str, problems: tuple[str, ...] = ()) -> None:
        super().__init__(message)
        self.problems = problems


class Refused(PetitionError):
    """The act is not possible. ``message`` is for the catalogues; ``field`` of the form is wrong, or "" for none."""

    def __init__(self, message: str, field: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.field = field
