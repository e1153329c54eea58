"""Boards for the system tests: built from this tree, flashed and booted as a user would, with a state of their own."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from functools import cache
from pathlib import Path

import pytest
from attacker import PATTERN, Attacker, abi
from resident import Resident

from flexkit import boards, build, models
from flexkit.boards.lab import Instance
from flexkit.build.manifest import Flavour, Manifest
from flexkit.deadline import Deadline
from flexkit.deployed.plan import make_plan
from flexkit.drivers import Session, open_board
from flexkit.events import Bus
from flexkit.flash.deploy import deploy
from flexkit.link.client import InferRequest, InferResult

BOARD = "qemu-virt"
BUILD_SECONDS = 3600.0
OPEN_SECONDS = 240.0
OpenBoard = Callable[..., AbstractContextManager[Session]]


@pytest.fixture(scope="session")
def state(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Ledger, media and locks apart from the user's own."""
    with pytest.MonkeyPatch.context() as patch:
        folder = tmp_path_factory.mktemp("state")
        patch.setenv("FLEXKIT_STATE", str(folder))
        yield folder


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Tests marked ``boards(TYPE...)`` run once on each of them, all others on qemu-virt."""
    marker = metafunc.definition.get_closest_marker("boards")
    if marker is not None and "kind" in metafunc.fixturenames:
        metafunc.parametrize("kind", marker.args, indirect=True, scope="session")


@pytest.fixture(scope="session")
def kind(request: pytest.FixtureRequest) -> str:
    """The board type under test."""
    return str(getattr(request, "param", BOARD))


@cache
def _build(kind: str) -> dict[str, Manifest]:
    limit = Deadline(BUILD_SECONDS, "build for the system tests")
    flavours: tuple[Flavour, ...] = ("flex", "stock") if kind == BOARD else ("flex",)
    return {name: build.run(boards.load(kind), flavour=name, bus=Bus(), deadline=limit) for name in flavours}


@cache
def _flash(kind: str, state: Path) -> Instance:
    site = state / f"{kind}.toml"
    site.write_text(f'[board.{kind}-tests]\ntype = "{kind}"\n')
    found = boards.resolve(f"{kind}-tests", site)
    for manifest in _build(kind).values():
        plan = make_plan(found.type, manifest.identity, manifest.flavour, manifest.images, manifest.missing)
        deploy(found, plan, manifest.parts, manifest.profile, Bus(), Deadline(300, "flash"))
    return found


@pytest.fixture(scope="session")
def manifests(kind: str) -> dict[str, Manifest]:
    """Its flavours, built from this tree (under a second when nothing changed); "stock" of qemu-virt alone."""
    return _build(kind)


@pytest.fixture(scope="session")
def instance(state: Path, kind: str) -> Instance:
    """An emulated board of its own, flashed with them."""
    return _flash(kind, state)


@pytest.fixture(scope="session")
def open_session(instance: Instance, manifests: dict[str, Manifest]) -> OpenBoard:
    """Boot the board; with the attack module in place when the flavour is ``flex``."""

    @contextmanager
    def opened(**how: object) -> Iterator[Session]:
        limit = Deadline(OPEN_SECONDS, "open the board")
        with open_board(instance, limit, Bus(), **how) as session:  # type: ignore[arg-type]
            if session.deployment.flavour == "flex":
                module = manifests["flex"].outputs["modules"] / "flexattack.ko"
                session.put_file(module, "/tmp/flexattack.ko", limit)
                session.client.check("insmod /tmp/flexattack.ko", limit)
            yield session

    return opened


@pytest.fixture(scope="module")
def board(open_session: OpenBoard) -> Iterator[Session]:
    """One boot for each test module."""
    with open_session() as session:
        yield session


@pytest.fixture
def attacker(board: Session) -> Iterator[Attacker]:
    attacker = Attacker(board.client)
    yield attacker
    attacker.run("free")


@pytest.fixture(scope="module")
def resident(board: Session) -> Iterator[Resident]:
    """A model whose weights are secure, and recallable."""
    found = Resident.load(board)
    found()
    yield found
    found.forget()


@pytest.fixture
def secured(board: Session, attacker: Attacker) -> Iterator[list[int]]:
    """Four pages of the attacker's own, filled and donated; taken back at the end."""
    numbers = abi()
    board.client.protect(True, Deadline(30, "protect"))
    pages = attacker.own_pages(4)
    attacker.run(f"fill {PATTERN:#x}")
    donated = attacker.batch(numbers["FLEX_MON_DONATE"], 0, 4)
    assert (donated["x0"], donated["x1"]) == (0, 4)
    yield pages
    assert attacker.batch(numbers["FLEX_MON_RECALL"], 0, 4)["x0"] == 0


@pytest.fixture(scope="session")
def demo() -> Path:
    return models.demo_model()


@pytest.fixture(scope="session")
def story() -> str:
    """A prompt that the demo model can go on with."""
    return models.prompt_of(models.demo_model(), 16, 1)


Infer = Callable[..., InferResult]


@pytest.fixture
def infer(board: Session, demo: Path, story: str) -> Infer:
    """Run the demo model on the board: ``infer(tokens, mode=...)``."""

    def run(tokens: int = 8, *, prompt: str = story, mode: str = "flexserve", threads: int = 2) -> InferResult:
        limit = Deadline(120, f"infer ({mode})")
        path = board.put_model(demo, limit, mode)
        request = InferRequest(path, prompt, tokens, mode=mode, threads=threads, ignore_eos=True)
        return board.client.infer(request, limit)

    return run
