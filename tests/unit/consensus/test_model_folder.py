"""Where the model is found, and in which order."""

from pathlib import Path

import pytest

from consensus.model_folder import TOKENIZER, WEIGHTS, find_model


def cached(home: Path) -> Path:
    """Make a hub cache with a model in it; return the model's folder."""
    hub = home / ".cache" / "huggingface" / "hub"
    model = hub / "models--sentence-transformers--all-MiniLM-L6-v2"
    snapshot = model / "snapshots" / "c0ffee"
    snapshot.mkdir(parents=True)
    (model / "refs").mkdir()
    (model / "refs" / "main").write_text("c0ffee")
    (snapshot / WEIGHTS).touch()
    return snapshot


def test_a_named_folder_is_taken_as_it_is(tmp_path: Path) -> None:
    """What the person names is used, even if there is nothing."""
    assert find_model(tmp_path / "mine", {"HOME": str(tmp_path)}) == tmp_path / "mine"


def test_the_packaged_model_comes_before_the_cache(tmp_path: Path) -> None:
    """Without a name the installed package is used, whatever the cache holds."""
    snapshot = cached(tmp_path)

    found = find_model(None, {"HOME": str(tmp_path)})

    assert found is not None
    assert found != snapshot
    assert (found / TOKENIZER).is_file()


def test_the_cache_serves_without_the_package(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the package is not installed the hub's cache is looked into."""
    monkeypatch.setattr("consensus.model_folder._PACKAGE", "no_such_package")
    snapshot = cached(tmp_path)

    assert find_model(None, {"HOME": str(tmp_path)}) == snapshot
    hub = snapshot.parents[2]
    assert find_model(None, {"HF_HUB_CACHE": str(hub)}) == snapshot
    assert find_model(None, {"HF_HOME": str(hub.parent)}) == snapshot
    assert find_model(None, {"HOME": str(tmp_path / "other")}) is None
