"""SSH to a board: its host key was fetched over serial and is pinned; the user's own SSH configuration, agent and keys
play no part."""

from __future__ import annotations

import base64
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path, PurePosixPath
from typing import Any

import paramiko
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from fabric import Config, Connection

from flexkit import paths
from flexkit.deadline import Deadline
from flexkit.drivers.protocols import Shell, Transfer
from flexkit.errors import BoardLost, FlexError, TimedOut
from flexkit.link.transport import Sink, ThreadedTransport

_CHUNK = 65536
_GRACE_SECONDS = 1.0


def lab_key() -> tuple[Path, str]:
    """This host's key for boards, made when there is none: the private key's file, the public key's line."""
    folder = paths.state() / "keys"
    private = folder / "lab_ed25519"
    if not private.is_file():
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        key = Ed25519PrivateKey.generate()
        secret = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.OpenSSH, serialization.NoEncryption()
        )
        part = folder / f"lab_ed25519.{os.getpid()}"
        part.touch(mode=0o600, exist_ok=False)
        part.write_bytes(secret)
        with suppress(FileExistsError):
            os.link(part, private)  # whoever is first wins; nobody's key is overwritten
        part.unlink()
    loaded = serialization.load_ssh_private_key(private.read_bytes(), None)
    public = loaded.public_key().public_bytes(serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH)
    return private, f"{public.decode()} flexkit-lab"


def _host_key(line: str) -> paramiko.PKey:
    kind, data = line.split()[:2]
    if kind != "ssh-ed25519":
        raise FlexError(f"the board's host key is of kind {kind!r}; ssh-ed25519 is expected")
    return paramiko.Ed25519Key(data=base64.b64decode(data))


class Ssh(Shell, Transfer):
    """A connection. ``host_key``: the line of the board's public key, as it was read over serial."""

    def __init__(self, host: str, port: int, host_key: str, deadline: Deadline) -> None:
        self.name = f"ssh {host}:{port}"
        private, _ = lab_key()
        config = Config(overrides={"load_ssh_configs": False}, lazy=True)
        self._fabric = Connection(
            host,
            user="root",
            port=port,
            config=config,
            connect_timeout=int(deadline.check()) + 1,
            connect_kwargs={
                "key_filename": str(private),
                "allow_agent": False,
                "look_for_keys": False,
                "banner_timeout": deadline.remaining,
                "auth_timeout": deadline.remaining,
            },
        )
        client: paramiko.SSHClient = self._fabric.client
        key = _host_key(host_key)
        client.get_host_keys().add(host if port == 22 else f"[{host}]:{port}", key.get_name(), key)
        client.set_missing_host_key_policy(paramiko.RejectPolicy())
        try:
            self._fabric.open()
        except (paramiko.SSHException, OSError, EOFError) as error:
            raise BoardLost(f"{self.name}: no connection ({error})") from error

    def close(self) -> None:
        self._fabric.close()

    def run(self, command: str, deadline: Deadline) -> tuple[int, str]:
        """Exit status and standard output with standard error."""
        out = bytearray()
        with self._losing(f"{command!r} was cut off", deadline), closing(self._channel(deadline)) as channel:
            channel.set_combine_stderr(True)
            channel.exec_command(command)
            while chunk := channel.recv(_CHUNK):
                out += chunk
                channel.settimeout(deadline.check())
            return channel.recv_exit_status(), out.decode(errors="replace")

    def put(
        self, local: Path, path: str, deadline: Deadline, progress: Callable[[int, int], None] | None = None
    ) -> None:
        """Send a file by SFTP. The caller checks its hash."""
        self.run(f"mkdir -p '{PurePosixPath(path).parent}'", deadline)

        def step(done: int, total: int) -> None:
            deadline.check()
            if progress is not None:
                progress(done, total)

        with self._losing(f"sending {local.name} failed", deadline), self._sftp(deadline) as sftp:
            sftp.put(str(local), path, callback=step, confirm=True)

    def get(self, path: str, deadline: Deadline) -> bytes:
        with self._losing(f"fetching {path} failed", deadline), self._sftp(deadline) as sftp, sftp.open(path) as source:
            return bytes(source.read())

    def agent(self, deadline: Deadline) -> SshTransport:
        """Start an agent on the board, spoken to over this connection."""
        with self._losing("the agent does not start", deadline):
            channel = self._channel(deadline)
            channel.exec_command("flexagent --stdio")
            channel.settimeout(None)
        return SshTransport(channel, self.name)

    def login(self, terminal: str, columns: int, rows: int, sink: Sink, deadline: Deadline) -> Login:
        """A login shell on a terminal of that kind and size; ``sink`` gets what it prints."""
        with self._losing("no login shell", deadline):
            channel = self._channel(deadline)
            channel.get_pty(terminal, columns, rows)
            channel.invoke_shell()
            channel.settimeout(None)
        return Login(channel, self.name, sink)

    def _transport(self) -> paramiko.Transport:
        transport: paramiko.Transport | None = self._fabric.transport
        if transport is None or not transport.is_active():
            raise BoardLost(f"{self.name}: the connection is gone")
        return transport

    def _channel(self, deadline: Deadline) -> Any:
        channel = self._transport().open_session(timeout=deadline.check())
        channel.settimeout(deadline.check())
        return channel

    def _sftp(self, deadline: Deadline) -> paramiko.SFTPClient:
        channel = self._channel(deadline)
        channel.invoke_subsystem("sftp")
        return paramiko.SFTPClient(channel)

    @contextmanager
    def _losing(self, what: str, deadline: Deadline) -> Iterator[None]:
        """Whatever SSH says when the other side goes away means one thing: the board is lost.

        For some answers paramiko waits without end: of a board that hangs, the connection is closed a moment after the
        deadline, which ends them."""
        transport = self._fabric.transport
        watch = threading.Timer(deadline.remaining + _GRACE_SECONDS, transport.close if transport else self.close)
        watch.daemon = True
        watch.start()
        try:
            yield
        except (paramiko.SSHException, OSError, EOFError) as error:
            if deadline.expired or isinstance(error, TimeoutError):
                raise TimedOut(f"{deadline.what}: {self.name}: {what}: no end after {deadline.seconds:g} s") from error
            raise BoardLost(f"{self.name}: {what} ({error})") from error
        finally:
            watch.cancel()


class SshTransport(ThreadedTransport):
    """Standard input and output of a program on the board."""

    def __init__(self, channel: paramiko.Channel, name: str) -> None:
        super().__init__(name)
        self._channel = channel

    def _read(self) -> bytes:
        return bytes(self._channel.recv(_CHUNK))

    def _write(self, data: bytes) -> None:
        self._channel.sendall(data)

    def close(self) -> None:
        if not self._closing:
            self._closing = True
            self._channel.close()


class Login:
    """A shell that somebody types into."""

    def __init__(self, channel: paramiko.Channel, name: str, sink: Sink) -> None:
        self._channel = channel
        self._ended = threading.Event()
        self._transport = SshTransport(channel, name)

        def take(chunk: bytes) -> None:
            sink(chunk)
            if not chunk:
                self._ended.set()

        self._transport.start(take)

    def __enter__(self) -> Login:
        return self

    def __exit__(self, *_: object) -> None:
        self._transport.close()

    def send(self, typed: bytes) -> None:
        """Raises BoardLost when nobody takes it."""
        self._transport.write(typed)

    def ended(self) -> bool:
        """Whether it is over and all that it printed was handed on."""
        return self._ended.is_set()

    def status(self) -> int:
        """Its exit status; 0 when it was left before its end."""
        return max(self._channel.recv_exit_status(), 0) if self._channel.exit_status_ready() else 0
