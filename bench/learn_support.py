r"""Learns the weights of `likelihood` and shows what it notices, and how far its numbers can be taken at their word.

Pairs of claim and passage are made from the sentences of books: true ones are shortened, reordered, joined, framed as
a tutor would, with some words replaced by others; false ones are such sentences turned into their opposite, with
another number or name, with something added, or from another section. Seeded: the same books give the same pairs.

    python bench/learn_support.py examples/physical-ai ../shared/books/deep-rl-course ../shared/books/redux-docs \
        ../shared/books/docusaurus-website/website ../shared/books/physical-ai-textbook ../shared/evalsets/xquad-en \
        ../shared/evalsets/xquad-es --write

Learned from these and from the pairs in `tests/agents/data`, which were written by hand. No weight may speak for a
claim, and that of missing words is the one of `support`: made claims of another section are told too easily. The
intercept is the one at which `MOST_LOST` of the true pairs by hand, their books left out, count as unsupported.

Printed: how the pairs of each book are judged by a fit without that book, and a calibration table. `--write` replaces
the weights in `preceptor/agents/support.json`.
"""

import argparse
import json
import random
import re
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from preceptor.agents.support import MEASURES, is_too_short, measures, support
from preceptor.library.passage import Passage
from preceptor.text.languages import language, language_of, words
from preceptor.text.sentences import split_sentences
from preceptor.text.tokens import stems

Array = NDArray[np.float64]

WEIGHTS = Path(__file__).parents[1] / "preceptor/agents/support.json"
LABELLED = Path(__file__).parents[1] / "tests/agents/data"
TRUE_SHARE = 0.75
"""Share of true claims among those that are judged: a tutor that has been shown the passage is mostly right."""
SUPPORTED = 0.5
MOST_LOST = 0.07
"""Share of the true pairs by hand that count as unsupported: by words alone, it is 0.078."""
LEAST_SHARED = 0.55
"""Least share of its words that a true claim has from the passage: of paraphrases by hand, one in twenty has less."""
RIDGE = 0.5
FEW_WORDS = -5.4
MADE = "made"
BY_HAND = 0.5
"""Weight of a file of pairs that were written by hand, beside that of all which are made."""
THRESHOLDS = (0.05, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5)
FOLDS = 4
"""Groups of the languages with one passage each."""
PASSAGES = 34
"""Most passages of one book and language."""
SECTIONS = 250
LONGEST = 900

Change = Callable[["Maker", str], str | None]


@dataclass(frozen=True)
class Pair:
    """A claim, its passage, and whether the passage says it."""

    book: str
    kind: str
    true: bool
    claim: str
    passage: Passage
    source: str = MADE
    """The file with the pairs by hand."""


def placed(text: str, tag: str, heading: str = "") -> Passage:
    """A passage of a section."""
    return Passage("", "k7qd", "", "", heading, (heading,), "", "", heading, 0, 0, 0, text, tag)


def sections(book: Path) -> Iterator[tuple[str, str, str]]:
    """Chapter, heading and prose of each section of a book's pages, or of a corpus in BEIR form."""
    if (corpus := book / "corpus.jsonl").exists():
        for line in corpus.read_text(encoding="utf-8").splitlines():
            row = json.loads(line)
            yield row["_id"].partition("#")[0], row["_id"].partition("#")[0].replace("_", " "), row["text"]
        return
    for page in sorted(book.rglob("*.md*")):
        text = page.read_text(encoding="utf-8").replace("\r", "")
        text = re.sub(r"\A---\n.*?\n---\n", "", text, flags=re.DOTALL)
        text = re.sub(r"(```|~~~|\$\$).*?\1|<!--.*?-->", "", text, flags=re.DOTALL)
        for part in re.split(r"(?m)^(?=#+ )", text):
            heading, _, body = part.partition("\n") if part.startswith("#") else (page.stem, "", part)
            kept = [one for one in re.split(r"\n\s*\n", body) if _is_prose(one)]
            if kept:
                yield str(page), heading.strip("# "), "\n\n".join(_plain(one) for one in kept)


def _is_prose(paragraph: str) -> bool:
    return bool(re.match(r"\s*[^\W\d_][^\n]{50,}", paragraph)) and not re.search(
        r"</?\w|\{|^import ", paragraph
    )


def _plain(paragraph: str) -> str:
    text = re.sub(r"!?\[([^\]]*)\]\([^)]*\)", r"\1", paragraph)
    return " ".join(re.sub(r"\*\*|(?<!\w)[*_]|[*_](?!\w)", "", text).split())


# --- restating -----------------------------------------------------------------------------------------------------

SYNONYMS = {
    "en": """
        use employ utilise; make create produce; show demonstrate; big large; help assist; need require; begin start;
        get obtain; method approach technique; way manner; many numerous; several multiple; important essential crucial;
        different distinct; each every; because since as; also too; often frequently; usually normally typically;
        give provide supply; allow permit let; change modify alter; build construct; find discover; choose select;
        keep retain; quickly rapidly; simple easy; goal aim objective; result outcome; problem issue; learn study;
        part component; main principal chief; called named known; user reader; page site; way means; run execute""",
    "es": """usar utilizar emplear; hacer realizar; mostrar demostrar; grande amplio; ayudar asistir; comenzar empezar;
        obtener conseguir; método técnica; muchos numerosos; varios diversos; importante esencial; diferente distinto;
        porque ya; a menudo frecuentemente; dar proporcionar; permitir dejar; cambiar modificar; construir edificar;
        encontrar hallar; elegir escoger; mantener conservar; rápidamente deprisa; objetivo meta; resultado efecto""",
}
FRAMES = {
    "en": "In short, |According to the book, |This means that |In other words, |So, |The book says that |Note that |"
    "As the passage explains, |Basically, |Put simply, ",
    "es": "En resumen, |Según el libro, |Es decir, |Esto significa que |En otras palabras, ",
    "ur": "کتاب کے مطابق |مختصراً |یعنی ",
}
LINKS = {
    "en": ", which | and | because | since |, where |, so that | by |, although | with | when ",
    "es": ", que | y | porque | ya que |, donde |, aunque | con | cuando ",
    "ur": " اور | کیونکہ |، جس سے | جبکہ ",
}
EXTRAS = {
    "en": " in {year}| by {name}| at {name}| within {count} minutes| for about {count} users"
    "| in {count} percent of cases|, invented by {name} in {year}| on {name}| for {count} dollars",
    "es": " en {year}| por {name}| en {name}| en {count} minutos| para unos {count} usuarios"
    "|, inventado por {name} en {year}",
    "ur": " {year} میں| {count} منٹ میں",
}
NEGATE = {
    "en": r"\b(is|are|was|were|can|could|will|would|should|may|might|do|does|did|has been|have been)\b(?! not|n't)",
    "es": r"\b(es|son|era|eran|fue|fueron|puede|pueden|tiene|tienen|está|están|había|hay|ha|han|se)\b",
    "ur": r"(?= (?:ہے|ہیں|تھا|تھے|سکتا|سکتے|سکتی|ہوتا|ہوتی|ہوتے)\b)",
}
VERBS = """use make give take need work provide allow contain return create support require help mean let run send call
    show include add define render store update learn get want keep write read start begin become follow know"""
ASSERT = {
    "en": [
        (r"\b(is|are|was|were|can|could|will|would|should|may|do|does|did|has|have) not\b", r"\1"),
        (r"\bcannot\b", "can"),
        (r"(?<=\w)n['’]t\b", ""),
        (r"\bnever\b", "always"),
        (r"\bno\b", "every"),
        (r"\bwithout\b", "with"),
        (r"\bnot\b", ""),
    ],
    "es": [(r"\bno ", ""), (r"\bnunca\b", "siempre"), (r"\bsin\b", "con"), (r"\bningun[ao]?\b", "todo")],
    "ur": [(r" نہیں", ""), (r"\bبغیر\b", "ساتھ")],
}
ABSOLUTE = {
    "en": [
        (r"\b(usually|often|sometimes|mostly|typically|generally)\b", "never"),
        (r"\b(usually|often|sometimes|mostly|typically|generally)\b", "always"),
        (r"\b(some|many|most|several)\b", "all"),
        (r"\b(some|many|most|all|every|each)\b", "no"),
        (r"\b(can|may|might)\b", "must always"),
        (r"\b(is|are|will)\b", r"\1 never"),
        (r"\b(always)\b", "never"),
        (r"\b(also)\b", "only"),
    ],
    "es": [
        (r"\b(normalmente|a menudo|a veces|generalmente)\b", "nunca"),
        (r"\b(algunos|muchos|varios)\b", "todos los"),
        (r"\b(puede|pueden)\b", r"nunca \1"),
        (r"\b(también)\b", "solo"),
    ],
    "ur": [(r"\bاکثر\b", "ہمیشہ"), (r"\bکچھ\b", "تمام"), (r"\bبھی\b", "صرف")],
}
PIVOTS = {
    "en": r" (?:is|are|has|have|can \w+|uses?|gives?|makes?|contains?|needs?|calls?|sends?|returns?|creates?|provides?|"
    r"updates?|launched|unified|rather than|instead of|than|before|after|takes?|from|to) ",
    "es": r" (?:es|son|fue|tiene|tienen|usa|da|hace|contiene|necesita|antes de|después de|en lugar de|que|publica) ",
}


class Maker:
    """Makes pairs from the sections of one book in one language."""

    def __init__(self, book: str, tag: str, sections: Sequence[tuple[str, str, str]], seed: int) -> None:
        """Cut the sections into passages and sentences.

        Args:
            book: Its name.
            tag: Language of these sections.
            sections: Chapter, heading and prose of each.
            seed: Seed of every choice that is made.
        """
        self.book, self.tag, self.random = book, tag, random.Random(f"{book} {tag} {seed}")
        self.passages: list[tuple[str, Passage, list[str]]] = []
        for chapter, heading, text in sections:
            for start in _cuts(text):
                sentences = [one.strip() for one in split_sentences(start, tag) if _is_useful(one, tag)]
                if sentences:
                    self.passages.append((chapter, placed(start, tag, heading), sentences))
        self.random.shuffle(self.passages)
        self.vocabulary = sorted(
            {word for _, _, all_of in self.passages for one in all_of for word in words(one) if len(word) > 4}
        )
        self.names = sorted(
            {
                name
                for _, _, all_of in self.passages
                for one in all_of
                for name in re.findall(r"(?<=[a-z,] )[A-Z][a-z]{3,}\b", one)
            }
        )
        self.synonyms: dict[str, list[str]] = {}
        for group in SYNONYMS.get(tag, "").split(";"):
            for word in (alike := group.split()):
                self.synonyms[word] = [one for one in alike if one != word]
        self.passage: Passage | None = None
        self.sentences: list[str] = []
        self.chapter = ""

    def pairs(self) -> Iterator[Pair]:
        """A few pairs of each kind for each passage."""
        for place in self.passages[:PASSAGES]:
            self.chapter, self.passage, self.sentences = place
            for kind, true, change in KINDS:
                sentence = self.random.choice(self.sentences)
                base = sentence if kind == "neighbour" else self.restated(sentence, true=true)
                made = change(self, base)
                if not made or " ".join(made.split()) in self.passage.text or is_too_short(made):
                    continue
                if not true or self.shared(made) >= LEAST_SHARED:
                    yield Pair(self.book, kind, true, _finished(made), self.passage)

    def shared(self, claim: str) -> float:
        """Share of the claim's words that its passage has."""
        assert self.passage
        own = stems(claim, self.tag)
        return len(own & stems(self.passage.text, self.tag)) / len(own) if own else 0.0

    def restated(self, sentence: str, *, true: bool) -> str:
        """The sentence as a tutor might put it; before a fault is put in it stays as it is now and then."""
        if not true and self.random.random() < 0.35:
            return sentence
        steps: list[Change] = self.random.sample(RESTATE, self.random.choice([1, 1, 2, 2, 3]))
        for step in steps:
            sentence = step(self, sentence) or sentence
        return sentence

    def other_sentence(self, *, same_chapter: bool = False) -> str:
        """A sentence of another passage."""
        for _ in range(60):
            chapter, place, sentences = self.random.choice(self.passages)
            if place is not self.passage and (not same_chapter or chapter == self.chapter):
                return self.random.choice(sentences)
        return ""


def _cuts(text: str) -> Iterator[str]:
    """Runs of paragraphs of no more than `LONGEST` characters."""
    run = ""
    for paragraph in text.split("\n\n"):
        if run and len(run) + len(paragraph) > LONGEST:
            yield run
            run = ""
        run = f"{run}\n\n{paragraph}" if run else paragraph
    if run:
        yield run


def _is_useful(sentence: str, tag: str) -> bool:
    return (
        6 <= len(sentence.split()) <= 45
        and len(stems(sentence, tag)) >= 4
        and not sentence.rstrip().endswith((":", "?"))
    )


def _finished(text: str) -> str:
    text = re.sub(r"\s+([,.;:])", r"\1", " ".join(text.split())).strip(" ,;")
    return (
        text
        if text.endswith((".", "!", "۔"))
        else text + ("۔" if re.search("[\u0600-\u06ff]", text) else ".")
    )


def _body(text: str) -> str:
    return text.rstrip(" .!۔")


def frame(maker: Maker, sentence: str) -> str | None:
    """Behind words such as "in short"."""
    if maker.tag not in FRAMES:
        return None
    opening = maker.random.choice(FRAMES[maker.tag].split("|"))
    keep = sentence[1:2].isupper() or sentence.split()[0] in maker.names
    return opening + (sentence if keep else sentence[:1].lower() + sentence[1:])


def shorten(maker: Maker, sentence: str) -> str | None:
    """Without a clause at its beginning or its end, or what stands in parentheses."""
    bare = re.sub(r"\s*\([^)]*\)", "", sentence)
    parts = re.split(r"[,;،]\s+|\s+[–—-]\s+", _body(bare))
    if len(parts) > 1:
        kept = parts[1:] if maker.random.random() < 0.4 else parts[:-1]
        if len(" ".join(kept).split()) >= 5:
            return ", ".join(kept)
    return bare


def thin(maker: Maker, sentence: str) -> str | None:
    """Without a fifth of its words."""
    kept = [
        word for word in _body(sentence).split() if maker.random.random() > 0.2 or _is_loaded(word, maker.tag)
    ]
    return " ".join(kept) if len(kept) >= 5 else None


def resolve(maker: Maker, sentence: str) -> str | None:
    """With a name of the passage for the pronoun or the article at its beginning."""
    assert maker.passage
    there = [name for name in maker.names if name in maker.passage.text] or [maker.passage.heading]
    opening = re.match(r"(It|They|This|These|He|She|The \w+|A \w+|Este|Esta|El \w+|La \w+) ", sentence)
    name = maker.random.choice(there)
    return f"{name} {sentence[opening.end() :]}" if opening and name else None


def brief(maker: Maker, sentence: str) -> str | None:
    """A few words of it in a row."""
    parts = _body(sentence).split()
    length = maker.random.choice([4, 5, 6, 7, 8, 9])
    start = maker.random.randint(0, max(0, len(parts) - length))
    return " ".join(parts[start : start + length]) if len(parts) > length else None


def _is_loaded(word: str, tag: str) -> bool:
    """Whether a sentence without this word would say something else."""
    record = language(tag)
    return bool(re.search(record.negation or "(?!)", word.lower())) or word.lower() in record.absolutes


def reorder(maker: Maker, sentence: str) -> str | None:
    """Its clauses the other way round."""
    parts = re.split(r"[,،]\s+", _body(sentence), maxsplit=1)
    return (
        f"{parts[1][:1].upper()}{parts[1][1:]}, {parts[0][:1].lower()}{parts[0][1:]}"
        if len(parts) > 1
        else None
    )


def join(maker: Maker, sentence: str) -> str | None:
    """With the sentence that follows, or another one of the passage."""
    others = [one for one in maker.sentences if one != sentence]
    if not others or len(sentence.split()) > 24:
        return None
    other = shorten(maker, maker.random.choice(others)) or ""
    link = maker.random.choice(
        [", and ", "; ", ", while "]
        if maker.tag == "en"
        else [", y ", "; "]
        if maker.tag == "es"
        else ["، ", "؛ "]
    )
    return _body(sentence) + link + other[:1].lower() + other[1:]


def replace_words(maker: Maker, sentence: str) -> str | None:
    """Some words by others that the passage does not have, none beside another: to words alone, synonyms look so."""
    share = maker.random.choice([0.1, 0.15, 0.2, 0.3])
    gap = maker.random.choice([0, 2, 2, 2, 2])
    pieces = re.split(r"(\W+)", sentence)
    last = -9
    for place in range(0, len(pieces), 2):
        word = pieces[place]
        if (
            len(word) < 4
            or (not word.islower() and word.isascii())
            or _is_loaded(word, maker.tag)
            or not stems(word, maker.tag)
        ):
            continue
        if place - last > gap and maker.random.random() < share * 1.5:
            same = maker.synonyms.get(word.lower())
            pieces[place] = maker.random.choice(same or maker.vocabulary)
            last = place
    return "".join(pieces)


def synonyms(maker: Maker, sentence: str) -> str | None:
    """Every word by one that means the same, where one is known."""
    return re.sub(
        r"\w+", lambda one: maker.random.choice(maker.synonyms.get(one[0].lower(), [one[0]])), sentence
    )


def inflect(maker: Maker, sentence: str) -> str | None:
    """Other forms of some words."""
    if maker.tag == "ur":
        return None

    def other(match: re.Match[str]) -> str:
        word = match[0]
        if maker.random.random() < 0.6 or not word.islower():
            return word
        if word.endswith("ing") and len(word) > 6:
            return word[:-3] + "ed"
        if word.endswith("s") and not word.endswith("ss"):
            return word[:-1]
        return word + "s" if word[-1] not in "sy" else word

    return re.sub(r"\b[a-zñáéíóú]{5,}\b", other, sentence)


def active(maker: Maker, sentence: str) -> str | None:
    """A passive sentence in the active voice: "X is used by Y" as "Y used X"."""
    found = (
        re.match(r"(.{4,80}?) (?:is|are|was|were) (\w+ed) by (.+)", _body(sentence))
        if maker.tag == "en"
        else None
    )
    return (
        f"{found[3][:1].upper()}{found[3][1:]} {found[2]} {found[1][:1].lower()}{found[1][1:]}"
        if found
        else None
    )


RESTATE: list[Change] = [
    resolve,
    resolve,
    frame,
    shorten,
    thin,
    thin,
    brief,
    brief,
    brief,
    reorder,
    join,
    replace_words,
    replace_words,
    replace_words,
    synonyms,
    inflect,
    active,
]


# --- faults --------------------------------------------------------------------------------------------------------


def _once(maker: Maker, pattern: str, new: str | Callable[[re.Match[str]], str], text: str) -> str | None:
    found = list(re.finditer(pattern, text))
    if not found:
        return None
    one = maker.random.choice(found)
    return text[: one.start()] + (one.expand(new) if isinstance(new, str) else new(one)) + text[one.end() :]


def same(maker: Maker, sentence: str) -> str | None:
    """No fault."""
    return sentence


def two_sentences(maker: Maker, sentence: str) -> str | None:
    """No fault: two sentences in one."""
    return join(maker, sentence)


def many_strange(maker: Maker, sentence: str) -> str | None:
    """No fault: more words replaced."""
    return replace_words(maker, sentence)


def negate(maker: Maker, sentence: str) -> str | None:
    """A negation put in."""
    tag = maker.tag
    if tag == "en":
        if maker.random.random() < 0.5:
            verb = maker.random.choice(VERBS.split())
            found = re.search(rf"\b{verb}s\b", sentence)
            if found:
                return f"{sentence[: found.start()]}does not {verb}{sentence[found.end() :]}"
        return _once(maker, NEGATE["en"], r"\1 not", sentence) or _once(
            maker, rf"\b({'|'.join(VERBS.split())})s\b", r"does not \1", sentence
        )
    if tag == "es":
        return _once(maker, NEGATE["es"], r"no \1", sentence)
    return _once(maker, NEGATE["ur"], " نہیں", sentence) if tag == "ur" else None


def unnegate(maker: Maker, sentence: str) -> str | None:
    """A negation taken out."""
    rules = ASSERT.get(maker.tag, [])
    negated = [
        one for one in maker.sentences if re.search(language(maker.tag).negation or "(?!)", one.lower())
    ]
    if not re.search(language(maker.tag).negation or "(?!)", sentence.lower()) and negated:
        sentence = maker.restated(maker.random.choice(negated), true=False)
    for pattern, new in rules:
        if re.search(pattern, sentence):
            return re.sub(pattern, new, sentence, count=1)
    return None


def antonym(maker: Maker, sentence: str) -> str | None:
    """A word by its opposite."""
    found: list[tuple[int, int, str]] = []
    table = [pair.split(" : ") for pair in language(maker.tag).opposites]
    for match in re.finditer(r"[^\W\d_]+", sentence):
        word = match[0].lower()
        if not stems(word, maker.tag) and len(word) < 4:
            continue
        for sides in table:
            for side, other in (sides, sides[::-1]):
                for one in side.split():
                    if one == word:
                        exact = [new for new in other.split() if not new.endswith("*")] or [
                            other.split()[0].rstrip("*")
                        ]
                        found.append((*match.span(), maker.random.choice(exact[:3])))
                    elif one.endswith("*") and word.startswith(one[:-1]) and len(word) - len(one) < 5:
                        begun = [new for new in other.split() if new.endswith("*")]
                        new = (
                            maker.random.choice(begun)[:-1] + word[len(one) - 1 :]
                            if begun
                            else other.split()[0]
                        )
                        found.append((*match.span(), new))
    if not found:
        return None
    start, end, new = maker.random.choice(found)
    return sentence[:start] + new + sentence[end:]


def absolute(maker: Maker, sentence: str) -> str | None:
    """No exception where the passage has some, or the reverse."""
    rules = list(ABSOLUTE.get(maker.tag, []))
    maker.random.shuffle(rules)
    for pattern, new in rules:
        if made := _once(maker, pattern, new, sentence):
            return made
    return None


def swap(maker: Maker, sentence: str) -> str | None:
    """What stands before a verb and what stands behind it change places."""
    if maker.tag not in PIVOTS:
        return None
    for found in re.finditer(PIVOTS[maker.tag], sentence):
        left = re.split(r"[,;:]\s", sentence[: found.start()])[-1].split()
        right = re.split(r"[,;:.](?:\s|$)", sentence[found.end() :])[0].split()
        one, two = left[-3:], right[:3]
        if (
            1 <= len(left) <= 6
            and len(right) >= 1
            and stems(" ".join(one), maker.tag)
            and stems(" ".join(two), maker.tag)
        ):
            before = sentence[: found.start()][: -len(" ".join(one))] if " ".join(one) in sentence else None
            behind = sentence[found.end() :].removeprefix(" ".join(two))
            if before is None or behind == sentence[found.end() :]:
                continue
            return f"{before}{' '.join(two)}{found[0]}{' '.join(one)}{behind}"
    return None


def wrong_number(maker: Maker, sentence: str) -> str | None:
    """Another number."""
    having = [one for one in maker.sentences if re.search(r"\d", one)]
    if not re.search(r"\d", sentence):
        if not having:
            return None
        sentence = maker.restated(maker.random.choice(having), true=False)

    def other(match: re.Match[str]) -> str:
        assert maker.passage
        there = [one for one in re.findall(r"\d+", maker.passage.text) if one != match[0]]
        if there and maker.random.random() < 0.35:
            return maker.random.choice(there)
        value = int(match[0]) if len(match[0]) < 8 else 7
        return str(
            maker.random.choice([value + 1, value * 2 + 1, value + 10, max(2, value // 2), value * 10])
        )

    return _once(maker, r"\d+", other, sentence)


def wrong_name(maker: Maker, sentence: str) -> str | None:
    """Another name, of the passage or of the book."""
    assert maker.passage
    own = [name for name in maker.names if re.search(rf"\b{name}\b", sentence)]
    if not own or len(maker.names) < 3:
        return None
    there = [name for name in maker.names if name in maker.passage.text and name not in sentence]
    new = maker.random.choice(there if there and maker.random.random() < 0.5 else maker.names)
    return re.sub(rf"\b{maker.random.choice(own)}\b", new, sentence) if new not in own else None


def add_clause(maker: Maker, sentence: str) -> str | None:
    """A clause from elsewhere, joined on."""
    other = re.split(r"[,;:،]\s|\bthat\b|\bwhich\b", _body(maker.other_sentence()))
    clause = maker.random.choice(other).split()[: maker.random.choice([5, 7, 9])]
    if len(clause) < 3 or maker.tag not in LINKS:
        return None
    link = maker.random.choice(LINKS[maker.tag].split("|"))
    text = " ".join(clause)
    text = text[:1].lower() + text[1:] if text[1:2].islower() else text
    base = shorten(maker, sentence) if maker.random.random() < 0.5 else sentence
    return _body(base or sentence) + link + text


def add_detail(maker: Maker, sentence: str) -> str | None:
    """A year, a number or a name, put on."""
    if maker.tag not in EXTRAS:
        return None
    extra = maker.random.choice(EXTRAS[maker.tag].split("|")).format(
        year=maker.random.randint(1950, 2024),
        count=maker.random.choice([2, 3, 5, 7, 12, 20, 40, 90, 150]),
        name=maker.random.choice(maker.names or ["Zurich"]),
    )
    base = shorten(maker, sentence) if maker.random.random() < 0.5 else sentence
    return _body(base or sentence) + extra


def own_subject(maker: Maker, sentence: str) -> str | None:
    """What is said of something else elsewhere, said of this."""
    subject = sentence.split()[: maker.random.choice([2, 3, 4])]
    other = _body(maker.other_sentence()).split()
    rest = other[maker.random.choice([1, 2, 3]) :][:14]
    return " ".join([*subject, *rest]) if len(rest) > 3 else None


def neighbour(maker: Maker, sentence: str) -> str | None:
    """A sentence of another section."""
    other = maker.other_sentence(same_chapter=maker.random.random() < 0.9)
    return maker.restated(other, true=False) if other else None


KINDS: list[tuple[str, bool, Change]] = [
    *[("restated", True, same)] * 6,
    *[("joined", True, two_sentences)] * 2,
    ("in other words", True, many_strange),
    ("negation put in", False, negate),
    ("negation taken out", False, unnegate),
    *[("antonym", False, antonym)] * 2,
    ("always, never, all", False, absolute),
    ("swapped", False, swap),
    ("another number", False, wrong_number),
    ("another name", False, wrong_name),
    *[("clause added", False, add_clause)] * 2,
    ("detail added", False, add_detail),
    ("said of something else", False, own_subject),
    ("another section", False, neighbour),
]


# --- fit -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Fit:
    """Weights in the order of `MEASURES`; none speaks for a claim."""

    intercept: float
    weights: Array

    def odds(self, x: Array) -> Array:
        """Log-odds of each row."""
        return self.intercept + x @ self.weights


def fit(x: Array, true: Array, weight: Array) -> Fit:
    """Logistic regression with a ridge.

    While a weight speaks for claims, the measure with the largest one is left out.
    """
    fixed = np.array([FEW_WORDS if name == "few_words" else 0.0 for name in MEASURES])
    kept = [place for place, name in enumerate(MEASURES) if name != "few_words"]
    while True:
        beta = newton(x[:, kept], true, weight, x @ fixed)
        worst = int(np.argmax(beta[1:]))
        if beta[1:][worst] <= 0:
            break
        kept.pop(worst)
    weights = fixed.copy()
    weights[kept] = beta[1:]
    return Fit(float(beta[0]), weights)


def newton(x: Array, true: Array, weight: Array, offset: Array) -> Array:
    """The intercept and the weights."""
    x = np.hstack([np.ones((len(x), 1)), x])
    penalty = np.full(x.shape[1], RIDGE)
    penalty[0] = 0
    beta = np.zeros(x.shape[1])
    for _ in range(30):
        p = 1 / (1 + np.exp(-np.clip(x @ beta + offset, -30, 30)))
        gradient = x.T @ (weight * (true - p)) - penalty * beta
        hessian = (x * (weight * p * (1 - p))[:, None]).T @ x + np.diag(penalty)
        step = np.linalg.solve(hessian, gradient)
        beta += step
        if np.abs(step).max() < 1e-6:
            break
    return beta


def weights(pairs: Sequence[Pair]) -> Array:
    """Each kind counts the same among its side and its source, and the true side `TRUE_SHARE` of all."""
    count: dict[tuple[str, bool, str], int] = defaultdict(int)
    kinds: dict[tuple[str, bool], set[str]] = defaultdict(set)
    for one in pairs:
        count[one.source, one.true, one.kind] += 1
        kinds[one.source, one.true].add(one.kind)
    share = {True: TRUE_SHARE, False: 1 - TRUE_SHARE}
    found = np.array(
        [
            share[one.true]
            * (1 if one.source == MADE else BY_HAND)
            / len(kinds[one.source, one.true])
            / count[one.source, one.true, one.kind]
            for one in pairs
        ]
    )
    return found / found.sum() * len(pairs)


def labelled(file: Path) -> list[Pair]:
    """Pairs that were written by hand, by their label."""
    rows: list[dict[str, Any]] = [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]
    return [
        Pair(
            row.get("book") or ("physical-ai" if "half" in row else row["language"]),
            label,
            label == "supported",
            claim,
            placed(row["passage"], row["language"], (row.get("breadcrumb") or [""])[-1]),
            file.stem,
        )
        for row in rows
        for label, claim in row["claims"]
    ]


def left_out(pairs: Sequence[Pair], x: Array) -> Array:
    """Log-odds of each pair by a fit without its book."""
    true = np.array([float(one.true) for one in pairs])
    books = sorted({one.book for one in pairs if one.source != "languages"})
    alone = sorted({one.book for one in pairs if one.source == "languages"})
    folds = [{book} for book in books] + [set(alone[start::FOLDS]) for start in range(FOLDS)]
    found = np.zeros(len(pairs))
    for fold in folds:
        out = np.array([one.book in fold for one in pairs])
        rest = [one for one in pairs if one.book not in fold]
        found[out] = fit(x[~out], true[~out], weights(rest)).odds(x[out])
    return found


def table(pairs: Sequence[Pair], odds: Array) -> None:
    """Prints the share that is judged rightly by words alone and by all measures, for each kind."""
    groups: dict[tuple[str, bool, str], list[tuple[bool, bool]]] = defaultdict(list)
    for one, value in zip(pairs, odds, strict=True):
        by_words = (support(one.claim, [one.passage]) or 0.0) >= SUPPORTED
        groups[one.source, not one.true, one.kind].append((by_words == one.true, (value >= 0) == one.true))
    print("| | by words | by all | pairs |\n|---|---|---|---|")
    for (source, _, kind), right in sorted(groups.items()):
        before, after = (sum(one) / len(right) for one in zip(*right, strict=True))
        print(f"| {source}: {kind} | {before:.3f} | {after:.3f} | {len(right)} |")


def calibration(found: Array, true: Array, weight: Array) -> None:
    """Prints how many of the claims with about the same support are true."""
    print("| support | mean | true | pairs |\n|---|---|---|---|")
    for low in np.arange(0, 1, 0.1):
        inside = (found >= low) & (found < low + 0.1)
        if inside.any():
            share, mean = (
                float((weight * one)[inside].sum() / weight[inside].sum()) for one in (true, found)
            )
            print(f"| {low:.1f}–{low + 0.1:.1f} | {mean:.2f} | {share:.2f} | {int(inside.sum())} |")


def held_back(pairs: Sequence[Pair], found: Array) -> None:
    """Prints the share of sentences whose support is below each threshold, by set and language, true ones first."""
    groups: dict[tuple[bool, str, str], list[float]] = defaultdict(list)
    for one, value in zip(pairs, found, strict=True):
        where = one.book if one.source == MADE else one.source
        groups[not one.true, f"{where}, {one.passage.language}", "true" if one.true else one.kind].append(
            value
        )
    print(f"| | {' | '.join(f'{least:.2f}' for least in THRESHOLDS)} | pairs |")
    print(f"|---|{'---|' * len(THRESHOLDS)}---|")
    for (_, where, kind), values in sorted(groups.items()):
        shares = " | ".join(f"{np.mean(np.array(values) < least):.3f}" for least in THRESHOLDS)
        print(f"| {where}: {kind} | {shares} | {len(values)} |")


def all_pairs(books: Sequence[Path], seed: int) -> list[Pair]:
    """The pairs of all books, without the sections from which the pairs by hand are."""
    held_out = {
        sentence.strip()
        for file in by_hand()
        for line in file.read_text(encoding="utf-8").splitlines()
        for sentence in split_sentences(json.loads(line)["passage"], "en")
    }
    pairs: list[Pair] = []
    for book in books:
        by_language: dict[str, list[tuple[str, str, str]]] = defaultdict(list)
        everything = list(sections(book))
        random.Random(seed).shuffle(everything)
        for chapter, heading, text in everything[:SECTIONS]:
            if not any(one in text for one in held_out if len(one) > 40):
                by_language[language_of(text) or "en"].append((chapter, heading, text))
        for tag, found in by_language.items():
            if tag in FRAMES and len(found) > 5:
                pairs += Maker(book.name, tag, found, seed).pairs()
    return pairs


def by_hand() -> list[Path]:
    """The files of pairs that were written by hand."""
    return [LABELLED / f"{name}.jsonl" for name in ("support", "restated", "languages")]


def main() -> None:
    """Make the pairs, fit, write, show."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("books", nargs="+", type=Path)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--write", action="store_true")
    arguments = parser.parse_args()
    began = time.process_time()
    everything = all_pairs(arguments.books, arguments.seed)
    everything += [one for file in by_hand() for one in labelled(file)]
    measured = [(one, measures(one.claim, [one.passage])) for one in everything]
    pairs = [one for one, found in measured if found is not None]
    x = np.array([found for _, found in measured if found is not None], dtype=float)
    print(f"{len(pairs)} pairs, {(time.process_time() - began) / len(pairs) * 1000:.2f} ms of CPU each\n")

    true = np.array([float(one.true) for one in pairs])
    odds = left_out(pairs, x)
    mine = np.array([one.source != MADE and one.true for one in pairs])
    allowed = int(MOST_LOST * mine.sum())
    # The odds of the first true claim that may not become a false alarm.
    lowered = float(np.sort(odds[mine])[allowed]) - 0.01
    found = fit(x, true, weights(pairs))
    learned = {"intercept": round(found.intercept - lowered, 2)} | {
        name: round(float(value), 2) + 0.0 for name, value in zip(MEASURES, found.weights, strict=True)
    }
    print(json.dumps(learned, indent=1))
    if arguments.write:
        WEIGHTS.write_text(json.dumps(learned, indent=1) + "\n", encoding="utf-8")
    print(f"\nbooks left out, the intercept lowered by {lowered:.2f}\n")
    table(pairs, odds - lowered)
    print()
    judged = 1 / (1 + np.exp(lowered - odds))
    calibration(judged, true, weights(pairs))
    print("\nshare of sentences with a support below\n")
    held_back(pairs, judged)


if __name__ == "__main__":
    main()
