"""AWS's quota of TestFailover calls is kept, also where AWS tells nothing of the earlier ones any more."""

from __future__ import annotations

from tests.aws.matrix.recoveries import RECOVERIES
from tests.aws.matrix.rig import Rig

TESTED = RECOVERIES["cache-cluster"]
QUOTA = ("--test-quota", "1", "--cooldown", "0s")


def test_a_call_of_ours_counts_though_its_event_is_gone(rig: Rig) -> None:
    rig.begin(TESTED.part, TESTED.arrange)
    assert rig.run(*TESTED.command(rig), *QUOTA).outcome == "changed"
    rig.emulator.reset(TESTED.part)
    rig.advance(60)
    TESTED.arrange(rig)
    rig.emulator.forget_requests()
    second = rig.run(*TESTED.command(rig), *QUOTA)
    assert (second.outcome, second.code, rig.effective()) == ("refused", 3, []), second.message
    assert "the budget TestFailover: 1/24 h is used up" in second.message
    assert second.document["targets"][0]["hint"] == "--test-quota, if the provider allows you more"
    third = rig.run(*TESTED.command(rig), "--test-quota", "2", "--cooldown", "0s")
    assert (third.outcome, rig.effective()) == ("changed", ["TestFailover"]), third.message
