"""What the pages say of least privilege: the policy file of a playbook, and the statements of one operation."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence

from crashcart.operations import find_operation
from crashcart.operations.aws_calls import Grants
from crashcart.operations.base import CloudOperation, HostOperation
from crashcart.playbooks.policy import calls_of, calls_of_operations, policy
from crashcart.playbooks.schema import Playbook
from website.markdown import code, fenced, folded
from website.operations import CHECKOUT
from website.uses import Anything, operations_of

POLICIES = CHECKOUT / "docs/aws/policies"

NO_CLOUD = "It calls no cloud API:"
HOST_LOGIN = "the login on the host and its sudo are all that it needs."
DATABASE_LOGIN = (
    "it speaks to a database as its clients do, with "
    "[a login that needs no rights on its data](../../triage.md#databases-and-caches-as-their-clients-see-them)."
)
POLICY_MISSING = "There is no policy file for this playbook yet; the calls above are what a policy has to allow."
EXAMPLES = "account, region and names in it are examples."
OWN = "python -m crashcart.cli.policies FOLDER --account 123456789012 --region eu-west-1 --names 'prod-*'"


def of_playbook(playbook: Playbook) -> str:
    """Write the policy file of a playbook, or why there is none."""
    if not calls_of(playbook):
        return _without_cloud(operations_of(playbook))
    file = POLICIES / f"{playbook.name}.json"
    if not file.is_file():
        return POLICY_MISSING
    where = f"[{code(str(file.relative_to(CHECKOUT)))}]({_file(playbook)}); {EXAMPLES}"
    text = fenced("json", json.dumps(json.loads(file.read_text()), indent=2))
    own = fenced("sh", OWN)
    return "\n\n".join([where, folded("The policy", text), "With your own account, region and names:", own])


def of_operation(name: str, playbooks: Iterable[Playbook]) -> str:
    """Write the statements that one operation and what takes it back need, and which playbooks' files allow them."""
    operation = find_operation(name)
    if not isinstance(operation, CloudOperation):
        return _without_cloud([operation])
    needed = calls_of_operations([name])
    undone = f", with {', '.join(map(code, operation.undone_by))}, which takes it back" if operation.undone_by else ""
    files = [f"[{code(one.name)}]({_file(one)})" for one in playbooks if set(needed) <= set(calls_of(one))]
    held = f"A playbook's policy allows more; those that hold all of this: {', '.join(files)}." if files else ""
    intro = f"The statements of this operation{undone}; {EXAMPLES}"
    return "\n\n".join(filter(None, [intro, fenced("json", policy(needed, Grants()).text), held]))


def _without_cloud(operations: Sequence[Anything]) -> str:
    on_hosts = any(isinstance(one, HostOperation) for one in operations)
    return f"{NO_CLOUD} {HOST_LOGIN if on_hosts else DATABASE_LOGIN}"


def _file(playbook: Playbook) -> str:
    return f"../../aws/policies/{playbook.name}.json"
