"""What the pages say of drills: what rehearses a playbook or an operation, read off the drills and playbooks themselves."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from functools import cached_property

import msgspec
import yaml

from crashcart.lab.aws.scenes import SCENES
from crashcart.lab.faults import FAULTS
from crashcart.playbooks.schema import Drill, Playbook, VariantSpec
from website.markdown import cell, code, escape, fenced, table
from website.uses import Use, reads_only, uses

NOT_DRILLED = "There is no drill for it."
NO_DRILL = "None: it only looks, and is not the check of any drill."
NO_USE = "None: no shipped playbook comes to it."
REHEARSED = "These come to it, where the last column holds:"
CHECKING = "None of its own: it only looks. It is the check in these drills:"


class Rehearsal(msgspec.Struct, frozen=True):
    """One way in which a drill comes to an operation: through which playbook, and as what there."""

    drill: Drill
    playbook: str
    use: Use


class Drills:
    """The drills, by what they rehearse."""

    def __init__(self, playbooks: Mapping[str, Playbook], drills: Iterable[Drill]) -> None:
        self._playbooks, self._drills = playbooks, tuple(drills)

    def of_playbook(self, name: str) -> str:
        """Write what rehearses a playbook: its own drill, or those that it is the check of."""
        if own := [_own(drill) for drill in self._drills if drill.playbook == name]:
            return "\n\n".join(own)
        checked = [line for drill in self._drills if (line := _checks(drill, name))]
        none = NO_DRILL if reads_only(self._playbooks[name]) else NOT_DRILLED
        return "\n".join([CHECKING, "", *checked]) if checked else none

    def of_operation(self, name: str) -> str:
        """Write the drills that come to an operation, through which playbook and as what; or that none does."""
        found = [rehearsal for rehearsal in self._rehearsals if rehearsal.use.operation == name]
        rows = dict.fromkeys(
            (_named(one.drill), f"[`{one.playbook}`](../playbooks/{one.playbook}.md)", one.use.role, one.use.when)
            for one in found
        )
        listed = table(("Drill", "Through", "As", "When"), rows)
        return f"{REHEARSED}\n\n{listed}" if listed else self._undrilled(name)

    @cached_property
    def _uses(self) -> Mapping[str, tuple[Use, ...]]:
        return {name: uses(playbook) for name, playbook in self._playbooks.items()}

    @cached_property
    def _rehearsals(self) -> tuple[Rehearsal, ...]:
        return tuple(rehearsal for drill in self._drills for rehearsal in self._within(drill))

    def _within(self, drill: Drill) -> Iterator[Rehearsal]:
        back = ", ".join(code(name) for name, variant in drill.variants.items() if variant.undo)
        for use in self._uses[drill.playbook]:
            at_the_end = msgspec.structs.replace(use, when=f"at the end of {back}, where all is taken back")
            yield Rehearsal(drill, drill.playbook, at_the_end if use.undo and back else use)
        for check in dict.fromkeys(variant.check.playbook for variant in drill.variants.values()):
            for use in self._uses[check]:
                yield Rehearsal(drill, check, msgspec.structs.replace(use, role="step of the check"))

    def _undrilled(self, operation: str) -> str:
        users = [
            f"[`{name}`](../playbooks/{name}.md)"
            for name, found in self._uses.items()
            if any(use.operation == operation for use in found)
        ]
        return f"None: it is used by {', '.join(users)} only, and no drill runs that." if users else NO_USE


def _named(drill: Drill) -> str:
    return f"[`{drill.name}`](../playbooks/{drill.playbook}.md#drill)"


def _own(drill: Drill) -> str:
    command = fenced("sh", f"inv {drill.name} --hosts lab")
    rows = [(code(variant), *_variant(spec)) for variant, spec in drill.variants.items()]
    heads = ("Variant", "What is broken", "Noticed by", "What must come of it")
    return f"{escape(drill.summary)}.\n\n{command}\n\n{table(heads, rows)}"


def _checks(drill: Drill, playbook: str) -> str:
    """Say what a check has to find in a drill; nothing where it is not that drill's check."""
    checks = [variant.check for variant in drill.variants.values() if variant.check.playbook == playbook]
    if not checks:
        return ""
    noticing = sum(check.notices for check in checks)
    more = f", and must notice the fault in {noticing} of {len(checks)} variants" if noticing else ""
    return f"- [`{drill.name}`]({drill.playbook}.md#drill): it must find everything well before the fault{more}"


def _variant(variant: VariantSpec) -> tuple[str, str, str]:
    says = f", and says “{cell(variant.message)}”" if variant.message else ""
    check = code(variant.check.playbook)
    noticed = check if variant.check.notices else f"nobody: {check} does not show it"
    undone = "; then it is taken back, and all is as before" if variant.undo else ""
    return _broken(variant), noticed, f"{code(variant.expect)}{says}{undone}"


def _broken(variant: VariantSpec) -> str:
    """Say what is wrong: a fault of hosts, or what is done to the emulated AWS."""
    if variant.fault in FAULTS:
        return f"{code(variant.fault)}: {FAULTS[variant.fault].summary}"
    scene = SCENES.get(variant.fault, "")
    more = [{key: value for key, value in msgspec.to_builtins(one).items() if value} for one in variant.aws]
    calls = (
        f"; on its calls {code(yaml.safe_dump(more, default_flow_style=True, sort_keys=False, width=1000).strip())}"
        if more
        else ""
    )
    return f"in the emulated AWS, {code(variant.fault)}{': ' if scene else ''}{scene}{calls}"
