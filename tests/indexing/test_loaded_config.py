"""A Docusaurus site that is asked for its configuration, which its own Docusaurus loads with Node.

Here a few lines stand in for Docusaurus. With DOCUSAURUS_NODE_MODULES, a folder `node_modules` in which
@docusaurus/core, @docusaurus/preset-classic, react, react-dom and remark-math are installed, the real one is asked.
"""

import os
import shutil
from pathlib import Path

import pytest

from preceptor.errors import SiteConfigUnavailable
from preceptor.indexing.discover import discover
from preceptor.indexing.parse import read_page
from preceptor.settings import SiteSettings
from tests.indexing.pages import book_of

BUILD = SiteSettings(config="build")
FILES = {
    "package.json": "{}",
    "docusaurus.config.js": """
        console.log('noise of the site');
        const name = ['b', 'ook'].join('');
        module.exports = async () => ({
          title: name.toUpperCase(), url: 'https://acme.org', baseUrl: `/${name}/`, trailingSlash: name.length > 1,
          i18n: {defaultLocale: ['e', 's'].join(''), locales: ['es']},
          presets: [['classic', {blog: false, docs: {routeBasePath: name[0], numberPrefixParser: name === ''}}]],
          plugins: [['@docusaurus/plugin-content-docs', {
            id: 'api', path: 'api', routeBasePath: name[1], remarkPlugins: [function remarkMath() {}],
          }]],
        });
    """,
    "docs/01-a.md": "# A\n\nFrom $5 to $6.",
    "api/02-b.md": "# B\n\nFrom $5 to $6.",
}
STAND_IN = {
    "package.json": '{"name": "@docusaurus/core", "version": "3.0.0"}',
    "lib/server/site.js": """
        exports.loadContext = async ({siteDir}) => {
          const siteConfigPath = siteDir + '/docusaurus.config.js';
          return {siteConfigPath, siteConfig: await require(siteConfigPath)()};
        };
    """,
    "lib/server/plugins/init.js": """
        const name = 'docusaurus-plugin-content-docs';
        const defaults = {id: 'default', path: 'docs', include: ['**/*.{md,mdx}'], exclude: []};
        function DefaultNumberPrefixParser() {}
        function DisabledNumberPrefixParser() {}
        exports.initPlugins = async ({siteConfig}) => {
          const docs = [siteConfig.presets[0][1].docs, siteConfig.plugins[0][1]].map((options) => ({
            ...defaults, ...options,
            numberPrefixParser: options.numberPrefixParser === false ? DisabledNumberPrefixParser
              : options.numberPrefixParser ?? DefaultNumberPrefixParser,
          }));
          return [{name: 'another'}, ...docs.map((options) => ({name, options}))];
        };
    """,
}


@pytest.fixture
def site(tmp_path: Path) -> Path:
    """A site with its packages, and with options that no reader of its files would know."""
    if shutil.which("node") is None:
        pytest.skip("there is no Node here")
    book_of(tmp_path, FILES)
    real = os.environ.get("DOCUSAURUS_NODE_MODULES")
    if real:
        (tmp_path / "node_modules").symlink_to(real)
    else:
        book_of(tmp_path, {f"node_modules/@docusaurus/core/{name}": text for name, text in STAND_IN.items()})
    return tmp_path


def test_docusaurus_says_itself_what_no_reader_of_its_files_could(site: Path) -> None:
    book = discover(site, BUILD)
    pages = {file.source: read_page(book, file) for file in book.files}
    assert {name: page.url for name, page in pages.items()} == {
        "docs/01-a.md": "https://acme.org/book/b/01-a/",
        "api/02-b.md": "https://acme.org/book/o/b/",
    }
    assert [part.site.math for part in book.parts] == [False, True]
    assert (book.title, book.language, book.notes) == ("BOOK", "es", ())
    assert book.line.startswith("Docusaurus site (docusaurus.config.js, loaded by Docusaurus)")


def test_a_prefix_parser_of_the_sites_own_is_named(site: Path) -> None:
    config = site / "docusaurus.config.js"
    config.write_text(config.read_text().replace("name === ''", "(name) => ({filename: name})"))
    [note] = discover(site, BUILD).notes
    assert "`numberPrefixParser` is code" in note


def test_settings_win_over_the_loaded_configuration(site: Path) -> None:
    book = discover(site, SiteSettings(config="build", base_url="/hand/"))
    assert read_page(book, book.files[0]).url == "https://acme.org/hand/b/01-a/"
    assert "`/book/` in docusaurus.config.js: the settings win" in "\n".join(book.notes)


def test_a_configuration_that_docusaurus_refuses_is_told_in_its_words(site: Path) -> None:
    (site / "docusaurus.config.js").write_text("throw new Error('no such shelf')")
    with pytest.raises(SiteConfigUnavailable, match=r"refused it:\n\n(.*\n)*.*no such shelf.*\nSee whether"):
        discover(site, BUILD)


def test_a_site_without_its_packages_is_told_to_install_them(tmp_path: Path) -> None:
    if shutil.which("node") is None:
        pytest.skip("there is no Node here")
    with pytest.raises(SiteConfigUnavailable, match=r"no `@docusaurus/core`.*\nRun `npm install` there"):
        book_of(tmp_path, FILES, BUILD)


def test_a_machine_without_node_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(
        SiteConfigUnavailable, match=r"no `node` on the PATH.*\nInstall Node.*Alternatives: leave out"
    ):
        book_of(tmp_path, FILES, BUILD)


def test_only_docusaurus_can_be_asked(tmp_path: Path) -> None:
    with pytest.raises(SiteConfigUnavailable, match="it is a site of mdBook"):
        book_of(tmp_path / "a", {"book.toml": "", "src/a.md": "x"}, BUILD)
    with pytest.raises(SiteConfigUnavailable, match=r"no site with a docusaurus\.config"):
        book_of(tmp_path / "b", {"docs/a.md": "x"}, BUILD)
