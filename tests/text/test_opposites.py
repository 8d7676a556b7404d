"""Words of opposite meaning, in every language that has a record of them."""

import pytest

from preceptor.text.languages import language, languages
from preceptor.text.opposites import is_turned, poles, poles_of


def opposed(one: str, other: str, tag: str) -> bool:
    """Whether two words are the two sides of a pair."""
    sides = {pole for pole, _, _ in poles(other, tag)}
    return any((pair, not second) in sides for (pair, second), _, _ in poles(one, tag))


@pytest.mark.parametrize(
    ("tag", "one", "other"),
    [
        ("en", "increases", "decreased"),
        ("en-GB", "always", "never"),
        ("de", "erhöht", "verringert"),
        ("es", "aumenta", "disminuye"),
        ("fr", "augmente", "diminue"),
        ("it", "aumentano", "diminuiscono"),
        ("pt", "aumentam", "diminuem"),
        ("nl", "verhogen", "verlagen"),
        ("ru", "увеличивают", "уменьшают"),
        ("uk", "збільшують", "зменшують"),
        ("el", "αυξάνουν", "μειώνουν"),
        ("ar", "تزيد", "تقلل"),
        ("fa", "افزایش", "کاهش"),
        ("he", "מגדיל", "מקטין"),
        ("hi", "बढ़ाते", "घटाते"),
        ("ur", "بڑھاتے", "گھٹاتے"),
        ("bn", "বাড়ায়", "কমায়"),
        ("id", "meningkatkan", "menurunkan"),
        ("tr", "artırır", "azaltır"),
        ("zh", "提高", "降低"),
        ("ja", "増加", "減少"),
        ("ko", "증가", "감소"),
        ("th", "เพิ่ม", "ลด"),
    ],
)
def test_opposites_are_known_in_every_language_of_ours(tag: str, one: str, other: str) -> None:
    assert opposed(one, other, tag)
    assert opposed(other, one, tag)
    assert not opposed(one, one, tag)


def test_every_language_that_the_tutor_speaks_has_negations_and_opposites() -> None:
    """A language without them would pass a claim that says the reverse."""
    speaking = [one for one in languages().values() if one.phrases]
    assert len(speaking) > 20
    assert [one.tag for one in speaking if not (one.negation and one.opposites and one.absolutes)] == []


def test_each_pair_of_every_record_has_two_sides_without_a_word_in_common() -> None:
    for record in languages().values():
        for pair in record.opposites:
            one, other = (set(side.split()) for side in pair.split(" : "))
            assert one, (record.tag, pair)
            assert other, (record.tag, pair)
            assert not one & other, (record.tag, pair)


def test_a_language_without_a_record_of_them_has_no_opposites() -> None:
    assert not list(poles("something increases", "my"))
    assert poles_of("increases", "my") == ()


@pytest.mark.parametrize(
    ("word", "other", "tag", "turned"),
    [
        ("unsafe", "safe", "en", True),
        ("safe", "unsafe", "en", True),
        ("safely", "safe", "en", False),
        ("unsafe", "connected", "en", False),
        ("unmöglich", "möglich", "de", True),
        ("put", "input", "en", True),
        ("to", "into", "en", False),
    ],
)
def test_a_prefix_turns_a_word_into_its_opposite(word: str, other: str, tag: str, turned: bool) -> None:
    assert is_turned(word, other, tag) is turned


def test_a_phrase_of_a_script_without_spaces_is_found_within_a_sentence() -> None:
    assert [found for _, *found in poles("它会提高精度", "zh")] == [[2, 4]]
    assert language("zh").spaced is False
