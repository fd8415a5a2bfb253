"""The question in words: an answer to the same challenge as the picture."""

import secrets

import pytest

from petition.captcha import questions
from petition.captcha.drawn import DrawnCodes
from petition.captcha.model import Passed, Refusal
from petition.captcha.questions import WORDS, normal
from petition.core.ids import LetterId

KEY = "a secret key of the tests, long enough for them"
CODES = DrawnCodes([KEY])
LETTER = LetterId(7)


@pytest.mark.parametrize("lang", sorted(WORDS))
@pytest.mark.parametrize("hard", [False, True])
def test_its_answer_passes_as_the_letters_do(lang: str, hard: bool) -> None:
    token = CODES.token("HEXAM", LETTER, hard=hard)
    question = CODES.question(token, lang)
    assert len(set(question.words)) == len(question.words) == (7 if hard else 5)
    assert len(question.positions) == (3 if hard else 2)
    for typed in (question.answer, question.answer.upper(), question.answer.replace(" ", ", ") + "."):
        result = CODES.check(token, typed, LETTER)
        assert isinstance(result, Passed)
        assert result.drawn
        assert result.nonce == CODES.nonce(token), "picture and question are one challenge"
    assert isinstance(CODES.check(token, "HEXAM", LETTER), Passed)


def test_other_words_and_the_answer_to_another_token_are_wrong() -> None:
    token, other = (CODES.token("HEXAM", LETTER, hard=False) for _ in range(2))
    question = CODES.question(token, "en")
    for typed in (
        "",
        question.words[question.positions[0]],
        " ".join(reversed(question.answer.split())),
        " ".join(question.words),
        CODES.question(other, "en").answer,
    ):
        assert CODES.check(token, typed, LETTER) is Refusal.WRONG


def test_every_token_has_a_question_of_its_own() -> None:
    tokens = [CODES.token("HEXAM", LETTER, hard=False) for _ in range(50)]
    assert len({CODES.question(token, "en") for token in tokens}) == 50
    with pytest.raises(ValueError, match="no token"):
        CODES.question("nonsense", "en")


def test_a_question_made_under_an_older_secret_is_answered_under_the_new() -> None:
    token = CODES.token("HEXAM", LETTER, hard=False)
    rotated = DrawnCodes(["another secret key of the tests, long enough", KEY])
    assert isinstance(rotated.check(token, CODES.question(token, "ru").answer, LETTER), Passed)


def test_the_sentence_says_which_words() -> None:
    question = questions.Question(("river", "lamp", "chair", "bread", "snow"), (1, 3))
    assert question.text(str) == "Write the second and the fourth of these words: river, lamp, chair, bread, snow."
    assert question.answer == "lamp bread"
    hard = questions.question(secrets.token_bytes(32), "ru", hard=True)
    assert all(word in hard.text(str) for word in hard.words)


def test_what_does_not_matter_in_an_answer() -> None:
    assert normal(" Lamp AND bread! ") == normal("lamp, bread") == "lamp bread"
    assert normal("Ёлка и\u00a0снег") == "елка снег"


@pytest.mark.parametrize("lang", sorted(WORDS))
def test_words_are_distinct_and_normal(lang: str) -> None:
    words = WORDS[lang]
    assert len(set(words)) == len(words) >= 60
    assert all(normal(word) == word for word in words)
