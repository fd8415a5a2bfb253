"""The lines that are copied onto other sites, with everything from a title escaped."""

import re
from dataclasses import dataclass
from html import escape

from markupsafe import Markup

from petition.core.i18n import Language
from petition.letters.published import PublishedLetter
from petition.pictures import counter_text
from petition.pictures.colours import AUTO
from petition.web.embeds.options import FrameOptions, key_of

# Width and height in pixels of a frame that fits each variant with a title of two lines.
WIDTH = 360
HEIGHTS = {"count": 112, "organizations": 140, "progress": 154, "button": 164, "addressees": 190}
MIN_WIDTH = 220
# Links from the frame to the letter need "allow-popups"; the letter itself opens outside the sandbox.
SANDBOX = "allow-scripts allow-popups allow-popups-to-escape-sandbox"

_MARKDOWN = re.compile(r"([\\`*_\[\]<>&!|~])")


@dataclass(frozen=True, slots=True)
class Snippets:
    """The snippets of one letter with the same options."""

    base_url: str
    default_lang: str
    published: PublishedLetter
    frame: FrameOptions
    language: Language

    @property
    def title(self) -> str:
        return self.published.letter.text(self.frame.lang).title

    @property
    def title_with_count(self) -> str:
        return f"{self.title}: {counter_text.signatures_with_number(self.language, self.total)}"

    @property
    def slug(self) -> str:
        return self.published.letter.slug

    @property
    def total(self) -> int:
        return self.published.counts.total

    @property
    def page(self) -> str:
        """The address of the letter's page."""
        return address(self.base_url, self.frame.lang, self.published.letter.slug, self.frame.partner)

    @property
    def badge_src(self) -> str:
        params = {"lang": self.frame.lang, "theme": self.frame.theme}
        defaults = {"lang": self.default_lang, "theme": AUTO}
        return self.base_url + key_of(f"/badge/{self.slug}.svg", params, defaults)

    @property
    def frame_src(self) -> str:
        return self.base_url + key_of(f"/embed/{self.slug}", self.frame.query(self.default_lang), {})

    def link(self) -> str:
        return f'<a href="{escape(self.page)}">{escape(self.title)}</a>'

    def markdown(self) -> str:
        alt = _MARKDOWN.sub(r"\\\1", self._badge_alt())
        return f"[![{alt}]({self.badge_src})]({self.page})"

    def badge(self) -> str:
        image = f'<img src="{escape(self.badge_src)}" alt="{escape(self._badge_alt())}" height="20">'
        return f'<a href="{escape(self.page)}">{image}</a>'

    def _badge_alt(self) -> str:
        return f"{self.title}: {counter_text.signatures_label(self.language)}"

    def iframe(self, width: int = WIDTH, height: int | None = None) -> str:
        """Return the counter in a frame; the link inside is for feed readers and mails."""
        return (
            f'<iframe src="{escape(self.frame_src)}" title="{escape(self.title)}" width="{width}"'
            f' height="{height or HEIGHTS[self.frame.show]}" frameborder="0" loading="lazy" sandbox="{SANDBOX}">'
            f"{self.link()}</iframe>"
        )

    def component(self, *, hosted: bool = False) -> str:
        """Return the element with its script; ``hosted`` for a site that serves the script and the count itself."""
        frame, goals = self.frame, self.published.letter.goals
        source = {"src": "/count.json"} if hosted else {"letter": self.slug}
        attributes = {
            **source,
            "lang": frame.lang,
            "theme": frame.theme,
            "show": frame.show if frame.show != "count" else "",
            "goal": " ".join(map(str, goals)) if frame.show == "progress" else "",
            "accent": frame.accent or "",
        }
        html_attributes = "".join(f' {name}="{escape(value)}"' for name, value in attributes.items() if value)
        script = "/embed.js" if hosted else f"{self.base_url}/embed.js"
        return (
            f'<script async src="{escape(script)}"></script>\n'
            f"<petition-counter{html_attributes}>{self.fallback()}</petition-counter>"
        )

    def preview(self) -> Markup:
        """Return the element alone, for a page that has the script."""
        return Markup(self.component().partition("\n")[2])  # noqa: S704  # all parts are escaped

    def fallback(self) -> str:
        """Return the content of the element, shown without scripts."""
        return (
            f'<data value="{self.total}">{self.language.number(self.total)}</data> '
            f"{escape(counter_text.signatures(self.language, self.total))}: {self.link()}"
        )

    def cron(self) -> str:
        """Return the crontab line that copies the count to the partner's site, atomically."""
        count = f"{self.base_url}/api/v1/letters/{self.slug}/count"
        return (
            f"*/5 * * * * cd /var/www/html && curl -fsS --max-time 20 -o count.json.new {count}"
            " && mv count.json.new count.json"
        )

    def fetch_script(self) -> str:
        """Return the command that copies the component's script, once."""
        return f"cd /var/www/html && curl -fsS -o embed.js {self.base_url}/embed.js"


def address(base_url: str, lang: str, slug: str, partner: str) -> str:
    """Return the address of a letter's page for visitors that a partner sends."""
    return f"{base_url}/{lang}/{slug}" + (f"?from={partner}" if partner else "")
