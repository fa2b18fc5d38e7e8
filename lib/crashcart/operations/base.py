"""What an operation is: it makes one thing true on one target by turning (fact, memory, wish) into a decision.

An operation never loops, sleeps or retries; the engine does. ``observe`` looks, ``decide`` is a pure function, ``act`` sends
one call and says what came of it.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from enum import StrEnum
from typing import Any, ClassVar, Generic, TypeVar

import msgspec

from crashcart.errors import (
    ApiRefused,
    Cancelled,
    ConnectionLost,
    NotSent,
    SudoDenied,
    TransportError,
    Unreachable,
)
from crashcart.operations.aws_calls import AwsCall
from crashcart.operations.aws_evidence import gather_answers
from crashcart.plan import Undo
from crashcart.results import Change, Evidence, Verdict
from crashcart.targets import Target
from crashcart.transports.base import ApiCall, CloudTransport, Command, CommandResult, Transport

EVIDENCE_TIME = 10.0
"""Seconds that gathering evidence may hold up a recovery."""

STALE = 75
"""Exit status (EX_TEMPFAIL) of an act's script whose token no longer holds: nothing was done."""


class Effect(StrEnum):
    """What an act does to the world, and so which duties it has (docs/architecture.md)."""

    READ = "read"
    CONVERGE = "converge"
    ONCE = "once"
    DESTROY = "destroy"


class Quota(msgspec.Struct, frozen=True):
    """How many acts of a ``kind`` the provider allows within ``period`` seconds over all of ``scope``.

    ``used`` is what it tells of them itself, ``flag`` the one that says that it allows more.
    """

    kind: str
    scope: str
    count: int
    period: float
    used: int = 0
    flag: str = ""


class Action(msgspec.Struct, frozen=True):
    """One act: sent only while the state it was decided from (``only_if``) still holds.

    ``key`` names it within the run: a second wish for the same key after it was applied is no progress. ``proof`` is what
    the act will remove, for the record. ``disturbs`` says that the target does not serve while the act is under way, so that
    capacity guards count it. ``budget`` is what budgets call it (``restart``, ``failover``); empty: not counted.
    ``clocked`` are the places of arguments that follow the clock, so that two plans of one act can be compared. ``quota`` is
    the provider's own limit on such acts, which what this controller knows of is counted against too.
    """

    key: str
    effect: Effect
    summary: str
    only_if: str
    call: Command | ApiCall
    changes: tuple[Change, ...] = ()
    proof: tuple[Evidence, ...] = ()
    undo: Undo | None = None
    disturbs: bool = False
    budget: str = ""
    clocked: tuple[int, ...] = ()
    quota: Quota | None = None

    @property
    def command(self) -> Command:
        """The call of a host's act."""
        assert isinstance(self.call, Command)  # noqa: S101 -- operations on hosts make commands only
        return self.call

    @property
    def api(self) -> ApiCall:
        """The call of a cloud's act."""
        assert isinstance(self.call, ApiCall)  # noqa: S101 -- operations on cloud resources make API calls only
        return self.call


class Done(msgspec.Struct, frozen=True):
    """The wish is true; ``why`` says how one can tell. After an act it must stay true for ``hold`` seconds."""

    why: str
    verdict: Verdict | None = None
    hold: float = 0.0
    evidence: tuple[Evidence, ...] = ()


class Look(msgspec.Struct, frozen=True):
    """One more, dearer fact is needed before anything can be decided."""

    what: str


class Act(msgspec.Struct, frozen=True):
    """Do this. Check mode stops here."""

    action: Action


class Wait(msgspec.Struct, frozen=True):
    """Not there yet, and nothing to do but look again ``after`` seconds. ``hint`` is what helps if it never gets there."""

    why: str
    after: float = 2.0
    hint: str = ""


class Refuse(msgspec.Struct, frozen=True):
    """Must not be done; only before the first applied act. ``hint`` is what would pass."""

    why: str
    hint: str = ""


class Fail(msgspec.Struct, frozen=True):
    """Cannot work. ``hint`` is the most useful next command; in it, ``--hosts ...`` stands for this target."""

    why: str
    hint: str = ""
    verdict: Verdict | None = None
    evidence: tuple[Evidence, ...] = ()


class Unknown(msgspec.Struct, frozen=True):
    """Could not tell; looked at again until the deadline. ``hint`` is what would help to tell."""

    why: str
    hint: str = ""


Decision = Done | Look | Act | Wait | Refuse | Fail | Unknown


class Applied(msgspec.Struct, frozen=True):
    """The act took effect. ``seen`` is the state, if the same exec looked again."""

    seen: Any = None


class NotApplied(msgspec.Struct, frozen=True):
    """Certainly nothing happened; may be tried again."""

    why: str


class InDoubt(msgspec.Struct, frozen=True):
    """It may have happened: only look."""

    why: str


class Rejected(msgspec.Struct, frozen=True):
    """The target said no; trying again would not help."""

    why: str
    hint: str = ""


ActResult = Applied | NotApplied | InDoubt | Rejected

W = TypeVar("W")
S = TypeVar("S")
G = TypeVar("G")


class Memory(msgspec.Struct, Generic[S, G]):
    """What a run remembers of one step on one target, all of it in the journal.

    ``pin`` is the state when the run first looked, ``goal`` is computed once from it, ``applied`` the keys of the acts that
    took effect.
    """

    pin: S
    goal: G
    applied: tuple[str, ...] = ()

    @property
    def acted(self) -> bool:
        """Whether an act of this run took effect here."""
        return bool(self.applied)


class NoGoal(msgspec.Struct, frozen=True):
    """For operations whose wish is already absolute."""


class Operation(ABC, Generic[W, S, G]):
    """Makes one thing true on one target. Subclasses are stateless; one instance serves all targets."""

    name: ClassVar[str]
    kinds: ClassVar[tuple[str, ...]] = ("linux",)
    reads_only: ClassVar[bool] = False
    rechecks_cheaply: ClassVar[bool] = False
    """Whether ``still_holds`` can spare a second dear look."""
    leaves_owed: ClassVar[tuple[str, ...]] = ()
    """Operations that an earlier run owes and that do not go first: they would take away what this one is asked for."""
    settle: ClassVar[float] = 10.0
    """Seconds of looking after a doubtful act, at most a third of the deadline."""

    wish: type[W]
    state: type[S]
    goal_type: type[G]

    def subject(self, target: Target, wish: W) -> Target:
        """Return whom it speaks to: the target itself, or what stands for it elsewhere, such as its load balancer."""
        return target

    def check(self, target: Target, args: Mapping[str, Any]) -> None:
        """Check what it needs of this machine for a target, when a run is compiled. Raises ``BadInput``."""

    @abstractmethod
    def observe(self, transport: Any, wish: W, looks: frozenset[str]) -> S:
        """Read the target's state, with the dearer facts that ``looks`` names. Raises the transport's errors.

        ``transport`` is the one of the target's kind: a ``Transport`` for hosts, a ``CloudTransport`` for cloud resources.
        """

    @abstractmethod
    def goal(self, pin: S, wish: W) -> G:
        """Turn the wish into absolute terms, once, from the first look."""

    @abstractmethod
    def decide(self, state: S, memory: Memory[S, G], wish: W) -> Decision:
        """Decide what comes next. Pure; tests Done before it refuses."""

    @abstractmethod
    def act(self, transport: Any, action: Action, wish: W) -> ActResult:
        """Send one call and say what came of it. Raises nothing that a transport can raise."""

    def token(self, state: S) -> str:
        """Name what an act depends on; it is sent only while this still holds."""
        return ""

    def effect_seen(self, state: S, action: Action) -> bool:
        """Tell, after a doubtful act, whether this state shows its effect or that it is under way."""
        return False

    def still_holds(self, state: S, action: Action, wish: W) -> bool:
        """Tell from a plain look whether an act that was chosen from a dearer one is still right.

        Asked between survey and batch where ``rechecks_cheaply``; only for acts that check every detail again themselves.
        """
        return False

    def health(self, state: S, wish: W) -> Verdict:
        """Say how the target is, for guards that count capacity: healthy means that it serves now."""
        return Verdict.UNKNOWN

    def acts_on(self, state: S) -> str:
        """Name what its act would be about, in its provider's words, where another target may stand for the same thing.

        Empty: nobody but the target itself. Two targets of one run that name the same are not both acted on.
        """
        return ""

    def census(self, transport: Any, wish: W) -> Mapping[str, Verdict] | None:
        """Count who serves beside the target, where somebody else knows; by ``member`` names. None: the engine counts.

        Raises what ``observe`` raises.
        """
        return None

    def member(self, wish: W) -> str:
        """Return what the target is called in the ``census``."""
        return ""

    def spent(self, transport: Any, wish: W, window: float) -> int:
        """Count how often the target itself knows that this was done in the last ``window`` seconds, whoever did it.

        Raises ``FactUnreadable`` and the transport's errors.
        """
        return 0

    def gather(self, transport: Any, action: Action, wish: W) -> bytes:
        """Return what is kept as evidence before an act, in at most ``EVIDENCE_TIME``; nothing when none is to be had."""
        return b""

    def needs_consent(self, wish: W) -> str:
        """Say what about this wish needs a person's confirmation, or nothing."""
        return ""


class HostOperation(Operation[W, S, G]):
    """An operation whose acts are commands: exit 0 is applied, 75 a token that no longer holds, all else rejected."""

    def evidence(self, action: Action, wish: W) -> Command | None:
        """Return the command whose output is kept before the act, if any."""
        return None

    def gather(self, transport: Transport, action: Action, wish: W) -> bytes:
        """Run the evidence command and return what it printed."""
        command = self.evidence(action, wish)
        if command is None:
            return b""
        try:
            bounded = msgspec.structs.replace(command, timeout=min(command.timeout, EVIDENCE_TIME))
            return transport.run(bounded).stdout.text.encode()
        except (TransportError, SudoDenied):
            return b""

    def act(self, transport: Transport, action: Action, wish: W) -> ActResult:
        """Run the action's command once."""
        try:
            result = transport.run(action.command)
        except (NotSent, Unreachable) as error:
            return NotApplied(error.message)
        except (ConnectionLost, Cancelled) as error:
            return InDoubt(error.message)
        except SudoDenied as error:
            return Rejected(error.message, error.hint)
        except TransportError as error:
            return InDoubt(error.message)
        return self._judge(result, wish)

    def _judge(self, result: CommandResult, wish: W) -> ActResult:
        if result.ok:
            return Applied(self.seen(result, wish))
        if result.status == STALE and not result.timed_out:
            return NotApplied("the state changed between look and act")
        if result.timed_out or result.status is None:
            return InDoubt(result.ending)
        return Rejected(result.ending)

    def seen(self, result: CommandResult, wish: W) -> S | None:
        """Return the state that the act's own output shows, where its script looks again at the end."""
        return None


class CloudOperation(Operation[W, S, G]):
    """An operation whose acts are single API calls; an error of the API says what came of it."""

    calls: ClassVar[tuple[AwsCall, ...]] = ()
    """Every call that it may send, with what it is about: the least privilege that it needs."""
    undone_by: ClassVar[tuple[str, ...]] = ()
    """The operations that its acts are taken back with, whose calls its playbook needs too."""

    def act(self, transport: CloudTransport, action: Action, wish: W) -> ActResult:
        """Send the action's call once."""
        try:
            transport.write(action.api)
        except (NotSent, Unreachable) as error:
            return NotApplied(error.message)
        except TransportError as error:
            return InDoubt(error.message)
        except ApiRefused as error:
            return Rejected(error.message, error.hint)
        return Applied()

    def evidence(self, wish: W, resource: str) -> tuple[ApiCall, ...]:
        """Return the calls whose answers are kept before an act."""
        return ()

    def gather(self, transport: CloudTransport, action: Action, wish: W) -> bytes:
        """Ask for the evidence, best effort and within ``EVIDENCE_TIME``: an answer that does not come is named instead."""
        return gather_answers(transport, self.evidence(wish, transport.resource), EVIDENCE_TIME)
