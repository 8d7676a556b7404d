"""MkDocs: `mkdocs.yml`, its navigation and its Markdown extensions; the languages of mkdocs-static-i18n.

Tags such as `!!python/name:` are read as names. What they name is never imported, unless it is one of the functions of
Python-Markdown and its extensions that `python_markdown` knows.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from fnmatch import fnmatch
from pathlib import Path, PurePosixPath
from typing import Any

import yaml
from wcmatch import glob

from preceptor.indexing.markdown_include import EXTENSIONS as INCLUDES
from preceptor.indexing.python_markdown import CODE_REFERENCES, EXTENSIONS, Dialect, Function
from preceptor.indexing.sites.mdbook import chapters
from preceptor.indexing.sites.record import Entry, Part, Said, Site, below, language_tag, shown
from preceptor.settings import SiteSettings
from preceptor.text.number import counted

CONFIGS = ("mkdocs.yml", "mkdocs.yaml")
_PAGES = (".md", ".markdown", ".mdown", ".mkdn", ".mkd")
_WITHOUT_FILE: Mapping[str, Mapping[str, Any]] = {
    name: {}
    for name in ("toc", "tables", "fenced_code", "attr_list", "def_list", "footnotes", "admonition", "md_in_html",
     "pymdownx.details", "pymdownx.superfences", "pymdownx.tabbed", "pymdownx.snippets")
}  # fmt: skip
"""Extensions used if there is no mkdocs.yml: those of most books."""
_ALWAYS = ("toc", "tables", "fenced_code")
"""Extensions that MkDocs always uses."""
_NOT_RUN = {
    "macros": "`{{ … }}` stays as it is written",
    "gen-files": "the pages that it makes are not in the index",
    "mkdocstrings": "what it makes of `:::` is not in the index",
    "monorepo": "the pages of the other folders are not in the index",
    "multirepo": "the pages of the other repositories are not in the index",
    "blog": "its posts, whose links it makes of dates and titles, are not in the index",
    "awesome-pages": "the pages are in the order of their folders",
    "awesome-nav": "the pages are in the order of their folders",
    "include-markdown": "what it includes is not in the index",
}
"""Plug-ins that change pages, and the consequence of not running them."""
_LOCALE = re.compile(r"[a-z]{2}(-[A-Za-z]{4})?(-[A-Z]{2})?|[a-z]{2}_[A-Z]{2}")
_MOST_PARENTS = 5


@dataclass(frozen=True, slots=True)
class _Variable:
    """`!ENV`: a variable of the environment, and what it is when it is unset."""

    name: str
    default: Any = None


class _Loader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]  # C where it was built in
    """YAML whose tags are read and not obeyed."""

    def variable(self, node: yaml.Node) -> _Variable:
        if isinstance(node, yaml.SequenceNode):
            names = self.construct_sequence(node, deep=True)
            return _Variable(str(names[0]) if names else "", names[-1] if len(names) > 1 else None)
        return _Variable(str(self.construct_scalar(node)))

    def function(self, suffix: str, node: yaml.Node) -> Function:
        values = self.construct_mapping(node, deep=True) if isinstance(node, yaml.MappingNode) else {}
        options = values.get("kwds")
        given = options.items() if isinstance(options, dict) else ()
        return Function(suffix.partition(":")[2], tuple((str(name), value) for name, value in given))

    def unknown(self, _: str, node: yaml.Node) -> Any:
        if isinstance(node, yaml.ScalarNode):
            return self.construct_scalar(node)
        if isinstance(node, yaml.SequenceNode):
            return self.construct_sequence(node, deep=True)
        return self.construct_mapping(node, deep=True)


_Loader.add_constructor("!ENV", _Loader.variable)
_Loader.add_multi_constructor("tag:yaml.org,2002:python/", _Loader.function)
_Loader.add_multi_constructor("!", _Loader.unknown)


def read(source: Path, home: Path | None, site: SiteSettings) -> Site:
    """Reads a site of MkDocs.

    Args:
        source: The folder that was given.
        home: The site's folder, with `mkdocs.yml`; None where there is none.
        site: The settings.
    """
    file = next((home / name for name in CONFIGS if (home / name).is_file()), None) if home else None
    said = Said(file.name if file else "mkdocs.yml")
    config = _Config(_loaded(file, said) if file else {}, said)
    address = config.text("site_url", "site.url")
    if address:
        said.address(address)
    directories = config.value("use_directory_urls", "site.directory_urls")
    if isinstance(directories, bool):
        said.values["directory_urls"] = directories
    docs = below(source, site.docs_dir) if "docs_dir" in site.model_fields_set or home is None else None
    if home and docs is None:
        docs = (home / (config.text("docs_dir", "site.docs_dir") or "docs")).resolve()
    docs = docs or source
    plugins = dict(_named(config.value("plugins", "")))
    for name, consequence in _NOT_RUN.items():
        if name in plugins:
            said.notes.append(f"the plug-in `{name}` is not run: {consequence}")
    extensions = dict(_extensions(config, said) if file else _WITHOUT_FILE)
    if not {"mkdocstrings", "autorefs"}.isdisjoint(plugins):
        extensions[CODE_REFERENCES] = {}
    settled = said.settled(site, "mkdocs")
    contents, languages = _contents(docs, config, plugins, settled)
    theme = config.value("theme", "")
    language = (theme.get("language") or theme.get("locale")) if isinstance(theme, Mapping) else ""
    spoken = f" in {', '.join(languages)}" if len(languages) > 1 else ""
    part = Part(
        docs,
        settled,
        contents,
        left_out="mkdocs.yml leaves it out",
        dialect=Dialect(_frozen(extensions)),
        base=home or source,
    )
    kind = "MkDocs site" if file else "MkDocs site without a mkdocs.yml"
    return Site(
        root=home or source,
        parts=(part,),
        line=f"{kind}, {shown(docs, source)}, {counted(len(contents), 'pages')}{spoken}",
        title=config.text("site_name", "book.title"),
        language=languages[0] if languages else language_tag(language),
        notes=tuple(dict.fromkeys(said.notes)),
    )


class _Config:
    """The file's values; what depends on the environment is noted when it is used."""

    def __init__(self, values: Mapping[str, Any], said: Said) -> None:
        self._values, self._said = values, said

    def value(self, name: str, setting: str) -> Any:
        """Returns a value; that of a variable is its default."""
        value = self._values.get(name)
        if isinstance(value, _Variable):
            if setting:
                default = "unset" if value.default is None else f"`{value.default}`"
                self._said.notes.append(
                    f"`{name}` depends on `{value.name}` of the environment; here it is {default}: `{setting}` says "
                    "otherwise"
                )
            return value.default
        return value

    def text(self, name: str, setting: str) -> str:
        """Returns a value that is a string; empty where it is none."""
        value = self.value(name, setting)
        return value if isinstance(value, str) else ""


def _loaded(file: Path, said: Said) -> dict[str, Any]:
    """Returns the values of a file and of those that it inherits from."""
    layers: list[dict[str, Any]] = []
    while len(layers) < _MOST_PARENTS:
        try:
            loaded: object = yaml.load(file.read_text(encoding="utf-8-sig"), _Loader)  # noqa: S506 - a safe one
        except (OSError, ValueError, yaml.YAMLError, RecursionError) as error:
            said.notes.append(
                f"{file.name} cannot be read ({str(error).partition(chr(10))[0]}): MkDocs' defaults count"
            )
            break
        layer = {str(name): value for name, value in loaded.items()} if isinstance(loaded, dict) else {}
        layers.append(layer)
        parent = layer.pop("INHERIT", None)
        parent = parent.default if isinstance(parent, _Variable) else parent
        if not isinstance(parent, str):
            break
        file = file.parent / parent
    merged: dict[str, Any] = {}
    for layer in reversed(layers):
        merged = _merged(merged, layer)
    return merged


def _merged(base: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    both = {
        name: _merged(base[name], value)
        if isinstance(value, dict) and isinstance(base.get(name), dict)
        else value
        for name, value in over.items()
    }
    return {**base, **both}


def _named(listed: object) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yields the names and options of plug-ins or extensions, listed or in a mapping."""
    items: list[tuple[object, object]] = list(listed.items()) if isinstance(listed, dict) else []
    for item in listed if isinstance(listed, list) else ():
        items += item.items() if isinstance(item, dict) else [(item, {})]
    for name, options in items:
        yield str(name).removeprefix("material/"), options if isinstance(options, dict) else {}


# Markdown


def _extensions(config: _Config, said: Said) -> dict[str, Mapping[str, Any]]:
    listed = dict(_named(config.value("markdown_extensions", "")))
    found: dict[str, Mapping[str, Any]] = {}
    for name, options in {**{name: {} for name in _ALWAYS}, **listed}.items():
        short = name.removeprefix("markdown.extensions.")
        if short in EXTENSIONS or short in INCLUDES:
            found[short] = options
        elif not short.startswith(("material.", "materialx.")):
            said.notes.append(
                f"the Markdown extension `{name}` is not run: what it writes otherwise stays as it is"
            )
    slugify = found["toc"].get("slugify")
    if slugify is not None and not (isinstance(slugify, Function) and slugify.is_known):
        name = slugify.name if isinstance(slugify, Function) else str(slugify)
        said.notes.append(
            f"ids of headings are made by `{name}`, which is not run: Python-Markdown's own rule is taken"
        )
    return found


def _frozen(value: Any) -> Any:
    """Returns options without variables of the environment."""
    if isinstance(value, _Variable):
        return value.default
    if isinstance(value, dict):
        return {str(name): _frozen(inner) for name, inner in value.items()}
    return [_frozen(inner) for inner in value] if isinstance(value, list) else value


# Pages


def _contents(
    docs: Path, config: _Config, plugins: Mapping[str, dict[str, Any]], site: SiteSettings
) -> tuple[dict[str, Entry], list[str]]:
    """Returns the pages in order, with titles and (where the site has several languages) paths; and the languages."""
    excluded = _ignored(str(config.value("exclude_docs", "") or ""))
    drafts = _ignored(str(config.value("draft_docs", "") or ""))
    globs = [str(glob) for glob in plugins.get("exclude", {}).get("glob", [])]
    if "blog" in plugins:
        globs.append(f"{plugins['blog'].get('blog_dir', 'blog')}/posts/*")
    names = [
        name
        for name in _files(docs)
        if not excluded(name) and not drafts(name) and not any(fnmatch(name, glob) for glob in globs)
    ]
    there = set(names)
    names = [name for name in names if not _is_second(name, there)]
    nav = config.value("nav", "")
    named = dict(_nav(nav, ())) if isinstance(nav, list) else {}
    literate = plugins.get("literate-nav")
    if literate is not None and not named:
        named = chapters(docs / str(literate.get("nav_file", "SUMMARY.md"))) or {}
    i18n = plugins.get("i18n")
    if i18n is not None and isinstance(i18n.get("languages"), list):
        return _in_languages(names, named, i18n, site)
    order = {name: place for place, name in enumerate(named)}
    names.sort(key=lambda name: order.get(name, len(order)))
    return {name: named.get(name, Entry()) for name in names}, []


def _files(docs: Path) -> list[str]:
    """Returns pages in MkDocs' order: a folder's index first, then its pages, then its folders."""
    found = [path.relative_to(docs) for path in docs.rglob("*") if path.suffix in _PAGES and path.is_file()]
    pages = [path for path in found if not any(part.startswith(".") for part in path.parts)]
    pages.sort(
        key=lambda path: [
            (depth < len(path.parts) - 1, *_index_first(part)) for depth, part in enumerate(path.parts)
        ]
    )
    return [path.as_posix() for path in pages if path.parts[0] != "templates"]


def _index_first(name: str) -> tuple[bool, str]:
    return PurePosixPath(name).stem not in ("index", "README"), name


def _is_second(name: str, there: set[str]) -> bool:
    """Whether a README stands beside the index page that MkDocs takes instead."""
    path = PurePosixPath(name)
    return path.stem == "README" and path.with_name("index.md").as_posix() in there


def _nav(items: Iterable[object], labels: tuple[str, ...]) -> Iterator[tuple[str, Entry]]:
    for item in items:
        pairs: Iterable[tuple[object, object]] = item.items() if isinstance(item, dict) else [("", item)]
        for title, target in pairs:
            if isinstance(target, list):
                yield from _nav(target, (*labels, str(title)))
            elif isinstance(target, str):
                yield PurePosixPath(target.removeprefix("./")).as_posix(), Entry(str(title or ""), labels)


def _ignored(patterns: str) -> Callable[[str], bool]:
    """Returns a function that tests a path with patterns as in `.gitignore`; the last match decides."""
    rules: list[tuple[bool, list[str]]] = []
    for line in patterns.splitlines():
        body = line.strip()
        if not body or body.startswith("#"):
            continue
        leaves_out, body = not body.startswith("!"), body.removeprefix("!")
        base = body.strip("/")
        anchored = "/" in body.rstrip("/")
        globs = [base, f"{base}/**"] if anchored else [base, f"{base}/**", f"**/{base}", f"**/{base}/**"]
        rules.append((leaves_out, globs))

    def is_ignored(name: str) -> bool:
        ignored = False
        for leaves_out, globs in rules:
            if glob.globmatch(name, globs, flags=glob.GLOBSTAR | glob.DOTGLOB | glob.FORCEUNIX):
                ignored = leaves_out
        return ignored

    return is_ignored


# Languages (mkdocs-static-i18n)


@dataclass(frozen=True, slots=True)
class _Language:
    locale: str
    is_default: bool
    nav: Mapping[str, Entry] | None
    translations: Mapping[str, str]


def _in_languages(
    names: list[str], named: Mapping[str, Entry], i18n: Mapping[str, Any], site: SiteSettings
) -> tuple[dict[str, Entry], list[str]]:
    languages = [
        _language(one) for one in i18n["languages"] if isinstance(one, dict) and one.get("build") is not False
    ]
    languages = [one for one in languages if one.locale and one.locale != "null"]
    languages.sort(key=lambda one: not one.is_default)
    default = languages[0].locale if languages else "en"
    by_folder = i18n.get("docs_structure") == "folder"
    found: dict[str, Entry] = {}
    for language in languages:
        order = language.nav if language.nav is not None else named
        places = {name: place for place, name in enumerate(order)}
        own: list[tuple[int, str, Entry]] = []
        for name in names:
            locale, bare = _folder_locale(name, default) if by_folder else _suffix_locale(name, default)
            if locale != language.locale or name in found:
                continue
            entry = order.get(bare) or order.get(name) or Entry()
            translated = replace(
                entry,
                title=language.translations.get(entry.title, entry.title),
                labels=tuple(language.translations.get(label, label) for label in entry.labels),
                at=_path(bare, "" if locale == default else locale, site),
                language=language_tag(locale),
            )
            own.append((places.get(bare, places.get(name, len(places))), name, translated))
        own.sort(key=lambda one: one[0])
        found |= {name: entry for _, name, entry in own}
    return found, [one.locale for one in languages]


def _language(options: Mapping[str, Any]) -> _Language:
    nav, translations = options.get("nav"), options.get("nav_translations")
    return _Language(
        locale=str(options.get("locale") or ""),
        is_default=options.get("default") is True,
        nav=dict(_nav(nav, ())) if isinstance(nav, list) else None,
        translations={str(one): str(other) for one, other in translations.items()}
        if isinstance(translations, dict)
        else {},
    )


def _folder_locale(name: str, default: str) -> tuple[str, str]:
    first, _, rest = name.partition("/")
    return (first, rest) if rest and _LOCALE.fullmatch(first) else (default, name)


def _suffix_locale(name: str, default: str) -> tuple[str, str]:
    path = PurePosixPath(name)
    stem, dot, locale = path.stem.rpartition(".")
    if dot and _LOCALE.fullmatch(locale):
        return locale, path.with_name(f"{stem}{path.suffix}").as_posix()
    return default, name


def _path(name: str, locale: str, site: SiteSettings) -> str:
    place = PurePosixPath(locale, name)
    is_index = place.stem in ("index", "README")
    if not site.directory_urls:
        return place.with_name("index.html" if is_index else f"{place.stem}.html").as_posix()
    folder = place.parent if is_index else place.with_suffix("")
    return "" if folder == PurePosixPath() else f"{folder.as_posix()}/"
