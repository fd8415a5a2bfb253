"""Each value of each signatory is exactly where the table of what is stored says, and nowhere else."""

from collections import defaultdict
from collections.abc import Iterable, Iterator

from petition.core import email_addresses
from petition.stored_data.contents import LetterStage, SignatureStage, stored
from petition.stored_data.model import Form, Reader
from petition.stored_data.tables import TABLES
from tests.keeper import keepers
from tests.leaks.columns import ColumnContent
from tests.leaks.conftest import Collected
from tests.leaks.search import begins_a_word
from tests.leaks.signatories import SEALED, Signatory
from tests.running import KEY, PRIVATE_KEY, PUBLIC_KEY

Spot = tuple[str, str, str, str]  # table, its columns, form, word


def test_there_are_200_of_every_kind(collected: Collected) -> None:
    ones = collected.signatories
    assert len(ones) >= 200
    assert {one.case.stage for one in ones} >= set(SignatureStage) - {SignatureStage.UPLOADED, SignatureStage.UNDONE}
    assert {one.case.letter for one in ones} == set(LetterStage)
    words = [word for one in ones for word in one.words]
    assert len(words) == len(set(words)) > 1000


def test_each_column_has_what_the_table_says(collected: Collected) -> None:
    """The dump, table by table, opened with every key that there is: what is there, and what must be."""
    expected = {spot for one in collected.signatories for spot in spots_of(one)}
    actual = set(found_spots(collected))
    owners = {word: one for one in collected.signatories for word in one.words}
    assert described(actual - expected, owners) == [], "is stored, and the table does not say so"
    assert described(expected - actual, owners) == [], "is not stored, though the table says so"


def test_the_web_has_no_key_that_opens_addresses(collected: Collected) -> None:
    assert PRIVATE_KEY.encode() not in collected.web_environment
    assert PUBLIC_KEY.encode() in collected.web_environment


def test_no_digest_is_elsewhere(collected: Collected) -> None:
    columns = [(columns, held) for columns, held in described_columns(collected) if held.form is Form.CLEAR]
    actual = {
        (columns[0], columns[1], one.number)
        for columns, held in columns
        for digest, one in collected.digests.items()
        if digest in held.content or digest.hex().encode() in held.content
    }
    ended = {
        one.number for one in collected.signatories if one.case.letter in {LetterStage.DIGESTS_ENDED, LetterStage.BURNT}
    }
    expected = {
        (spot.table.name, " ".join(spot.columns.names), one.number)
        for one in collected.signatories
        for spot in stored(one.case, TABLES.values())
        if spot.form is Form.DIGEST
    }
    # Where the letter's key is gone, what is left of its digests cannot be made of an address any more.
    assert sorted(item for item in actual - expected if item[2] not in ended) == []
    assert sorted(expected - actual) == []


def test_a_dump_and_a_restored_server_have_what_is_in_the_clear(collected: Collected) -> None:
    """Nothing is in the files of a restored server but what is stored: no dead row, no log of changes."""
    expected = words_in_the_clear(collected)
    for name, content in (
        ("dump", collected.dump), ("takeout, decrypted", collected.takeout_rows), ("restored", collected.restored)
    ):  # fmt: skip
        actual = collected.finder.words_in(content)
        assert (name, described_words(actual - expected, collected)) == (name, [])
        assert (name, described_words(expected - actual, collected)) == (name, [])


def test_the_server_never_had_more_in_the_clear_than_the_table_says(collected: Collected) -> None:
    """With its log of changes, and with dead rows: what was in the clear at some time, and nothing that never was."""
    ever = {
        word
        for one in collected.signatories
        for case in one.past
        for spot in stored(case, TABLES.values())
        if spot.form is Form.CLEAR
        for word in one.words_of(spot.value)
    }
    actual = collected.finder.words_in(collected.server, is_text=False)
    assert described_words(actual - ever, collected) == []
    assert words_in_the_clear(collected) <= actual


def test_logs_data_folders_and_count_logs_have_nothing(collected: Collected) -> None:
    contents = {**collected.logs, **collected.data, **collected.mirrors, "takeout": collected.takeout}
    contents["count logs"] = collected.log_files
    for name, content in contents.items():
        assert (name, described_words(collected.finder.words_in(content), collected)) == (name, [])
        assert (name, begins_a_word(content)) == (name, False)
    everything = b"\n".join([*contents.values(), collected.dump, collected.restored, *collected.pages.values()])
    for secret in (KEY, PRIVATE_KEY, keepers.KEY, keepers.TOKEN):
        assert secret.encode() not in everything
    # They have something: nothing would be found in nothing.
    assert all(collected.logs.values())
    assert all(b"every line is written" in collected.logs[name] for name in ("web", "worker", "keeper"))
    assert collected.log_entries > 20
    assert len(collected.mirrors) > 50
    assert len(collected.takeout) > 100_000


def test_readers_see_what_everyone_may(collected: Collected) -> None:
    for slug, content in collected.pages.items():
        expected = {
            word
            for one in collected.signatories
            if one.slug == slug and slug not in {"leaks-hidden", *SEALED} and one.case.stage is SignatureStage.CONFIRMED
            for spot in stored(one.case, TABLES.values())
            if spot.form is Form.CLEAR and Reader.EVERYONE in spot.readers
            for word in one.words_of(spot.value)
        }
        actual = collected.finder.words_in(content)
        assert (slug, described_words(actual - expected, collected)) == (slug, [])
        assert (slug, described_words(expected - actual, collected)) == (slug, [])


def test_organizers_take_out_what_they_may_read(collected: Collected) -> None:
    for slug, content in collected.exports.items():
        expected = {
            word
            for one in collected.signatories
            if one.slug == slug and slug != "leaks-hidden" and one.case.stage is SignatureStage.CONFIRMED
            for spot in stored(one.case, TABLES.values())
            if spot.form in {Form.CLEAR, Form.ENCRYPTED} and spot.table.name in {"signature", "organization"}
            for word in one.words_of(spot.value)
        }
        actual = collected.finder.words_in(content)
        assert (slug, described_words(actual - expected, collected)) == (slug, [])
        assert (slug, described_words(expected - actual, collected)) == (slug, [])


def test_signatories_see_what_is_stored_of_themselves(collected: Collected) -> None:
    for one in collected.signatories:
        if one.number not in collected.own:
            continue
        opened = [
            spot for spot in stored(one.case, TABLES.values())
            if spot.form in {Form.CLEAR, Form.ENCRYPTED} and Reader.SIGNATORY in spot.readers
        ]  # fmt: skip
        expected = {word for spot in opened for word in one.words_of(spot.value)}
        actual = collected.finder.words_in(collected.own[one.number])
        assert (one, actual - one.words) == (one, set())
        assert (one, described_words(expected - actual, collected)) == (one, [])


def test_mails_are_about_their_recipient(collected: Collected) -> None:
    by_address = {email_addresses.parse(one.address).address: one for one in collected.signatories}
    assert len(collected.mails) > 150
    for to, content in collected.mails:
        actual = collected.finder.words_in(content)
        assert (to, actual - by_address[to].words) == (to, set())


def spots_of(one: Signatory) -> Iterator[Spot]:
    for spot in stored(one.case, TABLES.values()):
        if spot.form is not Form.DIGEST:
            for word in one.words_of(spot.value):
                yield spot.table.name, " ".join(spot.columns.names), spot.form.name, word


def described_columns(collected: Collected) -> Iterator[tuple[tuple[str, str], ColumnContent]]:
    groups = {
        (table.name, name): (table.name, " ".join(columns.names))
        for table in TABLES.values()
        for columns in table.columns
        for name in columns.names
    }
    for held in collected.columns:
        yield groups[held.table, held.column], held


def found_spots(collected: Collected) -> Iterator[Spot]:
    for (table, columns), held in described_columns(collected):
        for word in collected.finder.words_in(held.content):
            yield table, columns, held.form.name, word


def words_in_the_clear(collected: Collected) -> set[str]:
    return {
        word
        for one in collected.signatories
        for spot in stored(one.case, TABLES.values())
        if spot.form is Form.CLEAR
        for word in one.words_of(spot.value)
    }


def described(spots: Iterable[Spot], owners: dict[str, Signatory]) -> list[str]:
    """Return who and what it is, and how often, for the one who reads the failure."""
    numbers: dict[str, int] = defaultdict(int)
    for table, columns, form, word in spots:
        numbers[f"{about(owners[word], word)} in {table} ({columns}), {form}"] += 1
    return sorted(f"{number} × {text}" for text, number in numbers.items())


def described_words(words: Iterable[str], collected: Collected) -> list[str]:
    owners = {word: one for one in collected.signatories for word in one.words}
    numbers: dict[str, int] = defaultdict(int)
    for word in words:
        numbers[about(owners[word], word)] += 1
    return sorted(f"{number} × {text}" for text, number in numbers.items())


def about(one: Signatory, word: str) -> str:
    value = next((value for value, words in one.typed.items() if word in words), "typed, never stored")
    path = " → ".join(f"{case.visibility} {case.stage}" for case in one.path)
    marks = f" [{', '.join(sorted(one.case.marks))}]" if one.case.marks else ""
    return f"{value} of a {one.case.kind} ({one.way}, {one.slug}: {path}{marks})"
