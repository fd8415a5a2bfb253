"""What our scripts write into a page is text; markup comes only from the server, in the answers of two forms."""

import re
from pathlib import Path

import pytest

from petition.core.resources import PACKAGE

SCRIPTS = sorted([*PACKAGE.glob("static/js/**/*.js"), *PACKAGE.glob("web/embeds/*.js")])
# Rendered and escaped by the server for this form, and inserted as it came.
FROM_THE_SERVER = {"text.js": ["list.innerHTML = html", "each.innerHTML = html", "status.innerHTML = told.said"]}
WRITES = re.compile(
    r"[\w.]+\.(?:inner|outer)HTML\s*\+?=(?!=)[^;]*|insertAdjacentHTML|document\.write|setHTML|createContextualFragment"
    r"|\beval\b|new Function"
)


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.name)
def test_scripts_write_text(script: Path) -> None:
    written = [match.strip() for match in WRITES.findall(script.read_text(encoding="utf-8"))]
    assert written == FROM_THE_SERVER.get(script.name, [])


def test_there_are_scripts() -> None:
    assert len(SCRIPTS) > 15
