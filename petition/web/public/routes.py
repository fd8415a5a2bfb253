"""The addresses of the public pages."""

from starlette.routing import BaseRoute, Route

from petition.web.public import (
    about,
    answering,
    confirming,
    letters,
    own_signature,
    preview,
    printed_list,
    replying,
    reporting,
    second_mailbox,
    signatories,
    signing,
    stopping_updates,
    thanks,
    unsubscribing,
)
from petition.web.public.visit import in_any_language, public

# Each route ahead costs 2 µs, so those that crowds come to at once are asked first.
BUSIEST: list[BaseRoute] = [
    Route("/{lang}/confirm/{token}", public(confirming.confirm), methods=["POST"]),
    Route("/{lang}/{slug}/sign", public(signing.sign), methods=["POST"]),
    Route("/", in_any_language(letters.home)),
    Route("/captcha/challenge", in_any_language(signing.new_challenge)),
]

ROUTES: list[BaseRoute] = [
    Route("/{lang}", public(letters.to_index)),
    Route("/{lang}/", public(letters.index)),
    Route("/{lang}/privacy", public(about.privacy)),
    Route("/{lang}/security", public(about.security)),
    Route("/{lang}/confirm/{token}", public(confirming.show)),
    Route("/{lang}/signature/{token}", public(own_signature.show)),
    Route("/{lang}/signature/{token}", public(own_signature.act), methods=["POST"]),
    Route("/{lang}/signature/{token}/data.json", public(own_signature.data)),
    Route("/{lang}/second/{token}", public(second_mailbox.show)),
    Route("/{lang}/second/{token}", public(second_mailbox.answer), methods=["POST"]),
    Route("/{lang}/reply/{token}", public(replying.show)),
    Route("/{lang}/reply/{token}", public(replying.send), methods=["POST"]),
    Route("/{lang}/never/{token}", public(unsubscribing.show)),
    Route("/{lang}/never/{token}", public(unsubscribing.act), methods=["POST"]),
    Route("/{lang}/preview/{token}", public(preview.by_link)),
    Route("/{lang}/{slug}", public(letters.show)),
    Route("/{lang}/{slug}/text", public(letters.text)),
    Route("/{lang}/{slug}/versions", public(letters.versions)),
    Route("/{lang}/{slug}/updates", public(letters.updates)),
    Route("/{lang}/{slug}/answer/{token}", public(answering.show)),
    Route("/{lang}/{slug}/answer/{token}", public(answering.act), methods=["POST"]),
    Route("/{lang}/{slug}/unsubscribe/{token}", public(stopping_updates.show)),
    Route("/{lang}/{slug}/unsubscribe/{token}", public(stopping_updates.act), methods=["POST"]),
    Route("/{lang}/{slug}/answers", public(letters.answers)),
    Route("/{lang}/{slug}/documents/{response}", public(letters.document)),
    Route("/{lang}/{slug}/picture/{picture}", in_any_language(preview.picture)),
    Route("/{lang}/{slug}/sign", public(signing.to_letter)),
    Route("/{lang}/{slug}/form", public(signing.to_letter)),
    Route("/{lang}/{slug}/form", public(signing.show_form), methods=["POST"]),
    Route("/{lang}/{slug}/check-your-inbox", public(confirming.check_your_inbox)),
    Route("/{lang}/{slug}/confirm", public(signing.to_letter)),
    Route("/{lang}/{slug}/confirm", public(confirming.confirm_by_code), methods=["POST"]),
    Route("/{lang}/{slug}/signed", public(thanks.signed)),
    Route("/{lang}/{slug}/deleted", public(own_signature.deleted)),
    Route("/{lang}/{slug}/find", public(signing.find)),
    Route("/{lang}/{slug}/find", public(signing.send_link), methods=["POST"]),
    Route("/{lang}/{slug}/signatories", public(signatories.signatories)),
    Route("/{lang}/{slug}/signatories/print", public(printed_list.show)),
    Route("/{lang}/{slug}/report", public(reporting.find)),
    Route("/{lang}/{slug}/report/{kind}/{entry}", public(reporting.show)),
    Route("/{lang}/{slug}/report/{kind}/{entry}", public(reporting.send), methods=["POST"]),
]
