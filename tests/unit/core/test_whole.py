"""Files that appear whole or not at all."""

from __future__ import annotations

import os
import resource
import threading
from pathlib import Path

import pytest

from flexkit import whole


def test_a_file_that_cannot_be_finished_leaves_the_old_one(tmp_path: Path) -> None:
    path, (soft, hard) = tmp_path / "index.html", resource.getrlimit(resource.RLIMIT_FSIZE)
    whole.write_text(path, "old")
    resource.setrlimit(resource.RLIMIT_FSIZE, (16, hard))
    try:
        with pytest.raises(OSError, match="too large"):
            whole.write_text(path, "new" * 100)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def interrupted(path: Path) -> None:
    with whole.replacing(path) as draft:
        draft.write_text("half of the ne")
        raise KeyboardInterrupt


def test_an_exception_while_writing_leaves_the_old_one(tmp_path: Path) -> None:
    path = tmp_path / "model"
    path.write_text("old")
    with pytest.raises(KeyboardInterrupt):
        interrupted(path)
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_link_stays_and_its_file_is_replaced(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    kept, link = tmp_path / "elsewhere" / "lab.toml", tmp_path / "lab.toml"
    kept.write_text("old")
    link.symlink_to(kept)
    whole.write_text(link, "new")
    assert link.is_symlink()
    assert kept.read_text() == "new"


def test_a_pipe_is_written_to_and_stays_a_pipe(tmp_path: Path) -> None:
    pipe, heard = tmp_path / "pipe", []
    os.mkfifo(pipe)
    reader = threading.Thread(target=lambda: heard.append(pipe.read_text()), daemon=True)
    reader.start()
    whole.write_text(pipe, "page")
    reader.join(30)
    assert heard == ["page"]
    assert pipe.is_fifo()


def test_a_folder_in_its_place_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(IsADirectoryError):
        whole.write_text(tmp_path, "text")
