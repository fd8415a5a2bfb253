"""Kill switches: what an emergency turns off, for one letter or for the installation, without a restart."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum

from petition.core.i18n import Texts

OFF, ON, STRONGER = "off", "on", "stronger"


class Switch(StrEnum):
    """What can be switched. The order is that of the desk's page."""

    STOP = "stop"  # no signing, no confirming
    HOLD = "hold"  # confirmed signatures wait for a moderator
    CAPTCHA = "captcha"  # asked for even where the settings say not; "stronger": the harder one, for all visitors
    HIDE_LIST = "hide_list"  # no names anywhere; the count stays
    BANNER = "banner"
    READ_ONLY = "read_only"  # nothing is taken from the public side
    STOP_MAIL = "stop_mail"  # no letter is read or signed by mail
    MAIL_IN = "mail_in"  # sensitive letters, too, are read and signed by mail

    @property
    def values(self) -> tuple[str, ...]:
        return (OFF, ON, STRONGER) if self is Switch.CAPTCHA else (OFF, ON)

    @property
    def speaks(self) -> bool:
        """Return whether readers see a text with it."""
        return self in {Switch.STOP, Switch.BANNER, Switch.READ_ONLY}


@dataclass(frozen=True, slots=True)
class Setting:
    """One switch in one position, with what it says to readers by language."""

    name: Switch
    value: str
    texts: Texts


@dataclass(frozen=True, slots=True)
class Switches:
    """All that is switched on for one letter, the installation's own switches included.

    ``stop`` and ``read_only`` are None when off, else why, by language (empty if none was written).
    """

    stop: Texts | None = None
    hold: bool = False
    captcha: str = OFF
    list_hidden: bool = False
    banners: tuple[Texts, ...] = ()
    read_only: Texts | None = None
    mail_stopped: bool = False
    mail_if_sensitive: bool = False

    @property
    def pause(self) -> Texts | None:
        """Return why signing is stopped; None if it is not."""
        return self.stop if self.read_only is None else self.read_only

    @classmethod
    def of(cls, installation: Iterable[Setting], letter: Iterable[Setting] = ()) -> "Switches":
        """Return what holds for a letter. What it says of itself goes before what is said of everything."""
        both = [
            {setting.name: setting for setting in settings if setting.value != OFF}
            for settings in (installation, letter)
        ]
        on: Mapping[Switch, Setting] = both[0] | both[1]
        captchas = {settings[Switch.CAPTCHA].value for settings in both if Switch.CAPTCHA in settings}
        return cls(
            stop=on[Switch.STOP].texts if Switch.STOP in on else None,
            hold=Switch.HOLD in on,
            captcha=STRONGER if STRONGER in captchas else ON if captchas else OFF,
            list_hidden=Switch.HIDE_LIST in on,
            banners=tuple(settings[Switch.BANNER].texts for settings in both if Switch.BANNER in settings),
            read_only=on[Switch.READ_ONLY].texts if Switch.READ_ONLY in on else None,
            mail_stopped=Switch.STOP_MAIL in on,
            mail_if_sensitive=Switch.MAIL_IN in on,
        )


NOTHING = Switches()


@dataclass(slots=True)
class InstallationNotices:
    """What holds for the installation as a whole: its banner, and why nothing is taken (None: it is)."""

    banners: tuple[Texts, ...] = ()
    read_only: Texts | None = None
