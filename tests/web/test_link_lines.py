"""Mailed links do not wait in one line with pages that anyone may ask for."""

from petition.core.ids import LetterId, MessageId, SignatureId
from petition.core.tokens import Tokens
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
    for path in (f"/en/confirm/{links['second']}", f"/en/{SLUG}/find", f"/en/{SLUG}/{links['confirm']}"):
        assert not site.app.has_valid_token(path)
