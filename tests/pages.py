"""What stands in a page: the fields of a form with their values, and what is said about them."""

import gzip
import re
from html.parser import HTMLParser

import httpx2


class _Form(HTMLParser):
    """Collects what a browser would send if the form with this id (or the first one to this address) were sent."""

    def __init__(self, name: str) -> None:
        super().__init__()
        self.values: dict[str, str] = {}
        self.found = False
        self._name = name
        self._inside = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        if tag == "form":
            self._inside = self._name in {given.get("id"), given.get("action")}
            self.found = self.found or self._inside
        if tag != "input" or not self._inside or not given.get("name"):
            return
        if given.get("type") in {"radio", "checkbox"} and "checked" not in given:
            return
        self.values[given["name"] or ""] = given.get("value") or ""

    def handle_endtag(self, tag: str) -> None:
        if tag == "form":
            self._inside = False


def form_in(page: httpx2.Response, name: str) -> dict[str, str]:
    """Return the values of the form with that id or action."""
    form = _Form(name)
    form.feed(page.text)
    assert form.found, f"there is no form {name}"
    return form.values


def check_page(page: httpx2.Response, status: int, lang: str = "en") -> None:
    """Fail unless it is a whole page of ours with this status that nobody may keep."""
    assert page.status_code == status, page.text[:2000]
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    assert page.headers["cache-control"] == "no-store"
    assert page.headers["content-language"] == lang
    assert "default-src 'none'" in page.headers["content-security-policy"]
    assert page.headers["x-content-type-options"] == "nosniff"
    assert "set-cookie" not in page.headers
    assert f'<html lang="{lang}"' in page.text
    assert page.text.rstrip().endswith("</html>")
    assert "Traceback" not in page.text
    assert len(gzip.compress(page.content)) < 16_000  # connections that freeze after 16 KB let it through


def without_ticket(address: str) -> str:
    """Return the address of a thank-you page without what it says to one signatory only."""
    return re.sub(r"[?&]ticket=[A-Za-z0-9_-]+$", "", address)


def assert_redirect(answer: httpx2.Response, path: str) -> None:
    """Fail unless it leads to ``path`` (a thank-you page with any ticket), and no cache may store that."""
    assert answer.status_code == 303, answer.text[:2000]
    assert without_ticket(answer.headers["location"]) == path
    assert answer.headers["cache-control"] == "no-store"
    assert "set-cookie" not in answer.headers
    assert answer.content == b""
