"""The generated C header says what the board file says, to a C compiler."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from flexkit import boards, paths
from flexkit.boards import header

PROBE = """\
#include "flex_board.h"
#include <stdio.h>
static const struct { unsigned long long base, size; } devices[] = { FLEX_BOARD_DEVICES };
int main(void)
{
    printf("%llx %llx %d %zu %llx\\n", FLEX_BOARD_TABLES_BASE, FLEX_BOARD_DRAM_BASE + FLEX_BOARD_DRAM_SIZE,
           FLEX_BOARD_SLOTS, sizeof(devices) / sizeof(devices[0]), FLEX_BOARD_COMM_BASE);
    return 0;
}
"""


def test_a_compiler_reads_the_board_files_values(tmp_path: Path) -> None:
    board = boards.load("qemu-virt")
    (tmp_path / "flex_board.h").write_text(header.render(board))
    (tmp_path / "probe.c").write_text(PROBE)
    subprocess.run(["gcc", "-Wall", "-Werror", "-o", "probe", "probe.c"], cwd=tmp_path, check=True)
    words = subprocess.run(["./probe"], cwd=tmp_path, check=True, capture_output=True, text=True).stdout.split()
    memory = board.memory
    assert int(words[0], 16) == memory.region("tables").base
    assert int(words[1], 16) == memory.dram_end
    assert int(words[2]) == board.monitor.slots
    assert int(words[3]) == len(memory.devices)
    assert int(words[4], 16) == memory.region("shared").base + board.monitor.mailboxes * 8192


def test_an_assembler_reads_bare_numbers(tmp_path: Path) -> None:
    (tmp_path / "flex_board.h").write_text(header.render(boards.load("qemu-virt")))
    (tmp_path / "probe.S").write_text(
        '#include "flex_board.h"\n.quad FLEX_BOARD_TABLES_BASE + FLEX_BOARD_TABLES_SIZE\n'
    )
    subprocess.run(["gcc", "-c", "-o", "probe.o", "probe.S"], cwd=tmp_path, check=True)


@pytest.mark.parametrize(("words", "status"), [([], 2), (["/none.toml"], 2)])
def test_the_program_refuses_bad_arguments(words: list[str], status: int) -> None:
    command = [sys.executable, "-m", "flexkit.boards.header", *words]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert result.returncode == status
    assert "Traceback" not in result.stderr


def test_the_program_prints_the_header() -> None:
    command = [sys.executable, "-m", "flexkit.boards.header", str(paths.project() / "boards/qemu-virt.toml")]
    result = subprocess.run(command, capture_output=True, text=True, check=True)
    assert result.stdout == header.render(boards.load("qemu-virt"))
