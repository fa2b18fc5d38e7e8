"""Approvals: a plan runs only if enough persons besides its author signed exactly this plan."""

from __future__ import annotations

import base64
import binascii
import hashlib
import os
import re
import stat
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import msgspec
import platformdirs

from crashcart.actors import is_author
from crashcart.errors import BadInput, Refused, nearest
from crashcart.plan import Plan
from crashcart.safety.planfile import ApprovalRule, PlanDocument, plan_hash
from crashcart.safety.signatures import KeyTool, NotSigned, Signature
from crashcart.values import Duration, format_span

KEYS = ("count", "signers", "max_age")
MOST = 20
"""Approvals that a rule may ask for."""

SKEW = 300.0
"""Seconds that the clocks of author and runner may differ."""

LARGEST = 1024 * 1024
"""Bytes of an allowed signers file."""

SIGNERS_VARIABLE = "CRASHCART_SIGNERS"

_PRINCIPALS = re.compile(r'\s*(?:"([^"]*)"|(\S+))\s')
_BLOB = re.compile(r"(?:^|\s)(?:ssh|ecdsa|sk)-\S+\s+(AAAA[A-Za-z0-9+/=]+)")


class Approver(msgspec.Struct, frozen=True):
    """A person who approved: all names that the signers file gives to their keys, and those keys' fingerprints."""

    names: tuple[str, ...]
    keys: tuple[str, ...]

    @property
    def name(self) -> str:
        """What to call them."""
        return self.names[0]


class SignersLine(msgspec.Struct, frozen=True):
    """One line of an allowed signers file: the names of a person, patterns left out, and the key's fingerprint."""

    names: tuple[str, ...]
    fingerprint: str


class Signers(msgspec.Struct, frozen=True):
    """Who may approve, as an OpenSSH ``allowed_signers`` file says; whether a line holds is ssh-keygen's to judge."""

    path: Path
    lines: tuple[SignersLine, ...]

    @classmethod
    def read(cls, path: Path) -> Signers:
        """Read an allowed signers file. Raises ``Refused``: without one, nobody may approve."""
        text = _trusted_text(path)
        parsed = (_parse_line(line) for line in text.splitlines())
        return cls(path, tuple(line for line in parsed if line))

    def names_of(self, fingerprint: str) -> tuple[str, ...]:
        """Return every name that the file gives to a key, on whatever line."""
        return tuple(dict.fromkeys(name for line in self.lines if line.fingerprint == fingerprint for name in line.names))


class Standing(msgspec.Struct, frozen=True):
    """How far a plan is approved: who counts, which signatures do not and why, and who may still approve."""

    needed: int
    approvers: tuple[Approver, ...]
    problems: tuple[str, ...]
    others: tuple[str, ...]

    @property
    def is_enough(self) -> bool:
        """Whether the plan may run."""
        return len(self.approvers) >= self.needed

    @property
    def text(self) -> str:
        """The standing in one sentence."""
        names = ", ".join(approver.name for approver in self.approvers)
        there = f"{len(self.approvers)} of {self.needed} approvals" + (f" ({names})" if names else "")
        asked = f"may still approve: {', '.join(self.others) or 'nobody else is listed'}"
        return "; ".join([there, *self.problems, *([] if self.is_enough else [asked])])


def parse_approval(raw: object, where: str) -> ApprovalRule:
    """Read ``approval: {count: 2, signers: FILE, max_age: 24h}``; ``where`` says whose it is. Raises ``BadInput``."""
    if not isinstance(raw, dict):
        raise BadInput(f"{where}: approval: expected a mapping such as {{count: 2}}, got {raw!r}")
    unknown = next((key for key in raw if key not in KEYS), None)
    if unknown is not None:
        hint = nearest(str(unknown), KEYS) or f"known: {', '.join(KEYS)}"
        raise BadInput(f"{where}: approval: unknown key {unknown!r}", hint=hint)
    return ApprovalRule(_count(raw, where), _signers(raw, where), _max_age(raw, where))


def rules_of(plan: Plan, playbook: object = None) -> tuple[ApprovalRule, ...]:
    """Collect what a plan needs: its playbook's ``approval``, and the variable of that name of each target it acts on."""
    found = {} if playbook is None else {parse_approval(playbook, f"playbook {plan.playbook}"): None}
    for target in plan.targets:
        raw = target.target.variable("approval")
        if raw is not None and not target.skip and not plan.read_only:
            found[parse_approval(raw, target.target.name)] = None
    return tuple(found)


def needed_rule(rules: Iterable[ApprovalRule]) -> ApprovalRule | None:
    """Return the strictest of all: the highest count, the shortest age; None where no rule is.

    Raises ``BadInput`` when two rules name different signers: neither can stand for the other.
    """
    rules = tuple(rules)
    if not rules:
        return None
    signers = sorted({rule.signers for rule in rules if rule.signers})
    if len(signers) > 1:
        raise BadInput(f"approval: different signers: {' and '.join(signers)}", hint="run the targets of each by themselves")
    count, age = max(rule.count for rule in rules), min(rule.max_age for rule in rules)
    return ApprovalRule(count, signers[0] if signers else "", age)


def signers_path(rule: ApprovalRule, environment: Mapping[str, str] = os.environ) -> Path:
    """Return the file that says who may approve: the rule's, else ``CRASHCART_SIGNERS``, else the user's own."""
    named = rule.signers or environment.get(SIGNERS_VARIABLE)
    return (
        Path(named).expanduser()
        if named
        else platformdirs.user_config_path("crashcart", appauthor=False) / "allowed_signers"
    )


def check_age(document: PlanDocument, rule: ApprovalRule, now: datetime) -> None:
    """Refuse a plan that is too old, or from the future. Raises ``Refused``."""
    age = (now - document.created).total_seconds()
    again = f"inv {document.plan.playbook} --hosts {document.plan.pattern!r} ... --plan FILE makes a new one"
    if age > rule.max_age:
        raise Refused(f"the plan is {format_span(age)} old; it may be {format_span(rule.max_age)} at most", hint=again)
    if age < -SKEW:
        raise Refused(f"the plan was made {format_span(-age)} in the future", hint="set the clocks right")


def signed_text(digest: str) -> bytes:
    """Return what approvers sign: the plan's hash and a newline, as ``sha256sum`` and ``cut`` print it."""
    return f"{digest}\n".encode()


def standing(
    document: PlanDocument,
    signatures: Iterable[Signature],
    rule: ApprovalRule,
    author: str,
    signers: Signers,
    tool: KeyTool | None = None,
) -> Standing:
    """Judge every signature. Raises ``Refused`` only when it cannot be judged at all (no ssh-keygen)."""
    text = signed_text(plan_hash(document))
    good: list[Approver] = []
    problems: list[str] = []
    for signature in signatures:
        try:
            good.append(judge(text, signature.armored, signers, tool or KeyTool()))
        except NotSigned as error:
            problems.append(f"{signature.file}: {error.message}")
    persons = _persons(good)
    approvers = tuple(person for person in persons if not is_author(person.names, author))
    own = [
        f"{person.name} is the author, whose own approval does not count" for person in persons if person not in approvers
    ]
    return Standing(rule.count, approvers, (*own, *problems), _others(signers, approvers, author))


def check_approved(
    document: PlanDocument,
    signatures: Iterable[Signature],
    rule: ApprovalRule,
    author: str,
    *,
    plan: Path,
    now: datetime,
    tool: KeyTool | None = None,
) -> tuple[Approver, ...]:
    """Return who approved, if they are enough. Raises ``Refused`` saying who counts, what does not and why, who is missing.

    ``plan`` is the file's path, for the hint.
    """
    check_age(document, rule, now)
    found = standing(document, signatures, rule, author, Signers.read(signers_path(rule)), tool)
    if not found.is_enough:
        raise Refused(f"{plan} is not approved: {found.text}", hint=f"inv runs.approve {plan}, by each of them")
    return found.approvers


def judge(text: bytes, armored: str, signers: Signers, tool: KeyTool) -> Approver:
    """Return who made a signature. Raises ``NotSigned`` with the reason, ``Refused`` when that cannot be told."""
    fingerprint = tool.signer(text, armored)
    names = signers.names_of(fingerprint)
    if not names:
        raise NotSigned(f"{fingerprint} is nobody's key in {signers.path}")
    reason = ""
    for name in names:
        try:
            tool.verify(text, armored, name, signers.path)
            return Approver(names, (fingerprint,))
        except NotSigned as error:
            reason = error.message
    raise NotSigned(f"the key of {names[0]} does not count: {reason}")


def _persons(signed: Iterable[Approver]) -> tuple[Approver, ...]:
    """Count persons, not keys: whoever shares a name is the same one."""
    persons: list[Approver] = []
    for one in signed:
        same = [person for person in persons if set(person.names) & set(one.names)]
        persons = [person for person in persons if person not in same]
        parts = [*same, one]
        names = dict.fromkeys(name for part in parts for name in part.names)
        keys = dict.fromkeys(key for part in parts for key in part.keys)
        persons.append(Approver(tuple(names), tuple(keys)))
    return tuple(persons)


def _others(signers: Signers, approvers: Sequence[Approver], author: str) -> tuple[str, ...]:
    done = {name for approver in approvers for name in approver.names}
    free = [line.names for line in signers.lines if line.names and not done & set(line.names)]
    return tuple(dict.fromkeys(names[0] for names in free if not is_author(names, author)))


def _parse_line(line: str) -> SignersLine | None:
    principals, blob = _PRINCIPALS.match(line), _BLOB.search(line)
    if line.lstrip().startswith("#") or not principals or not blob:
        return None
    listed = (principals[1] or principals[2]).split(",")
    names = tuple(name for name in listed if name and not set(name) & set("*?!"))
    return SignersLine(names, _fingerprint(blob[1]))


def _fingerprint(blob: str) -> str:
    try:
        digest = hashlib.sha256(base64.b64decode(blob, validate=True)).digest()
    except binascii.Error:
        return ""
    return f"SHA256:{base64.b64encode(digest).decode().rstrip('=')}"


def _trusted_text(path: Path) -> str:
    """Read the file, unless others than its owner can change who may approve."""
    try:
        with path.open("rb") as file:
            status = os.fstat(file.fileno())
            data = file.read(LARGEST + 1)
    except OSError as error:
        hint = f"one line per person in {path}: NAME ssh-ed25519 AAAA...; docs/approvals.md shows it"
        raise Refused(f"nobody may approve: cannot read {path}: {error.strerror}", hint=hint) from error
    if not stat.S_ISREG(status.st_mode) or len(data) > LARGEST:
        raise Refused(f"{path} is no allowed signers file", hint="approval: {signers: FILE} names another one")
    if status.st_uid not in {0, os.getuid()}:
        raise Refused(f"{path} belongs to somebody else, who could change who may approve", hint=f"chown $USER {path}")
    if status.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        raise Refused(f"others can change {path}, and so who may approve", hint=f"chmod go-w {path}")
    return data.decode(errors="replace")


def _count(raw: Mapping[Any, Any], where: str) -> int:
    count = raw.get("count")
    if isinstance(count, int) and not isinstance(count, bool) and 1 <= count <= MOST:
        return count
    raise BadInput(f"{where}: approval: count: expected a whole number from 1 to {MOST}, got {count!r}")


def _signers(raw: Mapping[Any, Any], where: str) -> str:
    signers = raw.get("signers", "")
    if signers == "" and "signers" not in raw:
        return ""
    if isinstance(signers, str) and signers.startswith(("/", "~/")) and "\0" not in signers:
        return signers
    raise BadInput(f"{where}: approval: signers: expected a path that begins with / or ~/, got {signers!r}")


def _max_age(raw: Mapping[Any, Any], where: str) -> float:
    if "max_age" not in raw:
        return ApprovalRule(1).max_age
    try:
        return float(Duration.parse(raw["max_age"]))
    except ValueError as error:
        raise BadInput(f"{where}: approval: max_age: {error}") from error
