"""The bench of retrieval: what it tells of data and models that it cannot use."""

from pathlib import Path

import pytest

from bench.retrieval import Reranker, index
from preceptor.settings import IndexSettings, Settings


async def test_a_page_that_cannot_be_indexed_is_told_and_the_others_are_measured(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    book = tmp_path / "tiny"
    book.mkdir()
    (book / "d0.md").write_text("---\ntitle: Nodes\n---\n\nA node is a process that computes.\n")
    (book / "d1.md").write_bytes(b"\xff\xfe\xff")
    where = IndexSettings(backend="embedded", collection="tiny", path=tmp_path / "index")
    assert await index(book, Settings(env="local", index=where)) == 1
    assert "tiny/d1.md: it is not UTF-8 text" in capsys.readouterr().err


@pytest.mark.parametrize(
    "files", [[], ["model.onnx"], ["model.onnx", "tokenizer.json", "tokenizer_config.json"]]
)
def test_a_folder_that_holds_no_reranker_is_named(tmp_path: Path, files: list[str]) -> None:
    for name in files:
        (tmp_path / name).write_text("{}")
    with pytest.raises(ValueError, match=f"`{tmp_path}` is no folder of a reranker"):
        Reranker(tmp_path)
