"""SSH against a server in this process: the pinned key counts, the user's own configuration does not."""

from __future__ import annotations

import os
import socket
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import paramiko
import paramiko.common
import pytest

from flexkit.deadline import Deadline
from flexkit.drivers.qemu import free_port
from flexkit.drivers.ssh import Ssh, lab_key
from flexkit.errors import BoardLost, TimedOut


class Files(paramiko.SFTPServerInterface):
    """The part of SFTP that a put and a get use."""

    def open(self, path: str, flags: int, attr: paramiko.SFTPAttributes) -> paramiko.SFTPHandle | int:
        try:
            descriptor = os.open(path, flags, 0o644)
        except OSError as error:
            return paramiko.SFTPServer.convert_errno(error.errno or 0)
        handle = paramiko.SFTPHandle(flags)
        stream = os.fdopen(descriptor, "r+b" if flags & os.O_RDWR else "wb" if flags & os.O_WRONLY else "rb")
        handle.readfile = handle.writefile = stream
        return handle

    def stat(self, path: str) -> paramiko.SFTPAttributes:
        return paramiko.SFTPAttributes.from_stat(os.stat(path))  # noqa: PTH116


class OrderedTransport(paramiko.Transport):
    """Begins what a request asked for when its answer is on the wire, as sshd does: paramiko alone answers behind the
    handler's back, and a quick command's end would overtake the word that it was begun."""

    def __init__(self, connection: socket.socket) -> None:
        super().__init__(connection)
        self.asked: list[threading.Thread] = []

    def _send_user_message(self, data: paramiko.Message) -> None:
        super()._send_user_message(data)
        if data.asbytes()[:1] == paramiko.common.cMSG_CHANNEL_SUCCESS:
            while self.asked:
                self.asked.pop(0).start()


def once_answered(channel: paramiko.Channel, work: Callable[[], None]) -> None:
    transport = channel.get_transport()
    assert isinstance(transport, OrderedTransport)

    def answer() -> None:
        with suppress(OSError, EOFError, paramiko.SSHException):  # whoever asked has left
            work()

    transport.asked.append(threading.Thread(target=answer, daemon=True))


class Server(paramiko.ServerInterface):
    """Lets the lab's key in, nobody else; runs commands on this machine."""

    def __init__(self, board: Board) -> None:
        self.board = board
        self.accepted = lab_key()[1].split()[1]

    def check_auth_publickey(self, username: str, key: paramiko.PKey) -> int:
        good = username == "root" and key.get_base64() == self.accepted
        return paramiko.AUTH_SUCCESSFUL if good else paramiko.AUTH_FAILED

    def get_allowed_auths(self, username: str) -> str:
        return "publickey"

    def check_channel_request(self, kind: str, chanid: int) -> int:
        return paramiko.OPEN_SUCCEEDED

    def check_channel_exec_request(self, channel: paramiko.Channel, command: bytes) -> bool:
        self.board.hang()
        if self.board.refuses:
            channel.close()
            return False

        def work() -> None:
            done = subprocess.run(["sh", "-c", command], capture_output=True, check=False)
            channel.sendall(done.stdout)
            channel.sendall_stderr(done.stderr)
            channel.send_exit_status(done.returncode)
            channel.close()

        once_answered(channel, work)
        return True

    def check_channel_subsystem_request(self, channel: paramiko.Channel, name: str) -> bool:
        self.board.hang()
        return super().check_channel_subsystem_request(channel, name)

    def check_channel_pty_request(
        self, channel: paramiko.Channel, term: bytes, width: int, height: int, pxw: int, pxh: int, modes: bytes
    ) -> bool:
        self.terminal = f"{term.decode()} {width}x{height}"
        return True

    def check_channel_shell_request(self, channel: paramiko.Channel) -> bool:
        def work() -> None:
            channel.sendall(f"a {self.terminal} terminal; you typed ".encode() + channel.recv(100))
            channel.send_exit_status(4)
            channel.close()

        once_answered(channel, work)
        return True


class Board:
    def __init__(self) -> None:
        self.ed25519 = paramiko.Ed25519Key.from_private_key_file(str(lab_key()[0]))
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self.listener.getsockname()[1]
        self.refuses = False
        self.hangs = False
        self.over = threading.Event()
        self.line = f"ssh-ed25519 {self.ed25519.get_base64()} board"
        threading.Thread(target=self._serve, daemon=True).start()

    def hang(self) -> None:
        """Until the end of the test, if it is to."""
        if self.hangs:
            self.over.wait()

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            transport = OrderedTransport(connection)
            transport.add_server_key(self.ed25519)
            transport.set_subsystem_handler("sftp", paramiko.SFTPServer, Files)
            try:
                transport.start_server(server=Server(self))
            except (paramiko.SSHException, EOFError):
                transport.close()


@pytest.fixture
def board(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Board]:
    monkeypatch.setenv("FLEXKIT_STATE", str(tmp_path / "state"))
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    made = Board()
    yield made
    made.over.set()
    made.listener.shutdown(socket.SHUT_RDWR)
    made.listener.close()


def soon(seconds: float = 20.0) -> Deadline:
    return Deadline(seconds, "ssh")


def test_the_lab_key_is_made_once_and_for_its_owner_only(board: Board) -> None:
    private, public = lab_key()
    assert lab_key() == (private, public)
    assert private.stat().st_mode & 0o077 == 0
    assert public.startswith("ssh-ed25519 ")


def test_commands_and_files(board: Board, tmp_path: Path) -> None:
    ssh = Ssh("127.0.0.1", board.port, board.line, soon())
    assert ssh.run("echo out; echo err >&2; exit 4", soon()) == (4, "out\nerr\n")
    data = os.urandom(100_000)
    (tmp_path / "here").write_bytes(data)
    steps: list[tuple[int, int]] = []
    ssh.put(tmp_path / "here", str(tmp_path / "deep" / "there"), soon(), lambda *step: steps.append(step))
    assert (tmp_path / "deep" / "there").read_bytes() == data
    assert steps[-1] == (100_000, 100_000)
    assert ssh.get(str(tmp_path / "deep" / "there"), soon()) == data
    with pytest.raises(TimedOut, match=r"'sleep 30' was cut off: no end after 1 s"):
        ssh.run("sleep 30", soon(1))
    ssh.close()


def test_a_board_that_hangs_up_in_mid_command_is_lost(board: Board) -> None:
    ssh = Ssh("127.0.0.1", board.port, board.line, soon())
    board.refuses = True
    with pytest.raises(BoardLost, match="'true' was cut off"):
        ssh.run("true", soon())
    with pytest.raises(BoardLost, match="agent"):
        ssh.agent(soon())
    ssh.close()


@pytest.mark.field("F2")
@pytest.mark.parametrize("use", ["run", "put", "get", "agent"])
def test_f2_a_board_that_hangs_costs_no_more_than_the_deadline(board: Board, tmp_path: Path, use: str) -> None:
    """It takes the request and never answers: the library underneath would wait for ever."""
    (tmp_path / "here").write_bytes(b"x")
    ssh = Ssh("127.0.0.1", board.port, board.line, soon())
    board.hangs = True
    calls = {
        "run": lambda limit: ssh.run("true", limit),
        "put": lambda limit: ssh.put(tmp_path / "here", str(tmp_path / "there"), limit),
        "get": lambda limit: ssh.get(str(tmp_path / "here"), limit),
        "agent": ssh.agent,
    }
    with pytest.raises(TimedOut, match=r"no end after 0\.5 s"):
        calls[use](soon(0.5))
    ssh.close()


def test_a_person_logs_in_on_a_terminal_of_the_same_size(board: Board) -> None:
    ssh = Ssh("127.0.0.1", board.port, board.line, soon())
    seen: list[bytes] = []
    limit = soon()
    with ssh.login("xterm", 100, 40, seen.append, limit) as login:
        login.send(b"ls")
        while not login.ended():
            limit.check()
        assert login.status() == 4
    assert b"".join(seen) == b"a xterm 100x40 terminal; you typed ls"
    ssh.close()


def test_another_host_key_than_the_pinned_one_is_refused(board: Board, tmp_path: Path) -> None:
    other = paramiko.Ed25519Key(data=bytes(board.ed25519.asbytes()[:-1]) + b"\x01")
    with pytest.raises(BoardLost, match="no connection"):
        Ssh("127.0.0.1", board.port, f"ssh-ed25519 {other.get_base64()}", soon())


def test_the_users_own_configuration_plays_no_part(board: Board, tmp_path: Path) -> None:
    folder = tmp_path / "home" / ".ssh"
    folder.mkdir(parents=True)
    (folder / "config").write_text("Host *\n  Port 1\n  User nobody\n  ProxyCommand false\n")
    other = paramiko.RSAKey.generate(2048).get_base64()
    (folder / "known_hosts").write_text(f"[127.0.0.1]:{board.port} ssh-rsa {other}\n")
    ssh = Ssh("127.0.0.1", board.port, board.line, soon())
    assert ssh.run("true", soon())[0] == 0
    ssh.close()


def test_nobody_listening_is_a_lost_board(board: Board) -> None:
    with pytest.raises(BoardLost, match="no connection"):
        Ssh("127.0.0.1", free_port(), board.line, soon())
