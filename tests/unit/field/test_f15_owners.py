"""F15: two inference processes corrupted one another through a shared DMA pool. Here: what two users could share."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from fake_site import Site

from flexkit import boards, lock
from flexkit.deadline import Deadline
from flexkit.deployed import make_plan
from flexkit.drivers import open_board, qemu
from flexkit.errors import Busy, FlashError
from flexkit.events import Bus, Event, Phase
from flexkit.flash import deploy
from flexkit.flash.ways.block import BlockMedium

ONE, OTHER = "cd" * 16, "ef" * 16
HOLDER = """
import sys
from flexkit import lock
with lock.acquire("qemu-virt"):
    print("has it", flush=True)
    sys.stdin.read()
"""


def soon() -> Deadline:
    return Deadline(300, "flash")


def regions(site: Site) -> set[bytes]:
    """Whose images lie on the medium."""
    found = set()
    for medium in site.instance.type.media:
        with (qemu.media_folder("qemu-virt", "flex") / f"{medium.name}.img").open("rb") as source:
            for region in medium.regions:
                if region.image is not None:
                    source.seek(region.offset)
                    found.add(source.read(32))
    return found


@pytest.mark.field("F15")
def test_two_who_flash_at_once_do_not_mix_their_images(site: Site) -> None:
    plans = [make_plan(site.instance.type, name, "flex", site.images(name), {}) for name in (ONE, OTHER)]
    folder = qemu.media_folder("qemu-virt", "flex")
    files = {medium.name: folder / f"{medium.name}.img" for medium in site.instance.type.media}
    for number, write in enumerate(plans[0].writes):  # two scripts, turn by turn
        last = plans[number % 2].writes[number]
        assert last.path is not None
        with files[write.medium].open("r+b") as sink:
            sink.seek(last.offset)
            sink.write(last.path.read_bytes())
    assert regions(site) == {ONE.encode(), OTHER.encode()}, "half of each: no board boots from it"

    inside, refused = threading.Event(), []

    def other(event: Event) -> None:
        """Comes while the first has the board."""
        if event.phase is Phase.PROGRESS and not inside.is_set():
            inside.set()
            try:
                deploy(site.instance, plans[1], {}, "release", Bus(), soon())
            except Busy as busy:
                refused.append(busy.message)

    deploy(site.instance, plans[0], {}, "release", Bus([other]), soon())
    assert len(refused) == 1
    assert f"process {os.getpid()}" in refused[0]
    assert regions(site) == {ONE.encode()}


@pytest.mark.field("F15")
def test_the_owner_is_named_and_its_death_is_its_leave(site: Site) -> None:
    environment = os.environ | {"PYTHONPATH": str(Path(boards.__file__).resolve().parents[2])}
    words = [sys.executable, "-c", HOLDER]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"has it\n"
        for use in (lambda: site.flash({}, ONE), lambda: open_board(site.instance, soon(), Bus()).__enter__()):
            with pytest.raises(Busy, match=rf"qemu-virt is in use by .*process {holder.pid}"):
                use()
        holder.kill()
        holder.wait(60)
    assert lock.holder("qemu-virt") == ""
    site.flash({}, ONE)


@pytest.mark.field("F15")
@pytest.mark.parametrize(
    ("number", "kind", "words"),
    [
        (errno.EBUSY, Busy, "in use"),
        (errno.EACCES, FlashError, "may not be written"),
        (errno.EROFS, FlashError, "Read-"),
    ],
)
def test_a_card_that_somebody_else_uses_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, kind: type[FlashError], words: str
) -> None:
    def refuse(*_: object, **__: object) -> int:
        raise OSError(number, os.strerror(number))

    path = tmp_path / "card"
    path.write_bytes(bytes(1024))
    monkeypatch.setattr(os, "open", refuse)
    with pytest.raises(kind, match=words):
        BlockMedium("sd", 1024, path, 0.1).open(soon())
