"""Kept runs, the link to the latest, copies elsewhere."""

from __future__ import annotations

from pathlib import Path

import pytest

from flexkit.errors import BadInput, FlexError
from flexkit.report import history, store
from flexkit.report.reading import load
from flexkit.report.schema import Report


def test_a_run_is_kept_and_latest_is_a_relative_link(good: Report, tmp_path: Path) -> None:
    folder = store.keep(good, root=tmp_path)
    assert folder == tmp_path / "latest"
    assert folder.is_symlink()
    assert not folder.readlink().is_absolute()
    assert load(folder) == good
    assert (folder / "index.html").read_text().startswith("<!doctype html>")
    assert [run.report for run in store.runs(tmp_path)] == [good]


def test_the_link_turns_to_the_newest_and_the_older_stays(good: Report, many: Report, tmp_path: Path) -> None:
    store.keep(good, root=tmp_path)
    store.keep(many, root=tmp_path)
    assert load(tmp_path / "latest") == many
    assert [run.report for run in store.runs(tmp_path)] == [good, many]


def test_output_elsewhere_replaces_and_keeps_the_run_as_well(good: Report, many: Report, tmp_path: Path) -> None:
    root, out = tmp_path / "reports", tmp_path / "out"
    store.keep(good, out, root)
    assert store.keep(many, out, root) == out
    assert load(out) == many
    assert sorted(path.name for path in out.iterdir()) == ["index.html", "report.json"]
    assert len(list(store.runs(root))) == 2
    assert not (root / "latest").exists()


def test_output_into_latest_is_the_link(good: Report, tmp_path: Path) -> None:
    assert store.keep(good, tmp_path / "latest", tmp_path).is_symlink()


def test_a_real_folder_in_the_way_is_not_overwritten(good: Report, tmp_path: Path) -> None:
    (tmp_path / "latest").mkdir()
    with pytest.raises(FlexError, match="not a link"):
        store.keep(good, root=tmp_path)


def test_a_place_that_cannot_be_written_is_one_error(good: Report, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(FlexError, match="cannot be made"):
        store.keep(good, tmp_path / "file" / "out", tmp_path)


def test_a_full_output_says_where_the_run_is_kept(good: Report, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "report.json").mkdir()
    with pytest.raises(BadInput) as caught:
        store.keep(good, tmp_path / "out", tmp_path)
    (kept,) = store.runs(tmp_path)
    assert caught.value.mend == f"the run is kept in {kept.folder}"


def test_runs_that_cannot_be_read_do_not_hide_the_others(good: Report, tmp_path: Path) -> None:
    store.keep(good, root=tmp_path)
    broken = tmp_path / "runs" / "00000000T000000Z-broken"
    broken.mkdir()
    (broken / "report.json").write_text("{")
    assert [run.report for run in store.runs(tmp_path)] == [good]


def test_history_follows_one_figure(good: Report, many: Report, tmp_path: Path) -> None:
    store.keep(good, root=tmp_path)
    store.keep(many, root=tmp_path)
    lines = history.lines(store.runs(tmp_path), "ttft", "flexserve", "demo", "warm")
    assert [line.n for line in lines] == [2, 2, 6, 6]
    assert {line.board for line in lines} == {"qemu-virt"}
    assert all("demo@" in line.configuration for line in lines)
    assert history.lines(store.runs(tmp_path), "ttft", "no such mode", None, None) == []
