"""Behind each sentence of the page "What we know about you" there is a test; those that are nowhere else are here."""

import ast
import re
from datetime import timedelta
from functools import cache
from html import unescape

import pytest

from petition.core import i18n, resources
from petition.core.ids import SignatureId
from petition.moderation.model import Action
from petition.stored_data import notice, paragraphs, sentences, words
from petition.stored_data.paragraphs import Circumstances
from petition.stored_data.sentences import When
from petition.stored_data.tables import TABLES
from tests import rows
from tests.moderation.desk import Bench
from tests.running import SLUG, Installation

ROOT = resources.PACKAGE.parent
HERE = "tests/stored_data/test_sentences.py"
RETENTION = "tests/worker/test_retention.py"
OWN_PAGE = "tests/signatures/test_self_service.py"
LEAKS = "tests/leaks/test_everywhere.py::test_each_column_has_what_the_table_says"

# By the id of the sentence: the tests that fail when it is no longer true.
BEHIND = {
    "pending": (f"{RETENTION}::test_pending_signatures_live_for_seven_days", LEAKS),
    "uncounted": (f"{HERE}::test_before_confirming_nothing_counts_or_shows",),
    "sealed": (LEAKS,),
    "address-deleted": (
        "tests/signatures/test_confirm.py::test_the_address_goes_unless_updates_were_asked_for",
        "tests/mailings/test_stopping_updates.py::test_one_click_from_a_mail_program_deletes_the_address",
    ),
    "representative": (
        f"{HERE}::test_a_representatives_address_goes_after_the_decision",
        f"{RETENTION}::test_contacts_go_when_their_time_is_over",
    ),
    "fingerprint": (
        f"{RETENTION}::test_digest_keys_are_destroyed_thirty_days_after_closing",
        "tests/web/desk/test_letter_state.py::test_not_after_its_key_is_destroyed",
    ),
    "audit": (
        "tests/audits/test_consent.py::test_it_is_given_and_taken_back_on_the_own_page",
        "tests/audits/test_consent.py::test_the_address_goes_in_time",
    ),
    "audit-drawn": (
        "tests/audits/test_whole_way.py::test_from_the_announcement_to_the_sentence",
        "tests/audits/test_whole_way.py::test_the_list_is_gone_after_thirty_days",
    ),
    "never": ("tests/signatures/test_suppression.py::test_never_again_can_be_taken_back", LEAKS),
    "everyone": (
        "tests/signatures/test_listing.py::test_only_who_is_confirmed_and_public_is_listed",
        "tests/web/api/test_endpoints.py::test_signatories_page_by_page",
    ),
    "names-wait": ("tests/signatures/test_sealed_names.py::test_a_name_is_sealed_from_the_form_on",),
    "organizers": (LEAKS, "tests/moderation/test_hidden_names.py::test_who_may_not_see_the_queue_may_not_search"),
    "nobody": (LEAKS, "tests/stored_data/test_states.py::test_no_erased_column_can_be_filled"),
    "affiliation": (
        "tests/signatures/test_employees.py::test_only_who_has_a_mailbox_there_signs_and_no_name_is_written",
        "tests/signatures/test_employees.py::test_shown_are_employer_and_number_from_five_on",
    ),
    "organization": ("tests/signatures/test_approval.py::test_a_representatives_name_is_plain_only_if_it_is_public",),
    "names-until": (
        "tests/signatures/test_names_end.py::test_the_names_go_and_the_count_stays",
        "tests/signatures/test_names_end.py::test_readers_and_programs_follow",
    ),
    "names-days": ("tests/signatures/test_names_end.py::test_days_after_the_first_delivery",),
    "names-stay": ("tests/signatures/test_names_end.py::test_before_the_day_nothing_goes",),
    "removed": ("tests/signatures/test_names_end.py::test_removed_names_are_erased_after_a_while",),
    "hide-from": ("tests/signatures/test_hiding.py::test_on_the_day_the_name_is_gone_everywhere",),
    "with-it": (f"{HERE}::test_what_is_stored_with_a_signature",),
    "own-page": (
        "tests/signatures/test_own_truth.py::test_nothing_that_is_stored_is_missing_in_what_is_handed_out",
        f"{OWN_PAGE}::test_whoever_sees_the_name_changes",
        f"{OWN_PAGE}::test_a_name_is_corrected",
    ),
    "withdraw": (f"{OWN_PAGE}::test_withdrawing_erases_column_by_column_and_frees_the_mailbox",),
    "delete": (
        f"{OWN_PAGE}::test_deleting_leaves_no_row",
        "tests/moderation/test_bars.py::test_a_mailbox_stays_barred_whose_removed_signature_was_deleted",
    ),
    "import-row": (
        "tests/imports/test_adding.py::test_who_took_a_signature_back_is_not_brought_back_by_the_same_file",
    ),
    "log-entry": (
        "tests/count_log/test_public_pages.py::test_nothing_personal_is_in_the_log",
        "tests/count_log/test_public_pages.py::test_the_page_says_whether_a_receipt_counts",
    ),
    "consent": (f"{HERE}::test_consent_is_an_act_of_its_own",),
    "network": (
        "tests/core/test_quotas.py::test_nothing_that_is_kept_says_which_network_or_mailbox_it_was",
        f"{RETENTION}::test_keys_of_the_day_live_for_two_days",
        f"{RETENTION}::test_networks_are_forgotten_with_the_key_of_their_day",
    ),
    "no-cookies": (
        "tests/organizers/test_sessions.py::test_public_pages_neither_set_nor_heed_a_cookie",
        f"{HERE}::test_public_pages_may_load_nothing_from_elsewhere",
    ),
    "hcaptcha": ("tests/browser/test_other_check.py::test_nothing_is_loaded_from_elsewhere_before_it_is_chosen",),
    "desk": (
        "tests/imports/test_silence.py::test_an_import_says_the_same_of_every_mailbox",
        "tests/signatures/test_same_answer.py::test_signing_and_finding",
    ),
    "address-list": (
        "tests/exports/test_address_lists.py::test_the_whole_way",
        "tests/exports/test_address_lists.py::test_a_new_key_does_not_work_and_every_owner_is_notified",
    ),
    "import": (
        "tests/imports/test_silence.py::test_a_short_list_of_mailboxes_is_refused",
        "tests/imports/test_silence.py::test_all_owners_get_a_mail",
        "tests/imports/test_silence.py::test_an_editor_cannot_import_mailboxes",
    ),
    "domains": (
        "tests/signatures/test_ceilings.py::test_the_last_ones_of_a_domain_wait_and_one_act_settles_all_of_them",
        "tests/moderation/test_trusted_domains.py::test_a_class_of_forty_is_let_through_and_others_go_on_waiting",
    ),
    "domain-fingerprint": ("tests/signatures/test_ceilings.py::test_the_digests_are_gone_a_day_later",),
    "disposable": ("tests/signatures/test_signals.py::test_signals_are_small_and_hold_nothing_typed",),
    "package": (
        "tests/packages/test_packages.py::test_it_names_the_first_thousand",
        "tests/packages/test_packages.py::test_it_stays_the_same_until_a_name_is_taken_back",
    ),
    "package-deleted": ("tests/packages/test_packages.py::test_the_document_goes_after_sixty_days",),
    "mail-in": ("tests/incoming_mail/test_signing_by_mail.py::test_a_mail_without_a_line_is_answered_with_the_letter",),
    "mail-in-deleted": (
        "tests/incoming_mail/test_signing_by_mail.py::test_nothing_personal_is_stored_or_logged",
        "tests/incoming_mail/test_signing_by_mail.py::test_the_same_mail_counts_once",
    ),
    "addressee": ("tests/addressees/test_answering.py::test_an_answer_waits_until_an_organizer_publishes_it",),
    "objection": ("tests/addressees/test_answering.py::test_an_objection_is_honoured",),
}


@cache
def _tests_in(path: str) -> frozenset[str]:
    tree = ast.parse((ROOT / path).read_text(encoding="utf-8"))
    functions = (node for node in tree.body if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef))
    return frozenset(node.name for node in functions)


def test_behind_each_sentence_there_is_a_test() -> None:
    ids = [sentence.id for sentence in sentences.all_sentences()]
    assert len(set(ids)) == len(ids)
    assert set(BEHIND) == set(ids), "each sentence of petition/stored_data/sentences.py needs its tests in BEHIND"
    for tests in BEHIND.values():
        for path, name in (test.split("::") for test in tests):
            assert name in _tests_in(path), f"{path} has no {name}: a sentence of the page would be without its test"


def test_a_sentence_says_no_period_of_its_own() -> None:
    for sentence in sentences.all_sentences():
        assert ("%(period)s" in sentence.text) == (sentence.period is not None), sentence.id


@pytest.mark.parametrize("lang", ["en", "ru"])
async def test_the_page_is_made_of_the_sentences_and_the_table(site: Installation, lang: str) -> None:
    response = await site.client.get(f"/{lang}/privacy?letter={SLUG}")
    assert response.status_code == 200
    page = unescape(re.sub(r"[ \n]+", " ", response.text))
    language = i18n.load(resources.folder("locales"))[lang]
    holds = {When.NAMES_STAY, When.NO_HCAPTCHA}
    for part in paragraphs.page(language, Circumstances(holds)):
        assert part.title in page
        for id, text in part.texts:
            assert f'<li id="{id}">{text}</li>' in page
            assert "%(" not in text
    assert not any(
        f'id="{sentence.id}"' in page for sentence in sentences.all_sentences() if sentence.when not in {None, *holds}
    )
    for entry in notice.entries(language):
        assert f'id="table-{entry["name"]}"' in page
        assert entry["until"] in page
    assert language.gettext("What we know about you") in page


def test_a_period_of_the_table_is_the_one_that_the_page_says() -> None:
    """The page and the retention job read one number: the table has it, and the statement of the job contains it."""
    english = i18n.load(resources.folder("locales"))["en"]
    texts = {
        sentence.id: paragraphs.text_of(english, sentence, notice.EXAMPLES) for sentence in sentences.all_sentences()
    }
    for sentence_id, table, period in (
        ("pending", "pending", words.CONFIRMATION),
        ("package-deleted", "package", words.PACKAGES),
    ):
        assert f"{period.number} days" in texts[sentence_id]
        assert any(period.sql in expiry.condition for expiry in TABLES[table].expiry)


def test_a_notice_that_changes_gets_a_new_number() -> None:
    """A signature stores the number of the notice that it agreed to, so a number must never mean two texts."""
    digests = {code: notice.digest(language) for code, language in i18n.load(resources.folder("locales")).items()}
    assert digests == notice.DIGESTS[notice.NOTICE_VERSION], (
        "the notice has changed: raise NOTICE_VERSION in petition/stored_data/notice.py if that version was released,"
        f" and write {digests} behind it"
    )
    assert max(notice.DIGESTS) == notice.NOTICE_VERSION


async def sign_and_confirm(site: Installation, **fields: str) -> None:
    """Sign by the form, and confirm by the link, as its mail would have it."""
    assert (await site.sign(**fields)).status_code == 303
    async with site.database.connection() as conn:
        letter = await rows.letter(conn)
        signature_id = SignatureId(await conn.fetchval("SELECT id FROM pending"))
    assert (await site.client.post(f"/en/confirm/{rows.token(letter, signature_id)}")).status_code == 303


@pytest.mark.parametrize(
    ("change", "id"),
    [
        ("names_until = '2030-05-01'", "names-until"),
        ("names_days = 30", "names-days"),
        ("publish_at_number = 1000", "names-wait"),
    ],
)
async def test_the_page_says_what_holds_for_the_letter_that_a_reader_comes_from(
    site: Installation, change: str, id: str
) -> None:
    assert f'id="{id}"' not in (await site.client.get(f"/en/privacy?letter={SLUG}")).text
    async with site.database.connection() as conn:
        await conn.execute(f"UPDATE letter SET {change}, revision = revision + 1")
    await site.page_when(f"/en/privacy?letter={SLUG}", lambda page: f'id="{id}"' in page)
    assert f'id="{id}"' not in (await site.client.get("/en/privacy")).text


async def test_before_confirming_nothing_counts_or_shows(site: Installation) -> None:
    form = await site.form(name="Balthasar Quickthorn", city="Trondenes", visibility="public")
    assert (await site.client.post(f"/en/{SLUG}/sign", data=form, headers=site.new_network())).status_code == 303
    assert (await site.count())["people"] == 0
    for path in (f"/en/{SLUG}", f"/en/{SLUG}/signatories", f"/api/v1/letters/{SLUG}/signatories"):
        text = (await site.client.get(path)).text
        assert "Balthasar" not in text
        assert "Trondenes" not in text
    assert (await site.client.get(f"/api/v1/letters/{SLUG}/count")).json()["total"] == 0


async def test_what_is_stored_with_a_signature(site: Installation) -> None:
    await sign_and_confirm(site, visibility="counted")
    (row,) = await rows.rows_of(site.database, "SELECT * FROM signature")
    filled = {name for name, value in row.items() if value not in (None, [], {})}
    ours = {"letter", "id", "kind", "state", "visibility", "listed_at", "digest"}
    network = {"network"}  # of a sentence of its own: gone within two days
    assert filled - ours - network == {"signed_at", "version", "consent", "read_lang", "mail_lang"}
    assert filled <= set(TABLES["signature"].column_names)


@pytest.mark.parametrize("is_approved", [True, False])
async def test_a_representatives_address_goes_after_the_decision(bench: Bench, is_approved: bool) -> None:
    held = await bench.sign_for("North Pier")
    await (bench.decide(Action.APPROVE, held) if is_approved else bench.remove(held))
    (contact,) = await bench.rows(
        "SELECT until - now() AS rest FROM contact WHERE letter = $1 AND purpose = 'representative'"
    )
    period = timedelta(days=words.REPRESENTATIVES.number)
    assert period - timedelta(hours=1) < contact["rest"] <= period


async def test_consent_is_an_act_of_its_own(site: Installation) -> None:
    page = (await site.client.get(f"/en/{SLUG}")).text
    (box,) = re.findall(r"<input[^>]*name=\"consent\"[^>]*>", page)
    assert 'type="checkbox"' in box
    assert "required" in box
    assert "checked" not in box
    assert "I agree to this use of my data" in page
    refused = await site.sign(consent="")
    assert refused.status_code == 422
    assert 'id="e-consent"' in refused.text
    await sign_and_confirm(site)
    (row,) = await rows.rows_of(site.database, "SELECT consent FROM signature")
    assert row["consent"] == notice.NOTICE_VERSION


@pytest.mark.parametrize("path", [f"/en/{SLUG}", f"/ru/{SLUG}/signatories", "/en/privacy", "/ru/"])
async def test_public_pages_may_load_nothing_from_elsewhere(site: Installation, path: str) -> None:
    response = await site.client.get(path)
    policy = response.headers["content-security-policy"]
    assert "default-src 'none'" in policy or "default-src 'self'" in policy
    assert "http:" not in policy
    assert "https:" not in policy
    assert "set-cookie" not in response.headers
    for address in re.findall(r"<(?:script|img|iframe|source)[^>]+src=\"([^\"]+)\"", response.text):
        assert address.startswith(("/", "data:")), address
