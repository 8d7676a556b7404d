"""The tag on real builds of MkDocs, mdBook and Sphinx, and a service that has read the same pages.

`make test-sites` installs the generators.
"""

import re
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest
import pytest_asyncio
from starlette.applications import Starlette

from preceptor.indexing.run import Indexing
from preceptor.library import open_engine
from preceptor.server import create_app
from tests.sample import sample_settings
from tests.server.chromium import Browser, expect
from tests.sites.visit import HOME, ROOT, marks, visiting

TOOLS = ROOT / "build/sites/tools/bin"
LIGHT, DARK = "rgb(252, 252, 251)", "rgb(22, 24, 23)"
pytestmark = [
    pytest.mark.long,
    pytest.mark.asyncio(loop_scope="module"),
    pytest.mark.skipif(not (TOOLS / "mdbook").is_file(), reason="needs the generators: `make test-sites`"),
]


@dataclass(frozen=True)
class Generator:
    """How a generator is run, and what its sites look like."""

    command: Sequence[str]
    config: str
    nodes: str
    topics: str
    dark: Sequence[str]
    """What a reader clicks for the dark theme."""
    search: str
    """Its page of what was searched for, or how one is linked."""


GENERATORS: Mapping[str, Generator] = {
    "mkdocs": Generator(
        ["mkdocs", "build", "--quiet", "--config-file", "{source}/mkdocs.yml", "--site-dir", "{built}"],
        config="mkdocs.yml",
        nodes="/book/",
        topics="/book/topics/#what-a-topic-is",
        dark=["label[title=Dark]"],
        search="/book/?q=topic",
    ),
    "mdbook": Generator(
        ["mdbook", "build", "{source}", "--dest-dir", "{built}"],
        config="book.toml",
        nodes="/book/nodes.html",
        topics="/book/topics.html#what-a-topic-is",
        dark=["#mdbook-theme-toggle", "#mdbook-theme-navy"],
        search="/book/nodes.html?search=topic",
    ),
    "sphinx": Generator(
        ["sphinx-build", "-q", "{source}", "{built}"],
        config="conf.py",
        nodes="/book/index.html",
        topics="/book/topics.html#what-a-topic-is",
        dark=["button.theme-toggle:visible"],
        search="/book/search.html?q=topic",
    ),
}


@dataclass(frozen=True)
class Site:
    """A built site, and the tutor of its readers."""

    name: str
    built: Path
    tutor: Starlette

    @property
    def generator(self) -> Generator:
        return GENERATORS[self.name]


def build(name: str, folder: Path, *, language: str = "en") -> Path:
    """Returns the folder of the built site, its configuration being that of integrations/ but for the language."""
    generator, source, built = GENERATORS[name], folder / "source", folder / "built"
    shutil.copytree(ROOT / "integrations" / name, source)
    config = source / generator.config
    config.write_text(re.sub(r"(language\W+)en\b", rf"\g<1>{language}", config.read_text()))
    program, *arguments = (part.format(source=source, built=built) for part in generator.command)
    done = subprocess.run([TOOLS / program, *arguments], check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return built


@pytest_asyncio.fixture(scope="module", loop_scope="module", params=GENERATORS)
async def site(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Site:
    folder = tmp_path_factory.mktemp(request.param)
    settings = sample_settings(
        folder / "index", folder, book={"title": "Physical AI"}, server={"cors_origins": [HOME]}
    )
    async with open_engine(settings) as engine:
        await Indexing(ROOT / "integrations" / request.param, settings).into(engine)
    return Site(request.param, build(request.param, folder), create_app(settings))


async def test_a_citation_leads_to_the_quoted_sentence_on_the_site(browser: Browser, site: Site) -> None:
    async with visiting(browser, site.built, site.generator.nodes, site.tutor) as reader:
        await reader.page.locator(".launcher").click()
        await reader.ask("What is a topic?")
        await reader.answered()
        await expect(reader.answer).to_contain_text("A topic is a channel with a name.")
        await reader.page.locator(".sources a").first.click()
        await reader.page.wait_for_url(f"{HOME}{site.generator.topics}:~:text=*")
        await expect(reader.page.locator("#what-a-topic-is")).to_be_in_viewport()
        await expect(reader.answer).to_contain_text("A topic is a channel with a name.")
        # It may lie upon what is looked at.
        await reader.page.evaluate("Preceptor.close()")
        assert await marks(reader.page, "Nodes publish to it")
        assert not await marks(reader.page, "Every topic has one type")


async def test_the_sites_own_switch_makes_it_dark(browser: Browser, site: Site) -> None:
    async with visiting(browser, site.built, site.generator.nodes, site.tutor) as reader:
        await reader.page.locator(".launcher").click()
        await expect(reader.field).to_be_focused()
        panel = reader.page.locator(".panel")
        await expect(panel).to_have_css("background-color", LIGHT)
        for each in site.generator.dark:
            await reader.page.locator(each).click()
        await expect(panel).to_have_css("background-color", DARK)


async def test_the_sites_own_search_stays_what_it_is(browser: Browser, site: Site) -> None:
    async with visiting(browser, site.built, site.generator.nodes, site.tutor) as reader:
        launcher = reader.page.locator(".launcher")
        await expect(launcher).to_be_visible()
        await reader.page.keyboard.press("/")
        await expect(reader.page.locator("input:focus")).to_be_visible()
        await expect(launcher).to_be_visible()
        await reader.page.goto(HOME + site.generator.search)
        await expect(launcher).to_be_visible()


async def test_an_urdu_site_has_an_urdu_widget(browser: Browser, site: Site, tmp_path: Path) -> None:
    built = build(site.name, tmp_path, language="ur")
    async with visiting(browser, built, site.generator.nodes, site.tutor) as reader:
        await expect(reader.page.locator(".preceptor")).to_have_css("direction", "rtl")
