"""``runs.approve`` and ``runs.sign-off``: saying yes to a plan before its run, and to a break-glass run after it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from invoke import Context, Task

from crashcart.cli.ending import ended
from crashcart.cli.flags import OUTPUT, Flag, wants_json
from crashcart.cli.house import House, to_json
from crashcart.cli.tasks import make_task
from crashcart.errors import BadInput, Refused

if TYPE_CHECKING:
    from crashcart.safety.approvals import Standing
    from crashcart.safety.planfile import PlanDocument, Wanted
    from crashcart.safety.signatures import KeyTool

FILE = Flag("file", "a plan file, written by --plan FILE", value="path")
KEY = Flag(
    "key",
    "SSH key to sign with; a public key's private one may be in the agent (default: the first in ~/.ssh)",
    value="path",
)
YES = Flag("yes", "sign without being asked to type the plan's hash", switch=True)
RUN = Flag("run", "a run's id, 'last', or the path of its journal", value="run")
NOTE = Flag("note", "what was found; required for your own run and for one without an end")

KEY_NAMES = ("id_ed25519", "id_ed25519_sk", "id_ecdsa", "id_ecdsa_sk", "id_rsa")


def approve_task(house: House) -> Task[Any]:
    """Return ``runs.approve FILE``: shows a plan, asks, signs its hash, and says what is still missing."""

    def body(context: Context, values: dict[str, Any]) -> None:
        ended(lambda: _approve(house, values), as_json=values.get("output") == "json")

    return make_task("approve", body, [FILE, KEY, YES, OUTPUT], "Approve a plan: sign its hash", positional=("file",))


def sign_off_task(house: House) -> Task[Any]:
    """Return ``runs.sign-off RUN``: notes that somebody looked at a break-glass run and accepts it."""

    def body(context: Context, values: dict[str, Any]) -> None:
        ended(lambda: _sign_off(house, values), as_json=values.get("output") == "json")

    return make_task(
        "sign-off", body, [RUN, NOTE, OUTPUT], "Sign off a break-glass run after a look at it", positional=("run",)
    )


def _approve(house: House, values: dict[str, Any]) -> int:
    from crashcart.safety.approvals import signed_text
    from crashcart.safety.planfile import plan_hash, read_plan
    from crashcart.safety.signatures import KeyTool, add_signature

    as_json, path = wants_json(values), _plan_file(values)
    document = read_plan(path)
    digest, key, tool = plan_hash(document), _key(values.get("key")), KeyTool()
    _check_rule(document, house)
    _agree(house, document, digest, yes=bool(values.get("yes")), as_json=as_json)
    text = signed_text(digest)
    armored = tool.sign(text, key, interactive=house.interactive)
    _check_counts(document, text, armored, tool)
    made = add_signature(path, digest, tool.signer(text, armored), armored)
    told = _told(document, path)
    if as_json:
        print(to_json({"schema": 1, "plan": str(path), "hash": digest, "signature": str(made), "standing": told}))
    else:
        print(f"signed with {key}: {made}\n{told}")
    return 0


def _sign_off(house: House, values: dict[str, Any]) -> int:
    from crashcart.journal.folder import find_run
    from crashcart.journal.recall import PastRun
    from crashcart.journal.reviews import sign_off

    as_json, name = wants_json(values), values.get("run")
    if not name:
        raise BadInput("which run? an id, 'last', or the path of a journal", hint="inv runs.list --to-review shows them")
    past = PastRun.read(find_run(house.runs, str(name)))
    done = sign_off(house.runs.parent, past, house.actor, values.get("note") or "", house.clock)
    if as_json:
        print(to_json({"schema": 1, "already": done.already, "review": done.review}))
    else:
        print(f"{'already done: ' if done.already else ''}{done.review.text}")
    return 0


def _plan_file(values: dict[str, Any]) -> Path:
    name = values.get("file")
    if not name:
        raise BadInput("which plan? the file that --plan FILE wrote", hint="inv runs.approve FILE")
    return Path(str(name))


def _key(named: str | None) -> Path:
    if named:
        return Path(named).expanduser()
    folder = Path("~/.ssh").expanduser()
    found = next((folder / name for name in KEY_NAMES if (folder / name).is_file()), None)
    if found is None:
        raise BadInput(f"there is no key in {folder}", hint="--key KEYFILE; ssh-keygen -t ed25519 makes one")
    return found


def _check_rule(document: PlanDocument, house: House) -> None:
    from crashcart.safety.approvals import check_age

    if document.approval:
        check_age(document, document.approval, house.clock.now())


def _agree(house: House, document: PlanDocument, digest: str, *, yes: bool, as_json: bool) -> None:
    """Show the plan; on a terminal, have its short hash typed. Raises ``Refused``."""
    import sys

    from crashcart.safety.planfile import SHORT

    if not yes and not house.interactive:
        raise Refused("signing must be confirmed, and there is no terminal to ask on", hint="--yes, after reading the plan")
    print(plan_text(document, digest), file=sys.stderr if as_json else sys.stdout, flush=True)
    short = digest[:SHORT]
    if not yes and house.ask(f"Type {short} to sign this plan: ").strip() != short:
        raise Refused("not signed", hint="type the short hash that is shown, or --yes")


def _check_counts(document: PlanDocument, text: bytes, armored: str, tool: KeyTool) -> None:
    """Refuse to put a signature there that would be worth nothing; where that cannot be told, it is put there."""
    from crashcart.actors import is_author
    from crashcart.safety.approvals import Signers, judge, signers_path

    path = signers_path(document.approval) if document.approval else None
    if path is None or not path.exists():
        return
    approver = judge(text, armored, Signers.read(path), tool)
    if is_author(approver.names, document.author):
        hint = f"ask somebody else who is listed in {path}"
        raise Refused(f"{approver.name} is the author of this plan, whose own approval does not count", hint=hint)


def _told(document: PlanDocument, path: Path) -> str:
    """Say what is still missing, as far as it can be told here."""
    standing = _standing(document, path)
    if isinstance(standing, str):
        return standing
    playbook, pattern = document.plan.playbook, document.plan.pattern
    go = (
        f"it may run: inv {playbook} --hosts {pattern!r} ... --approved {path}"
        if standing.is_enough
        else "it may not run yet"
    )
    return f"{standing.text}\n{go}"


def _standing(document: PlanDocument, path: Path) -> Standing | str:
    from crashcart.safety.approvals import Signers, signers_path, standing
    from crashcart.safety.signatures import read_signatures

    rule = document.approval
    if rule is None:
        return "this plan needs no approval"
    try:
        signers = Signers.read(signers_path(rule))
        return standing(document, read_signatures(path), rule, document.author, signers)
    except Refused as error:
        return f"needs {rule.count} in all; who counts cannot be told here: {error.message}"


def plan_text(document: PlanDocument, digest: str) -> str:
    """Return a plan in words: who, why, on what, every act with its exact call and how it is taken back, and the hash."""
    from crashcart.safety.planfile import SHORT

    scripts = _scripts(document)
    lines = [*_head_lines(document), ""]
    for act in document.wanted:
        lines += _act_lines(act, scripts)
    lines += [f"{_seen(found.target)}: no act: {found.outcome}: {_seen(found.message)}" for found in document.others]
    lines += ["", "steps, for every target in order:", *_step_lines(document), ""]
    for number, script in enumerate(scripts, start=1):
        lines += [f"script {number}:", *(f"  | {_seen(line)}" for line in script.splitlines()), ""]
    return "\n".join([*lines, f"hash {digest}, short {digest[:SHORT]}"])


def _head_lines(document: PlanDocument) -> Iterator[str]:
    plan, rollout = document.plan, document.plan.rollout
    yield f"{_seen(plan.playbook)}: {_seen(plan.summary)}"
    yield f"by {_seen(document.author)} on {document.created:%Y-%m-%d %H:%M:%S} UTC, crashcart {_seen(document.version)}"
    yield f"reason: {_seen(document.reason) or 'none given'}; incident: {_seen(document.incident) or 'none given'}"
    rule = document.approval
    yield f"approvals: {rule.count if rule else 'none'} needed"
    yield f"on {_seen(plan.pattern)}: {_seen(', '.join(target.target.name for target in plan.targets))}"
    yield f"parameters: {_shown(plan.parameters)}"
    yield f"batches {', '.join(rollout.batches)}; stops above {rollout.max_failures} failures; on failure: {plan.on_failure}"


def _act_lines(act: Wanted, scripts: list[str]) -> Iterator[str]:
    from crashcart.safety.planfile import HostCall

    yield f"{_seen(act.target)}: {_seen(act.step)}: {_seen(act.summary)} ({_seen(act.effect)})"
    yield from (f"    {_seen(change.what)}: {_seen(change.before)} -> {_seen(change.after)}" for change in act.changes)
    if isinstance(act.call, HostCall):
        who = "as root" if act.call.become else "as the login"
        yield f"    call: script {scripts.index(act.call.script) + 1} {who} with {_shown(act.call.args)}"
    else:
        yield f"    call: {_seen(act.call.service)} {_seen(act.call.operation)} {_shown(act.call.params)}"
    yield f"    only if: {_seen(act.only_if)}"
    undo = f"{_seen(act.undo.summary)} ({_seen(act.undo.operation)} {_shown(act.undo.args)})" if act.undo else "none"
    yield f"    undo: {undo}"


def _step_lines(document: PlanDocument) -> Iterator[str]:
    for target in document.plan.targets:
        yield f"  {_seen(target.target.name)}{f': left alone: {_seen(target.skip)}' if target.skip else ''}"
        for step in target.all_steps:
            skip = f" (skipped: {_seen(step.skip)})" if step.skip else ""
            yield f"    {step.phase}: {_seen(step.name)}: {_seen(step.operation)} {_shown(step.args)}{skip}"


def _scripts(document: PlanDocument) -> list[str]:
    """Every script once: a fleet runs the same one."""
    from crashcart.safety.planfile import HostCall

    calls = (act.call for act in document.wanted)
    return list(dict.fromkeys(call.script for call in calls if isinstance(call, HostCall)))


def _shown(value: Any) -> str:
    import msgspec

    return _seen(msgspec.json.encode(value).decode())


def _seen(text: str) -> str:
    """Return the whole text, with nothing in it that could move a cursor or hide a line."""
    from crashcart.reports.text import visible

    return visible(text, len(text) + 1)
