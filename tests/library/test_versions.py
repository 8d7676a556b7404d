"""The versions of a collection on disk: what is written, in which order, and what is taken for damage."""

import errno
import json
import os
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from preceptor.errors import IndexDamaged, IndexHasNoPrevious, IndexNotFound
from preceptor.library.passage import Chapter, Section
from preceptor.library.versions import Published, Versions, collections, remember, remembered
from tests.library.books import INFO

BLOCK = 1 << 16
OUTLINE = [
    Chapter("ros/nodes", "robots", "Nodes", "/docs/ros/nodes", 0, ()),
    Chapter(
        "ros/robot",
        "robots",
        "روبوٹ",
        "/docs/ros/robot",
        1,
        (Section("arm", "Arm", ("Robots", "Arm"), "/docs/ros/robot#arm"),),
    ),
]


@pytest.fixture
def kept(folder: Path) -> Versions:
    """A collection of which nothing is there yet."""
    return Versions(folder / "robots")


def fill(shard: Path, text: str = "vectors") -> Path:
    """Put into a shard what the engine puts there: files in folders, most of their blocks without content."""
    (shard / "segments/one").mkdir(parents=True)
    (shard / "segments/one/vectors.dat").write_text(text)
    (shard / "edge_config.json").write_text('{"vectors": {"dense": 384}}')
    (shard / "segments/one/segment.json").write_text('{"vectors": {"multilingual": 384, "dense": 384}}')
    with (shard / "storage.dat").open("wb") as stream:
        stream.truncate(5 * BLOCK)
        stream.seek(3 * BLOCK + 7)
        stream.write(b"payload")
    return shard


def publish(kept: Versions, text: str = "vectors", outline: list[Chapter] = OUTLINE) -> str:
    return kept.publish(fill(kept.begin(), text), INFO, outline)


def names(folder: Path) -> list[str]:
    return sorted(one.name for one in folder.iterdir())


def note_of(kept: Versions, version: str) -> dict[str, object]:
    return json.loads((kept.folder / version / "index.json").read_text("utf-8"))


def rewrite(kept: Versions, version: str, **fields: object) -> None:
    changed = {**note_of(kept, version), **fields}
    (kept.folder / version / "index.json").write_text(json.dumps(changed), "utf-8")


# --- from version to version


def test_nothing_is_published_before_the_first_version(kept: Versions) -> None:
    publish(Versions(kept.folder.parent / "bread"))
    publish(Versions(kept.folder.parent / "cakes"))
    for ask in (kept.stamp, kept.published, kept.swap):
        with pytest.raises(IndexNotFound, match=re.escape("found: bread, cakes")):
            ask()
    kept.tidy()
    assert not kept.folder.exists()


def test_versions_are_numbered_and_the_last_two_are_told(kept: Versions) -> None:
    assert publish(kept) == "v0001"
    assert kept.published() == Published("v0001", None)
    first = kept.stamp()
    assert publish(kept) == "v0002"
    assert kept.published() == Published("v0002", "v0001")
    assert kept.stamp() != first
    assert names(kept.folder) == ["current.json", "v0001", "v0002"]
    assert names(kept.folder / "v0002") == ["index.json", "outline.jsonl", "shard"]


def test_a_number_is_not_used_again_for_what_a_killed_run_left(kept: Versions) -> None:
    publish(kept)
    (kept.folder / "v0011.new").mkdir()
    shard = kept.begin()
    assert shard == kept.folder / "v0012.new/shard"
    assert list(shard.iterdir()) == []


def test_a_roll_back_and_another_one_are_where_it_began(kept: Versions) -> None:
    publish(kept)
    with pytest.raises(IndexHasNoPrevious):
        kept.swap()
    publish(kept, "other vectors")
    assert kept.swap() == "v0001"
    assert kept.published() == Published("v0001", "v0002")
    assert kept.swap() == "v0002"
    assert kept.published() == Published("v0002", "v0001")
    (kept.folder / "v0001/shard/edge_config.json").unlink()
    with pytest.raises(IndexDamaged):
        kept.swap()
    assert kept.published() == Published("v0002", "v0001")


def test_tidying_leaves_the_two_versions_and_what_is_staged(kept: Versions) -> None:
    for _ in range(3):
        publish(kept)
    kept.begin()
    kept.staging.mkdir()
    (kept.folder / "current.tmp").write_text("{")
    kept.tidy()
    assert names(kept.folder) == ["current.json", "staging", "v0002", "v0003"]


def test_nothing_is_tidied_where_it_is_not_known_what_is_published(kept: Versions) -> None:
    publish(kept)
    (kept.folder / "current.json").write_text("{")
    (kept.folder / "v0007.new").mkdir()
    kept.tidy()
    assert names(kept.folder) == ["current.json", "v0001", "v0007.new"]


def test_a_version_is_published_over_a_pointer_that_cannot_be_read(kept: Versions) -> None:
    publish(kept)
    (kept.folder / "current.json").write_text("{")
    assert publish(kept) == "v0002"
    assert kept.published() == Published("v0002", None)


def test_a_removed_collection_is_gone_from_the_list_which_is_sorted(kept: Versions, folder: Path) -> None:
    for name in ("robots", "bread", "cakes"):
        publish(Versions(folder / name))
    (folder / "unpublished").mkdir()
    assert collections(folder) == ["bread", "cakes", "robots"]
    kept.remove()
    assert collections(folder) == ["bread", "cakes"]
    assert not kept.folder.exists()


def test_the_purpose_of_what_is_staged_is_remembered(folder: Path) -> None:
    assert remembered(folder) is None
    remember(folder, {"book": "روبوٹ"})
    assert remembered(folder) == {"book": "روبوٹ"}
    assert names(folder) == ["for.json"]
    for damaged in ("{", "null", "[1]"):
        (folder / "for.json").write_text(damaged)
        assert remembered(folder) is None


# --- what is written, and when


def test_what_a_version_says_of_itself_is_given_back_and_can_be_changed(kept: Versions) -> None:
    version = publish(kept)
    assert kept.info(version) == INFO
    assert kept.verified(version) == (kept.folder / version / "shard", INFO)
    other = replace(INFO, title="روبوٹ")
    kept.describe(version, other)
    assert kept.verified(version)[1] == other
    assert kept.outline(version) == OUTLINE
    assert "روبوٹ" in (kept.folder / version / "index.json").read_text("utf-8")


def test_an_outline_that_was_never_written_is_none_and_an_empty_one_is_empty(kept: Versions) -> None:
    version = publish(kept, outline=[])
    assert kept.outline(version) == []
    note = note_of(kept, version)
    del note["outline"]
    (kept.folder / version / "index.json").write_text(json.dumps(note), "utf-8")
    assert kept.outline(version) is None


def test_everything_is_on_the_disk_before_it_is_pointed_at(
    kept: Versions, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A power cut at any moment leaves the old version or the new one."""
    done: list[str] = []
    write, move = os.fsync, Path.replace

    def synced(number: int) -> None:
        write(number)
        done.append("sync " + os.readlink(f"/proc/self/fd/{number}"))

    def moved(self: Path, target: Path) -> Path:
        done.append(f"move to {target}")
        return move(self, target)

    if not Path("/proc/self/fd").is_dir():
        pytest.skip("needs /proc to tell which file is synced")
    shard = fill(kept.begin())
    monkeypatch.setattr(os, "fsync", synced)
    monkeypatch.setattr(Path, "replace", moved)
    kept.publish(shard, INFO, OUTLINE)
    folder = kept.folder
    assert done == [
        f"sync {folder}/v0001.new/index.tmp",
        f"move to {folder}/v0001.new/index.json",
        f"sync {folder}/v0001.new",
        f"sync {folder}",  # the version has its name
        f"sync {folder}/current.tmp",
        f"move to {folder}/current.json",
        f"sync {folder}",
    ]


# --- what is damage

DIGEST = "mmh3:368d28e178c468ca813c4474bb885efa"
OLDER_DIGEST = "1afb3b5cb2162f6cdaab0af2615e99e65f3d0632348cbdcfc5adf710e01082f5"
"""By SHA-256."""
OUTLINE_DIGEST = "adac7a6a8ba2183490bcc68574c77f90"


def test_digests_are_those_of_earlier_releases(kept: Versions) -> None:
    """Otherwise an index that is sound would be taken for damaged after an upgrade."""
    version = publish(kept)
    note = note_of(kept, version)
    assert (note["digest"], note["outline"]) == (DIGEST, OUTLINE_DIGEST)
    rewrite(kept, version, digest=OLDER_DIGEST)
    assert kept.verified(version)[1] == INFO


def without_holes(file: Path) -> None:
    content = file.read_bytes()
    file.write_bytes(content)


def with_a_file_under_way(file: Path) -> None:
    under_way = file.parent / ".atomicwriteQ1w2e3"
    under_way.mkdir()
    (under_way / "tmpfile.tmp").write_text("{")


def without_seek_data(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(os, "SEEK_DATA", raising=False)


def without_an_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(file: int, position: int, how: int) -> int:
        raise OSError(errno.EINVAL, "this file system does not tell")

    monkeypatch.setattr(os, "lseek", refused)


@pytest.mark.parametrize("change", [without_holes, with_a_file_under_way])
def test_a_copy_without_holes_and_a_file_under_way_are_no_damage(
    kept: Versions, change: Callable[[Path], None]
) -> None:
    version = publish(kept)
    change(kept.folder / version / "shard/storage.dat")
    assert kept.verified(version)[1] == INFO


@pytest.mark.parametrize("lacking", [without_seek_data, without_an_answer])
def test_a_digest_is_the_same_where_the_system_cannot_tell_holes(
    kept: Versions, monkeypatch: pytest.MonkeyPatch, lacking: Callable[[pytest.MonkeyPatch], None]
) -> None:
    version = publish(kept)
    lacking(monkeypatch)
    assert kept.verified(version)[1] == INFO
    with (kept.folder / version / "shard/storage.dat").open("r+b") as stream:
        stream.seek(3 * BLOCK + 7)
        stream.write(b"PAYLOAD")
    with pytest.raises(IndexDamaged, match="not as they were written"):
        kept.verified(version)


def moved_block(shard: Path) -> None:
    with (shard / "storage.dat").open("r+b") as stream:
        stream.seek(3 * BLOCK + 7)
        stream.write(bytes(7))
        stream.seek(BLOCK + 7)
        stream.write(b"payload")


def renamed(shard: Path) -> None:
    (shard / "storage.dat").rename(shard / "other.dat")


def grown(shard: Path) -> None:
    os.truncate(shard / "storage.dat", 6 * BLOCK)


def moved_file(shard: Path) -> None:
    (shard / "segments/one").rename(shard / "segments/two")


def changed_last_byte(shard: Path) -> None:
    file = shard / "segments/one/vectors.dat"
    file.write_bytes(file.read_bytes()[:-1] + b"S")


def added(shard: Path) -> None:
    (shard / "empty").touch()


def reordered(shard: Path) -> None:
    (shard / "segments/one/vectors.dat").write_text('{"multilingual": 1, "dense": 2}')


@pytest.mark.parametrize(
    "harm", [moved_block, renamed, grown, moved_file, changed_last_byte, added, reordered]
)
def test_every_change_of_a_file_of_the_shard_is_damage(kept: Versions, harm: Callable[[Path], None]) -> None:
    """Most of the 100 MB that the engine sets aside is zeros, which are not read: the same bytes elsewhere count."""
    version = publish(kept, '{"dense": 2, "multilingual": 1}')
    assert kept.verified(version)[1] == INFO
    harm(kept.folder / version / "shard")
    with pytest.raises(IndexDamaged, match="not as they were written"):
        kept.verified(version)


def test_the_engine_may_write_the_names_of_several_vectors_in_any_order(kept: Versions) -> None:
    shard = fill(kept.begin())
    config = '{"vectors": {"dense": 384, "multilingual": 384}}'
    (shard / "edge_config.json").write_text(config)
    version = kept.publish(shard, INFO, [])
    file = kept.folder / version / "shard/edge_config.json"
    file.write_text('{"vectors": {"multilingual": 384, "dense": 384}}')
    assert kept.verified(version)[1] == INFO
    for damaged in (config.replace("384}", "385}"), config[:-1] + " "):
        file.write_text(damaged)
        with pytest.raises(IndexDamaged, match="not as they were written"):
            kept.verified(version)


@pytest.mark.parametrize(
    "content",
    [
        *("", "{", "null", "[1]", "{}", "\ud800"),
        '{"info": {}}',
        '{"info": 1, "digest": "x"}',
    ],
)
def test_a_note_that_is_no_note_is_damage_and_names_its_file(kept: Versions, content: str) -> None:
    version = publish(kept)
    file = kept.folder / version / "index.json"
    file.write_bytes(content.encode("utf-8", "surrogatepass"))
    for read in (kept.info, kept.verified):
        with pytest.raises(IndexDamaged, match=re.escape(str(file))):
            read(version)
    file.unlink()
    with pytest.raises(IndexDamaged, match=re.escape(str(file))):
        kept.outline(version)


@pytest.mark.parametrize(
    ("field", "value"),
    [("built_at", "yesterday"), ("built_at", None), ("title", ...), ("digest", ...)],
    ids=["no date", "a date that is null", "a field that is missing", "no digest"],
)
def test_a_note_with_a_field_that_cannot_be_read_is_damage(kept: Versions, field: str, value: object) -> None:
    version = publish(kept)
    note = note_of(kept, version)
    table = note["info"] if field != "digest" else note
    assert isinstance(table, dict)
    table[field] = value
    if value is ...:
        del table[field]
    (kept.folder / version / "index.json").write_text(json.dumps(note), "utf-8")
    with pytest.raises(IndexDamaged, match=r"index\.json"):
        kept.info(version)


@pytest.mark.parametrize("content", ["", "{", "null", "[1]", "{}", '{"current": "v0001", "else": 1}'])
def test_a_pointer_that_is_none_is_damage_and_names_its_file(kept: Versions, content: str) -> None:
    publish(kept)
    (kept.folder / "current.json").write_text(content)
    with pytest.raises(IndexDamaged, match=r"robots/current\.json"):
        kept.published()


def lost(file: Path) -> None:
    file.unlink()


def one_line_less(file: Path) -> None:
    file.write_bytes(file.read_bytes().split(b"\n")[0] + b"\n")


def lines_swapped(file: Path) -> None:
    file.write_bytes(b"".join(reversed(file.read_bytes().splitlines(keepends=True))))


@pytest.mark.parametrize("harm", [lost, one_line_less, lines_swapped])
def test_an_outline_that_is_not_as_it_was_written_is_damage(
    kept: Versions, harm: Callable[[Path], None]
) -> None:
    version = publish(kept)
    harm(kept.folder / version / "outline.jsonl")
    with pytest.raises(IndexDamaged, match=r"outline\.jsonl"):
        kept.outline(version)
