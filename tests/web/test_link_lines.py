"""Mailed links do not wait in one line with pages that anyone may ask for."""

from starlette.routing import Route

from petition.core.ids import AddresseeId, LetterId, MessageId, QuestionId, SignatureId
from petition.core.tokens import Tokens
from petition.web.gateway import LETTER_LINKS, LINKS
from petition.web.public.routes import ROUTES
from tests.running import KEY, SLUG, Installation


async def test_links_with_a_valid_token_have_a_line_of_their_own(site: Installation) -> None:
    assert site.app is not None
    tokens, letter_id, signature_id = Tokens([KEY]), LetterId(1), SignatureId(7)
    links = {
        "confirm": tokens.for_signature(letter_id, signature_id),
        "signature": tokens.for_signature(letter_id, signature_id),
        "second": tokens.for_second(letter_id, signature_id),
        "reply": tokens.for_reply(letter_id, MessageId(1)),
        "preview": tokens.for_preview(letter_id, 1),
        "never": tokens.for_never(b"x" * 32),
    }
    for name, token in links.items():
        assert site.app.has_valid_token(f"/en/{name}/{token}"), name
        assert not site.app.has_valid_token(f"/en/{name}/{token[:-1]}"), name
    assert site.app.has_valid_token(f"/ru/signature/{links['signature']}/data.json")
    stopping = tokens.for_updates(letter_id, signature_id)
    assert site.app.has_valid_token(f"/en/{SLUG}/unsubscribe/{stopping}")
    assert not site.app.has_valid_token(f"/en/{SLUG}/unsubscribe/{links['signature']}")
    below_letters = {
        "answer": tokens.for_answer(letter_id, AddresseeId(1), 1, mailed=True),
        "audit": tokens.for_audit(letter_id, QuestionId(1)),
        "package": tokens.for_package(letter_id),
    }
    for name, token in below_letters.items():
        assert site.app.has_valid_token(f"/en/{SLUG}/{name}/{token}"), name
        assert not site.app.has_valid_token(f"/en/{SLUG}/{name}/{stopping}"), name
    for path in (f"/en/confirm/{links['second']}", f"/en/{SLUG}/find", f"/en/{SLUG}/{links['confirm']}"):
        assert not site.app.has_valid_token(path)


def test_each_mailed_link_has_such_a_line() -> None:
    """A public address with a token in its path is one that was mailed."""
    paths = [route.path for route in ROUTES if isinstance(route, Route) and "{token}" in route.path]
    named = {path.rpartition("/{token}")[0].rpartition("/")[2] for path in paths}
    assert named == LINKS.keys() | LETTER_LINKS.keys()
