"""Docusaurus: `docusaurus.config.*`, its docs plug-ins and their versions, translations.

The configuration is code. Its literals are read (see `javascript`); what only running it would tell is noted, with the
setting that says it. With `site.config = "build"` Docusaurus itself is asked (see `loaded_config`).
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from preceptor.errors import BookNotFound
from preceptor.indexing.site import join
from preceptor.indexing.sites.javascript import Computed, JavaScript, Undefined
from preceptor.indexing.sites.loaded_config import loaded_config
from preceptor.indexing.sites.record import Part, Said, Site, below, is_example, language_tag, shown
from preceptor.settings import SiteSettings

CONFIG = "docusaurus.config.[cmjt]*s"
_CONFIG_SUFFIXES = ("ts", "mts", "cts", "js", "mjs", "cjs")
"""Suffixes of the configuration in Docusaurus' order: of several files it loads the first."""
_PLUGIN = ("@docusaurus/plugin-content-docs", "@docusaurus/content-docs", "content-docs")
_TRANSLATIONS = "docusaurus-plugin-content-docs"


@dataclass(frozen=True, slots=True)
class _Plugin:
    """A docs plug-in of a site."""

    id: str = "default"
    path: str = "docs"
    last_version: str = ""
    """Version that the options name; empty if they name none."""
    version_paths: Mapping[str, str] = field(default_factory=dict[str, str])
    values: Mapping[str, Any] = field(default_factory=dict[str, Any])
    """Settings that correspond to its options."""

    @property
    def prefix(self) -> str:
        """Prefix of the names of its version files."""
        return "" if self.id == "default" else f"{self.id}_"

    @property
    def translations(self) -> str:
        """Name of its folder below `i18n/LOCALE`."""
        return _TRANSLATIONS if self.id == "default" else f"{_TRANSLATIONS}-{self.id}"


@dataclass(frozen=True)
class _Home:
    """The folder of a site."""

    folder: Path

    @property
    def has_math(self) -> bool | None:
        """Whether the site renders formulas; None if that cannot be told."""
        packages = _text(self.folder / "package.json")
        if any("remark-math" in text for text in (packages, *map(_text, self.folder.glob(CONFIG)))):
            return True
        return False if packages else None

    @cached_property
    def config(self) -> Path | None:
        """The file of the configuration."""
        files = (self.folder / f"docusaurus.config.{suffix}" for suffix in _CONFIG_SUFFIXES)
        return next((file for file in files if file.is_file()), None)

    def docs(self, plugin: _Plugin) -> Path:
        """Returns the folder of the pages of the current version."""
        return (self.folder / plugin.path).resolve()

    def versions(self, plugin: _Plugin) -> list[str]:
        """Returns the versions beside `current`, the newest first; none where the plug-in has none."""
        try:
            names: object = json.loads(_text(self.folder / f"{plugin.prefix}versions.json") or "[]")
        except (ValueError, RecursionError):
            return []
        names = [str(name) for name in names] if isinstance(names, list) else []
        return [name for name in names if self.docs_of(plugin, name).is_dir()]

    def docs_of(self, plugin: _Plugin, version: str) -> Path:
        """Returns the folder of the pages of a version beside `current`."""
        return self.folder / f"{plugin.prefix}versioned_docs" / f"version-{version}"

    def last_version(self, plugin: _Plugin) -> str:
        """Returns the version that the site shows first."""
        versions = self.versions(plugin)
        if plugin.last_version in ("current", *versions):
            return plugin.last_version
        return versions[0] if versions else "current"


@dataclass(frozen=True, slots=True)
class _Place:
    """The version and the language that a folder of pages holds."""

    version: str
    locale: str = ""
    """Language; empty for the site's first one."""


def read(source: Path, home: Path | None, site: SiteSettings) -> Site:
    """Reads a Docusaurus site, or a folder that could be the docs of one.

    Args:
        source: The folder that was given.
        home: The site's folder, with its configuration; None where there is none.
        site: The settings.

    Raises:
        BookNotFound: There is no folder of the version that the settings name.
    """
    given = below(source, site.docs_dir)
    explicit = given if "docs_dir" in site.model_fields_set or home is None else None
    root = home or _root(source, given)
    site_home = _Home(root)
    said = Said(site_home.config.name if site_home.config else "its files")
    plugins, title, languages = _configuration(site_home, said, is_loaded=site.config == "build")
    parts: list[Part] = []
    lines: list[str] = []
    for plugin, docs in _chosen(source, explicit, site_home, plugins, site):
        part, line = _part(site_home, plugin, docs, source, site, said, languages)
        parts.append(part)
        lines.append(line)
    asked = ", loaded by Docusaurus" if site.config == "build" else ""
    known = (
        f"Docusaurus site ({said.file}{asked})"
        if home
        else "no site's configuration found, read as Docusaurus docs"
    )
    example = " (its `url` is an example: links begin with `/`)" if said.values.pop("example", "") else ""
    own = [site_home.docs(plugin) for plugin in plugins]
    said.notes += _doubts(source, given, site_home if home else None, parts, site, own)
    return Site(
        root=root,
        parts=tuple(parts),
        line=f"{known}: {', '.join(lines)}{example}",
        title=title,
        language=languages[0] if languages else "",
        notes=tuple(dict.fromkeys(said.notes)),
    )


def _root(source: Path, given: Path | None) -> Path:
    """Returns the site's folder where there is no configuration: that of its `docs`, `versioned_docs` or `i18n`."""
    if given:
        return source
    for folder in source.parents[:4]:
        if folder.name == "i18n" and source.relative_to(folder).parts[1:2]:
            return folder.parent
    return source.parent.parent if source.parent.name.endswith("versioned_docs") else source.parent


def _chosen(
    source: Path, explicit: Path | None, home: _Home, plugins: list[_Plugin], site: SiteSettings
) -> Iterator[tuple[_Plugin, Path]]:
    """Yields the docs plug-ins to read, each with its folder or that of one of its versions or translations."""
    if explicit or not home.folder.is_relative_to(source):
        wanted = explicit or source
        owner = next((plugin for plugin in plugins if _is_of(home, plugin, wanted)), None)
        if owner:
            yield owner, _folder_of(home, owner, wanted)
        elif home.docs(plugins[0]).is_dir():  # a second plug-in, whose versions are not those of `docs`
            yield _Plugin(id="", path=str(wanted)), wanted
        else:
            yield replace(plugins[0], path=str(wanted)), wanted
        return
    found = [(plugin, docs) for plugin in plugins if (docs := _existing(home, plugin))]
    if not found or (source == home.folder and not home.config):
        found = [(plugins[0], found[0][1] if found else source)]
    yield from found


def _existing(home: _Home, plugin: _Plugin) -> Path | None:
    docs = home.docs(plugin)
    if docs.is_dir():
        return docs
    versions = home.versions(plugin)
    return home.docs_of(plugin, versions[0]) if versions else None


def _is_of(home: _Home, plugin: _Plugin, folder: Path) -> bool:
    """Whether a folder is one of the plug-in's: its docs, one of its versions, a translation, or inside of one."""
    own = (home.docs(plugin), home.folder / f"{plugin.prefix}versioned_docs")
    if any(map(folder.is_relative_to, own)):
        return True
    parts = folder.relative_to(home.folder).parts if folder.is_relative_to(home.folder) else ()
    return parts[:1] == ("i18n",) and parts[2:3] == (plugin.translations,)


def _folder_of(home: _Home, plugin: _Plugin, folder: Path) -> Path:
    """Returns the folder of pages that a folder is in, whose links do not begin anew there."""
    docs = home.docs(plugin)
    if folder.is_relative_to(docs):
        return docs
    parts = folder.relative_to(home.folder).parts
    return home.folder.joinpath(*parts[: 4 if parts[0] == "i18n" else 2])


def _part(
    home: _Home,
    plugin: _Plugin,
    docs: Path,
    source: Path,
    site: SiteSettings,
    said: Said,
    languages: list[str],
) -> tuple[Part, str]:
    """Returns a plug-in's pages, and what to tell of them."""
    own = Said(said.file, {**said.values, **plugin.values})
    own.values.pop("example", None)
    settled = own.settled(site, "docusaurus")
    said.notes += own.notes
    place = _place(home, plugin, docs)
    chosen = source.is_relative_to(docs) and source != home.folder
    last = home.last_version(plugin)
    has_versions = bool(home.versions(plugin)) and _has_versions_of(home, plugin, docs)
    version = place.version
    if site.version or has_versions:
        version = site.version or (version if chosen or version != "current" else last)
        if version != place.version:
            docs = home.docs_of(plugin, version) if version != "current" else home.docs(plugin)
            if not docs.is_dir():
                raise BookNotFound(docs)
        path = plugin.version_paths.get(
            version, "" if version == last else "next" if version == "current" else version
        )
        settled = settled.model_copy(
            update={"route_base_path": join(settled.route_base_path, path).rstrip("/") or "/"}
        )
        said.notes.append(
            f"the site has versions: these are the pages of `{version}`, at "
            f"{join(settled.base_url, settled.route_base_path)} (`site.version` chooses another)"
        )
    behind = None
    if place.locale and place.locale not in languages[:1]:
        base = said.values.get("base_url", "/") if "base_url" not in site.model_fields_set else site.base_url
        if "base_url" not in site.model_fields_set:
            settled = settled.model_copy(update={"base_url": join(base, place.locale, "/")})
        behind = home.docs(plugin) if version == "current" else home.docs_of(plugin, version)
        behind = behind if behind.is_dir() else None
    if settled.math is None and home.config:
        near = docs.parent in (home.folder, home.folder / "versioned_docs") or home.folder == source
        has_math = home.has_math
        settled = settled.model_copy(update={"math": has_math if near else has_math or None})
    at = settled.url.rstrip("/") + join(settled.base_url, settled.route_base_path).rstrip("/")
    chapters = plugin.id if plugin.id != "default" else ""
    part = Part(
        docs,
        settled,
        chapters=chapters,
        hides_underscored="exclude" not in plugin.values,  # it replaces Docusaurus' own list, which has them
        is_assumed=home.config is None,
        behind=behind,
    )
    return part, f"{shown(docs, source)} at {at or '/'}"


def _has_versions_of(home: _Home, plugin: _Plugin, docs: Path) -> bool:
    """Whether a folder of pages is one of those that the versions are of."""
    main = home.docs(plugin)
    return not main.is_dir() or home.folder.is_relative_to(docs) or _is_of(home, plugin, docs)


def _place(home: _Home, plugin: _Plugin, docs: Path) -> _Place:
    parts = docs.relative_to(home.folder).parts if docs.is_relative_to(home.folder) else ()
    if parts[:1] == ("i18n",) and len(parts) > 3:
        return _Place(parts[3].removeprefix("version-"), parts[1])
    if parts[:1] == (f"{plugin.prefix}versioned_docs",) and len(parts) > 1:
        return _Place(parts[1].removeprefix("version-"))
    return _Place("current")


def _doubts(
    source: Path,
    given: Path | None,
    home: _Home | None,
    parts: list[Part],
    site: SiteSettings,
    own: list[Path],
) -> list[str]:
    """Returns warnings about links that are wrong if the folder was misunderstood."""
    docs = parts[0].docs
    others = [folder for folder in (given, below(source, "docs")) if folder]
    if home and home.folder != source and home.folder.is_relative_to(source):
        read = [*own, *(part.docs for part in parts)]  # own: that of a version that is not read, too
        apart = [
            one
            for one in others
            if one not in read and not home.folder.is_relative_to(one) and _has_pages(one)
        ]
        return [
            f"there are pages in {shown(folder, source)}, too, which are not of this site"
            for folder in apart[:1]
        ]
    if docs != source:
        return []
    if home and home.folder == source:
        return [
            f"the site has no folder `{site.docs_dir}`, so that every page below `{source.name}` is taken for one of "
            "its docs: set `site.docs_dir` to the `path` of its docs plug-in",
        ]
    inside = sorted(folder.parent for folder in source.glob(f"[!.]*/{site.docs_dir}") if folder.is_dir())
    if not home and inside:
        return [
            f"there is no folder `{site.docs_dir}`, so that every page below `{source.name}` is taken for one of its "
            f"docs. If the site is in `{inside[0].name}`, give `--source {source / inside[0].name}`",
        ]
    return []


def _has_pages(folder: Path) -> bool:
    return any(True for pattern in ("*.md", "*.mdx", "*/*.md", "*/*.mdx") for _ in folder.glob(pattern))


# What the configuration says


def _configuration(home: _Home, said: Said, *, is_loaded: bool) -> tuple[list[_Plugin], str, list[str]]:
    """Returns the docs plug-ins, the title and the languages (the first one is the site's own)."""
    if home.config is None:
        return [_Plugin()], "", []
    assumed = set[str]()
    if is_loaded:
        config: Any = _loaded(home.folder, said)
    else:
        try:
            file = JavaScript(home.config, home.folder)
            config, assumed = file.exported(), file.assumed
        except (OSError, RecursionError) as error:
            config = Computed(str(error), 1)
    if not isinstance(config, Mapping):
        said.notes.append(
            f"{said.file} is code of which nothing could be read; `url`, `baseUrl` and the docs plug-in's options are "
            "taken as Docusaurus' defaults: set `site.url`, `site.base_url`, `site.docs_dir`, `site.route_base_path`"
        )
        return [_Plugin()], "", []
    read = _Reader(assumed, config, said)
    url = read.option("url", str, "url")
    if isinstance(url, str):
        host = url.partition("://")[2].partition("/")[0].partition(":")[0]
        said.values |= {"example": "yes"} if is_example(host) or not host else {"url": url.rstrip("/")}
    read.into("base_url", "baseUrl", str)
    read.into("trailing_slash", "trailingSlash", bool)
    markdown = read.inside("markdown")
    if markdown:
        markdown.into("markdown", "format", str, known=("mdx", "md", "detect"), name="markdown.format")
        anchors = markdown.inside("anchors")
        if anchors:
            anchors.into("maintain_case", "maintainCase", bool, name="markdown.anchors.maintainCase")
    title = read.option("title", str, "title", setting="book.title")
    i18n = read.inside("i18n")
    first = i18n.option("defaultLocale", str, "i18n.defaultLocale", setting="book.language") if i18n else None
    plugins = list(_plugins(read))
    return plugins or [_Plugin()], title or "", [language_tag(first)] if first else []


def _loaded(folder: Path, said: Said) -> dict[str, Any]:
    """Returns the configuration that Docusaurus loads, with the docs plug-ins of presets among the others."""
    loaded = loaded_config(folder)
    said.file = loaded["file"]
    plugins: list[Any] = []
    for options in loaded["docs"]:
        parser = options["numberPrefixParser"]
        if isinstance(parser, str):
            options["numberPrefixParser"] = Computed(parser, 1)
        options["math"] = any("math" in name.lower() for name in options["remarkPlugins"])
        plugins.append([_PLUGIN[0], options])
    return {**loaded, "plugins": plugins}


class _Reader:
    """Takes options out of an object of the configuration."""

    def __init__(self, assumed: set[str], values: Mapping[str, Any], said: Said) -> None:
        self.assumed, self.values, self.said = assumed, values, said

    def raw(self, name: str) -> Any:
        """Returns an option's value; `Computed` also where code that cannot be read may give it."""
        if name in self.values:
            return self.values[name]
        return getattr(self.values, "unread", None) or Undefined()

    def option(self, name: str, kind: type, shown_as: str, *, setting: str = "") -> Any:
        """Returns an option of a kind; None where it is not set, and where only running the code would tell."""
        self.assumed.clear()
        value, setting = self.raw(name), setting or f"site.{name}"
        if isinstance(value, Computed):
            self.said.notes.append(
                f"`{shown_as}` is computed ({self.said.file}:{value.line}: `{value.code}`) and not read: set "
                f"`{setting}`"
            )
            return None
        if not isinstance(value, kind):
            return None
        if self.assumed:
            variables = ", ".join(f"`{variable}`" for variable in sorted(self.assumed))
            self.said.notes.append(
                f"`{shown_as}` depends on {variables} of the environment; unset, as taken here, it is "
                f"`{str(value).lower() if isinstance(value, bool) else value}`: `{setting}` says otherwise"
            )
        return value

    def into(
        self, setting: str, option: str, kind: type, *, known: tuple[str, ...] = (), name: str = ""
    ) -> None:
        """Copies an option into the settings."""
        value = self.option(option, kind, name or option, setting=f"site.{setting}")
        if value is not None and (not known or value in known):
            self.said.values[setting] = value

    def inside(self, name: str) -> "_Reader | None":
        """Returns an option that is an object."""
        value = self.raw(name)
        return _Reader(self.assumed, value, self.said) if isinstance(value, Mapping) else None


def _plugins(read: _Reader) -> Iterator[_Plugin]:
    """Yields the docs plug-ins, of presets and by themselves."""
    for list_ in ("presets", "plugins"):
        listed = read.raw(list_)
        if isinstance(listed, Computed):
            read.said.notes.append(
                f"`{list_}` are computed ({read.said.file}:{listed.line}: `{listed.code}`) and not read: set "
                "`site.docs_dir` and `site.route_base_path`"
            )
        for item in listed if isinstance(listed, list) else ():
            name, options = (
                (item, {})
                if isinstance(item, str)
                else (*item, {}, {})[:2]
                if isinstance(item, list)
                else ("", {})
            )
            if list_ == "presets":
                docs = options.get("docs", {}) if isinstance(options, Mapping) else options
                is_preset = isinstance(name, str) and (
                    "classic" in name or (isinstance(docs, Mapping) and docs)
                )
            else:
                docs, is_preset = options, name in _PLUGIN
            if is_preset and docs is not False:
                yield _plugin(read, docs)


def _plugin(read: _Reader, options: object) -> _Plugin:
    if isinstance(options, Computed):
        read.said.notes.append(
            f"the options of the docs plug-in are computed ({read.said.file}:{options.line}: `{options.code}`) and not "
            "read: set `site.docs_dir` and `site.route_base_path`"
        )
    own = _Reader(read.assumed, options if isinstance(options, Mapping) else {}, Said(read.said.file))
    own.said.notes = read.said.notes
    id_ = own.option("id", str, "id", setting="site.docs_dir") or "default"
    path = own.option("path", str, "path", setting="site.docs_dir") or "docs"
    own.into("route_base_path", "routeBasePath", str)
    own.into("math", "math", bool)  # of a loaded configuration alone, in which its remark plug-ins have names
    for name in ("exclude", "include"):
        patterns = own.raw(name)
        if isinstance(patterns, list) and all(isinstance(one, str) for one in patterns):
            own.said.values[name] = tuple(patterns)
    parser = own.raw("numberPrefixParser")
    if isinstance(parser, bool):
        own.said.values["number_prefixes"] = parser
    elif isinstance(parser, Computed):
        own.said.notes.append(
            f"`numberPrefixParser` is code ({own.said.file}:{parser.line}) and not run: Docusaurus' own is taken; "
            "`site.number_prefixes = false` keeps numbers"
        )
    versions = own.raw("versions")
    paths = {
        str(name): options["path"]
        for name, options in (versions.items() if isinstance(versions, Mapping) else ())
        if isinstance(options, Mapping) and isinstance(options.get("path"), str)
    }
    return _Plugin(
        id=id_,
        path=path,
        last_version=own.option("lastVersion", str, "lastVersion", setting="site.version") or "",
        version_paths=paths,
        values=own.said.values,
    )


def _text(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8-sig", errors="replace")
    except OSError:
        return ""
