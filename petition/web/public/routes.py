"""The addresses of the public pages."""

from operator import attrgetter

from starlette.routing import BaseRoute, Route

from petition.web.public import (
    about,
    answering,
    audits,
    confirming,
    copies,
    count_log,
    how_we_count,
    letters,
    own_signature,
    packages,
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
    witnessing,
)
from petition.web.public.visit import in_any_language, public
from petition.web.services import LineOf

# The framework's layers take 15 µs: what crowds send at once goes past them (petition.web.shortcuts).
# Each has the line in which its forms wait.
SHORTCUTS: list[tuple[Route, LineOf]] = [
    (Route("/{lang}/confirm/{token}", public(confirming.confirm), methods=["POST"]), attrgetter("confirm_line")),
    (Route("/{lang}/{slug}/sign", public(signing.sign), methods=["POST"]), attrgetter("sign_line")),
]
# Each route ahead costs 2 µs, so those that crowds come to at once are asked first.
BUSIEST: list[BaseRoute] = [
    *(route for route, _ in SHORTCUTS),
    Route("/", in_any_language(letters.home)),
    Route("/captcha/challenge", in_any_language(signing.new_challenge)),
]

ROUTES: list[BaseRoute] = [
    Route("/petition-witness.py", in_any_language(witnessing.program)),
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
    Route("/{lang}/{slug}/copy.html", public(copies.one_file)),
    Route("/{lang}/{slug}/versions", public(letters.versions)),
    Route("/{lang}/{slug}/updates", public(letters.updates)),
    Route("/{lang}/{slug}/answer/{token}", public(answering.show)),
    Route("/{lang}/{slug}/answer/{token}", public(answering.act), methods=["POST"]),
    Route("/{lang}/{slug}/unsubscribe/{token}", public(stopping_updates.show)),
    Route("/{lang}/{slug}/unsubscribe/{token}", public(stopping_updates.act), methods=["POST"]),
    Route("/{lang}/{slug}/audit/{token}", public(audits.show)),
    Route("/{lang}/{slug}/audit/{token}", public(audits.answer), methods=["POST"]),
    Route("/{lang}/{slug}/package/{token}", public(packages.download)),
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
    Route("/{lang}/{slug}/how-we-count", public(how_we_count.show)),
    Route("/{lang}/{slug}/verify", public(count_log.show)),
    Route("/{lang}/{slug}/verify", public(count_log.look_up), methods=["POST"]),
    Route("/{lang}/{slug}/witness", public(witnessing.show)),
    Route("/log/{slug}/key", in_any_language(witnessing.log_key)),
    Route("/log/{slug}/count", in_any_language(witnessing.count)),
    Route("/log/{slug}/cosigned", in_any_language(witnessing.cosigned)),
    Route("/log/{slug}/cosignatures", in_any_language(witnessing.take), methods=["POST"]),
    Route("/log/{slug}/checkpoint", in_any_language(count_log.checkpoint)),
    Route("/log/{slug}/stamped", in_any_language(count_log.stamped)),
    Route("/log/{slug}/stamped.tsr", in_any_language(count_log.stamp)),
    Route("/log/{slug}/audits", in_any_language(audits.index)),
    Route("/log/{slug}/audits/{audit}", in_any_language(audits.frame)),
    Route("/log/{slug}/tile/{path:path}", in_any_language(count_log.tile)),
    Route("/{lang}/{slug}/report", public(reporting.find)),
    Route("/{lang}/{slug}/report/{kind}/{entry}", public(reporting.show)),
    Route("/{lang}/{slug}/report/{kind}/{entry}", public(reporting.send), methods=["POST"]),
]
