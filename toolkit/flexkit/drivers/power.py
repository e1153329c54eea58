"""Power of boards by what labs have: commands, relays on GPIOs, USB hubs, network outlets, labgrid, a person."""

from __future__ import annotations

import re
import urllib.parse
import urllib.request
from base64 import b64encode

from flexkit import proc
from flexkit.boards import wiring
from flexkit.deadline import Deadline
from flexkit.drivers.gpio import Line
from flexkit.drivers.protocols import Power
from flexkit.errors import BoardLost
from flexkit.events import Bus

_ANSWER_BYTES = 65536


class CommandPower(Power):
    """See wiring.CommandPower."""

    def __init__(self, how: wiring.CommandPower) -> None:
        self._how = how

    def on(self, deadline: Deadline) -> None:
        proc.run(["sh", "-c", self._how.on], deadline, error=BoardLost)

    def off(self, deadline: Deadline) -> None:
        proc.run(["sh", "-c", self._how.off], deadline, error=BoardLost)

    def is_on(self, deadline: Deadline) -> bool | None:
        if not self._how.state:
            return None
        # The status is printed: a command that cannot be run at all, or has another status, does not tell.
        told = proc.run(["sh", "-c", f"( {self._how.state}\n) >&2; echo $?"], deadline, error=BoardLost).strip()
        return {"0": True, "1": False}.get(told)


class GpioPower(Power):
    """See wiring.GpioPower."""

    def __init__(self, how: wiring.GpioPower, line: Line | None = None) -> None:
        self._line = line or Line(how.gpio, how.active_low)

    def on(self, deadline: Deadline) -> None:
        deadline.check()
        self._line.set(True)

    def off(self, deadline: Deadline) -> None:
        deadline.check()
        self._line.set(False)

    def is_on(self, deadline: Deadline) -> bool | None:
        deadline.check()
        return self._line.get()


class UhubctlPower(Power):
    """See wiring.UhubctlPower."""

    def __init__(self, how: wiring.UhubctlPower) -> None:
        self._how = how

    def on(self, deadline: Deadline) -> None:
        self._run(deadline, "-a", "on")

    def off(self, deadline: Deadline) -> None:
        self._run(deadline, "-a", "off")

    def is_on(self, deadline: Deadline) -> bool | None:
        told = re.findall(rf"^\s*Port {self._how.port}:(.*)$", self._run(deadline), re.MULTILINE)
        return " power" in told[-1] if told else None

    def _run(self, deadline: Deadline, *words: str) -> str:
        command = ["uhubctl", "-l", self._how.hub, "-p", str(self._how.port), *words]
        return proc.run(command, deadline, error=BoardLost)


class HttpPower(Power):
    """See wiring.HttpPower."""

    def __init__(self, how: wiring.HttpPower) -> None:
        self._how = how

    def on(self, deadline: Deadline) -> None:
        self._ask(self._how.on, self._how.method, deadline)

    def off(self, deadline: Deadline) -> None:
        self._ask(self._how.off, self._how.method, deadline)

    def is_on(self, deadline: Deadline) -> bool | None:
        if not self._how.state:
            return None
        return re.search(self._how.state_on, self._ask(self._how.state, "GET", deadline)) is not None

    def _ask(self, url: str, method: str, deadline: Deadline) -> str:
        """The password in a URL goes into a header and into no message."""
        parts = urllib.parse.urlsplit(url)
        shown = parts._replace(netloc=parts.netloc.rpartition("@")[2])
        request = urllib.request.Request(urllib.parse.urlunsplit(shown), method=method)
        if parts.username is not None:
            secret = f"{urllib.parse.unquote(parts.username)}:{urllib.parse.unquote(parts.password or '')}"
            request.add_header("Authorization", f"Basic {b64encode(secret.encode()).decode()}")
        try:
            with urllib.request.urlopen(request, timeout=deadline.check()) as answer:
                return str(answer.read(_ANSWER_BYTES).decode(errors="replace"))
        except (OSError, ValueError) as error:
            raise BoardLost(
                f"the outlet at {request.full_url} does not switch: {error}", mend="check power in lab.toml"
            ) from error


class SnmpPower(Power):
    """See wiring.SnmpPower."""

    def __init__(self, how: wiring.SnmpPower) -> None:
        self._how = how

    def on(self, deadline: Deadline) -> None:
        self._run("snmpset", deadline, "i", str(self._how.on))

    def off(self, deadline: Deadline) -> None:
        self._run("snmpset", deadline, "i", str(self._how.off))

    def is_on(self, deadline: Deadline) -> bool | None:
        told = self._run("snmpget", deadline).strip()
        return {str(self._how.on): True, str(self._how.off): False}.get(told)

    def _run(self, tool: str, deadline: Deadline, *value: str) -> str:
        # -Oqve: the value alone, numbers for names
        command = [tool, "-v2c", "-c", self._how.community, "-Oqve", self._how.host, self._how.oid, *value]
        return proc.run(command, deadline, error=BoardLost)


class LabgridPower(Power):
    """A place's power, by whatever driver labgrid has for it. The place is acquired by its user, as labgrid wants."""

    def __init__(self, place: str) -> None:
        self._place = place

    def on(self, deadline: Deadline) -> None:
        self._run("on", deadline)

    def off(self, deadline: Deadline) -> None:
        self._run("off", deadline)

    def is_on(self, deadline: Deadline) -> bool | None:
        try:
            told = self._run("get", deadline).strip()
        except BoardLost:
            return None  # not every outlet can be asked
        found = re.search(r"\b(on|off)\s*$", told)
        return found[1] == "on" if found else None

    def _run(self, action: str, deadline: Deadline) -> str:
        return proc.run(["labgrid-client", "-p", self._place, "power", action], deadline, error=BoardLost)


class ManualPower(Power):
    """A person switches; this tells when. Nobody can be asked whether it is on."""

    revives = False

    def __init__(self, name: str, bus: Bus) -> None:
        self._name = name
        self._bus = bus

    def on(self, deadline: Deadline) -> None:
        self._tell("on", deadline)

    def off(self, deadline: Deadline) -> None:
        self._tell("off", deadline)

    def is_on(self, deadline: Deadline) -> bool | None:
        return None

    def _tell(self, what: str, deadline: Deadline) -> None:
        deadline.check()
        with self._bus.step(f"by hand: switch {self._name} {what} now"):
            pass


def power_of(how: wiring.PowerWiring, name: str, place: str, bus: Bus) -> Power:
    """The driver for a table ``power`` of lab.toml. ``place``: the board's labgrid place, where it has one."""
    match how:
        case wiring.CommandPower():
            return CommandPower(how)
        case wiring.GpioPower():
            return GpioPower(how)
        case wiring.UhubctlPower():
            return UhubctlPower(how)
        case wiring.HttpPower():
            return HttpPower(how)
        case wiring.SnmpPower():
            return SnmpPower(how)
        case wiring.LabgridPower():
            return LabgridPower(how.place or place or name)
        case wiring.ManualPower():
            return ManualPower(name, bus)
