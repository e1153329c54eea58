"""F12: console text was garbled: a shared UART, line editing, a debugger triggered by bytes; 1,500,000 baud."""

from __future__ import annotations

import re

import pytest
from fake_agent import ConsoleAgent, Harm

from flexkit.deadline import Deadline
from flexkit.link.client import Client
from flexkit.link.connection import Connection
from flexkit.link.records import MARKER, Kind, LineSplitter, Record, decode, encode

RESULT = b"ttft_ms: 1234.5\n"
KERNEL = b"[   12.345678] mmc0: tuning execution failed\r\n"


def by_expression(console: bytes) -> float | None:
    """How results were read from consoles: a pattern, and whatever it finds."""
    found = re.search(rb"ttft_ms: ([0-9.]+)", console)
    return float(found[1]) if found else None


@pytest.mark.field("F12")
@pytest.mark.parametrize("at", range(10, len(RESULT) - 1))
def test_a_kernel_message_in_the_middle_changes_no_figure(at: int) -> None:
    shared = RESULT[:at] + KERNEL + RESULT[at:]
    assert by_expression(shared) != 1234.5, "another figure, or none, and nobody is told"

    line = encode(Record(Kind.DATA, 1, 0, RESULT))
    cut = len(MARKER) + at
    broken, again = line[:cut] + KERNEL + line[cut:], line
    found = [decode(each) for each in LineSplitter().feed(broken + again)]
    whole = [record for record in found if record is not None]
    assert [record.data for record in whole] == [RESULT], "the broken one is not believed, its repetition is"


@pytest.mark.field("F12")
def test_one_wrong_bit_is_noticed_wherever_it_falls() -> None:
    line = encode(Record(Kind.DATA, 1, 0, RESULT))
    assert by_expression(RESULT.replace(b"1234", b"1214")) == 1214.5, "one bit, and the figure is another one"
    for at in range(len(line) - 1):
        for bit in range(8):
            harmed = bytearray(line)
            harmed[at] ^= 1 << bit
            for found in LineSplitter().feed(bytes(harmed)):
                record = decode(found)
                assert record is None or record.data == RESULT


@pytest.mark.field("F12")
def test_a_cable_that_loses_one_byte_in_five_hundred_loses_no_answer() -> None:
    agent = ConsoleAgent()
    harm = Harm(agent.transport(), 20, 12)
    limit = Deadline(120, "answers")
    with Connection(harm) as connection:
        connection.wait_open(limit)
        client = Client(connection)
        for number in range(20):
            assert client.check(f"echo {number}", limit) == f"{number}\n"
        assert harm.harmed > 0
    agent.stop()
