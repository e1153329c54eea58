"""The agent itself, built for this machine."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from fake_agent import AGENT_ID, ConsoleAgent, host_agent
from processes import wait_ended
from wire import ProcessTransport

from flexkit import paths
from flexkit.deadline import Deadline
from flexkit.errors import BadInput, FlexError, TimedOut
from flexkit.link.client import AgentError, Client, InferRequest, Token
from flexkit.link.connection import Connection

DEMO = paths.project() / "models/demo.gguf"


def soon(seconds: float = 30.0) -> Deadline:
    return Deadline(seconds, "test")


@pytest.fixture
def client() -> Iterator[Client]:
    with Connection(ProcessTransport([str(host_agent()), "--stdio"], "agent")) as connection:
        connection.wait_open(soon())
        yield Client(connection)


def test_version_is_the_build_identity() -> None:
    said = subprocess.run([host_agent(), "--version"], capture_output=True, text=True, check=True).stdout
    assert said == f"flexagent {AGENT_ID}\n"


def test_identity_is_what_the_machine_says(client: Client) -> None:
    identity = client.identify(soon())
    assert identity.agent == AGENT_ID
    assert (identity.monitor, identity.payload) == ("", "")
    assert identity.uname.startswith(f"Linux {os.uname().release} ")
    assert identity.cores == os.cpu_count()
    assert identity.counter_hz == 1_000_000_000


def test_a_program_gives_status_and_both_outputs(client: Client) -> None:
    result = client.execute("echo out; echo err >&2; exit 7", soon())
    assert (result.status, result.out, result.err) == (7, b"out\n", b"err\n")
    assert result.ticks > 0


def test_a_program_that_is_not_there_says_so(client: Client) -> None:
    result = client.execute(["no-such-program"], soon())
    assert result.status == 127
    assert b"no-such-program: No such file" in result.err


def test_a_signal_is_part_of_the_status(client: Client) -> None:
    assert client.execute("kill -9 $$", soon()).status == 128 + 9


def test_the_deadline_ends_a_program_with_its_children(client: Client, tmp_path: Path) -> None:
    pid = tmp_path / "pid"
    with pytest.raises(TimedOut):
        client.execute(f"sleep 60 & echo $! > {pid}; wait", soon(5))
    wait_ended(int(pid.read_text()), soon())


def test_a_stray_child_does_not_hold_up_the_answer(client: Client) -> None:
    assert client.execute("sleep 40 & echo done", soon(20)).out == b"done\n"


def test_output_comes_while_the_program_runs(client: Client, tmp_path: Path) -> None:
    """The program goes on only when its first line has come: were output kept to the end, it would never end."""
    came: list[bytes] = []

    def take(output: bytes) -> None:
        came.append(output)
        (tmp_path / "seen").touch()

    client.execute(f"echo a; until test -e {tmp_path}/seen; do sleep 0.05; done; echo b", soon(), on_output=take)
    assert came == [b"a\n", b"b\n"]


def test_much_output_is_whole(client: Client) -> None:
    assert len(client.execute("head -c 3000000 /dev/zero", soon()).out) == 3_000_000


def test_files_go_both_ways(client: Client, tmp_path: Path) -> None:
    data = os.urandom(300_000)
    (tmp_path / "here").write_bytes(data)
    there = tmp_path / "made" / "there"
    steps: list[tuple[int, int]] = []
    client.put(tmp_path / "here", str(there), soon(), lambda done, total: steps.append((done, total)))
    assert there.read_bytes() == data
    assert steps[-1] == (300_000, 300_000)
    assert client.get(str(there), soon()) == data
    found = client.stat(str(there), soon())
    assert found is not None
    assert found.size == 300_000
    assert client.stat(str(tmp_path / "nothing"), soon()) is None


def test_a_put_that_cannot_be_written_is_an_error(client: Client, tmp_path: Path) -> None:
    (tmp_path / "here").write_bytes(bytes(400_000))
    with pytest.raises(AgentError, match="No space left"):
        client.put(tmp_path / "here", "/dev/full", soon())


def test_sixteen_programs_at_once_and_no_more(client: Client) -> None:
    jobs = [client.spawn("sleep 20") for _ in range(16)]
    client.ping(soon())
    with pytest.raises(AgentError, match="temporarily unavailable"):
        client.execute("true", soon())
    client.connection.cancel(jobs[0].exchange)
    with pytest.raises(AgentError, match="cancelled"):
        jobs[0].wait(soon())
    assert client.execute("true", soon()).status == 0


def test_memory_is_held_and_faulted_in(client: Client) -> None:
    leave = client.meminfo(soon())["MemFree"] - (256 << 20)
    exchange, held = client.hold(leave, soon())
    assert held > 0
    assert client.meminfo(soon())["MemFree"] < leave + (128 << 20), "others on this machine take and give, but not that"
    client.let_go(exchange, soon())
    assert client.fault_in(4 << 20, soon()).size == 4 << 20
    nothing = client.fault_in(6 << 20, soon(), until_recalled=1)
    assert (nothing.size, nothing.recalled_pages) == (0, 0), "nothing is secure here: the clock never begins"


def test_page_cache_is_given_up(client: Client, tmp_path: Path) -> None:
    size = 1 << 20
    file = tmp_path / "file"
    with file.open("wb") as stream:
        stream.write(b"x" * size)
        stream.flush()
        os.fsync(stream.fileno())
    dropped = client.drop_cached(str(file), size, soon())
    assert dropped.size % 4096 == 0
    assert 0 <= dropped.size <= size  # all of it on a disk; nothing of a file that lives in memory
    assert dropped.ticks > 0
    with pytest.raises(AgentError, match="No such file"):
        client.drop_cached(str(tmp_path / "nothing"), size, soon())
    with pytest.raises(AgentError, match="No data"):
        client.drop_cached(str(file), 2 * size, soon())


def test_the_engine_runs_in_mode_stock(client: Client) -> None:
    seen: list[Token] = []
    request = InferRequest(str(DEMO), "Once upon a time", 8, mode="stock", threads=2, ignore_eos=True)
    result = client.infer(request, soon(120), seen.append)
    assert tuple(seen) == result.tokens
    assert len(result.tokens) == 8
    assert [token.index for token in seen] == list(range(8))
    assert result.finish == "length"
    assert result.prompt_ids[0] == 1
    assert sum(result.exposed.values()) == result.first_token - result.submitted
    assert result.first_token == seen[0].ticks
    assert result.submitted < result.first_token < result.finished


def test_a_foreign_model_is_refused_with_a_reason(client: Client, tmp_path: Path) -> None:
    (tmp_path / "x.gguf").write_bytes(b"not a model" * 1000)
    with pytest.raises(BadInput, match="stock"):
        client.infer(InferRequest(str(tmp_path / "x.gguf"), "hi", 1, mode="stock"), soon())
    with pytest.raises(FlexError, match="No such file"):
        client.infer(InferRequest(str(tmp_path / "y.gguf"), "hi", 1, mode="stock"), soon())


def test_modes_that_need_the_driver_say_what_is_missing(client: Client) -> None:
    for mode in ("flexserve", "strawman"):
        with pytest.raises(AgentError, match="/dev/flexserve"):
            client.infer(InferRequest(str(DEMO), "hi", 1, mode=mode), soon())
    with pytest.raises(AgentError, match="No such file"):
        client.infer(InferRequest(str(DEMO), "hi", 1, mode="normal"), soon())


def test_a_conversation_needs_mode_flexserve(client: Client) -> None:
    with pytest.raises(AgentError, match="conversation"):
        client.converse(InferRequest(str(DEMO), "hi", 1, mode="stock"), ["and you?"], soon())
    with pytest.raises(AgentError, match="/dev/flexserve"):
        client.converse(InferRequest(str(DEMO), "hi", 1), ["and you?"], soon())
    with pytest.raises(AgentError, match="out of range"):
        client.converse(InferRequest(str(DEMO), "hi", 1), ["and you?"] * 32, soon())


def test_a_running_inference_is_cancelled(client: Client) -> None:
    request = InferRequest(str(DEMO), "Once upon a time", 400, mode="stock", ignore_eos=True)

    def stop(token: Token) -> None:
        if token.index == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        client.infer(request, soon(), stop)
    assert client.execute("true", soon()).status == 0


def read_until(cable: int, wanted: bytes) -> bytes:
    seen = b""
    limit = soon(10)
    while wanted not in seen:
        limit.check()
        seen += os.read(cable, 4096)
    return seen


def test_a_person_gets_a_shell_after_enter_and_not_before() -> None:
    agent = ConsoleAgent()
    try:
        read_until(agent.master, b"flexkit: agent ready")
        os.write(agent.master, b"echo too early\n\r")
        os.write(agent.master, b"echo $((6 * 7)) of them\r")
        assert b"too early" not in read_until(agent.master, b"42 of them")
        os.write(agent.master, b"exit\r")
        with Connection(agent.transport()) as connection:
            connection.wait_open(soon())
            assert Client(connection).check("echo records too", soon()) == "records too\n"
    finally:
        agent.stop()


BESIDE = InferRequest(str(DEMO), "Once upon a time", 4, mode="stock", ignore_eos=True)


def test_answers_come_due_beside_a_program(client: Client) -> None:
    """Each is the one that the prompt gives by itself; none comes due before its time."""
    expected = tuple(token.id for token in client.infer(BESIDE, soon(120)).tokens)
    found = client.beside(BESIDE, ["sh", "-c", "sleep 4; echo said >&2; exit 3"], 1.0, soon(120), phase=0.125)
    assert (found.program.status, found.program.err) == (3, b"said\n")
    assert set(found.answers) == {expected}
    assert len(found.answers) <= 1 + found.program.ticks / 1_000_000_000
    assert found.spent >= found.program.ticks >= 4_000_000_000


def test_a_program_that_ends_before_the_first_answer_is_due_has_none_beside_it(client: Client) -> None:
    found = client.beside(BESIDE, ["true"], 60, soon(120), phase=50)
    assert (found.program.status, found.answers) == (0, ())


def test_a_program_that_is_not_there_ends_with_127_beside_answers_too(client: Client) -> None:
    found = client.beside(BESIDE, ["no-such-program"], 60, soon(120), phase=50)
    assert found.program.status == 127
    assert b"no-such-program: No such file" in found.program.err


def test_an_answer_that_fails_ends_the_program_beside_it(client: Client, tmp_path: Path) -> None:
    """Its model is a pipe that only the program opens, when it has said who it is."""
    pid, pipe = tmp_path / "pid", tmp_path / "x.gguf"
    os.mkfifo(pipe)
    program = ["sh", "-c", f"echo $$ > {pid}; exec sleep 100 > {pipe}"]
    with pytest.raises(FlexError, match=r"x\.gguf"):
        client.beside(InferRequest(str(pipe), "hi", 1, mode="stock"), program, 1, soon(60))
    wait_ended(int(pid.read_text()), soon())
    with pytest.raises(AgentError, match="a field is missing"):
        client.beside(BESIDE, ["true"], 0, soon())
