"""What is missing before a draft may be published, and what is worth a second look."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from petition.core.i18n import N_
from petition.drafts.store import Draft
from petition.letters import markdown

LATELY = timedelta(days=1)  # a translation that is so much older than the other may have been forgotten

NOTHING = N_("There is no text yet.")
NO_TITLE = N_("The title is missing (%(language)s).")
NO_TEXT = N_("The text is missing (%(language)s).")
NO_ADDRESSEE = N_("No addressee: who is the letter to?")
NO_INITIATOR = N_("No initiator: who is the letter from?")
OVER = N_("The closing date has passed.")
NO_ALT = N_("The picture has no description (%(language)s).")
NO_TRANSLATION = N_("There is no translation (%(language)s). Readers of that language will see the other one.")
LEFT_BEHIND = N_("The text was changed only in another language (%(language)s).")
OLDER = N_("This text is more than a day older than the other one (%(language)s).")
NO_NAME = N_("“%(example)s” has no name in this language, so readers of it see the other name.")


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was noticed; ``blocks`` if nothing can be published with it."""

    message: str  # for the catalogues
    blocks: bool
    lang: str | None = None
    example: str = ""  # from the text
    field: str = ""  # of the page with the text; "" where it is about the whole


def findings(draft: Draft, now: datetime) -> list[Finding]:
    """Return everything there is to say about a draft, what blocks first."""
    return sorted(
        [*_of_text(draft), *_of_frame(draft, now), *_of_translations(draft)], key=lambda finding: not finding.blocks
    )


def _of_text(draft: Draft) -> Iterator[Finding]:
    if not draft.texts:
        yield Finding(NOTHING, True, field=f"text.{draft.languages[0]}")
    for lang, (title, text) in draft.texts.items():
        if not title:
            yield Finding(NO_TITLE, True, lang, field=f"title.{lang}")
        if not text:
            yield Finding(NO_TEXT, True, lang, field=f"text.{lang}")
        for loss in markdown.losses(text):
            yield Finding(loss.message, False, lang, loss.example, f"text.{lang}")


def _of_frame(draft: Draft, now: datetime) -> Iterator[Finding]:
    frame = draft.frame
    if not frame.addressees:
        yield Finding(NO_ADDRESSEE, True, field=f"addressees-0-{draft.languages[0]}")
    if not frame.initiators:
        yield Finding(NO_INITIATOR, True, field=f"initiators-0-{draft.languages[0]}")
    if frame.closes_at is not None and frame.closes_at <= now:
        yield Finding(OVER, True, field="closes_at")
    for lang, sharing in frame.sharing.items():
        if sharing.picture_id and not sharing.alt:
            yield Finding(NO_ALT, True, lang, field=f"alt.{lang}")
    for kind, parties in (("addressees", frame.addressees), ("initiators", frame.initiators)):
        for index, party in enumerate(parties):
            name = next(iter(party.names.values()), "")
            for lang in (lang for lang in draft.texts if lang not in party.names):
                yield Finding(NO_NAME, False, lang, name, f"{kind}-{index}-{lang}")


def _of_translations(draft: Draft) -> Iterator[Finding]:
    if not draft.texts:
        return
    yield from (
        Finding(NO_TRANSLATION, False, lang, field=f"title.{lang}")
        for lang in draft.languages
        if lang not in draft.texts
    )
    for lang in draft.texts:
        if _left_behind(draft, lang):
            yield Finding(LEFT_BEHIND, False, lang, field=f"text.{lang}")
        elif _older(draft, lang):
            yield Finding(OLDER, False, lang, field=f"text.{lang}")


def _left_behind(draft: Draft, lang: str) -> bool:
    """Return whether a published text stays as it is while another language's changes."""
    names = {name for name in draft.changes if name.startswith(("title.", "text."))}
    changed = {code for code in draft.texts if names & {f"title.{code}", f"text.{code}"}}
    return draft.published and bool(changed) and lang not in changed


def _older(draft: Draft, lang: str) -> bool:
    edits = {code: draft.edits.get(f"text.{code}") for code in draft.texts}
    mine, times = edits[lang], [edit.at for edit in edits.values() if edit]
    return not draft.published and mine is not None and max(times) - mine.at > LATELY
