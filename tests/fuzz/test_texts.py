"""What people type or paste: letters in Markdown, pasted text, names, countries, addresses, searches."""

import re
from html.parser import HTMLParser

from hypothesis import strategies as st

from petition.core import email_addresses
from petition.core.email_addresses import BadAddress
from petition.letters import markdown, pasted_text
from petition.signatures import countries, forms, names, signals
from petition.signatures.listing import BadCursor, Cursor
from petition.signatures.model import Kind
from tests.fuzz.running import ROUGH, TEXT, fuzz, lines_of

MARKDOWN = lines_of(
    *(
        "# T\n",
        "## ",
        "- ",
        "1. ",
        "> ",
        "**",
        "[^1]",
        "[^1]: ",
        "![",
        "](",
        "](javascript:",
        "<script>",
        "<b onclick=x>",
    ),
    *(
        "http://a.example",
        "data:text/html,",
        "&#106;",
        "&lt;",
        "```\n",
        "    ",
        "|a|b|\n|-|-|\n",
        "\n\n",
        "\\",
        "mailto:x@y.z",
    ),
)
TAGS = re.compile(r"[a-z][a-z0-9]*")


class Reader(HTMLParser):
    """Fails at what would run in a reader's browser."""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert tag not in {
            "script",
            "style",
            "iframe",
            "object",
            "embed",
            "form",
            "input",
            "svg",
            "math",
            "base",
            "meta",
        }
        for name, value in attrs:
            assert not name.startswith("on")
            assert name != "style"
            if name in {"href", "src"}:
                scheme = re.sub(r"[\s\0]", "", value or "").lower().partition(":")
                assert not scheme[1] or scheme[0] in {"http", "https", "mailto"} or "/" in scheme[0] or "#" in scheme[0]


@fuzz(MARKDOWN, examples=200)
def test_no_text_runs_in_a_readers_browser(text: str) -> None:
    html = markdown.to_html(text)
    reader = Reader()
    reader.feed(html)
    reader.close()
    assert len(html) <= 200 * len(text) + 1000
    markdown.losses(text)


@fuzz(
    st.sampled_from(["[", "![", "> ", "- ", "*", "_", "`", "(", "<", "&", "[^", "1. ", "\\", "~"]), st.integers(1, 3000)
)
def test_deep_texts_end(sign: str, number: int) -> None:
    Reader().feed(markdown.to_html(sign * number + "x"))


@fuzz(MARKDOWN | lines_of("— ", "• ", "\n", "    ", "¹", "[1]", "*"), examples=200)
def test_pasted_text_is_shown_safely(text: str) -> None:
    Reader().feed(markdown.to_html(pasted_text.as_markdown(text)))


@fuzz(ROUGH, examples=200)
def test_a_cleaned_name_stays_as_it_is(text: str) -> None:
    name = names.clean(text)
    assert names.clean(name) == name
    names.problem_of_person(name)
    names.problem_of_organization(name)
    key = names.fold(name)
    assert names.fold(key) == key
    assert all(re.fullmatch(r"\S+", word) and "'" not in word for word in names.words(key))
    names.split_names(text)


@fuzz(ROUGH | lines_of("@", ".", "example.org", "xn--", "+tag", "почта.рф", '"'), examples=200)
def test_an_address_is_one_mailbox_or_none(text: str) -> None:
    try:
        mailbox = email_addresses.parse(text)
    except BadAddress:
        return
    assert mailbox.domain.isascii()
    assert email_addresses.parse(mailbox.address).address == mailbox.address
    canonical = email_addresses.canonical(mailbox)
    assert canonical.count("@") >= 1
    assert not set(canonical) & set("\0\r\n")


@fuzz(ROUGH | lines_of("RU", "Россия", "🇷🇺", "Germany", "/", ", ", "(", "Германия"), examples=200)
def test_a_country_is_a_code_or_none(text: str) -> None:
    code = countries.match(text)
    assert code is None or re.fullmatch("[A-Z]{2}", code)
    form = forms.country_of(text, ("en", "ru"))
    assert form in {None, ""} or re.fullmatch("[A-Z]{2}", form or "")


@fuzz(
    ROUGH | lines_of("https://", "http://", "example.org", "xn--", "@", ":80", "/", "?", "[::1]", "%00"), examples=200
)
def test_a_website_is_what_a_reader_takes_it_for(text: str) -> None:
    website = forms.website_of(text)
    host = signals.host_of(text)
    assert host is None or host.isascii()
    if website is not None:
        assert re.match(r"https?://", website, re.IGNORECASE)
        assert not set(website) & set("\0\r\n\t ")


@fuzz(ROUGH, examples=200)
def test_a_cursor_is_ours_or_none(text: str) -> None:
    try:
        cursor = Cursor.decode(text)
    except BadCursor:
        return
    assert Cursor.decode(cursor.encode()) == cursor


@fuzz(TEXT)
def test_signals_of_any_name_are_truths(text: str) -> None:
    for kind in Kind:
        assert set(signals.of_names((text,), kind).values()) <= {True, False}
