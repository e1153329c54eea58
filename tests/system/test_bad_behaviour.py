"""What a hostile or an unlucky normal world may do, all in one list, and what was not tried elsewhere.

Each time the tokens are right, or the error is a clean one, and the next prompt gets the right tokens.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from attacker import Attacker, abi
from resident import Resident

from flexkit import engine
from flexkit.deadline import Deadline
from flexkit.drivers import Session
from flexkit.errors import FlexError
from flexkit.link.client import InferRequest, InferResult, Token

HERE = Path(__file__).resolve().parent
TRIED: dict[str, tuple[str, ...]] = {
    "it gives a page twice": (
        "system/test_calls.py::test_a_page_given_twice_stops_the_batch_there",
        "firmware/monitor/test_move.c::pages_named_twice_move_once",
    ),
    "it gives a page that is another's": ("system/test_bad_behaviour.py::test_pages_of_others_cannot_be_given",),
    "it gives what is no page of DRAM, monitor memory, MMIO": (
        "system/test_calls.py::test_a_malformed_address_refuses_the_whole_batch",
    ),
    "it gives the monitor's own tables and mailboxes": (
        "system/test_calls.py::test_the_monitors_own_dram_cannot_be_donated",
    ),
    "it names one page for two slots": ("system/test_bad_behaviour.py::test_one_page_is_in_one_slot",),
    "it changes a list while the list is read": (
        "firmware/monitor/test_batches.c::a_list_that_changes_after_the_check_does_no_harm",
        "firmware/monitor/test_move.c::a_list_that_changes_after_the_check_does_no_harm",
    ),
    "it recalls in the middle of everything": (
        "system/test_memory.py::test_recall_in_the_middle_of_generations",
        "system/test_movable.py::test_moves_in_the_middle_of_inference",
        "system/test_bad_behaviour.py::test_pages_that_go_behind_the_drivers_back_in_mid_inference",
        "firmware/monitor/explore.c::every_combination",
    ),
    "it resumes a thread twice": (
        "system/test_calls.py::test_a_thread_is_resumed_once_only",
        "system/test_calls.py::test_of_two_cores_one_resumes_a_thread",
        "firmware/payload/test_threads.c::preempted_thread_resumes_on_another_core_once",
    ),
    "it kills the client": ("system/test_bad_behaviour.py::test_a_client_that_is_killed_leaves_nothing_pinned",),
    "it runs out of memory": ("system/test_memory.py::test_what_is_said_to_be_available_can_be_had",),
    "it takes a core away whose thread is in the secure world": (
        "system/test_bad_behaviour.py::test_cores_that_come_and_go_beside_inference",
    ),
    "it resets the board in mid-inference": (
        "system/test_endings.py::test_a_reset_in_mid_inference_leaves_no_weights",
    ),
    "it switches protection under the hands of others": (
        "system/test_switching.py::test_a_core_that_goes_on_writing_the_tables_is_stopped",
    ),
}
"""What is tried (issue 3), and by which tests, under tests/."""

ABI = abi()
STATE = ABI["FLEX_E_STATE"]
ROUNDS = 3
"""How often a core goes and comes."""
TOKENS = 24
BLOCK = 1 << ABI["FLEX_BLOCK_SHIFT"]


def _functions(file: Path) -> set[str]:
    """Names of a file's functions, in Python or C."""
    text = file.read_text()
    if file.suffix == ".py":
        return {node.name for node in ast.parse(text).body if isinstance(node, ast.FunctionDef)}
    return set(re.findall(r"^static void (\w+)\(void\)$", text, re.MULTILINE))


@pytest.mark.parametrize("what", TRIED)
def test_each_of_the_list_is_a_test(what: str) -> None:
    for place in TRIED[what]:
        file, name = place.split("::")
        assert name in _functions(HERE.parent / file), place


Long = Callable[..., InferResult]


@pytest.fixture(scope="module")
def long(resident: Resident) -> Long:
    """A longer answer of the resident model, checked; ``meanwhile`` is done when its first token comes."""
    expected = engine.reference_tokens(resident.file, resident.prompt, TOKENS, ignore_eos=True).tokens

    def run(meanwhile: Callable[[], None]) -> InferResult:
        def on_token(token: Token) -> None:
            if token.index == 0:
                meanwhile()

        request = InferRequest(resident.path, resident.prompt, TOKENS, threads=2, context=64, ignore_eos=True)
        result = resident.board.client.infer(request, Deadline(240, "a longer answer"), on_token)
        assert tuple(token.id for token in result.tokens) == expected
        return result

    return run


def test_pages_of_others_cannot_be_given(attacker: Attacker, resident: Resident) -> None:
    """The driver's secure pages: neither donated again, nor taken as the new place of a move, nor part of a region."""
    resident()
    pages = attacker.driver_pages()
    block = pages[0] // BLOCK * BLOCK
    for page in pages[::97]:
        answer = attacker.batch(ABI["FLEX_MON_DONATE"], 0, 1, page)
        assert (answer["x0"], answer["x1"]) == (STATE, 0)
    assert attacker.smc(ABI["FLEX_MON_REGION_SECURE"], block, BLOCK)["x0"] == STATE
    assert resident().loaded_pages == 0


def test_one_page_is_in_one_slot(board: Session, attacker: Attacker, resident: Resident) -> None:
    """The payload is told that a page in use belongs to another slot, and that a slot in use has another page."""
    resident()
    rows = [
        line.split()
        for line in board.client.check(
            "cat /sys/kernel/debug/flexserve/pages", Deadline(30, "slots and pages")
        ).splitlines()
    ]
    slots = {int(row[0]): int(row[1], 0) for row in rows}
    own = attacker.own_pages(1)[0]
    assert attacker.batch(ABI["FLEX_MON_DONATE"], 0, 1, own)["x0"] == 0
    last = ABI["FLEX_MON_VERSION"]  # a call that changes nothing: the addresses stay in the mailbox
    for slot, page in list(slots.items())[::499]:
        for lie in (page, slots.get(slot + 1, page), own):
            attacker.batch(last, 0, 1, lie)
            assert attacker.payload(ABI["FLEX_OP_CLAIM"], board.board.monitor.mailboxes - 1, 1, slot)["x0"] < 0
    assert attacker.batch(ABI["FLEX_MON_RECALL"], 0, 1, own)["x2"] == 1
    assert resident().loaded_pages == 0


def test_a_client_that_is_killed_leaves_nothing_pinned(board: Session, resident: Resident, long: Long) -> None:
    """All of the agent's children but the shell that kills them: the one that has the device open."""
    limit = Deadline(60, "kill")
    kill = 'for f in /proc/[0-9]*/stat; do set -- $(cat $f); [ "$4" = $PPID ] && [ $1 != $$ ] && kill -9 $1; done; true'
    before = board.client.stats(limit).info["secure_now"]
    with pytest.raises(FlexError):
        long(lambda: board.client.check(kill, limit) and None)
    while (info := board.client.stats(limit).info)["secure_now"] != info["recallable_now"]:
        limit.check()
    assert info["secure_now"] >= before
    assert resident().loaded_pages == 0


def test_cores_that_come_and_go_beside_inference(board: Session, attacker: Attacker, long: Long) -> None:
    """Core 1 is taken away and brought back again and again while threads compute on both."""
    limit = Deadline(240, "hot-plug")
    online = "/sys/devices/system/cpu/cpu1/online"
    board.client.check("rm -f /tmp/enough; echo 0 > /tmp/rounds", limit)
    storm = f"echo 0 > {online} && echo 1 > {online} && n=$((n+1)) && echo $n > /tmp/rounds || exit 1"
    job = board.client.spawn(f"n=0; until [ -e /tmp/enough ]; do {storm}; done", limit=240)
    started = board.client.stats(limit).driver["preemptions"]
    while int(board.client.check("cat /tmp/rounds", limit) or 0) < ROUNDS:
        long(lambda: None)
    board.client.check("touch /tmp/enough", limit)
    assert job.wait(limit).status == 0
    assert board.client.stats(limit).driver["preemptions"] > started
    assert board.client.check("cat /sys/devices/system/cpu/online", limit).strip() == "0-1"
    page = attacker.driver_pages()[0]
    assert [attacker.run(f"access r {page:#x} {core}")["ret"] for core in (0, 1)] == [-14, -14]


def _recall_all(attacker: Attacker) -> int:
    """Every secure page that the driver knows and nothing pins, without its knowledge. Returns how many."""
    pages = attacker.driver_pages()
    parts = [pages[at : at + 256] for at in range(0, len(pages), 256)]
    return sum(attacker.batch(ABI["FLEX_MON_RECALL"], 0, len(part), *part)["x2"] for part in parts)


def test_pages_that_went_behind_the_drivers_back_are_loaded_again(
    board: Session, attacker: Attacker, resident: Resident
) -> None:
    """The driver believes that all of the model is secure, and nothing is: the payload's word counts. In the end every
    page is Linux's again."""
    resident()
    assert _recall_all(attacker) > 0
    assert board.client.stats(Deadline(60, "recalled")).monitor["secure_pages"] == 0
    assert resident().loaded_pages > 0
    resident.forget()
    stats = board.client.stats(Deadline(60, "accounts"))
    assert stats.info["secure_now"] == stats.monitor["secure_pages"] == 0
    assert stats.driver["donated"] == stats.driver["recalled"]


def test_pages_that_go_behind_the_drivers_back_in_mid_inference(
    board: Session, attacker: Attacker, resident: Resident, long: Long
) -> None:
    """All that is not pinned is recalled by somebody else. The answer is right or refused; the next one is right."""
    taken = []
    try:
        long(lambda: taken.append(_recall_all(attacker)))
    except FlexError as error:
        print(f"refused: {error}")
    assert sum(taken) > 0
    resident()
