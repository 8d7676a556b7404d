"""The text of a model's reply as it comes: without its thoughts, and without a tool call that is written as text.

Models that fail to call a tool often write the call down, in a dozen dialects: a `tool_code` block, a line of Python,
a JSON object, a tag of their chat template. What may be the beginning of one is held back until it is decided. A
call is told from ordinary code by the names of the tools that there are; only what no answer has needs no name.
"""

from collections.abc import Collection, Iterable
from functools import lru_cache

# Unlike the standard library's, its patterns tell what may still become a match.
import regex

_THINKING = (
    r"(?:\w{1,16}[_-]|ant)?(?:think(?:ing)?|thoughts?|reason(?:ing)?|reflection|scratch_?pad|analysis|monologue|cot"
    r"|deliberation|ponder(?:ing)?)"
    r"(?:[_-]\w{1,16})?"
)
"""The name of a thought, alone or with a word beside it: `thought_process`, `inner_monologue`."""
_SPACE = r"(?:\w{1,16}:)?"
"""The namespace of a tag."""
_THOUGHTS = {
    "tag": (
        rf"<\s?{_SPACE}(?P<name>{_THINKING})(?:\s[^<>\n]{{0,60}})?>",
        rf"<\s?/\s?{_SPACE}{{name}}\s?>",
    ),
    # Headings and links have these words in brackets, too.
    "bracket": (
        rf"\[(?!(?-i:[Aa]nalysis|[Rr]eflection|[Rr]eason)\])(?P<word>{_THINKING})\]",
        r"\[\s?/\s?{word}\s?\]",
    ),
    "triangle": ("◁think▷", "◁/think▷"),
    "token": (
        rf"<\|(?!end)(?:(?:begin|start)(?:_of)?_)?(?:{_THINKING})(?:_(?:begin|start))?\|>",
        rf"<\|(?:/|end(?:_of)?_)?(?:{_THINKING})(?:_end)?\|>",
    ),
    "channel": (
        r"<\|channel\|?>(?:analysis|thought)\b",
        r"<\|(?:end|return)\|>|<channel\|>|(?=<\|channel\|>final)",
    ),
    "fence": (
        rf"(?P<marks>`{{3,16}}|~{{3,16}})[ \t]?(?:{_THINKING})[ \t]{{0,4}}(?=\n)",
        r"\n{marks}[ \t]{0,4}\n",
    ),
}
"""The beginning and the end of a thought, by its kind."""
_AGAIN = {
    "tag": rf"<\s?{_SPACE}{{name}}(?:\s[^<>\n]{{0,60}})?>",
    "bracket": r"\[{word}\]",
    "triangle": "◁think▷",
}
"""The beginning of a thought within a thought of the same kind; a token ends what it begins."""
_NAMES = ("name", "word", "marks")
"""Groups of a beginning by which the end is named."""
_THOUGHT = "|".join(rf"(?P<{kind}>{begin})" for kind, (begin, _) in _THOUGHTS.items())
_THOUGHT_IN_LINE = "|".join(
    rf"(?P<{kind}>{_THOUGHTS[kind][0]})" for kind in ("tag", "bracket", "triangle", "token", "channel")
)
"""Those that may begin behind a sentence, too."""
_SENTENCE_ENDS = frozenset(".!?…]。！？")
_END = rf"<\s?/\s?{_SPACE}(?:{_THINKING})\s?>|\[/(?:{_THINKING})\]|◁/think▷"
_MARK = (
    r"(?:<[|｜](?!(?:channel|start|message)\b)[\w▁-]{1,40}[|｜]?>|<[\w▁-]{1,40}[|｜]>"
    r"|<(?:start|end)_of_turn>|\[/?INST\])"
)
"""A token of a chat's template, but for those that are read with what follows them."""
_OWN_ROLE = "(?:assistant|model)"
_ROLE = "(?:assistant|model|user|human|system|developer|tool|observation|ipython)"
_TURN = rf"(?P<turn>{_MARK}{_ROLE}\b|<[|｜](?:\w{{1,10}}_)?{_ROLE}[|｜]>)"
"""The beginning of a turn. Behind an answer it is one too many: the model goes on for its reader, or once more."""
_LEFTOVER = rf"(?P<stray>{_MARK}(?:{_OWN_ROLE}(?=\W)|(?=\W|\w{{1,12}}\W|\w{{13}})))"
"""A token that says nothing, and the role that begins the model's own turn."""
_STRAY = rf"(?P<stray>{_END}|<\|start\|>assistant\b|(?:<\|channel\|>final)?<\|message\|>)|{_LEFTOVER}"
_BEGINS = r"(?P<stray>(?-i:assistant):?[ \t]{0,4}\n)"
"""The rest of a token and its role where the server leaves out the token."""
_LEFT_AT_END = regex.compile(rf"(?:{_MARK}{_OWN_ROLE}?|assistant:?)\s*", regex.IGNORECASE)
"""The same, where nothing follows."""
_UNOPENED = regex.compile(
    rf"(?P<begun>{_THOUGHT})|^[ \t]*(?P<code>```|~~~)|^[ \t]*(?:{_END})[ \t]*$",
    regex.IGNORECASE | regex.MULTILINE,
)
"""The end of a thought on a line of its own, and what before it says that it is none, or that it was begun."""
_CALL = (
    r"(?:tools?|functions?)[_▁-]?(?:calls?|code|use|name|request|invocation|input|outputs?|results?|responses?)"
    r"|(?:call|use|invoke|execute|run)[_▁-]?(?:tool|function)s?"
)
"""Names in the text of a call, or of a result that a model makes up beside it."""
_TAG = (
    rf"(?:<[/|｜]?(?:\w{{1,20}}[:|｜_▁-])?(?:{_CALL})[\w▁-]{{0,30}}(?:\s[^<>\n]{{0,200}})?[|｜]?>"
    r"|<(?:function|tool)(?:=|\s+name=)|<[|｜]?(?:\w{1,20}[:|｜])?invoke\s+name="
    rf"|<[|｜]python_tag[|｜]>|<start_function_call>|\[/?(?:{_CALL})\]|<\|channel\|>commentary|✿FUNCTION✿|<use_mcp_tool>"
    r"|<\|START_ACTION\|>)"
)
_FENCED_CALL = rf"(?:```|~~~)\s{{0,2}}(?:{_CALL})\b"
_PREFIX = r"(?:(?:default_api|functions|tools)\s{0,2}[.:]\s{0,2})?"
_NAME_KEYS = (
    r"[\"'](?:name|tool|tool_name|function|function_name|function_call|action|recipient_name|api|command|method)[\"']"
    r"\s{0,4}:\s{0,4}"
)
_ARGUMENT_KEYS = r"[\"'](?:arguments|parameters|args|input|action_input|tool_input)[\"']"
_LABEL = r"(?:(?:tool|function)(?:[ _]name)?|action|command|name|call|(?:assistant\w{0,12}\s)?to(?==))(?:\s\d{1,2})?"
_ANNOUNCES = regex.compile(
    rf"(?:^|[\n.!?…\]。！？]\s{{0,4}})(?:[^\w\n`]{{0,6}}{_LABEL}[^\w\n`]{{1,8}}|(?:await\s|print\(|declaration:)\s{{0,4}})$",
    regex.IGNORECASE,
)
"""The words in which a call is put: `Action: `, `print(`."""
_LONGEST_ANNOUNCEMENT = 60
_ELEMENTS = (
    r"(?!(?:table|code|img|image|figure|summary|details|form|map|audio|video|time|data|search|math|svg|mark|output"
    r"|progress|section|link|source|title|track)\b)"
)
"""No name of an element of HTML: in a tag, such a tool's name says nothing."""
_OWN = frozenset({"decline"})
"""The tool of Preceptor's own that is not always offered."""
_FENCE = regex.compile(r"[ \t]{0,8}(?:```|~~~)")
_BLANK = regex.compile(r"\n+|[ \t]{9,}")
_LONGEST = 1200
"""Characters within which a JSON object that is a call names its tool."""
_TEMPLATE = "<|"
"""How a token of a chat template begins, wherever it stands."""
_IN_A_WORD = regex.compile(r"[\w`]")
"""A character before an opening that opens nothing: it is code in a line, or an index."""
_HALF = regex.compile(r"[\ud800-\udfff]")
_CONTROL = regex.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]")
_NEVER = regex.compile(r"(?P<end>(?!))(?P<again>)")


class Prose:
    """A filter for one reply: pieces of text in, what may be shown out."""

    def __init__(self, tools: Collection[str]) -> None:
        """Begin a reply.

        Args:
            tools: Names of the tools that there are.
        """
        self._tools = frozenset(tools) | _OWN
        own = _spelled(self._tools)
        words = _alternatives(name for name in self._tools if name.isalpha())
        self._opening = regex.compile(
            rf"[\n<\[{{◁✿]|default_api|\b(?:{own})|\b(?:{words})\(", regex.IGNORECASE
        )
        self._names = regex.compile(_alternatives(self._tools) + r"|tool_call", regex.IGNORECASE)
        self._held = ""
        self._out: list[str] = []
        self._name_at = -1
        """Place of the next name of a tool in the text that is read."""
        self._said = False
        self._tail = ""
        """The last that was said of the line."""
        self._visible = ""
        """The last character that is no space."""
        self._at_line_start = True
        self._in_fence = False
        self._end_of_thought: regex.Pattern[str] | None = None
        self._thoughts = 0
        """Thoughts that are open, one within the other."""
        self.is_call = False
        """Whether a tool call was written down; nothing after it is shown."""

    def feed(self, piece: str) -> str:
        """Take the next piece; gives what may be shown now."""
        text = self._held + piece
        # Half a character: its other half may follow.
        half = text[-1:] if "\ud800" <= text[-1:] < "\udc00" else ""
        text = _whole_characters(text.removesuffix(half))
        self._held = ""
        self._out = []
        self._name_at = -1
        place = 0
        if not self._said and not self._end_of_thought:
            text = text.lstrip()
        while place < len(text) and not self.is_call:
            place = self._step(text, place)
        self._held += half
        return "".join(self._out)

    def finish(self) -> str:
        """Take the end of the reply; gives what was held back and is no call."""
        text, self._held = self._held, ""
        if self.is_call or self._end_of_thought or _LEFT_AT_END.fullmatch(text):
            return ""
        return _whole_characters(text if self._said else text.lstrip())

    def _step(self, text: str, place: int) -> int:
        """Read on from `place`; gives the place up to which it was read."""
        if self._end_of_thought:
            return self._skip_thought(text, place)
        start = place
        if not self._at_line_start:
            opening = self._opening.search(text, place, partial=True)
            start = opening.start() if opening else len(text)
            self._say(text[place:start])
            if start == len(text):
                return start
            if text[start] == "\n":
                self._say("\n")
                return start + 1
            in_a_word = _IN_A_WORD.match(self._tail[-1:]) and not _TEMPLATE.startswith(
                text[start : start + 2]
            )
            if in_a_word or self._is_far_from_a_name(text, start):
                self._say(text[start])
                return start + 1
        elif blank := _BLANK.match(text, place):
            self._say(blank.group())
            return blank.end()
        pattern = _pattern(
            self._tools,
            at_line_start=self._at_line_start,
            in_fence=self._in_fence,
            said=self._said,
            behind_sentence=self._visible in _SENTENCE_ENDS,
            spaced=self._tail[-1:].isspace(),
            announced=bool(_ANNOUNCES.search(self._tail)),
        )
        found = pattern.match(text, start, partial=True)
        # It may still become a call, or a thought.
        if found is not None and found.partial:
            self._held = text[start:]
            return len(text)
        if found is None:
            if self._at_line_start and _FENCE.match(text, start):
                self._in_fence = not self._in_fence
            self._say(text[start])
            return start + 1
        groups = found.groupdict()
        if kind := next((kind for kind in _THOUGHTS if groups.get(kind)), None):
            self._thoughts = 1
            self._end_of_thought = _end_of(kind, next(filter(None, map(groups.get, _NAMES)), "").lower())
        elif groups.get("turn"):
            self._end_of_thought = _NEVER
        elif not groups.get("stray"):
            self.is_call = True
        return found.end()

    def _is_far_from_a_name(self, text: str, place: int) -> bool:
        """Whether no tool is named in all that a JSON object might be looked for; spares the search."""
        if text[place] not in "{[" or len(text) < place + _LONGEST:
            return False
        if self._name_at < place:
            found = self._names.search(text, place)
            self._name_at = found.start() if found else len(text)
        return self._name_at >= place + _LONGEST

    def _say(self, text: str) -> None:
        if not self._said:  # what stands before the first word goes with the thoughts before it
            text = text.lstrip()
        if text:
            self._said = True
            self._tail = f"{self._tail}{text}"[-_LONGEST_ANNOUNCEMENT:]
            self._visible = text.rstrip()[-1:] or self._visible
            self._at_line_start = text[-1] == "\n"
            self._out.append(text)

    def _skip_thought(self, text: str, place: int) -> int:
        assert self._end_of_thought is not None
        found = self._end_of_thought.search(text, place, partial=True)
        if found is None or found.partial:
            self._held = text[found.start() :] if found else ""
            return len(text)
        self._thoughts += bool(found["again"]) - (found["end"] is not None)
        if not self._thoughts:
            self._end_of_thought = None
            self._at_line_start = True
        return found.end()


def without_unopened_thought(text: str) -> str:
    """Returns a whole reply without the thought that it begins with, where only the thought's end is in it.

    Some models are begun within a thought by the template of their chat, so that the reply has its end alone. In a
    stream that cannot be known in time.
    """
    for found in _UNOPENED.finditer(text):
        if found["begun"] or found["code"]:
            break
        return text[found.end() :].lstrip()
    return text


def _whole_characters(text: str) -> str:
    """A text whose characters can be sent: halves are joined, or replaced where they are alone.

    Characters that control a terminal or a file are none of an answer's.
    """
    if text.isprintable():  # neither is in it; nearly every piece of a stream is
        return text
    text = _CONTROL.sub("", text)
    if text.isascii() or not _HALF.search(text):
        return text
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


@lru_cache(maxsize=64)
def _pattern(
    tools: frozenset[str],
    *,
    at_line_start: bool,
    in_fence: bool,
    said: bool,
    behind_sentence: bool,
    spaced: bool,
    announced: bool,
) -> "regex.Pattern[str]":
    """Returns the pattern of a call or a thought that begins here.

    Args:
        tools: Names of the tools that there are.
        at_line_start: Whether a line begins here.
        in_fence: Whether this is in a code block.
        said: Whether something of the reply was said before.
        behind_sentence: Whether the last that was said is a sentence's end.
        spaced: Whether there is a space behind it.
        announced: Whether the sentence that goes on has said no more than that a tool is called.
    """
    names = _alternatives(tools)
    # A word that code and prose use as well says nothing by itself.
    own = _alternatives(name for name in tools if not name.isalpha())
    words = _alternatives(name for name in tools if name.isalpha())
    named = rf"{_PREFIX}(?:{names})[\"']\s{{0,4}},\s{{0,4}}{_ARGUMENT_KEYS}|{_PREFIX}(?:{own})[\"']"
    nested = r"(?:\[\s{0,4})?(?:\{\s{0,4}[\"']\w{1,30}[\"']\s{0,4}:\s{0,4}(?:\[\s{0,4})?){0,3}"
    inside = r"[^{}]{0,300}?(?:\{[^{}]{0,300}\}[^{}]{0,200}?)?"
    json = (
        rf"{nested}\{{\s{{0,4}}(?:(?=[\"']){inside}{_NAME_KEYS}[\"'](?:{named})|[\"'](?:{own})[\"']\s{{0,4}}:\s{{0,4}}\{{"
        rf"|(?:name|tool|function|action)\s{{0,4}}:\s{{0,4}}[\"']?{_PREFIX}(?:{own})\b)"
    )
    api = rf"default_api\s{{0,2}}[.:]\s{{0,2}}(?:{names})\b"
    tag = rf"{_TAG}[\s\S]{{0,200}}\b(?:{own})\b" if in_fence else _TAG
    called = _spelled(tools)
    parts = [
        json,
        tag,
        api,
        rf"</?(?:{called})(?:\s|/?>)",
        rf"\[{{1,2}}(?:\w{{1,20}}:\s{{0,2}})?{_PREFIX}(?:{called})\s{{0,2}}[(:]",
        rf"{_PREFIX}(?:{called})\(\s{{0,4}}(?:[\"'{{]|\w{{1,30}}\s{{0,2}}(?:=|:\s{{0,2}}[\"'\[{{\d]))",
        rf"{_PREFIX}(?:{called})[*\"']{{0,3}}\s{{0,2}}(?:[:=]|=>|->|→)?\s{{0,2}}\{{\s{{0,4}}[\"'}}\w]",
    ]
    if not in_fence:
        parts += [
            rf"</?{_ELEMENTS}(?:{words})(?:\s{{1,4}}\w{{1,30}}\s{{0,2}}=|\s?/>|>\s{{0,2}}[{{<])",
            rf"(?:{words})\(\s{{0,4}}\w{{1,30}}\s{{0,2}}=\s{{0,2}}[\"'\[{{\d]",
        ]
    if announced and not in_fence:
        parts.append(rf"{_PREFIX}(?:{called})\b")
    if at_line_start:
        wrapped = r"[ \t]{0,8}(?:await\s|print\(\s{0,4}|declaration:\s{0,2}|call:\s{0,2}|\[\s{0,4})?"
        assigned = r"[ \t]{0,8}(?:\w{1,30}\s{0,2}=\s{0,2})?(?:await\s|print\(\s{0,4}|\[\s{0,4})?"
        parts.append(_FENCED_CALL)
        if in_fence:
            parts += [
                rf"{assigned}{_PREFIX}(?:{own})\(",
                rf"[ \t]{{0,8}}{_LABEL}\s{{0,2}}:\s{{0,2}}[\"']?(?:{called})\b",
            ]
        else:
            parts += [
                rf"{wrapped}{_PREFIX}(?:{names})(?:\(|\s{{0,2}}\{{)",
                rf"[ \t]{{0,8}}Action:\s{{0,2}}{_PREFIX}(?:{names})\s",
                rf"[^\w\n<]{{0,12}}(?:{_LABEL}[^\w\n]{{0,8}})?{_PREFIX}(?:{called})[`*]{{0,3}}"
                rf"(?:\(|\[|\{{|:?\s{{0,2}}\{{|:\s{{0,2}}[\"'])",
                rf"[^\w\n<]{{0,6}}{_LABEL}[^\w\n]{{1,8}}{_PREFIX}(?:{called})\W",
                rf"[ \t]{{0,8}}[@/$]\s?(?:{called})\s",
                r"[ \t]{0,8}tool_(?:code|calls?)[ \t]{0,4}\n",
                _THOUGHT,
                _STRAY,
            ]
        if not said:
            parts += [
                r"\s{0,8}(?:print\(\s{0,4}|declaration:\s{0,2}|call:\s{0,2})?default_api\s{0,2}[.:]",
                # Of a tool that is not there. An answer that has the like puts it into a block of code.
                rf"{nested}\{{\s{{0,4}}(?=[\"']){inside}{_NAME_KEYS}[\"'][\w.:-]{{1,64}}[\"']\s{{0,4}},\s{{0,4}}{_ARGUMENT_KEYS}",
                _BEGINS,
            ]
    elif behind_sentence and not in_fence:
        call = rf"{_PREFIX}(?:{called})[*]{{0,3}}(?:\(|\[|:\s{{0,2}}[\"'])"
        parts += [_THOUGHT_IN_LINE, call] * spaced + [_LEFTOVER]
    if said and not in_fence and (at_line_start or behind_sentence):
        parts.insert(0, _TURN)
    return regex.compile("|".join(f"(?:{part})" for part in parts), regex.IGNORECASE)


def _end_of(kind: str, name: str) -> "regex.Pattern[str]":
    """Returns the pattern that ends a thought of a kind, or begins another in it; a tag ends only by its own name.

    In quotation marks a thought speaks of the tag.
    """
    again = _AGAIN.get(kind, r"(?!)")
    pattern = rf"(?P<end>{_THOUGHTS[kind][1]})|[`\"'](?:{again})|(?P<again>{again})"
    for group in _NAMES:
        pattern = pattern.replace(f"{{{group}}}", name)
    return regex.compile(pattern, regex.IGNORECASE)


def _spelled(names: Iterable[str]) -> str:
    """A pattern of the names that no prose has, however a model spells them: `searchTextbook`."""
    own = sorted(regex.escape(name).replace("_", "[_-]?") for name in names if not name.isalpha())
    return "|".join(own) or r"(?!)"


def _alternatives(names: Iterable[str]) -> str:
    """A pattern of any of the names; of none, one that never matches."""
    return "|".join(map(regex.escape, sorted(names))) or r"(?!)"
