"""Each version of a text with what it changed, for the page of versions and for mirrors."""

from petition.letters import plain_text, text_diff
from petition.letters.model import Version


def with_changes(versions: list[Version], lang: str) -> list[tuple[Version, list[text_diff.Block]]]:
    """Return each version with what it changed in the language that is shown; nothing for the first."""
    pairs: list[tuple[Version, list[text_diff.Block]]] = []
    for version, before in zip(versions, [*versions[1:], None], strict=True):
        text_lang = lang if lang in version.texts else next(iter(version.texts))
        if before is None or text_lang not in before.texts:
            pairs.append((version, []))
            continue
        pairs.append(
            (version, text_diff.changes(*plain_text.plain_pair(before.texts[text_lang], version.texts[text_lang])))
        )
    return pairs
