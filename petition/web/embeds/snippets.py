"""The lines that are copied onto other sites, each with whatever a title may hold escaped."""

import re
from dataclasses import dataclass
from html import escape
from urllib.parse import urlencode

from markupsafe import Markup

from petition.core.i18n import Language
from petition.letters.published import PublishedLetter
from petition.web.embeds import counter_text
from petition.web.embeds.options import FrameOptions

# Width and height of the frame that holds each variant with a title of two lines, in pixels.
WIDTH = 360
HEIGHTS = {"count": 112, "organizations": 140, "progress": 154, "button": 164}
NARROWEST = 220
# Without "allow-popups" nobody could come from the frame to the letter; the letter itself is no part of the sandbox.
SANDBOX = "allow-scripts allow-popups allow-popups-to-escape-sandbox"

_MARKDOWN = re.compile(r"([\\`*_\[\]<>&!|~])")


@dataclass(frozen=True, slots=True)
class Snippets:
    """What can be copied for one letter, in one look."""

    base_url: str
    usual_lang: str
    live: PublishedLetter
    frame: FrameOptions
    language: Language

    @property
    def title(self) -> str:
        """The letter's title."""
        return self.live.letter.text(self.frame.lang).title

    @property
    def told(self) -> str:
        """The title and the count."""
        return f"{self.title}: {counter_text.how_many(self.language, self.live.counts.total)}"

    @property
    def page(self) -> str:
        """Where the letter is read and signed."""
        return address(self.base_url, self.frame.lang, self.live.letter.slug, self.frame.partner)

    @property
    def badge_src(self) -> str:
        """The badge's address."""
        told = {"lang": self.frame.lang if self.frame.lang != self.usual_lang else "", "theme": self.frame.theme}
        found = {name: value for name, value in told.items() if value not in {"", "auto"}}
        return self._with(f"/badge/{self.live.letter.slug}.svg", found)

    @property
    def frame_src(self) -> str:
        """The iframe's address."""
        return self._with(f"/embed/{self.live.letter.slug}", self.frame.query(self.usual_lang))

    def link(self) -> str:
        """Return a plain link."""
        return f'<a href="{escape(self.page)}">{escape(self.title)}</a>'

    def markdown(self) -> str:
        """Return the badge for a README."""
        alt = _MARKDOWN.sub(r"\\\1", f"{self.title}: {counter_text.signatures(self.language, self.live.counts.total)}")
        return f"[![{alt}]({self.badge_src})]({self.page})"

    def badge(self) -> str:
        """Return the badge for a page."""
        alt = f"{self.title}: {counter_text.signatures(self.language, self.live.counts.total)}"
        return f'<a href="{escape(self.page)}"><img src="{escape(self.badge_src)}" alt="{escape(alt)}" height="20"></a>'

    def iframe(self, width: int = WIDTH, height: int | None = None) -> str:
        """Return the counter in a frame; inside it stands a link, for readers of feeds and mails."""
        return (
            f'<iframe src="{escape(self.frame_src)}" title="{escape(self.title)}" width="{width}"'
            f' height="{height or HEIGHTS[self.frame.show]}" frameborder="0" loading="lazy" sandbox="{SANDBOX}">'
            f"{self.link()}</iframe>"
        )

    def component(self, *, hosted: bool = False) -> str:
        """Return the element with the script; ``hosted`` is for those who keep both on their own site."""
        where = {"src": "/count.json"} if hosted else {"letter": self.live.letter.slug}
        told = {
            **where,
            "lang": self.frame.lang,
            "theme": self.frame.theme,
            "show": self.frame.show if self.frame.show != "count" else "",
            "goal": str(self.live.letter.goal_at(self.live.counts.total) or "")
            if self.frame.show == "progress"
            else "",
            "accent": self.frame.accent or "",
        }
        attributes = "".join(f' {name}="{escape(value)}"' for name, value in told.items() if value)
        script = "/embed.js" if hosted else f"{self.base_url}/embed.js"
        return (
            f'<script async src="{escape(script)}"></script>\n'
            f"<petition-counter{attributes}>{self.written()}</petition-counter>"
        )

    def shown(self) -> Markup:
        """Return the element itself, for a page that has the script already."""
        return Markup(self.component().partition("\n")[2])  # noqa: S704  # every part is escaped

    def written(self) -> str:
        """Return what stands inside the element, and is all that readers without scripts see."""
        total = self.live.counts.total
        return (
            f'<data value="{total}">{self.language.number(total)}</data> '
            f"{escape(counter_text.signatures(self.language, total))}: {self.link()}"
        )

    def cron(self) -> str:
        """Return the line that fetches the count to the partner's own site, whole or not at all."""
        count = f"{self.base_url}/api/v1/letters/{self.live.letter.slug}/count"
        return (
            f"*/5 * * * * cd /var/www/html && curl -fsS --max-time 20 -o count.json.new {count}"
            " && mv count.json.new count.json"
        )

    def fetch_script(self) -> str:
        """Return the line that fetches the component, once."""
        return f"cd /var/www/html && curl -fsS -o embed.js {self.base_url}/embed.js"

    def _with(self, path: str, query: dict[str, str]) -> str:
        return self.base_url + path + (f"?{urlencode(query)}" if query else "")


def address(base_url: str, lang: str, slug: str, partner: str) -> str:
    """Return where a letter is read and signed, with the name of the partner it is read through."""
    return f"{base_url}/{lang}/{slug}" + (f"?from={partner}" if partner else "")
