"""Whether a question depends on the previous one: "And how does that differ from services?".

The offline tutor has no model that could rewrite such a question. Function words show it: a word that begins
the question and joins it to the conversation, or one that refers to it.
"""

import re

from preceptor.text.sentences import stems

_JOINS = {
    "en": "and but so or then also",
    "es": "y e pero o entonces",
    "fr": "et mais ou donc alors",
    "de": "und aber oder also dann",
    "pt": "e mas ou então",
    "it": "e ma o quindi",
    "nl": "en maar of dus",
    "id": "dan tetapi atau lalu",
    "tr": "ve ama peki ya",
    "ru": "а и но или",
    "uk": "а і й але чи",
    "ar": "و ولكن لكن أو",
    "fa": "و اما ولی یا",
    "ur": "اور لیکن مگر تو یا",
    "hi": "और लेकिन तो या",
}
"""Words that join a question to the conversation when they begin it."""
_POINTS = {
    "en": "it its they them their this these those he she him her",
    "es": "ello eso esto ellos ellas",
    "fr": "cela ça ceci eux",
    "de": "dies dieses davon dafür damit dazu dessen",
    "pt": "isso isto eles elas dele dela deles",
    "it": "ciò questo quello esso essa loro",
    "nl": "dit deze daarvan daarmee ervan hiervan",
    "id": "mereka tersebut",
    "tr": "bu bunu bunun bunlar onu onun",
    "ru": "он она они его её их этого этим этому",
    "uk": "він вона вони його її їх цього цим",
    "ar": "هذا هذه ذلك تلك",
    "fa": "این آن آنها",
    "ur": "یہ اس اسے ان",
    "hi": "यह ये इसे इसका इसकी इसके",
}
"""Words that refer to the conversation, anywhere in a question."""
_POINTS_UNSPACED = {"zh": r"[它这那]|他们", "ja": "これ|それ|その"}
_THAT = re.compile(
    r"\b(?:is|are|was|do|does|did|can|could|will|would|should|of|with|from|than|about|like|for|to|in|by) that\b",
    re.IGNORECASE,
)
"""English "that", where it does not begin a clause."""
_STANDS_ALONE = 5
"""Number of content words from which a question stands alone: "Is it possible to run ROS on a Mac?"."""
_PAIRS = 3
"""Number of character pairs that count as one word in unspaced scripts."""
_SAYS_LITTLE = 3


def depends_on_previous(question: str, language: str) -> bool:
    """Whether a question depends on the previous question.

    Args:
        question: The reader's question.
        language: BCP 47 tag of its language.
    """
    unspaced = _POINTS_UNSPACED.get(language.split("-")[0])
    own = len(stems(question, language))
    if unspaced:
        return own < _STANDS_ALONE * _PAIRS and bool(re.search(unspaced, question))
    if own >= _STANDS_ALONE:
        return False
    language = language.split("-")[0]
    words = re.findall(r"[^\W\d_]+", question.lower())
    joins, points = (set(table.get(language, "").split()) for table in (_JOINS, _POINTS))
    if words and (words[0] in joins or not points.isdisjoint(words)):
        return True
    return language == "en" and (words[1:2] == ["about"] or bool(_THAT.search(question)))


def says_little(question: str, language: str) -> bool:
    """Whether a question is too short to show its subject: "Why useful?"."""
    return len(stems(question, language)) < _SAYS_LITTLE
