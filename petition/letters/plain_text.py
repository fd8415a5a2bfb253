"""A letter's text as one reads it: paragraphs without their markup, but with what a link leads to."""

from html.parser import HTMLParser

from petition.letters.model import Text

BLOCKS = {"p", "h2", "h3", "h4", "li", "blockquote", "pre", "hr"}


def plain_pair(old: Text, new: Text) -> tuple[str, str]:
    """Return two states of a text with their titles, to be compared as they are read.

    Where only the markup differs, that is what is compared.
    """
    one, other = (f"{text.title}\n\n{paragraphs(text.html)}" for text in (old, new))
    if one != other or old.markdown == new.markdown:
        return one, other
    return f"{old.title}\n\n{old.markdown}", f"{new.title}\n\n{new.markdown}"


def paragraphs(html: str) -> str:
    """Return the words of ``html`` (sanitized), with an empty line between paragraphs and a dash before list items."""
    reader = _PlainTextReader()
    reader.feed(html)
    reader.close()
    return "\n\n".join(text for words in reader.paragraphs if (text := " ".join(words.split())) not in {"", "–"})


class _PlainTextReader(HTMLParser):
    """Gathers the words of each paragraph."""

    def __init__(self) -> None:
        super().__init__()
        self.paragraphs = [""]
        self._leads_to = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        attributes = {name: value or "" for name, value in attrs}
        if tag in BLOCKS and self.paragraphs[-1].strip() != "–":  # a paragraph of its own may begin a list item
            self.paragraphs.append("– " if tag == "li" else "")
        elif tag == "br":
            self._add(" ")
        elif tag == "img":
            self._add(f"[{attributes.get('alt', '')}] ({attributes.get('src', '')})")
        elif tag == "a":
            self._leads_to = attributes.get("href", "")
        elif tag == "sup":
            self._add("[")

    def handle_endtag(self, tag: str) -> None:
        if tag == "sup":
            self._add("]")
        elif tag == "a" and not self._leads_to.startswith("#") and not self.paragraphs[-1].endswith(self._leads_to):
            self._add(f" ({self._leads_to})")
        if tag == "a":
            self._leads_to = ""

    def handle_data(self, data: str) -> None:
        if not self._leads_to.startswith("#mention-"):  # the way back from a footnote is no text
            self._add(data)

    def _add(self, text: str) -> None:
        self.paragraphs[-1] += text
