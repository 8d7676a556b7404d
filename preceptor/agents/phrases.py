"""The few sentences that Preceptor itself says to readers, in their language."""

import re
from dataclasses import dataclass

_ARABIC_SCRIPT = re.compile(r"[\u0600-\u06ff]")


@dataclass(frozen=True, slots=True)
class Phrases:
    """In one language."""

    not_covered: str
    nearest: str
    only_quotes: str
    begun_again: str


_ENGLISH = Phrases(
    not_covered="The book does not cover this.",
    nearest="Nearest chapters:",
    only_quotes="I can only quote the book right now:",
    begun_again="The answer broke off; here it is from the beginning.",
)
_URDU = Phrases(
    not_covered="یہ کتاب اس سوال کا احاطہ نہیں کرتی۔",
    nearest="قریب ترین ابواب:",
    only_quotes="اس وقت میں صرف کتاب سے اقتباس دے سکتا ہوں:",
    begun_again="جواب درمیان میں رک گیا تھا؛ یہ شروع سے دوبارہ ہے۔",
)


def phrases(question: str) -> Phrases:
    """The phrases in the language of the question: Urdu for Arabic script, English for all else."""
    return _URDU if _ARABIC_SCRIPT.search(question) else _ENGLISH
