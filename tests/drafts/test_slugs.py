"""No letter may take an address of ours."""

import re

from petition.drafts.slugs import RESERVED, problem_of_slug
from petition.web.app import ROUTES
from petition.web.desk.routes import DESK


def test_every_word_that_an_address_of_ours_begins_with_is_reserved() -> None:
    paths = [str(getattr(each, "path", "")) for each in ROUTES] + [each.path for each in DESK]
    # The first word, and the second where another address has "{slug}" there.
    parts = [path.split("/") for path in paths]
    words = {part[1] for part in parts if len(part) > 1}
    words |= {part[2] for part in parts if len(part) > 2 and part[1] in {"{lang}", "organizer"}}
    words = {word for word in words if re.fullmatch("[a-z0-9-]{3,}", word)}
    assert {"privacy", "confirm", "api", "organizer"} <= words
    assert words <= RESERVED
    assert all(problem_of_slug(word) for word in words)
