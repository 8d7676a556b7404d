"""A page's text is what a reader sees of it."""

import subprocess
import sys
import time
from pathlib import Path
from textwrap import dedent

import pytest

from preceptor.indexing.page import PageSection
from preceptor.settings import SiteSettings
from tests.indexing.pages import page_of, pages_of

PLAIN = SiteSettings(preset="plain")


@pytest.mark.parametrize(
    ("source", "seen"),
    [
        (
            "A **bold** _word_, ~~gone~~, [a link](./x.md), <https://x.y>.",
            "A bold word, gone, a link, https://x.y.",
        ),
        ("![a robot arm](./arm.png 'title')", "a robot arm"),
        ("Entities &amp; &lt;tags&gt; &copy;", "Entities & <tags> ©"),
        ("one\ntwo  \nthree\\\nfour", "one two\nthree\nfour"),
        ("Hi :wave: and :no_such_thing: at 10:30", "Hi 👋 and :no_such_thing: at 10:30"),
        ("Zero\u200bwidth and\u00a0space", "Zerowidth and space"),
        ("Use `ros2  run` or ``a`b``", "Use `ros2 run` or ``a`b``"),
        ("- a\n- b\n  1. c\n\n     d\n  2. e\n", "- a\n- b\n  1. c\n     d\n  2. e"),
        ("3. c\n4. d", "3. c\n4. d"),
        ("- [ ] do\n- [x] done", "- do\n- done"),
        ("> quoted\n> text", "quoted text"),
        ("above\n\n---\n\nbelow", "above\n\nbelow"),
        ("Mass $m$ and $$E = mc^2$$.", "Mass $m$ and $$E = mc^2$$."),
        ("$$\n\\frac{a}{b}\n$$", "$$\n\\frac{a}{b}\n$$"),
        ("The set \\\\(a * b_{t} * c_d_\\\\) here", "The set \\(a * b_{t} * c_d_\\) here"),
        ("A note.[^n]\n\n[^n]: The *end*.", "A note.[^1]\n\n[^1]: The end."),
        ("Line<br/>break and H<sub>2</sub>O, <kbd>Ctrl</kbd>", "Line\nbreak and H2O, Ctrl"),
        ("a < b, 3 <4 and x > y", "a < b, 3 <4 and x > y"),
        ("seen <!-- not seen --> seen {/* nor this */} again", "seen seen again"),
        ("<!--\n\nnot\n\n## seen\n-->\ntext", "text"),
        ("the set {s, a} and {1, 2}", "the set {s, a} and {1, 2}"),
        ("{'literal'} and {`template`} and {3}", "literal and template and 3"),
        ("export const name = 'Ada';\n\nHi {name}, {unknown.thing} {f(x)}", "Hi Ada,"),
        ("import A from './a';\nimport {\n  B,\n\n  C,\n} from 'b';\n\ntext", "text"),
        ("export const F = () => {\n  return <p>It's</p>;\n\n};\n\ntext", "text"),
        ("important imports are exported", "important imports are exported"),
        (
            "<Question choices={[\n  {text: 'x', explain: \"it's } here\"},\n]} />\n\ntext",
            "x\nit's } here\n\ntext",
        ),
        ("<style>{`p { color: red }`}</style>\n\n<iframe src='x'>no</iframe>\n\ntext", "text"),
        ("<div style={{a: 1}}>**bold**</div>", "bold"),
        ("<Foo.Bar x='1'>inside</Foo.Bar>", "inside"),
        ("<Card title='Arms' description='They move.' />", "Arms:\n\nThey move."),
        ("A <Term tip='no'>node</Term> runs", "A node runs"),
        ("<>\nfragment\n</>", "fragment"),
        ("<ul>\n  <li>one</li>\n  <li>two</li>\n</ul>", "- one\n- two"),
        ("text :dir[label] and foo:bar", "text label and foo:bar"),
        ("::leaf[A **leaf**]", "A leaf"),
        ("export const clean = (s) => s.replace(/`/g, '');\n\ntext", "text"),
        ("export const f = s => /[{(`]/.test(s);\n\ntext", "text"),
        ("export const f = s.replace(\n  /[{`]/g,\n  '',\n);\n\ntext", "text"),
        ("export const a = 1;\n\n/opt/ros/ is a folder", "/opt/ros/ is a folder"),
        ("export const a = b / c / d;\n\ntext", "text"),
        ("export function F({c}) {\n  return /[{]/.test(c);\n\n  return <p>{c}</p>;\n}\n\ntext", "text"),
        ("<Live code={s.replace(/{/g, '')} />\n\ntext", "text"),
        ("<A\n  b={1 / 2}\n  c={<i>a/b</i>}\n/>\n\ntext", "text"),
        ("From $5 for [Basic](x.md) to $10 for **Pro**", "From $5 for Basic to $10 for Pro"),
        ("It is $5 <b>per</b> month or $50 a **year**", "It is $5 per month or $50 a year"),
        ("$PATH <Tip>x</Tip> and $USER {/* c */} or `$HOME`", "$PATH x and $USER or `$HOME`"),
        ("A 84$\\times$84 image in $[0, 1]^{n}$", "A 84$\\times$84 image in $[0, 1]^{n}$"),
        ("{`a ${hole} b`} {`c \\${d}`}", "c ${d}"),
        ("{'one'} {'two'}\nthree", "one two three"),
        ("> import this from 'that'", "import this from 'that'"),
        ("import duties are high\n\ntext", "import duties are high\n\ntext"),
        ("export your data first", "export your data first"),
        ("text\n\nimport A from './a'", "text"),
        ("import A from 'a';\nimport B from 'b';\n\none\n\ntwo", "one\n\ntwo"),
        ("import A from 'a';\nimport B from 'b';\nimport C from 'c';\n\none\n\ntwo", "one\n\ntwo"),
        ("text\n\n    - a\n    - b", "text\n\n- a\n- b"),
        ("- export const a = 1", "- export const a = 1"),
        ("  import A from './a'", "import A from './a'"),
        ("import {\n  A,\n\ntext", "text"),
        ("export const a = `b\n\ntext", "text"),
        ("export const a = {\n\n  b: 1,\n\n};\n\ntext", "text"),
    ],
)
def test_what_a_reader_sees_of_a_page(tmp_path: Path, source: str, seen: str) -> None:
    assert page_of(tmp_path, source).text == seen


def test_admonitions_keep_their_title_or_kind(tmp_path: Path) -> None:
    source = """\
    :::tip

    one

    :::

    :::note Your **Title**
    two
    :::

    ::::warning[In *brackets*]
    :::danger{title="Inside?"}
    three
    :::
    ::::

    :::custom
    four
    :::
    """
    seen = ["Tip:", "one", "Your Title:", "two", "In brackets:", "Inside?", "three", "four"]
    assert page_of(tmp_path, dedent(source)).text.split("\n\n") == seen


def test_a_title_of_an_admonition_does_not_repeat_the_footnotes(tmp_path: Path) -> None:
    page = page_of(tmp_path, ":::note A title\nnoted\n:::\n\nText[^1].\n\n[^1]: Foot.")
    assert page.headings == ((1, "", "page"), (2, "footnote-label", "Footnotes"))


def test_tabs_details_and_components_keep_their_labels(tmp_path: Path) -> None:
    source = """\
    <Tabs values={[{label: 'Ubuntu', value: 'u'}, {value: "m", label: "It's a Mac"}]}>
        <TabItem value="u">
            Deep text
            - a
            - b
            ```bash
            apt install
            ```
        </TabItem>
        <TabItem value="m">mac</TabItem>
        <TabItem value="w" label="Windows">win</TabItem>
        <TabItem value="other">other</TabItem>
    </Tabs>

    <details><summary>The **answer**</summary>

    42

    </details>

    <Details summary="Or so">43</Details>

    <Admonition type="info" title="Know">44</Admonition>
    """
    assert page_of(tmp_path, dedent(source)).text.split("\n\n") == [
        "Ubuntu:", "Deep text", "- a\n- b", "```bash\napt install\n```", "It's a Mac:", "mac", "Windows:", "win",
        "other:", "other", "The answer:", "42", "Or so:", "43", "Know:", "44",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("source", "seen"),
    [
        (
            '<Quiz choices={[{text: "It maps <b>states</b>", why: `To ${n} actions`, ok: true}, {text: "No"}]} />',
            "It maps states\nTo actions\n\nNo",
        ),
        (
            "<Card description='They move.' title='Arms' className='p-4 flex box' href='/a b' />",
            "Arms:\n\nThey move.",
        ),
        (
            "<Card title={<b>Bold <i>title</i></b>} text={`Some\nwords`}>inside</Card>",
            "Bold title:\n\nSome words\n\ninside",
        ),
        ('<Faq items={["What is ROS?", "None"]} icons={["arrow up"]} />', "What is ROS?\n\nNone"),
        ("<Steps of={[{do: <>Do <b>this</b> first</>}, {do: 'then that'}]} />", "Do this first\n\nthen that"),
        ("<Frage antwort='Ein Gelenk bewegt sich' art='x' farbe='rot' />", "Ein Gelenk bewegt sich"),
        ("<Quiz q='什么是机器人' />", "什么是机器人"),
        ("<Video src='a b.mp4' poster='https://x.y/a b' style='color: red; margin: 0 auto' />", ""),
        ("<Tabs items={['npm', 'yarn']}><Tab>npm i</Tab></Tabs>", "npm i"),
        (
            "export const qs = [\n  {ask: 'Why an arm?', options: ['To lift', 'no']},\n];\n\n<Quiz data={qs} />",
            "Why an arm?\nTo lift\nno",
        ),
        (
            "---\ngoals:\n  - Explain the arm\n  - {text: Move it, key: a b}\n---\n<Goals list={frontMatter.goals} />",
            "Explain the arm\n\nMove it",
        ),
        ("Read <Badge text='new' /> and <Term tip='is not shown'>node</Term>", "Read new and node"),
        ("<Translate id='a.b' description='only for translators'>Shown</Translate>", "Shown"),
        (
            "<hfoptions id='lib'>\n<hfoption id='PyTorch'>\n\nrun\n\n</hfoption>\n</hfoptions>",
            "PyTorch:\n\nrun",
        ),
    ],
)
def test_attributes_of_components_are_text_where_they_are_prose(
    tmp_path: Path, source: str, seen: str
) -> None:
    assert page_of(tmp_path, source).text == seen


def test_code_keeps_language_and_title_and_loses_marks_of_lines(tmp_path: Path) -> None:
    source = """\
    ```js title="src/a.js" showLineNumbers
    // highlight-next-line
    const a = `x`;
    // highlight-start
    b();
    // highlight-end
    ```

    ```py {1}
    # highlight-next-line
    c()
    ```

    ~~~~
    ```
    ~~~~

    <CodeBlock language="bash" title="t">{`npm i
    npm start`}</CodeBlock>

    <CodeBlock language="js">{`fetch(\\${a} + ${base});
    go()`}</CodeBlock>

    ```mermaid
    graph TD
    ```
    """
    assert page_of(tmp_path, dedent(source)).text.split("\n\n") == [
        '```js title="src/a.js"\nconst a = `x`;\nb();\n```',
        "```py\n# highlight-next-line\nc()\n```",
        "````\n```\n````",
        '```bash title="t"\nnpm i\nnpm start\n```',
        "```js\nfetch(${a} + ${base});\ngo()\n```",
        "```mermaid\ngraph TD\n```",
    ]


def test_tables_keep_rows_in_markdown_and_in_tags(tmp_path: Path) -> None:
    source = """\
    | A | B |
    |:--|--:|
    | **x** | `y` |
    | ![i](i.png) |

    <table>
      <caption>Sizes</caption>
      <thead><tr><th>C</th><th>D</th></tr></thead>
      <tbody>
        <tr>
          <td>1</td>
          <td>

    - two
    - three

          </td>
        </tr>
      </tbody>
    </table>
    """
    first = "| A | B |\n|---|---|\n| x | `y` |\n| i |  |"
    second = "| C | D |\n|---|---|\n| 1 | - two - three |"
    assert page_of(tmp_path, dedent(source)).text == f"{first}\n\nSizes:\n\n{second}"


def test_html_is_read_where_the_page_is_no_mdx(tmp_path: Path) -> None:
    source = '<p><img src="x" alt="logo"></p>\n\n<!-- a\n\nb -->\n\n{braces}\n\n    code {x}\n\n> [!WARNING]\n> hot'
    seen = "logo\n\n{braces}\n\n```\ncode {x}\n```\n\nWarning:\n\nhot"
    assert page_of(tmp_path, source, PLAIN, name="page.md").text == seen
    front = "---\nmdx:\n  format: md\n---\n"
    assert page_of(tmp_path, f"{front}a<br>b {{x}}", name="page.md").text == "a\nb {x}"


@pytest.mark.parametrize(
    ("math", "seen"),
    [
        (True, ["$5 <b>per</b> month, or$50", "$a _b_$", "$$\na _b_\n$$"]),
        (False, ["$5 per month, or $50", "$a b$", "$$ a b $$"]),
        (None, ["$5 per month, or $50", "$a _b_$", "$$\na _b_\n$$"]),
    ],
)
def test_dollars_make_formulas_as_the_site_has_it(tmp_path: Path, math: bool | None, seen: list[str]) -> None:
    source = "$5 <b>per</b> month, or $50\n\n$a _b_$\n\n$$\na _b_\n$$"
    assert page_of(tmp_path, source, SiteSettings(math=math)).text.split("\n\n") == seen


def test_the_site_says_which_pages_are_mdx(tmp_path: Path) -> None:
    source = "{1}\n\n    ## in indented code"
    front = "---\nmdx:\n  format: detect\n---\n"
    for site, name, is_mdx in (
        (SiteSettings(), "a.md", True),
        (SiteSettings(markdown="md"), "a.mdx", False),
        (SiteSettings(markdown="detect"), "a.md", False),
        (SiteSettings(markdown="detect"), "a.mdx", True),
    ):
        page = page_of(tmp_path, source, site, name=name)
        assert [anchor for _, anchor, _ in page.headings] == (["", "in-indented-code"] if is_mdx else [""])
        assert page.text == ("1" if is_mdx else "{1}\n\n```\n## in indented code\n```")
    assert page_of(tmp_path, front + source, name="b.md").text.startswith("{1}")


def test_a_heading_of_the_theme_is_a_heading(tmp_path: Path) -> None:
    source = """\
    <Heading as="h2" id="arms">Robot *arms*</Heading>

    They move.

    <Heading as="h1" id="not-shown">One</Heading>

    <Heading as="h3">No id</Heading>
    """
    page = page_of(tmp_path, dedent(source))
    assert page.headings[1:] == ((2, "arms", "Robot arms"), (1, "", "One"), (3, "", "No id"))
    assert page.sections[1].anchor == "arms"
    assert page.sections[1].text == "They move.\n\nOne\n\nNo id"


def test_sections_hold_the_text_below_their_heading(tmp_path: Path) -> None:
    source = dedent("""\
    above

    # Title of its own

    top

    ## A `code` {#own}

    a

    ### B ![x](y)

    <h3 id="c">C</h3>

    c

    <h4>No id</h4>

    d

    # Second

    e
    """)
    page = page_of(tmp_path, f"---\ntitle: Given\n---\n{source}")
    assert page.title == "Given"
    assert [(section.anchor, section.heading, section.path, section.text) for section in page.sections] == [
        ("", "", (), "above"),
        ("", "Title of its own", ("Title of its own",), "top"),
        ("own", "A code", ("A code",), "a"),
        ("b-x", "B", ("A code", "B"), ""),
        ("c", "C", ("A code", "C"), "c\n\nNo id\n\nd"),
        ("", "Second", ("Second",), "e"),
    ]
    assert [heading for heading in page.headings if heading[0] == 4] == [(4, "", "No id")]


def test_the_heading_that_is_the_title_needs_no_place_in_the_path(tmp_path: Path) -> None:
    page = page_of(tmp_path, "# Robot `arms` {#x}\n\ntop\n\n## A\n\na")
    assert page.title == "Robot arms"
    assert page.headings == ((1, "", "Robot arms"), (2, "a", "A"))
    assert page.sections == (
        PageSection("", "", (), ()),
        PageSection("", "", (), page.sections[1].blocks),
        PageSection("a", "A", ("A",), page.sections[2].blocks),
    )


def test_the_theme_shows_the_title_only_where_the_page_has_none(tmp_path: Path) -> None:
    pages = pages_of(
        tmp_path,
        {
            "a.md": "## x",
            "b.md": "---\nhide_title: true\n---\n## x",
            "c.md": "---\ntitle: ''\n---\n## x",
            "d.md": "---\n---\n\n---\n\n# After a rule",
            "e.md": "text first\n\n# Then the title",
        },
    )
    assert {
        name: [text for level, _, text in page.headings if level == 1] for name, page in pages.items()
    } == {
        "a.md": ["a"],
        "b.md": [],
        "c.md": [],
        "d.md": ["d", "After a rule"],
        "e.md": ["Then the title"],
    }


def test_windows_line_endings_and_marks_at_the_start_change_nothing(tmp_path: Path) -> None:
    source = "---\ntitle: T\n---\n\nimport A from 'a';\n\n# T\n\n:::note\nx\n:::\n\n```js\ny\n\nz\n```\n"
    unix = page_of(tmp_path, source)
    assert page_of(tmp_path, "\ufeff" + source.replace("\n", "\r\n")) == unix
    assert page_of(tmp_path, source.encode("utf-16")) == unix


_NESTING = ["<div>\n", "<b>", "> ", "- ", "*a **b ", "[a](b ", "<div>\n> - "]


@pytest.mark.parametrize("opening", _NESTING)
def test_deep_nesting_is_followed(tmp_path: Path, opening: str) -> None:
    page = page_of(tmp_path, f"before\n\n{opening * 15}inside\n\nafter")
    assert page.text.startswith("before\n\n")
    assert "inside" in page.text
    assert page.text.endswith("after")


@pytest.mark.parametrize("opening", _NESTING)
def test_very_deep_nesting_is_cut_and_not_followed(tmp_path: Path, opening: str) -> None:
    """What comes before it is kept, whatever becomes of the inside; a heading behind it ends nothing."""
    page = page_of(tmp_path, f"before\n\n{opening * 3000}inside\n\nafter")
    assert page.text.startswith("before")
    if opening not in ("> ", "- ", "<div>\n> - "):  # a hundred levels of those are cut with what is in them
        assert "inside" in page.text
        assert page.text.endswith("after")


@pytest.mark.long
@pytest.mark.parametrize(
    "piece", ["{", "<a ", "<a b='", "import {\n\n", "[", "`{", "<!--", ":::x\n", "$$\n", "{`${", "<X a={"]
)
def test_brackets_without_partners_cost_no_more_than_their_number(tmp_path: Path, piece: str) -> None:
    def seconds(count: int) -> float:
        began = time.process_time()
        page_of(tmp_path, piece * count)
        return time.process_time() - began

    assert seconds(16_000) < 9 * seconds(4_000) + 0.5  # 16 times as long, if each looked at all the others


def test_reading_pages_does_not_load_the_agents_sdk() -> None:
    code = (
        "import sys; import preceptor.indexing.parse, preceptor.indexing.split;"
        "sys.exit(bool({'agents', 'openai', 'fastembed', 'qdrant_client', 'emoji'} & sys.modules.keys()))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
