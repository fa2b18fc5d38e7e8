"""The rolling restart behind a load balancer: emulated AWS, whose health checks really ask the hosts.

The hosts' groups name a target group, so each host is drained, restarted, put back, and waited for.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from crashcart.lab.faults import FAULTS
from crashcart.lab.lab import Lab
from crashcart.safety.lease import Lease, leased
from crashcart.targets import Target
from crashcart.transports.base import Command
from crashcart.transports.ssh import SshConnector
from tests.aws.test_policies import MADE, action_of, allowed_by, allows
from tests.lab.hosts import Host, eventually
from tests.lab.test_playbooks import Runs, everywhere, outcomes, runs, starts

__all__ = ["runs"]

pytestmark = pytest.mark.lab

RESTART = ("recover.service-restart", "--settle", "1s")


@pytest.fixture
def balanced(lab: Lab, hosts: dict[str, Host]) -> Iterator[dict[str, Host]]:
    """The hosts, all behind the load balancer, before and after."""
    lab.aws.reset()
    assert eventually(lambda: {host.balanced() for host in hosts.values()} == {"healthy"})
    lab.aws.admin("DELETE", "requests")
    yield hosts
    for host in hosts.values():
        host.run(*FAULTS["service.crash"].restore)
        host.say("sudo rm -rf /run/crashcart")
    lab.aws.reset()


def writes(lab: Lab) -> list[str]:
    return [request["action"] for request in lab.aws.admin("GET", "requests") if request["writes"]]


def steps(document: dict[str, object], name: str) -> dict[str, str]:
    targets: list[dict[str, object]] = document["targets"]  # type: ignore[assignment]
    (target,) = [one for one in targets if one["name"] == name]
    found: list[dict[str, str]] = target["steps"]  # type: ignore[assignment]
    return {step["name"]: step["outcome"] for step in found}


def test_each_host_is_drained_restarted_and_put_back_and_a_second_run_does_nothing(
    runs: Runs, lab: Lab, balanced: dict[str, Host]
) -> None:
    before = {name: starts(host) for name, host in balanced.items()}
    for host in balanced.values():
        host.run(*FAULTS["service.crash"].inject)
    code, document = runs(*RESTART, "--hosts", "lab")
    assert (code, outcomes(document)) == (0, everywhere("changed")), document
    assert {host.balanced() for host in balanced.values()} == {"healthy"}
    assert {name: starts(host) for name, host in balanced.items()} == {name: count + 1 for name, count in before.items()}
    assert sorted(writes(lab)) == ["DeregisterTargets"] * 3 + ["RegisterTargets"] * 3
    assert steps(document, "lab1") == {"elbv2.drain": "changed", "systemd.restart": "changed", "elbv2.join": "changed"}
    code, document = runs(*RESTART, "--hosts", "lab")
    assert (code, outcomes(document), len(writes(lab))) == (0, everywhere("ok"), 6)


def test_a_host_is_put_back_at_the_port_that_it_was_at(runs: Runs, lab: Lab, balanced: dict[str, Host]) -> None:
    host = balanced["lab1"]
    host.move_to(22)
    lab.aws.admin("DELETE", "requests")
    code, document = runs(*RESTART, "--hosts", "lab1", "--force")
    assert (code, outcomes(document), writes(lab)) == (0, {"lab1": "changed"}, ["DeregisterTargets", "RegisterTargets"])
    assert (host.balanced(), host.balanced_at()) == ("healthy", 22)


def test_lost_answers_and_throttling_of_the_load_balancer_repeat_nothing(
    runs: Runs, lab: Lab, balanced: dict[str, Host]
) -> None:
    before = starts(balanced["lab1"])
    for name, action in {
        "aws.throttle": "DeregisterTargets",
        "aws.lost": "DeregisterTargets",
        "aws.fails-after": "RegisterTargets",
        "aws.slow": "DescribeTargetHealth",
    }.items():
        lab.aws.admin("POST", "faults", {"name": name, "service": "elbv2", "action": action, "times": 1})
    code, document = runs(*RESTART, "--hosts", "lab1", "--force")
    assert (code, outcomes(document)) == (0, {"lab1": "changed"}), document
    written = [one for one in lab.aws.admin("GET", "requests") if one["writes"]]
    effective = [one["action"] for one in written if one["status"] == 200 or one["fault"] in {"aws.lost", "aws.fails-after"}]
    assert effective == ["DeregisterTargets", "RegisterTargets"], written
    assert len(written) == 3, "what was throttled was certainly not done, and is sent again"
    assert starts(balanced["lab1"]) == before + 1
    assert balanced["lab1"].balanced() == "healthy"
    code, document = runs(*RESTART, "--hosts", "lab1")
    assert (code, outcomes(document), len(writes(lab))) == (0, {"lab1": "ok"}, 3)


def test_what_it_sends_is_what_its_policy_allows(runs: Runs, lab: Lab, balanced: dict[str, Host]) -> None:
    """Of a host that an Auto Scaling group owns, every call that the policy allows is needed."""
    balanced["lab1"].belong_to("lab-asg")
    lab.aws.admin("DELETE", "requests")
    code, document = runs(*RESTART, "--hosts", "lab1", "--force")
    assert (code, outcomes(document)) == (0, {"lab1": "changed"}), document
    requests = lab.aws.admin("GET", "requests")
    for request in requests:
        assert allows(MADE[RESTART[0]], request), request
    assert {action_of(request) for request in requests} == allowed_by(RESTART[0])


def test_a_host_that_somebody_else_holds_is_not_drained(runs: Runs, lab: Lab, balanced: dict[str, Host]) -> None:
    host = balanced["lab1"]
    other = Lease("another-run", "alice", "laptop-2", "recover.test", 1893466800, "api is down", 600)
    session = SshConnector()(Target(host.name, variables=host.variables))
    assert session.run(leased(Command("echo mine"), other)).ok
    session.close()
    code, document = runs(*RESTART, "--hosts", "lab1", "--force")
    assert (code, outcomes(document), writes(lab)) == (3, {"lab1": "refused"}, []), document
    assert "alice" in document["targets"][0]["message"]
    assert host.balanced() == "healthy"


def test_check_mode_shows_the_drain_and_the_restart_and_does_neither(
    runs: Runs, lab: Lab, balanced: dict[str, Host]
) -> None:
    code, document = runs(*RESTART, "--hosts", "lab1", "--force", "--check")
    assert code == 0
    wanted = {"elbv2.drain": "would_change", "systemd.restart": "would_change", "elbv2.join": "skipped"}
    assert steps(document, "lab1") == wanted
    assert writes(lab) == []


def test_a_service_that_stays_broken_stays_out_and_the_next_good_run_puts_it_back(
    runs: Runs, lab: Lab, balanced: dict[str, Host]
) -> None:
    host = balanced["lab1"]
    host.run(*FAULTS["service.crash"].inject)
    host.say("sudo mkdir -p /run/systemd/system/api.service.d")
    host.say("printf '[Service]\\nExecStartPre=/bin/false\\n' | sudo tee /run/systemd/system/api.service.d/broken.conf")
    host.say("sudo systemctl daemon-reload")
    try:
        code, document = runs(*RESTART, "--hosts", "lab1")
        assert code == 1, document
        assert steps(document, "lab1")["systemd.restart"] == "failed"
        assert writes(lab) == ["DeregisterTargets"]
        assert host.balanced() == "unused"
    finally:
        host.say("sudo rm -r /run/systemd/system/api.service.d && sudo systemctl daemon-reload")
    code, document = runs(*RESTART, "--hosts", "lab1")
    assert code == 0, document
    assert host.balanced() == "healthy"


def test_capacity_is_what_the_load_balancer_counts(runs: Runs, lab: Lab, balanced: dict[str, Host]) -> None:
    """Two of three targets fail their checks, for a reason that the hosts do not see: the third one is not taken away."""
    for name in ("lab2", "lab3"):
        resource = balanced[name].variables["instance_id"]
        lab.aws.admin("POST", "conditions", {"kind": "elbv2.unhealthy", "resource": resource, "value": "on"})
    code, document = runs(*RESTART, "--hosts", "lab1", "--force")
    assert (code, outcomes(document), writes(lab)) == (3, {"lab1": "refused"}, []), document
    assert "at most 1 of the 3 of group lab may be down at a time" in document["targets"][0]["message"]


def test_no_drain_leaves_the_load_balancer_alone(runs: Runs, lab: Lab, balanced: dict[str, Host]) -> None:
    code, document = runs(*RESTART, "--hosts", "lab1", "--force", "--no-drain")
    assert (code, outcomes(document), writes(lab)) == (0, {"lab1": "changed"}, [])
