"""``--plan FILE`` and ``--approved FILE``: a run that is written down, and one that runs only as it was approved."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from importlib.metadata import version
from pathlib import Path

from crashcart.cli.house import House
from crashcart.engine.run import Verdicts
from crashcart.engine.targetrun import Wish
from crashcart.errors import Refused
from crashcart.plan import Options, Plan
from crashcart.results import Mode, Outcome
from crashcart.safety.approvals import check_approved, needed_rule, rules_of
from crashcart.safety.planfile import Finding, PlanDocument, Wanted, differences, read_plan, write_plan
from crashcart.safety.signatures import read_signatures
from crashcart.secrets import Redactor, Secret, secrets_in

MOST_DIFFERENCES = 5


class Approving:
    """What a plan needs to be approved, and what was. ``playbook_rule`` is the playbook's own ``approval``."""

    def __init__(
        self, house: House, plan: Plan, options: Options, playbook_rule: object = None, secrets: Iterable[Secret] = ()
    ) -> None:
        self._house, self._plan, self._options = house, plan, options
        self._redact = Redactor([*secrets, *secrets_in(plan)]).record
        self._rule = needed_rule(rules_of(plan, playbook_rule))
        self._approved: PlanDocument | None = None

    def check(self, approved: Path | None) -> None:
        """Refuse, before anything is contacted, a run that needs approval and has none. Raises ``Refused``, ``BadInput``."""
        if approved:
            document = read_plan(approved)
            self._check_signatures(document, approved)
            self._approved = document
        elif self._rule and self._options.mode is Mode.APPLY and not self._options.break_glass:
            command = f"inv {self._plan.playbook} --hosts {self._plan.pattern!r}"
            raise Refused(
                f"this needs the approval of {self._rule.count} others",
                hint=f"{command} --plan FILE, then each of them: inv runs.approve FILE, then: {command} --approved FILE",
            )

    def check_same(self, wishes: Iterable[Wish]) -> None:
        """Refuse when the world, or the plan, is no more what was approved. Raises ``Refused``."""
        if self._approved is None:
            return
        found = differences(self._approved, self._document(wishes))
        if found:
            more = f"; and {len(found) - MOST_DIFFERENCES} more" if len(found) > MOST_DIFFERENCES else ""
            told = "; ".join(found[:MOST_DIFFERENCES]) + more
            raise Refused(f"not what was approved: {told}", hint="--plan FILE makes a new plan, to be approved anew")

    def write(self, path: Path, verdicts: Verdicts) -> None:
        """Write what a check run found as a plan to approve. Raises ``BadInput``."""
        digest = write_plan(path, self._document(verdicts.wishes, verdicts))
        needed = f", by {self._rule.count} others than {self._house.actor}" if self._rule else ""
        print(f"plan written to {path}, sha256 {digest}\nto be approved{needed}: inv runs.approve {path}", file=sys.stderr)

    def _check_signatures(self, document: PlanDocument, path: Path) -> None:
        rule = self._rule or document.approval
        if rule:
            check_approved(document, read_signatures(path), rule, document.author, plan=path, now=self._house.clock.now())

    def _document(self, wishes: Iterable[Wish], verdicts: Verdicts | None = None) -> PlanDocument:
        redact = self._redact
        wanted = tuple(redact(Wanted.of(wish.target, wish.step, wish.operation, wish.action, wish.pin)) for wish in wishes)
        results = verdicts.results if verdicts else ()
        others = [result for result in results if result.outcome is not Outcome.WOULD_CHANGE]
        return PlanDocument(
            plan=self._plan,
            wanted=wanted,
            author=self._house.actor,
            created=self._house.clock.now(),
            version=version("crashcart"),
            reason=self._options.reason,
            incident=self._options.incident,
            others=tuple(redact(Finding(result.name, result.outcome.value, result.message)) for result in others),
            approval=self._rule,
        )
