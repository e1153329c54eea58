"""The pair of slots: its state sector, the board file's sense, and the script that chooses."""

from __future__ import annotations

import re
import struct
from pathlib import Path

import pytest

from flexkit import boards, paths
from flexkit.boards.slots import GOOD, SECTOR, State, choosing_script, other, pair_of, unpack
from flexkit.errors import BadInput

BOARD = boards.load("qemu-virt-uboot")
BUFFER = 0x6000_0000


@pytest.mark.parametrize("state", [State("a"), State("b"), State("a", 1), State("b", 0)])
def test_a_state_is_read_as_it_was_written(state: State) -> None:
    sector = state.pack()
    assert len(sector) == SECTOR
    assert unpack(sector) == state


def test_a_sector_of_anything_else_is_slot_a() -> None:
    assert unpack(bytes(SECTOR)) == unpack(b"\xff" * SECTOR) == State("a", GOOD)


def test_only_some_boards_have_a_pair() -> None:
    pair = pair_of(BOARD)
    assert pair is not None
    assert {name: region.name for name, region in pair.regions.items()} == {"a": "boot-a", "b": "boot-b"}
    assert (pair.medium.name, pair.state.name) == ("disk", "slots")
    assert pair_of(boards.load("qemu-virt")) is None
    assert (other("a"), other("b")) == ("b", "a")


@pytest.mark.parametrize(
    ("was", "becomes", "said"),
    [
        ('slot = "b"', "", "must be one a, one b and one state"),
        ('slot = "b"', 'slot = "a"', "must be one a, one b and one state"),
        ('partition = "linux"\nslot = "b"', 'slot = "b"', "must be partitions"),
        ('size = 0x0200_0000\nimage = "boot"\npartition = "linux"\nslot = "b"',
         'size = 0x0100_0000\nimage = "boot"\npartition = "linux"\nslot = "b"', "differ in size or image"),
    ],
)  # fmt: skip
def test_half_a_pair_is_refused_with_its_line(tmp_path: Path, was: str, becomes: str, said: str) -> None:
    text = (paths.project() / "boards/qemu-virt-uboot.toml").read_text()
    assert text.count(was) == 1
    path = tmp_path / "qemu-virt-uboot.toml"
    path.write_text(text.replace(was, becomes))
    with pytest.raises(BadInput, match=said) as caught:
        boards.load_file(path)
    assert re.search(r"qemu-virt-uboot\.toml:\d+: ", caught.value.message)


class UBoot:
    """As much of U-Boot's shell as the script needs: one level of words, conditions and a loop, over a medium and
    memory. ``start`` returns the slots whose scripts were run; one of ``broken`` has none."""

    def __init__(self, state: bytes, broken: str = "") -> None:
        self.sector = state
        self.broken = broken
        self.variables = {"devtype": "virtio", "devnum": "0", "scriptaddr": "1"}
        self.memory = bytearray(SECTOR)
        self.ran: list[str] = []

    def start(self, boots: str) -> list[str]:
        """``boots``: slots whose kernel starts, and so never comes back to the script."""
        pair = pair_of(BOARD)
        assert pair is not None
        self.ran, self._boots = [], boots
        self._partitions = {
            f"{pair.medium.partitions.index(region) + 1:x}": name for name, region in pair.regions.items()
        }
        lines = [line.strip() for line in choosing_script(pair, BUFFER).splitlines()]
        self._block(lines)
        return self.ran

    def _word(self, text: str) -> str:
        return re.sub(r"\$\{(\w+)\}", lambda found: self.variables.get(found[1], ""), text)

    def _block(self, lines: list[str]) -> None:
        at = 0
        while at < len(lines) and not self._started:
            line = lines[at]
            if line.startswith("for "):
                end = lines.index("done", at)
                name, values = re.match(r"for (\w+) in (.*); do", line).groups()  # type: ignore[union-attr]
                for value in self._word(values).split():
                    self.variables[name] = value
                    self._block(lines[at + 1 : end])
                at = end
            elif line.startswith("if ") and not line.endswith("fi"):
                end = self._end(lines, at)
                self._branch(lines[at:end])
                at = end
            else:
                self._line(line)
            at += 1

    @property
    def _started(self) -> bool:
        return bool(self.ran) and self.ran[-1] in self._boots

    @staticmethod
    def _end(lines: list[str], at: int) -> int:
        depth = 0
        for index in range(at, len(lines)):
            depth += lines[index].startswith("if ") and not lines[index].endswith("fi")
            depth -= lines[index] == "fi"
            if not depth:
                return index
        raise AssertionError("an if without its fi")

    def _branch(self, lines: list[str]) -> None:
        cuts, depth = [0], 0
        for index, line in enumerate(lines):
            depth += line.startswith("if ") and not line.endswith("fi")
            depth -= line == "fi"
            if depth == 1 and line.startswith("elif "):
                cuts.append(index)
        for begin, end in zip(cuts, [*cuts[1:], len(lines)], strict=True):
            condition = lines[begin].removeprefix("el").removeprefix("if ").removesuffix("; then")
            if self._holds(condition):
                self._block(lines[begin + 1 : end])
                return

    def _line(self, line: str) -> None:
        found = re.match(r"if (.*?); then (.*?);(?: else (.*?);)? fi$", line)
        if found:
            for part in (found[2] if self._holds(found[1]) else found[3] or "").split(";"):
                self._command(part.strip())
            return
        for part in line.split(";"):
            self._command(part.strip())

    def _holds(self, condition: str) -> bool:
        words = self._word(condition).split()
        if words[0] == "itest.l":
            return (self._get(words[1]) == int(words[3], 16)) == (words[2] == "==")
        if words[0] == "test":
            return words[1] == words[3]
        assert words[0] == "load"
        assert words[1:3] == ["virtio", words[2]]
        self._loaded = self._partitions[words[2].split(":")[1]]
        return self._loaded != self.broken

    def _get(self, word: str) -> int:
        assert word.startswith("*")
        return int(struct.unpack_from("<I", self.memory, int(word[1:], 16) - BUFFER)[0])

    def _command(self, text: str) -> None:
        words = self._word(text).split()
        match words:
            case [] | ["echo", *_] | ["virtio", "dev", _]:
                return
            case ["setenv", name, value]:
                self.variables[name] = value
            case ["setexpr.l", name, left, "-", right]:
                self.variables[name] = f"{self._get(left) - int(right, 16):x}"
            case ["mw.l", address, value]:
                struct.pack_into("<I", self.memory, int(address, 16) - BUFFER, int(value, 16))
            case ["virtio", "read", _, _, "1"]:
                self.memory[:] = self.sector
            case ["virtio", "write", _, _, "1"]:
                self.sector = bytes(self.memory)
            case ["source", _]:
                self.ran.append(self._loaded)
            case _:
                raise AssertionError(f"U-Boot is asked for {text!r}")


@pytest.mark.parametrize("slot", ["a", "b"])
def test_a_good_slot_is_taken_at_every_start(slot: str) -> None:
    board = UBoot(State(slot).pack())
    for _ in range(3):
        assert board.start("ab") == [slot]
    assert unpack(board.sector) == State(slot)


@pytest.mark.parametrize(("new", "old"), [("a", "b"), ("b", "a")])
def test_a_trial_is_made_as_often_as_it_may_and_then_left(new: str, old: str) -> None:
    board = UBoot(State(new, 2).pack())
    assert [board.start("ab") for _ in range(4)] == [[new], [new], [old], [old]]
    assert unpack(board.sector) == State(old)


@pytest.mark.parametrize(("new", "old"), [("a", "b"), ("b", "a")])
def test_a_slot_without_a_script_is_passed_over_at_once(new: str, old: str) -> None:
    board = UBoot(State(new, 1).pack(), broken=new)
    assert board.start("ab") == [old]
    assert board.start("ab") == [old]
    assert unpack(board.sector) == State(old)


def test_a_kernel_that_does_not_start_leaves_it_to_the_other() -> None:
    assert UBoot(State("b").pack()).start("a") == ["b", "a"]


def test_a_medium_that_was_never_written_boots_slot_a() -> None:
    assert UBoot(bytes(SECTOR)).start("ab") == ["a"]
