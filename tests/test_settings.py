"""Settings: what a person gets from files, the environment and mistakes."""

import json
import os
import re
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as examples
from hypothesis import strategies as st
from pydantic import SecretStr

from preceptor.errors import SettingsError
from preceptor.settings import (
    UNPREFIXED,
    ServerSettings,
    Settings,
    ToolsSettings,
    documented_names,
    load_settings,
)

ROOT = Path(__file__).parent.parent
SECRET = "must-not-be-seen"


@pytest.fixture(autouse=True)
def bare_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A folder without settings and an environment without ours; what a .env adds is taken back."""
    monkeypatch.chdir(tmp_path)
    for name in list(os.environ):
        if name.startswith("PRECEPTOR_") or name in UNPREFIXED:
            monkeypatch.delenv(name)
    before = dict(os.environ)
    yield
    for name in set(os.environ) - set(before):
        del os.environ[name]


def test_demo_needs_no_key_and_no_account() -> None:
    settings = load_settings("demo", needs=("index", "tutor"))
    assert settings.index.backend == "embedded"
    assert settings.tutor.providers == ()


def test_production_is_the_default_and_says_everything_that_is_missing_at_once() -> None:
    with pytest.raises(SettingsError) as caught:
        load_settings(needs=("index", "tutor"))
    text = str(caught.value)
    for name in ("QDRANT_CLUSTER_ENDPOINT=", "QDRANT_API_KEY=", "GEMINI_API_KEY="):
        assert name in text
    assert "are not complete" in text
    for way in ("`--env local`", "PRECEPTOR_TUTOR__PROVIDERS='[]'", "preceptor demo --source BOOK"):
        assert way in text
    assert len(caught.value.problems) == 3


def test_a_row_of_ones_own_may_need_no_key(tmp_path: Path) -> None:
    row = '[default.providers.local]\nbase_url = "http://127.0.0.1:9/v1"\nmodel = "m"\n'
    (tmp_path / "settings.toml").write_text(f'[default.tutor]\nproviders = ["openai", "local"]\n{row}')
    with pytest.raises(SettingsError) as caught:
        load_settings("local", needs=("tutor",))
    (problem,) = caught.value.problems
    assert "`LOCAL_API_KEY=YOUR-KEY`" in problem
    assert "`needs_key = false` to `[default.providers.local]`" in problem


@pytest.mark.parametrize(
    ("tools", "doubted"),
    [('enabled = ["get_chapter"]', True), ('disabled = ["search_textbook"]', True), ("", False)],
)
def test_a_book_that_nobody_can_search_is_doubted(tmp_path: Path, tools: str, doubted: bool) -> None:
    (tmp_path / "settings.toml").write_text(f"[default.tools]\n{tools}\n")
    assert any("nobody can search" in doubt for doubt in load_settings("demo").doubts()) is doubted


def test_the_way_without_a_provider_is_one(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("PRECEPTOR_TUTOR__PROVIDERS='[]'\n")
    assert load_settings("local", needs=("index", "tutor")).tutor.providers == ()


def test_indexing_asks_for_no_provider(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("QDRANT_CLUSTER_ENDPOINT", "https://cluster.example:6333")
    monkeypatch.setenv("QDRANT_API_KEY", SECRET)
    assert load_settings(needs=("index",)).index.backend == "cloud"


def test_every_name_of_the_original_system_works(monkeypatch: pytest.MonkeyPatch) -> None:
    values = {
        name: "https://host.example/openai/" if "URL" in name or "ENDPOINT" in name else f"value of {name}"
        for name in UNPREFIXED
    }
    for name, value in values.items():
        monkeypatch.setenv(name, value)
    settings = load_settings("production", needs=("index", "tutor"))
    for name, (section, *place) in UNPREFIXED.items():
        found = getattr(settings, section)
        for part in place:
            found = found[part] if isinstance(found, Mapping) else getattr(found, part)
        found = found.get_secret_value() if isinstance(found, SecretStr) else found
        assert found.rstrip("/") == values[name].rstrip("/"), name


def test_a_key_that_looks_like_a_number_stays_text(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "0123456789")
    key = load_settings("local").providers["openai"].api_key
    assert key is not None
    assert key.get_secret_value() == "0123456789"


def test_later_sources_win_and_lists_are_replaced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "settings.toml").write_text(
        '[default.search]\nlimit = 7\nprefetch = 70\n[default.tutor]\nproviders = ["openai"]\n'
    )
    (tmp_path / ".secrets.toml").write_text(f'[default.openai]\napi_key = "{SECRET}"\n')
    (tmp_path / ".env").write_text("PRECEPTOR_SEARCH__LIMIT=8\nMODEL_NAME=from-dotenv\n")
    monkeypatch.setenv("MODEL_NAME", "from-environment")
    settings = load_settings("local", needs=("tutor",))
    assert (settings.search.limit, settings.search.prefetch) == (8, 70)
    assert settings.providers["gemini"].model == "from-environment"
    assert settings.tutor.providers == ("openai",)
    assert settings.providers["openai"].configured


def test_an_environment_of_the_shipped_file_beats_the_users_defaults(tmp_path: Path) -> None:
    (tmp_path / "settings.toml").write_text('[default.index]\nbackend = "cloud"\ncollection = "mine"\n')
    assert load_settings("demo").index.backend == "embedded"
    assert load_settings("production").index.collection == "mine"


def test_environment_variable_chooses_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PRECEPTOR_ENV", "local")
    assert load_settings().env == "local"
    assert load_settings("demo").env == "demo"


def test_dotenv_chooses_the_environment_unless_the_shell_does(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / ".env").write_text("PRECEPTOR_ENV=local\n")
    assert load_settings().env == "local"
    monkeypatch.setenv("PRECEPTOR_ENV", "demo")
    assert load_settings().env == "demo"


def test_an_unknown_environment_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="demo, local, production") as caught:
        load_settings("prod")
    assert "preceptor demo" not in str(caught.value), "it would not fix this"
    (tmp_path / ".env").write_text("PRECEPTOR_ENV=prod\n")
    with pytest.raises(SettingsError, match="demo, local, production"):
        load_settings()


@pytest.mark.parametrize(
    ("url", "doubtful"),
    [
        ("https://generativelanguage.googleapis.com/v1beta/", True),
        ("https://generativelanguage.googleapis.com", True),
        ("https://generativelanguage.googleapis.com/v1beta/openai/?x=1", False),
        ("http://127.0.0.1:4000/openai/v1", True),
        ("http://127.0.0.1:4000/openai", False),
    ],
)
def test_a_gemini_address_without_openai_is_doubted_and_taken(
    url: str, doubtful: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A gateway may have an address of its own."""
    monkeypatch.setenv("GEMINI_BASE_URL", url)
    assert load_settings("local").doubts() == [], "without a key it is not asked"
    monkeypatch.setenv("GEMINI_API_KEY", SECRET)
    settings = load_settings("local", needs=("tutor",))
    assert settings.providers["gemini"].base_url == url
    assert len(settings.doubts()) == doubtful
    assert all("GEMINI_BASE_URL" in doubt and "`/openai/`" in doubt for doubt in settings.doubts())


def test_mistakes_are_named_together_with_a_guess_and_without_values(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PRECEPTOR_SEARCH__LIMITT", "3")
    monkeypatch.setenv("PRECEPTOR_SEARCH__PREFETCH", SECRET)
    monkeypatch.setenv("QDRANT_CLUSTER_ENDPOINT", SECRET)
    with pytest.raises(SettingsError) as caught:
        load_settings("production")
    text = str(caught.value)
    assert "Did you mean `search.limit`?" in text
    assert "PRECEPTOR_SEARCH__PREFETCH" in text
    assert "QDRANT_CLUSTER_ENDPOINT" in text
    assert "cannot be used" in text
    assert "preceptor demo" not in text
    assert SECRET not in text


@pytest.mark.parametrize("file", ["settings.toml", ".secrets.toml"])
def test_what_stands_in_no_environment_is_refused_with_a_guess(tmp_path: Path, file: str) -> None:
    (tmp_path / file).write_text(
        f'owner = "{SECRET}"\nlocal = 3\n[book]\ntitle = "Mine"\n[prodution.server]\nport = 1\n'
    )
    with pytest.raises(SettingsError) as caught:
        load_settings("demo", overrides={"search": {"limit": 0}})
    text = str(caught.value)
    assert f"`[book]` in `{file}` stands in no environment. Did you mean `[default.book]`?" in text
    assert f"`prodution` in `{file}` is not read" in text
    assert "Did you mean `[production.…]`?" in text
    assert f"`owner` in `{file}` is not read" in text
    assert f"`local` in `{file}` is not read" in text
    assert "(--limit)" in text, "all mistakes at once"
    assert SECRET not in text


def test_a_setting_of_the_wrong_form_is_told_the_right_one_by_an_example() -> None:
    lists = [name for name in documented_names() if isinstance(_default(name), tuple)]
    patterns = ["book.language", "index.collection", "limits.rate"]
    assert "server.cors_origins" in lists
    for name in [*lists, *patterns]:
        section, key = name.split(".")  # no list of a provider
        with pytest.raises(SettingsError) as caught:
            load_settings("demo", overrides={section: {key: f"{SECRET} /"}})
        (problem,) = caught.value.problems
        assert problem.startswith(f"`{name}` (--{key.replace('_', '-')}): must be ")
        assert ", such as `" in problem
        assert "tuple" not in problem
        assert "pattern" not in problem
        assert SECRET not in problem
        example = problem.split("such as `")[1].split("`")[0]
        if name != "server.reader_keys":
            value = json.loads(example) if name in lists else example
            load_settings("demo", overrides={section: {key: value}})


@pytest.mark.parametrize(
    ("host", "opened"),
    [
        ("0.0.0.0", "http://127.0.0.1:8000"),
        ("::", "http://[::1]:8000"),
        ("fd00::7", "http://[fd00::7]:8000"),
        ("tutor.example", "http://tutor.example:8000"),
    ],
)
def test_a_link_to_the_service_never_leads_to_every_address(host: str, opened: str) -> None:
    assert ServerSettings(host=host).address == opened


def test_an_empty_variable_of_a_list_is_told_the_empty_list(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PRECEPTOR_TUTOR__PROVIDERS", "")
    monkeypatch.setenv("PRECEPTOR_SERVER", "3")
    with pytest.raises(SettingsError) as caught:
        load_settings("demo")
    assert caught.value.problems == (
        '`tutor.providers` (PRECEPTOR_TUTOR__PROVIDERS): must be a list, such as `["gemini", "openai"]`; `[]` is the '
        "empty one.",
        "`server` (PRECEPTOR_SERVER): must be a table, as in settings.toml.",
    )


def _default(name: str) -> object:
    found: object = Settings(env="demo")
    for part in name.split("."):
        found = found[part] if isinstance(found, Mapping) else getattr(found, part)
    return found


def _documented_at(name: str) -> str:
    """The table of settings.toml that shows a setting; that of a provider is shown once."""
    return "providers.gemini" if name.startswith("providers.") else name.rsplit(".", 1)[0]


def test_a_further_provider_is_a_row(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "settings.toml").write_text(
        '[default.tutor]\nproviders = ["anthropic", "local", "gemini"]\n'
        '[default.providers.anthropic]\nlabel = "Claude"\nbase_url = "https://api.anthropic.com/v1/"\nmodel = "m"\n'
        '[default.providers.local]\nbase_url = "http://127.0.0.1:9/v1"\nmodel = "m"\nneeds_key = false\n'
    )
    (tmp_path / ".env").write_text(f"ANTHROPIC_API_KEY={SECRET}\n")
    monkeypatch.setenv("PRECEPTOR_PROVIDERS__LOCAL__TIMEOUT", "3")
    settings = load_settings("local", needs=("tutor",))
    rows = settings.providers
    assert [rows[name].configured for name in settings.tutor.providers] == [True, True, False]
    assert rows["anthropic"].key == SECRET
    assert rows["local"].timeout == 3
    assert rows["gemini"].model == Settings(env="demo").providers["gemini"].model, "its own rows stay"
    assert SECRET in settings.secrets()


@pytest.mark.parametrize(
    "name",
    [
        "GEMINI_BASE_URL",
        "PRECEPTOR_GEMINI__BASE_URL",
        "PRECEPTOR_OPENAI__BASE_URL",
        "MODEL_NAME",
        "PRECEPTOR_PROVIDERS__OPENAI__MODEL",
    ],
)
def test_a_blank_variable_leaves_a_row_of_ours_as_it_is(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(name, "")
    assert load_settings("local").providers == Settings(env="local").providers


@pytest.mark.parametrize(
    ("written", "told"),
    [
        ('[default.tutor]\nproviders = ["claude"]\n', "`tutor.providers` names `claude`"),
        ('[default.providers.claude]\nmodel = "m"\n', "`claude` needs a `base_url` and a `model`"),
        (
            '[default.providers.a]\nmodel = "m"\n[default.providers.b]\nlabel = "B"\n',
            "`a` and `b` need a `base_url` and a `model`",
        ),
        (
            '[default.tutor]\nproviders = ["lcoal", "x"]\n[default.evaluation.judge]\nprovider = "x"\n',
            "`tutor.providers` names `lcoal` and `tutor.providers` names `x` and `evaluation.judge.provider` names `x`",
        ),
        ("[default.serverr]\nport = 1\n", "Did you mean `server`?"),
        ('[default.providers.offline]\nmodel = "m"\n', "cannot be named `offline`"),
        ('[default.providers.gemini]\nbase_url = "generativelanguage"\n', "GEMINI_BASE_URL"),
        ("[default.providers.gemini]\ntimeout = -1\n", "PRECEPTOR_PROVIDERS__GEMINI__TIMEOUT"),
        ("[default.providers.gemini]\ntimout = 1\n", "Did you mean `providers.gemini.timeout`?"),
        (
            '[default.providers.other]\nlabel = "Gemini"\nbase_url = "https://a.example"\nmodel = "m"\n',
            "same `label`",
        ),
        ("[default]\nproviders = 3\n", "must be a table"),
    ],
)
def test_mistakes_in_the_table_of_providers_are_told(tmp_path: Path, written: str, told: str) -> None:
    (tmp_path / "settings.toml").write_text(written)
    with pytest.raises(SettingsError) as caught:
        load_settings("local")
    assert told in str(caught.value)


def test_the_sections_of_before_are_rows_and_the_later_file_wins(tmp_path: Path) -> None:
    (tmp_path / "settings.toml").write_text(
        '[default.gemini]\nmodel = "mine"\n[local.openai]\nattempts = 5\n'
    )
    (tmp_path / ".secrets.toml").write_text(f'[default.providers.gemini]\napi_key = "{SECRET}"\n')
    rows = load_settings("local").providers
    assert (rows["gemini"].model, rows["gemini"].key, rows["openai"].attempts) == ("mine", SECRET, 5)


def test_broken_toml_is_named_and_explained(tmp_path: Path) -> None:
    (tmp_path / "settings.toml").write_text("[default\n")
    with pytest.raises(SettingsError, match=r"`settings\.toml` is not valid TOML"):
        load_settings("demo")


@pytest.mark.parametrize("file", ["settings.toml", ".secrets.toml", ".env"])
@pytest.mark.parametrize("content", [b"A=1\n\n\xe9", b"\xff\xfeA", None])
def test_a_file_that_cannot_be_read_is_named(tmp_path: Path, file: str, content: bytes | None) -> None:
    if content is None:
        (tmp_path / file).mkdir()
    else:
        (tmp_path / file).write_bytes(content)
    with pytest.raises(SettingsError) as caught:
        load_settings("demo")
    (problem,) = caught.value.problems
    assert f"`{file}`" in problem
    assert ("it is a folder" if content is None else "it is not text in UTF-8 (line") in problem


def test_a_byte_order_mark_before_a_file_means_nothing(tmp_path: Path) -> None:
    """Notepad writes one."""
    (tmp_path / ".env").write_text("OPENAI_API_KEY=a-key\n", encoding="utf-8-sig")
    (tmp_path / "settings.toml").write_text('[default.book]\ntitle = "Mine"\n', encoding="utf-8-sig")
    (tmp_path / ".secrets.toml").write_text("[default.search]\nlimit = 3\n", encoding="utf-8-sig")
    settings = load_settings("demo")
    assert (settings.book.title, settings.search.limit) == ("Mine", 3)
    assert settings.providers["openai"].key == "a-key"


DIGITS = "9" * 5000


@pytest.mark.parametrize(
    ("file", "content", "told"),
    [
        (".env", "OPENAI_API_KEY=a\0b\n", ["`OPENAI_API_KEY` in `.env`", "NUL"]),
        (".env", "OTHER=a\0b\nA=1\nBOTH=\0\n", ["`OTHER` in `.env`", "`BOTH` in `.env`"]),
        (".env", f"PRECEPTOR_BOOK__TITLE={DIGITS}\n", ["`PRECEPTOR_BOOK__TITLE` in `.env`", "digits"]),
        ("settings.toml", f"[default.book]\n\ntitle = {DIGITS}\n", ["`settings.toml`", "(line 3)", "digits"]),
        (".secrets.toml", "[default.book]\ntitle = 'a\0b'\n", ["`.secrets.toml` is not valid TOML"]),
    ],
)
def test_a_value_that_nobody_can_take_in_is_told_with_its_place(
    tmp_path: Path, file: str, content: str, told: list[str]
) -> None:
    (tmp_path / file).write_text(content)
    with pytest.raises(SettingsError) as caught:
        load_settings("demo")
    said = "\n".join(caught.value.problems)
    assert [one for one in told if one not in said] == []
    assert DIGITS not in said


def test_what_is_wrong_in_several_files_is_told_at_once(tmp_path: Path) -> None:
    (tmp_path / "settings.toml").write_text("[default\n")
    (tmp_path / ".secrets.toml").write_text("[defualt.search]\nlimit = 3\n[demo.book]\ntitle = '@int x'\n")
    (tmp_path / "books.toml").write_text("")
    with pytest.raises(SettingsError) as caught:
        load_settings("demo")
    said = "\n".join(caught.value.problems)
    assert "`settings.toml` is not valid TOML" in said
    assert "`demo.book.title` in `.secrets.toml`" in said


WRONG = {
    "server.operator_key": "1234567890123456",
    "qdrant.api_key": "1234567890123456",
    "session.ttl_hours": "inf",
    "traces.keep_days": "1e300",
    "qdrant.timeout": "nan",
    "session.url": f"'redis://user:{SECRET}#x@host:6379'",
    "limits.storage": f"'redis://user:{SECRET}@host:port'",
    "traces.otlp": "'http://['",
    "site.base_url": "'@json ['",
    "search.limit": "'@int x'",
    "book.title": "'@format {x'",
    "book.subject": "'@jinja {{ x'",
    "search.limitt": "3",
}
"""A value of each kind that used to be told in words of Python's, or not at all."""


@pytest.mark.parametrize("place", ["settings.toml", ".secrets.toml", ".env", "environment"])
@pytest.mark.parametrize("setting", WRONG)
def test_a_wrong_value_is_named_with_the_place_where_it_stands(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, setting: str, place: str
) -> None:
    section, key = setting.split(".")
    variable = f"PRECEPTOR_{section}__{key}".upper()
    value = WRONG[setting]
    if place == "environment":
        monkeypatch.setenv(variable, value.strip("'"))
    elif place == ".env":
        (tmp_path / ".env").write_text(f"{variable}={value}\n")
    else:
        (tmp_path / place).write_text(f"[default.{section}]\n{key} = {value}\n")
    with pytest.raises(SettingsError) as caught:
        load_settings("demo")
    (problem,) = caught.value.problems
    assert (variable if place in (".env", "environment") else setting) in problem
    assert place == "environment" or f"`{place}`" in problem
    assert SECRET not in problem


def test_a_key_in_quotes_may_be_of_digits_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As the message about one without says."""
    (tmp_path / ".secrets.toml").write_text('[default.qdrant]\napi_key = "123"\n')
    monkeypatch.setenv("PRECEPTOR_SERVER__OPERATOR_KEY", '"1234567890123456"')
    settings = load_settings("demo")
    assert sorted(settings.secrets()) == ["123", "1234567890123456"]


@pytest.mark.parametrize("name", [name for name in UNPREFIXED if name.endswith("_KEY")])
@pytest.mark.parametrize("key", ["sk-ключ", "sk-a\nb", "sk-“a”"])
def test_a_key_that_no_header_can_carry_is_named(
    monkeypatch: pytest.MonkeyPatch, name: str, key: str
) -> None:
    monkeypatch.setenv(name, key)
    with pytest.raises(SettingsError) as caught:
        load_settings("demo")
    (problem,) = caught.value.problems
    assert name in problem
    assert "holds a character that no key has" in problem
    assert key not in problem


_TOML = st.sampled_from(
    ["[default]", "[default.session]", "[demo.server]", "[local", "[[default]]", "ttl_hours", "url", "port", "=",
     "\n", " ", '"', "'", "@json [", "@int x", "@format {env[X]}", "@merge", "@del", "inf", "nan", "1e999", "9" * 400,
     "{", "}", "[", "]", ",", "0x", "2020-01-01", "true", "dynaconf_merge", "dynaconf_include", "redis://[", "\x00"]
)  # fmt: skip
_CONTENT = st.one_of(
    st.binary(max_size=60),
    st.lists(_TOML, max_size=25).map(lambda parts: "".join(parts).encode(errors="ignore")),
)
_VALUES = st.one_of(
    st.text(st.characters(blacklist_characters="\0", blacklist_categories=["Cs"]), max_size=40),
    st.lists(_TOML.filter(lambda part: part.isprintable()), max_size=6).map("".join),
)
_NAMES = st.one_of(
    st.sampled_from([f"PRECEPTOR_{name.replace('.', '__').upper()}" for name in documented_names()]),
    st.sampled_from(list(UNPREFIXED)),
    st.sampled_from(
        ["PRECEPTOR_SESSION", "PRECEPTOR_ENV", "PRECEPTOR_1", "PRECEPTOR___", "PRECEPTOR_SERVER__PORT__X"]
    ),
)


@pytest.mark.long
@examples(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    files=st.dictionaries(st.sampled_from(["settings.toml", ".secrets.toml", ".env"]), _CONTENT, max_size=2),
    variables=st.dictionaries(_NAMES, _VALUES, max_size=3),
    env=st.sampled_from([None, "demo", "local", "production"]),
)
def test_whatever_stands_in_files_and_variables_only_a_settings_error_comes_out(
    tmp_path: Path, files: dict[str, bytes], variables: dict[str, str], env: str | None
) -> None:
    before = dict(os.environ)
    for name in ("settings.toml", ".secrets.toml", ".env"):
        (tmp_path / name).unlink(missing_ok=True)
    for name, content in files.items():
        (tmp_path / name).write_bytes(content)
    os.environ.update(variables)
    try:
        load_settings(env, needs=("index", "tutor"), folder=tmp_path).secrets()
    except SettingsError:
        pass
    finally:
        os.environ.clear()
        os.environ.update(before)


def test_what_a_plugin_calls_a_secret_is_one() -> None:
    service = {
        "api_key": "of-the-api", "accessToken": "of-the-access", "headers": {"Authorization": "of-the-header"},
        "passwords": ["first-one", "second-one"], "secrets": {"salt": "of-the-salt"}, "url": "https://a.example",
        "keywords": ["robotics"], "max_tokens": 400, "monkey": "business",
    }  # fmt: skip
    settings = Settings(env="demo", tools=ToolsSettings(settings={"service": service}))

    hidden = {"of-the-api", "of-the-access", "of-the-header", "first-one", "second-one", "of-the-salt"}
    assert set(settings.secrets()) == hidden


def test_secrets_appear_in_no_form_of_the_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("QDRANT_API_KEY", "GEMINI_API_KEY", "OPENAI_API_KEY"):
        monkeypatch.setenv(name, SECRET)
    settings = load_settings("production")
    assert SECRET not in repr(settings)
    assert SECRET not in str(settings)
    assert SECRET not in settings.model_dump_json()
    assert settings.secrets() == [SECRET] * 3


def test_every_setting_is_documented_in_settings_toml() -> None:
    text = (ROOT / "settings.toml").read_text()
    sections = dict(re.findall(r"^\[default\.([\w.]+)\](.*?)(?=^\[|\Z)", text, re.MULTILINE | re.DOTALL))
    undocumented = [
        name
        for name in documented_names()
        if not re.search(
            rf"^(?:# )?{name.rsplit('.', 1)[1]}\b", sections.get(_documented_at(name), ""), re.MULTILINE
        )
    ]
    assert undocumented == []


def test_the_defaults_written_in_settings_toml_are_the_defaults() -> None:
    written = tomllib.loads((ROOT / "settings.toml").read_text())["default"]
    assert Settings.model_validate({"env": "production", **written}) == Settings(env="production")


def test_the_example_files_name_every_key() -> None:
    names = (ROOT / ".env.example").read_text()
    assert [name for name in UNPREFIXED if not re.search(rf"^{name}=", names, re.MULTILINE)] == []
    secrets = tomllib.loads((ROOT / ".secrets.toml.example").read_text())["default"]
    assert {name: list(row) for name, row in secrets.pop("providers").items()} == {
        "gemini": ["api_key"],
        "openai": ["api_key"],
    }
    assert {section: list(keys) for section, keys in secrets.items()} == {"qdrant": ["api_key"]}
