"""A run that is fed secrets everywhere, on a host that gives them away; all that it puts out is collected and searched."""

from __future__ import annotations

import base64
import io
import json
import shlex
import sys
import traceback
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote, quote_plus

import msgspec
import pytest

from crashcart.cli import execution, performance
from crashcart.cli.flags import parse_request
from crashcart.cli.house import House
from crashcart.clock import Clock, FakeClock
from crashcart.errors import (
    AuthenticationFailed,
    ConnectionLost,
    CrashcartError,
    FactUnreadable,
    Refused,
    SudoDenied,
)
from crashcart.events import AnyEvent
from crashcart.operations.base import Act, Action, Decision, Done, Effect, Fail, HostOperation, Memory, NoGoal, Unknown
from crashcart.plan import Undo
from crashcart.reports.console import PlainConsole
from crashcart.reports.console_live import LiveConsole
from crashcart.reports.telling import Source
from crashcart.results import Change, Evidence, Verdict
from crashcart.secrets import Secret
from crashcart.targets import Target
from crashcart.transports.base import Command, CommandResult, HttpReply, Output, Transport
from crashcart.transports.connect import TargetConnector
from tests.unit.reports.runs import Terminal

PLAYBOOK = """\
summary: Tell what is told
kinds: [linux]
params:
  vault_token: {type: str, help: a secret by its name}
  given: {type: str, default: "{{ db_password }}", help: a secret by its value}
steps:
  - leak.tell: {token: "{{ vault_token }}", password: "{{ given }}", words: "user={{ nested.api_key }}"}
verify:
  - leak.tell: {token: "{{ vault_token }}", password: "{{ db_password }}", words: ""}
"""

WAYS = ("well", "fail", "unknown", "stderr", "lost", "denied", "sudo", "unreadable", "refused", "defect")
"""How the host ends; each way says all secrets that it knows."""


class Wish(msgspec.Struct, frozen=True):
    token: Secret
    password: Secret
    words: str = ""


class State(msgspec.Struct, frozen=True):
    said: str
    told: bool
    nested: dict[str, Any] = {}


class Tell(HostOperation[Wish, State, NoGoal]):
    """Puts what the host says into everything that an operation can say."""

    name = "leak.tell"
    wish, state, goal_type = Wish, State, NoGoal

    def observe(self, transport: Transport, wish: Wish, looks: frozenset[str]) -> State:
        result = transport.run(Command("look", (wish.token.reveal(), wish.password.reveal())))
        said = result.stdout.text
        return State(said, result.status == 0, {"list": [said], "key": {"inner": said}})

    def goal(self, pin: State, wish: Wish) -> NoGoal:
        return NoGoal()

    def decide(self, state: State, memory: Memory[State, NoGoal], wish: Wish) -> Decision:
        if "way: fail" in state.said:
            return Fail(state.said, hint=state.said, evidence=(Evidence("lines", lines=(state.said,)),))
        if "way: unknown" in state.said:
            return Unknown(state.said, hint=state.said)
        if state.told:
            return Done(state.said)
        secret = wish.password.reveal()
        return Act(
            Action(
                key="tell",
                effect=Effect.ONCE,
                summary=f"tell {state.said}",
                only_if="untold",
                call=Command("tell", (secret, state.said)),
                changes=(Change(state.said, state.said, state.said),),
                proof=(Evidence("proof", lines=(state.said, secret)),),
                undo=Undo("leak.tell", {"token": "***", "password": "***", "words": state.said}, f"take back {state.said}"),
            )
        )

    def evidence(self, action: Action, wish: Wish) -> Command | None:
        return Command("evidence", (wish.password.reveal(),))

    def token(self, state: State) -> str:
        return "told" if state.told else "untold"

    def effect_seen(self, state: State, action: Action) -> bool:
        return state.told

    def health(self, state: State, wish: Wish) -> Verdict:
        return Verdict.HEALTHY if state.told else Verdict.DOWN


class Teller(Transport):
    """A host that says every secret, in every form, whatever it is asked; it ends in one of ``WAYS``."""

    def __init__(self, way: str, known: Sequence[str], outputs: Outputs) -> None:
        self._way, self._outputs = way, outputs
        self._said = " ".join(form for secret in known for form in forms(secret))
        self._told = False

    def run(self, command: Command) -> CommandResult:
        self._outputs.look_at_locks()
        said = Output(f"way: {self._way} {self._said}".encode())
        if command.script.endswith("tell"):
            self._told = True
            return self._tell(said)
        if "look" in command.script and self._way in {"denied", "unreadable", "refused", "defect", "sudo"}:
            raise self._error()
        return CommandResult(0 if self._told else 1, stdout=said, stderr=said)

    def fetch(self, url: str, timeout: float) -> HttpReply:
        return HttpReply(200, self._said)

    def cancel(self) -> None:
        pass

    def close(self) -> None:
        pass

    def _tell(self, said: Output) -> CommandResult:
        if self._way == "stderr":
            self._told = False
            return CommandResult(1, stdout=said, stderr=said)
        if self._way == "lost":
            raise ConnectionLost(self._said, hint=self._said)
        return CommandResult(0, stdout=said)

    def _error(self) -> Exception:
        kinds: dict[str, type[CrashcartError]] = {
            "denied": AuthenticationFailed,
            "sudo": SudoDenied,
            "unreadable": FactUnreadable,
            "refused": Refused,
        }
        kind = kinds.get(self._way)
        return kind(self._said, hint=self._said) if kind else ValueError(self._said)


class Outputs:
    """Everything that a run left or said, by where it was found."""

    def __init__(self, state: Path) -> None:
        self._state = state
        self.found: dict[str, str] = {}
        self.plain, self.live = io.StringIO(), Terminal()

    def look_at_locks(self) -> None:
        """Claims are there only while the run is."""
        self._take(self._state / "locks")

    def collect(self, extra: Path) -> dict[str, str]:
        self._take(self._state)
        self._take(extra)
        return self.found | {"plain console": self.plain.getvalue(), "live console": self.live.getvalue()}

    def _take(self, folder: Path) -> None:
        for path in folder.rglob("*"):
            if path.is_file():
                self.found[str(path)] = f"{path.name}\n{path.read_text(errors='replace')}"


class BothConsoles:
    """The plain and the live display of one run."""

    def __init__(self, outputs: Outputs, clock: Clock, source: Source) -> None:
        self._displays = (
            PlainConsole(outputs.plain, clock, source),
            LiveConsole(outputs.live, clock, source, width=4000, height=200),
        )

    def notice(self, event: AnyEvent) -> None:
        for display in self._displays:
            display.notice(event)

    def close(self) -> None:
        for display in self._displays:
            display.close()


class Leaky:
    """Runs the playbook through the same path as a command line, with secrets in every place that takes one."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.folder, self._patch = folder, monkeypatch
        monkeypatch.setitem(execution.__dict__, "TargetConnector", self._connector)
        monkeypatch.setitem(performance.__dict__, "make_console", self._console)
        monkeypatch.setattr("crashcart.operations.SHIPPED", {Tell.name: f"{__name__}:Tell"})
        (folder / "playbooks/recover").mkdir(parents=True)
        (folder / "playbooks/recover/leak.yml").write_text(PLAYBOOK)
        self._way = "well"
        self._known: Sequence[str] = ()

    def run(self, number: int, secrets: Sequence[str], way: str, **flags: Any) -> dict[str, str]:
        """Run once and return all outputs; ``secrets``: password, nested key, environment, parameter, sudo password."""
        work = self.folder / str(number)
        work.mkdir()
        self._outputs, self._way, self._known = Outputs(work / "state"), way, secrets
        self._prepare(work, secrets)
        stdout, stderr = io.BytesIO(), io.StringIO()
        self._patch.setattr(sys, "stdout", io.TextIOWrapper(stdout, write_through=True))
        self._patch.setattr(sys, "stderr", stderr)
        try:
            self._execute(work, secrets, flags)
        except Exception as error:  # noqa: BLE001 -- whatever it is, it must not tell
            stderr.write("".join(traceback.format_exception(error)))
        outputs = self._outputs.collect(work / "out")
        return outputs | {"stdout": stdout.getvalue().decode(), "stderr": stderr.getvalue()}

    def _prepare(self, work: Path, secrets: Sequence[str]) -> None:
        password, nested, environment, token, _ = secrets
        variables = {
            "db_password": password,
            "ansible_become_pass": password,
            "nested": {"api_key": nested, "list_of_tokens": [nested]},
            "address_with": "postgres://u:{{ db_password }}@db",
        }
        hosts = {"all": {"hosts": {"h1": variables}}}
        (work / "hosts.yml").write_text(json.dumps(hosts))
        (work / "out").mkdir()
        self._patch.setenv("CRASHCART_STATE", str(work / "state"))
        self._patch.setenv("GITHUB_ACTIONS", "true")
        self._patch.setenv("GITHUB_STEP_SUMMARY", str(work / "out/step-summary.md"))
        self._patch.setenv("AWS_SECRET_ACCESS_KEY", environment)
        self._patch.setenv("CRASHCART_VAULT_TOKEN", environment)
        self._patch.setattr(sys, "argv", ["inv", "recover.leak", "--hosts", "h1", "--vault-token", token])

    def _execute(self, work: Path, secrets: Sequence[str], flags: dict[str, Any]) -> None:
        house = House(self.folder / "playbooks", None)
        house.clock = FakeClock()
        files = {name: str(work / "out" / name) for name in ("plan", "report") if flags.get(name)}
        values = {"hosts": "h1", "inventory": str(work / "hosts.yml"), "deadline": "30s", **flags, **files}
        request = parse_request(values, dry=False)
        run = execution.Execution(house, request)
        self._patch.setattr(run, "_become_password", lambda: Secret(secrets[4]))
        run.run(house.library.playbook("recover.leak"), {"vault_token": secrets[3]})

    def _connector(self, **options: Any) -> TargetConnector:
        leaky = self

        class Connector(TargetConnector):
            def host(self, target: Target) -> Transport:
                # What is in the environment only is unknown to the run, so the host does not get to say it.
                return Teller(leaky._way, [*leaky._known[:2], *leaky._known[3:]], leaky._outputs)

        return Connector(**options)

    def _console(self, out: Any, clock: Clock, *, journal: Path, journal_hash: Any, command: Sequence[str]) -> BothConsoles:
        return BothConsoles(self._outputs, clock, Source(journal, journal_hash, command))


def forms(secret: str) -> Iterator[str]:
    """A secret as it would be found: plain, in base64, in a URL, in JSON, quoted for a shell."""
    raw = secret.encode()
    yield secret
    yield base64.b64encode(raw).decode()
    yield base64.urlsafe_b64encode(raw).decode()
    yield quote(secret, safe="")
    yield quote_plus(secret)
    yield json.dumps(secret)[1:-1]
    yield json.dumps(secret, ensure_ascii=False)[1:-1]
    yield shlex.quote(secret)


def leaks(outputs: dict[str, str], secrets: Sequence[str]) -> list[str]:
    """Say where a secret is found, and in what form."""
    return [
        f"{where}: secret {number} as {form!r}"
        for where, text in outputs.items()
        for number, secret in enumerate(secrets)
        for form in dict.fromkeys(forms(secret))
        if form in text
    ]
