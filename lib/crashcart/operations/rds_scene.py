"""What the rules of a failover decide from."""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from crashcart.facts.rds import EVENTS, Database
from crashcart.facts.rds_events import DEFEATS, Event, EventKind, Recent
from crashcart.operations.base import Decision, Fail, Look, Memory, Refuse
from crashcart.operations.rds_wish import FailoverGoal, FailoverWish
from crashcart.values import format_span

FORCE = "--force fails over all the same"


class Scene(msgspec.Struct, frozen=True):
    """The state, the run's memory and the wish."""

    state: Database
    memory: Memory[Database, FailoverGoal]
    wish: FailoverWish

    @property
    def goal(self) -> FailoverGoal:
        """What was pinned."""
        return self.memory.goal

    @property
    def recent(self) -> Recent:
        """The events, if any were asked for."""
        return self.state.recent or Recent(0.0)

    @property
    def new_events(self) -> tuple[Event, ...]:
        """What RDS said about failovers since the first look."""
        return self.recent.after(self.goal.after)

    @property
    def last_failover(self) -> Event | None:
        """The last failover within the cooldown."""
        within = self.recent.within(self.wish.cooldown)
        return within[-1] if within else None


Rule = Callable[[Scene], Decision | None]


def first_of(rules: tuple[Rule, ...], scene: Scene) -> Decision | None:
    """Return the decision of the first rule that has something to say."""
    return next((decision for decision in (rule(scene) for rule in rules) if decision), None)


def need_events(scene: Scene) -> Decision | None:
    """Ask for all events, once."""
    return None if scene.state.recent and scene.state.recent.is_whole else Look(EVENTS)


def cooling_down(scene: Scene) -> Decision | None:
    """Refuse a failover soon after another: RDS may abandon it, and a second one seldom cures what the first did not."""
    last = scene.last_failover
    if last is None:
        return None
    ago = format_span(max(0.0, scene.recent.at - last.at))
    why = f"{scene.state.name} failed over {ago} ago ({last.line}); not twice within {format_span(scene.wish.cooldown)}"
    return Refuse(why, "--cooldown 0s fails over all the same")


def defeated(scene: Scene) -> Decision | None:
    """Fail when RDS says that it did not carry out what it had accepted."""
    defeats = [event for event in scene.new_events if event.kind in DEFEATS]
    if not defeats:
        return None
    event = defeats[-1]
    words = {
        EventKind.ABANDONED: "RDS accepted the failover and abandoned it, since there was another one recently",
        EventKind.FAILED: "RDS says that the failover failed",
        EventKind.REVERTED: "RDS promoted the previous writer again: the failover was rolled back",
    }
    hints = {
        EventKind.ABANDONED: "look at who failed it over, and try again some minutes later with --force",
        EventKind.FAILED: "inv check.rds --hosts ... shows which instance is not well",
        EventKind.REVERTED: "inv check.rds --hosts ... shows which instance is not well",
    }
    return Fail(f"{words[event.kind]} ({event.line})", hints[event.kind])


def corroborated(scene: Scene) -> str:
    """Say what RDS's events add, or that they add nothing."""
    if scene.recent.unreadable:
        return "; RDS's events could not be read"
    completed = [event for event in scene.new_events if event.kind is EventKind.COMPLETED]
    return f"; RDS says {completed[-1].line}" if completed else ""


def shown_pending(state: Database) -> str:
    """Say what is waiting to be applied, by us or by AWS; it never decides anything."""
    planned = state.maintenance.actions if state.maintenance else ()
    parts = [f"pending changes: {', '.join(state.pending)}"] if state.pending else []
    parts += [f"pending maintenance: {', '.join(planned)}"] if planned else []
    return "".join(f"; {part}" for part in parts)
