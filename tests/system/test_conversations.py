"""Conversations: prompts that go on in one session, whatever Linux takes of its memory in between."""

from __future__ import annotations

import errno
from collections.abc import Callable, Iterator
from pathlib import Path

import conversing
import pytest
from conversing import Conversation, Failed, Turn

from flexkit import models
from flexkit.deadline import Deadline
from flexkit.drivers import Session
from flexkit.link.client import AgentError, InferRequest, InferResult
from flexkit.models import atrest

STORE = "/data/conversation"
OLDER = "/data/older"
MIB = 1 << 20
PAGE = 4096
LEFT = 40 * MIB
WANTED = 64
"""Pages that reclaim takes back at the least."""
EVERY = 0.05
"""Seconds between two recalls."""
PANIC = 1  # FLEX_DRILL_PANIC
WINDOW = 16


@pytest.fixture(scope="module")
def model(board: Session, demo: Path, tmp_path_factory: pytest.TempPathFactory) -> str:
    """The demo model on the board, and the program that converses."""
    conversing.install(board, tmp_path_factory.mktemp("converse"))
    return board.put_model(demo, Deadline(60, "model"))


@pytest.fixture(scope="module")
def prompts(demo: Path) -> list[str]:
    return [models.prompt_of(demo, 12, seed) for seed in (1, 2, 3)]


@pytest.fixture(scope="module")
def expected(demo: Path, prompts: list[str]) -> list[Turn]:
    return conversing.reference(demo, prompts)


@pytest.fixture
def talk(board: Session, model: str) -> Iterator[Conversation]:
    conversation = Conversation(board, model)
    yield conversation
    conversation.end()


def _same(turn: Turn, expected: Turn) -> None:
    assert turn.prompt_ids == expected.prompt_ids
    assert turn.tokens == expected.tokens


def _two_turns(talk: Conversation, prompts: list[str], expected: list[Turn]) -> int:
    """The first two, rightly; how many positions are known then."""
    _same(talk.begin(prompts[0]), expected[0])
    _same(talk.turn(prompts[1]), expected[1])
    return conversing.known(expected[:2])


def _secure(board: Session) -> int:
    return board.client.stats(Deadline(20, "stats")).info["secure_now"]


def _put_aside(board: Session) -> int:
    """Conversations so far."""
    text = board.client.check("cat /sys/kernel/debug/flexserve/stats", Deadline(20, "counters"))
    return next(int(line.split()[1]) for line in text.splitlines() if line.split()[0].rstrip(":") == "sealed")


def test_turns_go_on_where_the_last_one_stopped(talk: Conversation, prompts: list[str], expected: list[Turn]) -> None:
    """As one run over all ids together, and nothing is computed twice."""
    _same(talk.begin(prompts[0]), expected[0])
    for number in (1, 2):
        turn = talk.turn(prompts[number])
        _same(turn, expected[number])
        assert (turn.kept, turn.opened, turn.recomputed) == (conversing.known(expected[:number]), 0, 0)


def test_what_was_taken_is_computed_again(
    board: Session, talk: Conversation, prompts: list[str], expected: list[Turn]
) -> None:
    _same(talk.begin(prompts[0]), expected[0])
    for number in (1, 2):
        assert int(talk.ask("recall")[0]) > 0
        assert _secure(board) == 0
        turn = talk.turn(prompts[number])
        _same(turn, expected[number])
        assert (turn.kept, turn.opened, turn.recomputed) == (0, 0, conversing.known(expected[:number]))


def test_what_was_put_aside_comes_back(
    board: Session, talk: Conversation, prompts: list[str], expected: list[Turn]
) -> None:
    """Sealed and taken: only what is new is computed."""
    _same(talk.begin(prompts[0]), expected[0])
    talk.ask(f"store {STORE}")
    for number in (1, 2):
        assert int(talk.ask("seal")[0]) > 0
        talk.ask("recall")
        assert _secure(board) == 0
        turn = talk.turn(prompts[number])
        _same(turn, expected[number])
        assert (turn.kept, turn.opened, turn.recomputed) == (0, conversing.known(expected[:number]), 0)


def _tampered(board: Session) -> None:
    board.client.check(f"printf X | dd of={STORE} bs=1 seek=40000 conv=notrunc", Deadline(20, "tamper"))


def _cut(board: Session) -> None:
    board.client.check(f"truncate -s 40000 {STORE}", Deadline(20, "cut"))


def _replayed(board: Session) -> None:
    """What was put aside before the last turn."""
    board.client.check(f"dd if={OLDER} of={STORE} conv=notrunc", Deadline(20, "replay"))


@pytest.mark.parametrize("harm", [_tampered, _cut, _replayed])
def test_what_is_not_what_was_put_aside_is_computed_again(
    board: Session, talk: Conversation, prompts: list[str], expected: list[Turn], harm: Callable[[Session], None]
) -> None:
    _same(talk.begin(prompts[0]), expected[0])
    talk.ask(f"store {STORE}")
    talk.ask("seal")
    board.client.check(f"cp {STORE} {OLDER}", Deadline(60, "copy"))
    _same(talk.turn(prompts[1]), expected[1])
    talk.ask("seal")
    harm(board)
    talk.ask("recall")
    turn = talk.turn(prompts[2])
    _same(turn, expected[2])
    assert (turn.kept, turn.opened, turn.recomputed) == (0, 0, conversing.known(expected[:2]))


def _await_put_aside(board: Session, times: int) -> None:
    limit = Deadline(120, "a conversation that is put aside")
    while _put_aside(board) < times:
        limit.check()


def _kills(board: Session) -> str:
    """What the OOM killer has done so far."""
    return board.client.check("grep oom_kill /proc/vmstat", Deadline(20, "vmstat"))


def test_memory_pressure_has_a_conversation_put_aside(
    board: Session, talk: Conversation, prompts: list[str], expected: list[Turn]
) -> None:
    """Nobody asks for it: a process wants all the memory there is. Weights go; nobody is killed; what is taken after
    that, to the last page, has not to be computed again."""
    limit = Deadline(300, "pressure")
    known = _two_turns(talk, prompts, expected)
    talk.ask(f"store {STORE}")
    before, kills = _put_aside(board), _kills(board)
    board.client.check("sync; echo 1 > /proc/sys/vm/drop_caches", limit)
    held, _ = board.client.hold(LEFT, limit)
    try:
        taken = board.client.fault_in(256 * MIB, limit, until_recalled=WANTED)
        _await_put_aside(board, before + 1)
    finally:
        board.client.let_go(held, limit)
    assert taken.recalled_pages >= WANTED
    assert _kills(board) == kills
    talk.ask("recall")
    assert _secure(board) == 0
    turn = talk.turn(prompts[2])
    _same(turn, expected[2])
    assert (turn.kept, turn.opened, turn.recomputed) == (0, known, 0)


def _windows(pieces: list[bytes]) -> set[bytes]:
    """Of each piece, at each multiple of 8 bytes; those that could be anywhere by chance are left out."""
    found = {piece[at : at + WINDOW] for piece in pieces for at in range(0, len(piece) - WINDOW + 1, 8)}
    return {window for window in found if len(set(window)) >= WINDOW // 2}


def _found(windows: set[bytes], data: bytes) -> int:
    return sum(data[at : at + WINDOW] in windows for at in range(len(data) - WINDOW + 1))


def test_what_is_put_aside_shows_nothing(
    board: Session, talk: Conversation, demo: Path, prompts: list[str], expected: list[Turn]
) -> None:
    """No 16 bytes of the KV cache are in the file; the same search finds them where they are."""
    known = _two_turns(talk, prompts, expected)
    talk.ask(f"store {STORE}")
    talk.ask("seal")
    pieces = conversing.cache_after(demo, expected[:2])
    windows = _windows(pieces)
    assert len(windows) > 10 * known
    kept = board.client.get(STORE, Deadline(60, "the file"))
    assert len(kept) > sum(map(len, pieces))
    assert _found(windows, kept) == 0
    assert _found(windows, b"odd" + b"".join(pieces)) >= len(windows)


def test_a_client_that_is_killed_leaves_nothing(
    board: Session, model: str, demo: Path, prompts: list[str], expected: list[Turn]
) -> None:
    """What remains of its conversation is the weights, which are everybody's."""
    limit = Deadline(120, "a client that is killed")
    weights = atrest.sealed_form(demo, limit).stat().st_size // PAGE
    board.client.forget(model, limit)
    talk = Conversation(board, model)
    _two_turns(talk, prompts, expected)
    talk.ask(f"store {STORE}")
    assert _secure(board) > weights
    talk.kill()
    while _secure(board) > weights:
        limit.check()
    board.client.forget(model, limit)
    assert _secure(board) == 0


def test_a_conversation_that_is_gone_says_so(
    board: Session, talk: Conversation, prompts: list[str], expected: list[Turn]
) -> None:
    """By the one error; and a new one may begin."""
    with pytest.raises(Failed) as none:
        talk.turn(prompts[1])
    assert none.value.number == errno.ESTALE
    _same(talk.begin(prompts[0]), expected[0])
    talk.ask("drop")
    with pytest.raises(Failed) as dropped:
        talk.turn(prompts[1])
    assert dropped.value.number == errno.ESTALE
    _two_turns(talk, prompts, expected)
    with pytest.raises(AgentError, match="Input/output"):
        board.client.drill(PANIC, Deadline(60, "panic"))
    with pytest.raises(Failed) as panicked:
        talk.turn(prompts[2])
    assert panicked.value.number == errno.ESTALE
    _two_turns(talk, prompts, expected)


def test_conversations_that_take_turns(board: Session, model: str, prompts: list[str], expected: list[Turn]) -> None:
    """Several at once, and prompts without any beside them: each goes on in its own."""
    talks = [Conversation(board, model) for _ in range(3)]
    for each in talks:
        _same(each.begin(prompts[0]), expected[0])
    for number in (1, 2):
        for each in talks:
            _same(each.turn(prompts[number]), expected[number])
    for each in talks:
        each.end()


def _at_last(step: Callable[[str], Turn], prompt: str) -> Turn:
    """Where pages go faster than they come a turn fails, and has not been: it is put again."""
    limit = Deadline(120, "a turn beside recalls")
    while True:
        try:
            return step(prompt)
        except Failed as failed:
            if failed.number != errno.ENOMEM:
                raise
        limit.check()


def _seal_if_whole(talk: Conversation) -> None:
    """Unless a part of it has been taken before, or is taken meanwhile."""
    try:
        talk.ask("seal")
    except Failed as failed:
        if failed.number not in (errno.ESTALE, errno.EBUSY):
            raise


def _converse(talk: Conversation, prompts: list[str], expected: list[Turn], seen: dict[str, int]) -> None:
    """Three turns, put aside in between, rightly; counts what became of the positions."""
    _same(_at_last(talk.begin, prompts[0]), expected[0])
    talk.ask(f"store {STORE}")
    for number in (1, 2):
        _seal_if_whole(talk)
        turn = _at_last(talk.turn, prompts[number])
        _same(turn, expected[number])
        # One more where a turn that failed has come as far.
        assert turn.kept + turn.opened + turn.recomputed - conversing.known(expected[:number]) in (0, 1)
        for name in seen:
            seen[name] += getattr(turn, name)


def test_recalls_in_the_middle_of_everything(
    board: Session, talk: Conversation, model: str, prompts: list[str], expected: list[Turn]
) -> None:
    """Another client has all there is taken, again and again: between turns, within them, while one is put aside. Until
    positions have been kept, opened and computed again."""
    limit = Deadline(180, "recalls beside conversations")
    rival = board.client.spawn(f"while sleep {EVERY}; do echo recall; done | {conversing.PROGRAM} {model} 64")
    seen = {"kept": 0, "opened": 0, "recomputed": 0}
    while not all(seen.values()):
        limit.check()
        _converse(talk, prompts, expected, seen)
    assert rival.running()
    board.client.connection.cancel(rival.exchange)
    print(f"positions: {seen}")


def test_the_agent_takes_a_conversation(board: Session, model: str, prompts: list[str], expected: list[Turn]) -> None:
    """All of its prompts in one request, each answered as it comes, with a file of the agent's own behind it."""
    request = InferRequest(model, prompts[0], conversing.TOKENS, threads=2, context=conversing.CONTEXT, ignore_eos=True)
    seen: list[InferResult] = []
    results = board.client.converse(request, prompts[1:], Deadline(120, "conversation"), on_turn=seen.append)
    assert seen == results
    for number, result in enumerate(results):
        _same(Turn(result.prompt_ids, tuple(token.id for token in result.tokens)), expected[number])
        known = conversing.known(expected[:number])
        assert (result.kept, result.opened, result.recomputed) == (known, 0, 0)
