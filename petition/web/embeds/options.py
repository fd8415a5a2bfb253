"""What may stand behind the question mark of an embed: known values of known names, and nothing else.

Whatever is unknown is as if it were not there, so that no stranger can have more copies kept than there are choices.
"""

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from urllib.parse import urlencode

from petition.web.page_cache import CacheTier, Header

JSON = b"application/json"
# Any site may read it, also one that isolates itself from all that does not say so.
FOR_ANYONE: list[Header] = [(b"access-control-allow-origin", b"*"), (b"cross-origin-resource-policy", b"cross-origin")]


AUTO = "auto"
THEMES = (AUTO, "light", "dark")  # the first of each is what holds if nothing is said
STYLES = ("flat", "square", "large")
VARIANTS = ("count", "progress", "organizations", "button")

_ACCENT = re.compile(r"#?([0-9a-fA-F]{6})")


def choice(asked: Mapping[str, str], name: str, known: Collection[str]) -> str:
    """Return the value asked for under ``name`` if it is one of ``known``, else the first of these."""
    value = asked.get(name, "")
    return value if value in known else next(iter(known))


def accent_of(text: str) -> str | None:
    """Return a colour as ``#rrggbb`` in small letters, with or without its ``#`` before; None if it is none."""
    found = _ACCENT.fullmatch(text)
    return f"#{found[1].lower()}" if found else None


def key_of(path: str, given: Mapping[str, str], usual: Mapping[str, str]) -> str:
    """Return the one address under which an answer is kept: what is as usual is left out, the rest in one order."""
    told = {name: value for name, value in given.items() if value and value != usual.get(name)}
    return f"{path}?{urlencode(told)}" if told else path


@dataclass(frozen=True, slots=True)
class FrameOptions:
    """How a counter is to look: the same words in the address of an iframe and on the page that hands it out."""

    lang: str
    theme: str = THEMES[0]
    show: str = VARIANTS[0]
    accent: str | None = None
    partner: str = ""

    @classmethod
    def read(
        cls, asked: Mapping[str, str], languages: Collection[str], partners: Collection[str], lang: str = ""
    ) -> "FrameOptions":
        """Return what is asked for. ``lang`` holds if no language is named, or else the first of ``languages``."""
        partner = asked.get("from", "")
        return cls(
            lang=choice(asked, "lang", languages) if asked.get("lang", "") in languages or not lang else lang,
            theme=choice(asked, "theme", THEMES),
            show=choice(asked, "show", VARIANTS),
            accent=accent_of(asked.get("accent", "")),
            partner=partner if partner in partners else "",
        )

    @property
    def shelf(self) -> CacheTier:
        """Where a page that looks like this is kept."""
        if self.accent:  # of sixteen million
            return CacheTier.ARBITRARY
        usual = (self.theme, self.show, self.partner) == (THEMES[0], VARIANTS[0], "")
        return CacheTier.COMMON if usual else CacheTier.VARIANT

    def query(self, usual_lang: str) -> dict[str, str]:
        """Return what stands in an address, in the order in which it is kept; what is as usual is left out."""
        told = {"lang": self.lang, "theme": self.theme, "show": self.show, "from": self.partner}
        usual = {"lang": usual_lang, "theme": THEMES[0], "show": VARIANTS[0], "from": ""}
        found = {name: value for name, value in told.items() if value != usual[name]}
        return found | ({"accent": self.accent.removeprefix("#")} if self.accent else {})
