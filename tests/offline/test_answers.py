"""The labelled questions: what they quote stands in the books, and there are enough of every kind."""

from collections import Counter, defaultdict
from collections.abc import Iterable
from pathlib import Path

import pytest

from preceptor.indexing.run import Indexing
from preceptor.settings import Settings
from tests.offline.labelled import BOOKS, KINDS, UNANSWERED, Book, Labelled, folded, labelled

QUESTIONS = labelled()
LEAST = 250
LEAST_BOOKS = 6
LEAST_OF_A_BOOK = 15
LEAST_OF_A_KIND = 5
LEAST_UNANSWERED = 0.25
_OURS = {
    name for name, book in BOOKS.items() if book.folder.is_relative_to(Path(__file__).parent.parent.parent)
}


def _passages(book: Book, work: Path) -> dict[str, list[str]]:
    """Returns the texts of a book's passages, by chapter."""
    settings = Settings.model_validate(
        {"env": "demo", "book": {"id": book.name, "language": book.language}, "tutor": {"providers": ()}}
    )
    found: defaultdict[str, list[str]] = defaultdict(list)
    for _, passages in Indexing(book.source(work), settings).pages():
        for passage in passages:
            found[passage.chapter].append(folded(passage.text))
    return found


def _stands(text: str, passages: Iterable[str]) -> bool:
    return any(text in passage for passage in passages)


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=[] if name in _OURS else [pytest.mark.long]) for name in BOOKS]
)
def test_every_answer_stands_in_a_passage_of_its_chapter(name: str, tmp_path: Path) -> None:
    book = BOOKS[name]
    if not book.is_there:
        pytest.skip(f"there is no {book.folder}")
    questions = [one for one in QUESTIONS if one.book == name]
    passages = _passages(book, tmp_path)
    everywhere = [text for texts in passages.values() for text in texts]
    lost = [
        (one.id, place.text)
        for one in questions
        for place in one.answers
        if not _stands(place.text, passages.get(place.chapter, []))
    ]
    lost += [(one.id, text) for one in questions for text in one.near if not _stands(text, everywhere)]
    assert not lost


def test_every_label_is_whole() -> None:
    assert [one.id for one in QUESTIONS if one.kind not in KINDS or one.book not in BOOKS] == []
    assert [one.id for one in QUESTIONS if not one.question.strip()] == []
    texts = [(one, text) for one in QUESTIONS for text in (*_answers(one), *one.near)]
    assert [one.id for one, text in texts if not text or text != folded(text)] == []
    assert [one.id for one in QUESTIONS if set(_answers(one)) & set(one.near)] == []


def test_no_id_and_no_question_of_a_book_is_there_twice() -> None:
    ids = Counter(one.id for one in QUESTIONS)
    asked = Counter((one.book, one.after, folded(one.question).casefold()) for one in QUESTIONS)
    assert [name for name, number in (ids + asked).items() if number > 1] == []


def test_only_questions_that_the_book_does_not_answer_have_no_answer() -> None:
    assert [one.id for one in QUESTIONS if one.is_answered is (one.kind in UNANSWERED)] == []


def test_a_follow_up_names_the_question_before_it() -> None:
    wrong = [
        one.id
        for before, one in zip([None, *QUESTIONS], QUESTIONS, strict=False)
        if (one.kind == "follow_up") != (one.after is not None)
        or (one.after is not None and (before is None or before.id != one.after or before.book != one.book))
    ]
    assert wrong == []


def test_there_are_enough_questions_of_every_book_and_kind() -> None:
    by_book = Counter(one.book for one in QUESTIONS)
    by_kind = Counter(one.kind for one in QUESTIONS)
    assert len(QUESTIONS) >= LEAST
    assert len(by_book) >= LEAST_BOOKS
    assert min(by_book[name] for name in BOOKS) >= LEAST_OF_A_BOOK, by_book
    assert min(by_kind[kind] for kind in KINDS) >= LEAST_OF_A_KIND, by_kind


def test_a_quarter_of_the_questions_is_not_answered_by_the_book() -> None:
    assert sum(not one.is_answered for one in QUESTIONS) >= LEAST_UNANSWERED * len(QUESTIONS)


def _answers(one: Labelled) -> list[str]:
    return [place.text for place in one.answers]


def test_an_answer_is_recognised_whatever_marks_its_list_or_its_code() -> None:
    one = next(one for one in QUESTIONS if any(place.text.startswith("- ") for place in one.answers))
    items = next(place.text for place in one.answers if place.text.startswith("- "))
    assert one.answered_by(f"So it is:\n\n{items.replace('- ', '* ')}\n")
    assert not one.answered_by("So it is:")


def test_an_answer_that_ends_with_a_number_is_recognised_before_another_sentence() -> None:
    """The number with its full stop is no marker of a list."""
    one = next(one for one in QUESTIONS if any(place.text.endswith(" 1960.") for place in one.answers))
    answer = next(place.text for place in one.answers if place.text.endswith(" 1960."))
    assert one.answered_by(f"{answer} It is linear.")
