//! Gates that pass, and what each stage must show for it.

use bootgate::machine::{BootFrom, Effect, EndMode, Mark, ProbeClass, StageOutcome};
use bootgate::plan::Evidence;

use crate::plans;
use crate::scenario::Scenario;
use crate::words::{ended, marker, pass_line, probed, seen, stable};
use crate::world::World;
use bootgate::machine::Event;

/// Everything that a good image does, with the machines of the gate at 0, 100 and 200 seconds.
fn good_gate() -> Vec<(u64, Event)> {
    vec![
        (1_000, Event::ConsoleSpoke),
        (2_000, seen(Mark::Kernel)),
        (3_000, seen(Mark::Userspace)),
        (10_000, marker()),
        (11_000, probed(ProbeClass::NoAnswer)),
        (12_000, probed(ProbeClass::LoggedIn)),
        (14_000, stable()),
        (15_000, Event::CommandStarted),
        (16_000, Event::CommandProgressed),
        (20_000, pass_line()),
        (21_000, ended(0)),
        (30_000, Event::ConsoleSpoke),
        (31_000, seen(Mark::Kernel)),
        (40_000, seen(Mark::Target)),
    ]
}

#[test]
fn a_whole_gate_passes() {
    let world = Scenario::new("the whole gate", plans::gate(), good_gate())
        .by("0 stage 0 began
            5 Preparing → Booting: prepared ✓ QMP negotiated; query-status: prelaunch
            10000 · marker-seen: marker `live`
            10005 Booting → MarkerSeen: marker-seen ✓ query-status: running
            12000 · ssh-answered: an SSH server answers
            14000 MarkerSeen → SshStable: ssh-stable ✓ 3 logins in a row over 2.0 s, one boot id, the machine's own UUID
            14005 stage 0 passed, reached login
            14005 SshStable → SshStable: stage-completed ✓ query-status: running
            14005 stage 1 began
            14010 SshStable → Installing: ready-for-command ✓ query-status: running
            15000 · command-started: the command runs detached in the guest
            20000 · pass-line-seen: `done`
            21000 Installing → Triaged: command-ended
            21005 stage 1 passed, reached installed
            21005 Triaged → PoweringDown: outcome-classified ✓ query-status: running
            21105 PoweringDown → Exiting: guest-shut-down
            21110 Exiting → Releasing: qemu-ended
            21115 Releasing → Preparing: images-released
            21115 stage 2 began
            21120 Preparing → BootingDisk: prepared ✓ QMP negotiated; query-status: prelaunch
            31000 · installed-kernel-seen
            31005 BootingDisk → Verifying: installed-kernel-seen ✓ query-status: running; the image is detached
            40000 · target-seen
            40005 stage 2 passed, reached target
            40005 Verifying → Exiting: target-reached ✓ query-status: running
            40010 Exiting → Releasing: qemu-ended
            40015 = passed every-claim-proved
            40015 Releasing → Finished: images-released")
        .comes_to("passed every-claim-proved installed Releasing")
        .check();
    assert_eq!(world.asked(&Effect::Continue), [5, 21_120]);
    assert_eq!(
        world.asked(&Effect::Prepare {
            stage: 2,
            boot: BootFrom::TargetDisk
        }),
        [21_115]
    );
    assert_eq!(world.asked(&Effect::RunCommand { stage: 1 }), [14_010]);
    // Between two machines the disk must be clean; after the last one nobody reads it any more.
    assert_eq!(world.asked(&Effect::PowerDown), [21_005]);
    assert_eq!(world.asked(&Effect::EndQemu(EndMode::Ladder)), [21_105, 40_005]);
    let reached: Vec<_> = world.machine.reports().iter().map(|report| report.reached).collect();
    assert_eq!(
        reached,
        [Evidence::Login, Evidence::Installed, Evidence::Target].map(Some)
    );
}

#[test]
fn the_last_machine_powers_down_first_if_its_disk_is_kept() {
    let mut plan = plans::gate();
    plan.disks[0].keep = true;
    let world = Scenario::new("a kept disk", plan, good_gate())
        .by("40005 Verifying → PoweringDown: target-reached ✓ query-status: running
            40105 PoweringDown → Exiting: guest-shut-down
            40115 Releasing → Finished: images-released")
        .comes_to("passed every-claim-proved installed Releasing")
        .check();
    assert_eq!(world.asked(&Effect::PowerDown), [21_005, 40_005]);
}

#[test]
fn a_stage_with_a_fresh_machine_boots_the_image_again() {
    let mut events = good_gate();
    events.retain(|(at, _)| *at <= 14_000);
    let second = [
        (20_000, marker()),
        (24_000, stable()),
        (30_000, pass_line()),
        (31_000, ended(0)),
    ];
    events.extend(second);
    events.extend([(41_000, seen(Mark::Kernel)), (50_000, seen(Mark::Target))]);
    let world = Scenario::new("fresh machines", plans::fresh_machines(), events)
        .by("14005 stage 0 passed, reached login
            14005 SshStable → PoweringDown: stage-completed ✓ query-status: running
            14115 Releasing → Preparing: images-released
            20005 Booting → MarkerSeen: marker-seen ✓ query-status: running
            24005 SshStable → Installing: ready-for-command ✓ query-status: running
            31005 stage 1 passed, reached installed")
        .comes_to("passed every-claim-proved installed Releasing")
        .check();
    let boots = [(0, BootFrom::Image), (1, BootFrom::Image), (2, BootFrom::TargetDisk)];
    for (stage, boot) in boots {
        assert_eq!(world.asked(&Effect::Prepare { stage, boot }).len(), 1, "stage {stage}");
    }
}

#[test]
fn a_marker_is_enough_where_no_more_is_claimed() {
    Scenario::new("marker only", plans::marker_only(), vec![(9_000, marker())])
        .by("9005 stage 0 passed, reached marker
            9005 Booting → Exiting: marker-seen ✓ query-status: running")
        .comes_to("passed every-claim-proved boot-live Releasing")
        .check();
}

#[test]
fn logins_before_any_marker_pass_with_a_remark_and_the_marker_may_come_later() {
    let events = vec![(8_000, probed(ProbeClass::LoggedIn)), (10_000, stable())];
    let world = Scenario::new("SSH first", plans::boot_only(), events)
        .by("10000 Booting → SshStable: ssh-stable-before-marker \
             ✓ 3 logins in a row over 2.0 s, one boot id, the machine's own UUID")
        .comes_to("passed every-claim-proved boot-live Releasing")
        .check();
    assert!(world.machine.reports()[0].remarks[0].contains("before any marker"));

    let mut plan = plans::gate();
    plan.stages.truncate(2);
    let events = vec![
        (10_000, stable()),
        (11_000, marker()),
        (12_000, pass_line()),
        (13_000, ended(0)),
    ];
    Scenario::new("the marker after SSH", plan, events)
        .by("10005 SshStable → SshStable: stage-completed ✓ query-status: running
            11000 · marker-seen-late: marker `live`")
        .comes_to("passed every-claim-proved export Releasing")
        .check();
}

#[test]
fn a_stage_in_the_same_machine_waits_for_ssh_if_the_one_before_did_not() {
    let mut plan = plans::gate();
    plan.stages.truncate(2);
    plan.stages[0].claims = Evidence::Marker;
    let events = vec![
        (9_000, marker()),
        (12_000, stable()),
        (13_000, pass_line()),
        (14_000, ended(0)),
    ];
    Scenario::new("marker, then a command", plan, events)
        .by("9005 stage 0 passed, reached marker
            9005 Booting → MarkerSeen: marker-seen ✓ query-status: running
            9005 stage 1 began
            12000 MarkerSeen → SshStable: ssh-stable ✓ 3 logins in a row over 2.0 s, one boot id, the machine's own UUID
            12005 SshStable → Installing: ready-for-command ✓ query-status: running")
        .comes_to("passed every-claim-proved export Releasing")
        .check();
}

#[test]
fn a_lost_connection_under_a_command_that_comes_back_is_no_failure() {
    let mut plan = plans::gate();
    plan.stages.truncate(2);
    let events = vec![
        (10_000, stable()),
        (20_000, Event::ConnectionLost),
        (60_000, Event::CommandReattached),
        (61_000, pass_line()),
        (62_000, ended(0)),
    ];
    Scenario::new("picked up again", plan, events)
        .by(
            "20000 · connection-lost: the command goes on in the guest; trying to pick it up again
            60000 · command-reattached: no output was lost
            62005 stage 1 passed, reached installed",
        )
        .comes_to("passed every-claim-proved export Releasing")
        .check();
}

#[test]
fn no_stage_passes_below_its_claim() {
    // Every sign of life but the claimed one: time decides, and the stage has failed.
    for claim in [Evidence::Marker, Evidence::Login] {
        let mut plan = if claim == Evidence::Marker {
            plans::marker_only()
        } else {
            plans::boot_only()
        };
        plan.stages[0].claims = claim;
        let mut events = vec![
            (1, Event::ConsoleSpoke),
            (2, seen(Mark::Kernel)),
            (3, seen(Mark::Userspace)),
        ];
        events.push((4, seen(Mark::LoginPrompt)));
        events.push((5, seen(Mark::Target)));
        if claim > Evidence::Marker {
            events.extend([(6, marker()), (9_000, probed(ProbeClass::LoggedIn))]);
        }
        let mut world = World::new(plan, crate::world::Habits::default());
        for (at, event) in events {
            world.plan(10 + at, event);
        }
        world.run();
        let report = &world.machine.reports()[0];
        assert_eq!(report.outcome, StageOutcome::Failed, "{}", world.trace());
        assert!(report.reached < Some(claim), "{claim}: {report:?}");
    }
}
