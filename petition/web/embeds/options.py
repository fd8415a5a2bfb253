"""The query parameters of embeds: known values of known names.

Everything else is ignored, so that a client cannot make the cache hold more copies than there are choices.
"""

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from urllib.parse import urlencode

from petition.pictures.colours import AUTO
from petition.web.page_cache import CacheTier, Header
from petition.web.shared_addresses import cleaned

JSON = b"application/json"
# Any site may read it, also one with Cross-Origin-Embedder-Policy.
FOR_ANYONE: list[Header] = [(b"access-control-allow-origin", b"*"), (b"cross-origin-resource-policy", b"cross-origin")]

THEMES = (AUTO, "light", "dark")  # the first of each is the default
STYLES = ("flat", "square", "large")
VARIANTS = ("count", "progress", "organizations", "button", "addressees")

_ACCENT = re.compile(r"#?([0-9a-fA-F]{6})")


def choice(params: Mapping[str, str], name: str, choices: Collection[str]) -> str:
    """Return the parameter ``name`` if it is one of ``choices``, else the first of them."""
    value = params.get(name, "")
    return next((known for known in choices if known.lower() == cleaned(value)), next(iter(choices)))


def accent_of(text: str) -> str | None:
    """Return the colour in ``text`` as ``#rrggbb`` in lower case, or None; the ``#`` may be missing."""
    match = _ACCENT.fullmatch(text)
    return f"#{match[1].lower()}" if match else None


def key_of(path: str, params: Mapping[str, str], defaults: Mapping[str, str]) -> str:
    """Return the cache key: the path and the parameters that differ from ``defaults``, in the order of ``params``."""
    query = {name: value for name, value in params.items() if value and value != defaults.get(name)}
    return f"{path}?{urlencode(query)}" if query else path


@dataclass(frozen=True, slots=True)
class FrameOptions:
    """The options of a counter, in the address of a frame and on the page with the lines to copy."""

    lang: str
    theme: str = THEMES[0]
    show: str = VARIANTS[0]
    accent: str | None = None
    partner: str = ""

    @classmethod
    def read(
        cls, params: Mapping[str, str], languages: Collection[str], partners: Collection[str], lang: str = ""
    ) -> "FrameOptions":
        """Parse the options. The default language is ``lang``, or the first of ``languages``."""
        partner = cleaned(params.get("from", ""))
        return cls(
            lang=choice(params, "lang", (lang, *languages) if lang else languages),
            theme=choice(params, "theme", THEMES),
            show=choice(params, "show", VARIANTS),
            accent=accent_of(params.get("accent", "")),
            partner=partner if partner in partners else "",
        )

    @property
    def tier(self) -> CacheTier:
        if self.accent:  # of sixteen million
            return CacheTier.ARBITRARY
        is_default = (self.theme, self.show, self.partner) == (THEMES[0], VARIANTS[0], "")
        return CacheTier.COMMON if is_default else CacheTier.VARIANT

    def query(self, default_lang: str) -> dict[str, str]:
        """Return the parameters that differ from the defaults, in the order of the cache key."""
        params = {"lang": self.lang, "theme": self.theme, "show": self.show, "from": self.partner}
        defaults = {"lang": default_lang, "theme": THEMES[0], "show": VARIANTS[0], "from": ""}
        query = {name: value for name, value in params.items() if value != defaults[name]}
        return query | ({"accent": self.accent.removeprefix("#")} if self.accent else {})
