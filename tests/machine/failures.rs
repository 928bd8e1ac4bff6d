//! Each way to fail before or without the installed disk: the cause is named, and it is the first one.

use bootgate::machine::{Cause, Class, Event, GuestStatus, IdentityFault, Mark, ProbeClass};
use bootgate::plan::Plan;

use crate::plans;
use crate::scenario::Scenario;
use crate::words::{
    by_rule, command_killed, ended, exited, fail_line, identity, io_error, killed, marker, out_of_memory, output_rule,
    pass_line, probed, qmp_lost, question, rule, seen, shut_down, space_low, stable, status, unreachable,
};

/// A state, a plan that has it, and the events that lead there.
type Way = (&'static str, Plan, Vec<(u64, Event)>);

/// What leads into each state with a live guest, and when it is there, in milliseconds.
fn ways_into() -> Vec<Way> {
    let mut command = plans::gate();
    command.stages.truncate(2);
    let installed = plans::installed(false, false);
    vec![
        ("Booting", plans::boot_only(), vec![(1_000, Event::ConsoleSpoke)]),
        ("MarkerSeen", plans::boot_only(), vec![(1_000, marker())]),
        ("Installing", command, vec![(1_000, stable())]),
        ("BootingDisk", installed.clone(), vec![(1_000, Event::ConsoleSpoke)]),
        (
            "Unlocking",
            plans::installed(true, false),
            vec![(1_000, seen(Mark::UnlockPrompt))],
        ),
        ("Verifying", installed, vec![(1_000, seen(Mark::Kernel))]),
    ]
}

/// What ends any live guest, and `class cause` of it.
#[allow(clippy::too_many_lines, reason = "a table of one row an ending")]
fn endings() -> Vec<(&'static str, Vec<Event>, &'static str)> {
    let forbidden = seen(Mark::Forbidden("BUG:".to_owned()));
    let observed = |word| vec![status(word)];
    vec![
        ("panic event", vec![Event::GuestPanicked], "failed kernel-panic"),
        (
            "console rule",
            vec![seen(by_rule(rule(Class::Failed, true)))],
            "failed kernel-panic",
        ),
        (
            "known",
            vec![seen(by_rule(rule(Class::KnownFailure, true)))],
            "known-failure kernel-panic",
        ),
        ("forbidden line", vec![forbidden], "failed forbidden-line"),
        (
            "power-off",
            vec![shut_down(true, "guest-shutdown")],
            "failed guest-powered-off",
        ),
        ("host disk full", vec![io_error(true)], "infrastructure host-disk-full"),
        (
            "host disk nearly full",
            vec![space_low()],
            "infrastructure host-disk-nearly-full",
        ),
        (
            "host disk broken",
            vec![io_error(false)],
            "infrastructure host-io-error",
        ),
        ("question", vec![question()], "failed waiting-for-input"),
        ("exit", vec![exited(1)], "infrastructure qemu-exited"),
        ("kill", vec![Event::QemuEnded(killed())], "infrastructure qemu-killed"),
        ("OOM", vec![out_of_memory()], "infrastructure host-out-of-memory"),
        ("QMP lost for good", vec![qmp_lost()], "infrastructure qmp-lost"),
        (
            "QMP lost, then exit",
            vec![qmp_lost(), exited(1)],
            "infrastructure qemu-exited",
        ),
        (
            "QMP lost, then kill",
            vec![qmp_lost(), Event::QemuEnded(killed())],
            "infrastructure qemu-killed",
        ),
        (
            "stopped",
            vec![Event::QmpSilent {
                stopped_by_signal: true,
            }],
            "infrastructure qemu-stopped",
        ),
        (
            "hung",
            vec![Event::QmpSilent {
                stopped_by_signal: false,
            }],
            "infrastructure qemu-unresponsive",
        ),
        (
            "status shutdown",
            observed(GuestStatus::Shutdown),
            "failed guest-powered-off",
        ),
        (
            "status panicked",
            observed(GuestStatus::Panicked),
            "failed kernel-panic",
        ),
        (
            "status io-error",
            observed(GuestStatus::IoError),
            "infrastructure host-io-error",
        ),
        (
            "status internal",
            observed(GuestStatus::InternalError),
            "infrastructure qemu-internal-error",
        ),
        (
            "status paused",
            observed(GuestStatus::Paused),
            "infrastructure guest-paused",
        ),
    ]
}

#[test]
fn every_ending_has_its_cause_in_every_live_state() {
    for (state, plan, way) in ways_into() {
        // After the marker the image is up, whatever its console asks.
        let counts = |ending: &str| !(ending == "question" && state == "MarkerSeen");
        for (ending, events, verdict) in endings().into_iter().filter(|(ending, ..)| counts(ending)) {
            let mut all = way.clone();
            // QMP's loss is answered by the process within its two seconds.
            all.extend(
                events
                    .into_iter()
                    .enumerate()
                    .map(|(n, event)| (10_000 + 1_900 * n as u64, event)),
            );
            let mut world = crate::world::World::new(plan.clone(), crate::world::Habits::default());
            for (at, event) in all {
                world.plan(at, event);
            }
            world.run();
            let told = world.verdict();
            let said = format!("{} {}", told.class.as_str(), told.cause);
            assert_eq!(said, verdict, "{ending} in {state}\n{}", world.trace());
            assert_eq!(told.state.name(), state, "{ending}\n{}", world.trace());
            assert!(!told.cause.contains("timeout"), "{ending} in {state}");
        }
    }
}

#[test]
fn a_question_does_not_hold_up_a_guest_that_answers_elsewhere() {
    let question_later = vec![
        (1_000, probed(ProbeClass::LoggedIn)),
        (2_000, question()),
        (3_000, stable()),
    ];
    Scenario::new("a question beside SSH", plans::boot_only(), question_later)
        .comes_to("passed every-claim-proved boot-live Releasing")
        .check();
    let marked = vec![(1_000, marker()), (2_000, question()), (3_000, stable())];
    Scenario::new("a question after the marker", plans::boot_only(), marked)
        .comes_to("passed every-claim-proved boot-live Releasing")
        .check();
}

#[test]
fn what_ends_a_guest_from_outside_is_no_fault_of_the_image() {
    for (reason, cause) in [
        ("host-signal", "infrastructure qemu-killed boot-live Booting"),
        ("host-qmp-quit", "infrastructure guest-paused boot-live Booting"),
        ("host-error", "infrastructure qemu-internal-error boot-live Booting"),
    ] {
        Scenario::new(
            "ended from outside",
            plans::boot_only(),
            vec![(5_000, shut_down(false, reason))],
        )
        .comes_to(cause)
        .check();
    }
}

#[test]
fn a_full_disk_is_not_waited_for_until_the_journal_is_there() {
    let mut plan = plans::gate();
    plan.stages.truncate(2);
    let world = Scenario::new("low on space", plan, vec![(1_000, stable()), (20_000, space_low())])
        .comes_to("infrastructure host-disk-nearly-full export Installing")
        .check();
    let detail = &world.verdict().detail;
    assert!(
        detail.contains("250 MiB left in /srv/runs, of which 256 MiB must stay free"),
        "{detail}"
    );
    // A guest that goes on would write on.
    let trace = world.trace();
    assert!(trace.contains("20005 Stopping → Capturing: guest-stopped"), "{trace}");
}

#[test]
fn a_host_short_of_memory_is_a_remark() {
    let short = (2_000, Event::HostMemoryShort { percent: 42 });
    let world = Scenario::new("short of memory", plans::marker_only(), vec![short, (9_000, marker())])
        .comes_to("passed every-claim-proved boot-live Releasing")
        .check();
    assert!(world.machine.reports()[0].remarks[0].contains("42 %"));
}

#[test]
fn preparation_says_its_own_cause() {
    let causes = [
        Cause::Preflight,
        Cause::HostTooSmall,
        Cause::FirmwareMissing,
        Cause::AcceleratorMissing,
    ];
    let more = [
        Cause::QemuWillNotStart,
        Cause::ImageDigestMismatch,
        Cause::QemuUnresponsive,
    ];
    for cause in causes.into_iter().chain(more) {
        let failed = Event::PreparationFailed {
            cause,
            detail: "the particulars".to_owned(),
        };
        let world = Scenario::new("preparation", plans::gate(), vec![(1_000, failed)])
            .habits(|habits| habits.prepares = None)
            .by("1000 Preparing → Discarding: preparation-failed
                1005 Discarding → Finished: qemu-ended")
            .comes_to(match cause {
                Cause::Preflight => "infrastructure preflight boot-live Preparing",
                Cause::HostTooSmall => "infrastructure host-space boot-live Preparing",
                Cause::FirmwareMissing => "infrastructure firmware-missing boot-live Preparing",
                Cause::AcceleratorMissing => "infrastructure accelerator-missing boot-live Preparing",
                Cause::QemuWillNotStart => "infrastructure qemu-will-not-start boot-live Preparing",
                Cause::ImageDigestMismatch => "infrastructure image-digest-mismatch boot-live Preparing",
                _ => "infrastructure qemu-unresponsive boot-live Preparing",
            })
            .check();
        assert_eq!(world.verdict().detail, "the particulars");
    }
}

#[test]
fn ssh_that_never_becomes_stable_says_why() {
    let answers = |class| vec![(5_000, marker()), (6_000, probed(class))];
    let thrice = |class| {
        vec![
            (5_000, marker()),
            (6_000, probed(class)),
            (7_000, probed(class)),
            (8_000, probed(class)),
        ]
    };
    let flapping = vec![
        (5_000, marker()),
        (6_000, probed(ProbeClass::LoggedIn)),
        (7_000, probed(ProbeClass::NoAnswer)),
        (8_000, probed(ProbeClass::LoggedIn)),
    ];
    let rows = [
        (
            vec![(5_000, marker())],
            "untestable ssh-not-listening boot-live MarkerSeen",
        ),
        (
            answers(ProbeClass::NoAnswer),
            "untestable ssh-not-listening boot-live MarkerSeen",
        ),
        (
            thrice(ProbeClass::NotSsh),
            "untestable not-an-ssh-server boot-live MarkerSeen",
        ),
        (
            thrice(ProbeClass::AuthRejected),
            "untestable ssh-auth-rejected boot-live MarkerSeen",
        ),
        (
            answers(ProbeClass::AuthRejected),
            "untestable ssh-auth-rejected boot-live MarkerSeen",
        ),
        (answers(ProbeClass::Broken), "failed ssh-unstable boot-live MarkerSeen"),
        (flapping, "failed ssh-flapping boot-live MarkerSeen"),
        (
            vec![(5_000, identity(IdentityFault::HostKeyChanged))],
            "failed host-key-changed boot-live Booting",
        ),
        (
            vec![(5_000, identity(IdentityFault::WrongMachine))],
            "infrastructure wrong-machine boot-live Booting",
        ),
    ];
    for (events, verdict) in rows {
        Scenario::new("SSH", plans::boot_only(), events)
            .comes_to(verdict)
            .check();
    }
}

#[test]
fn a_command_that_fails_says_how() {
    let mut plan = plans::gate();
    plan.stages.truncate(2);
    let suspect = || output_rule(Class::KnownFailure, false);
    let rows: [(Vec<Event>, &str); 9] = [
        (vec![ended(1)], "failed command-failed export Triaged"),
        (vec![suspect(), ended(1)], "known-failure kernel-panic export Triaged"),
        // A suspicion is no verdict if the command ends well.
        (
            vec![suspect(), pass_line(), ended(0)],
            "passed every-claim-proved export Releasing",
        ),
        (vec![ended(0)], "failed expected-line-missing export Triaged"),
        (vec![command_killed()], "failed command-killed export Triaged"),
        (
            vec![output_rule(Class::Failed, true)],
            "failed kernel-panic export Installing",
        ),
        (
            vec![pass_line(), fail_line(), ended(0)],
            "failed forbidden-line export Installing",
        ),
        (vec![unreachable()], "failed command-unreachable export Installing"),
        (
            vec![Event::ConnectionLost],
            "failed command-unreachable export Installing",
        ),
    ];
    for (events, verdict) in rows {
        let mut all = vec![(10_000, stable())];
        all.extend(
            events
                .into_iter()
                .zip(1_u64..)
                .map(|(event, n)| (20_000 + 1_000 * n, event)),
        );
        Scenario::new("command", plan.clone(), all).comes_to(verdict).check();
    }
}

#[test]
fn a_command_that_ends_well_in_a_guest_that_has_died_does_not_pass() {
    let mut plan = plans::gate();
    plan.stages.truncate(2);
    let events = vec![(10_000, stable()), (20_000, pass_line()), (30_000, ended(0))];
    Scenario::new("dead guest", plan, events)
        .habits(|habits| habits.status = None)
        .comes_to("infrastructure qemu-unresponsive boot-live SshStable")
        .check();
    let mut plan = plans::gate();
    plan.stages.truncate(2);
    let mut world = crate::world::World::new(plan, crate::world::Habits::default());
    for (at, event) in [(10_000, stable()), (20_000, pass_line()), (30_000, ended(0))] {
        world.plan(at, event);
    }
    world.run_to(29_999);
    world.habits.status = Some(GuestStatus::Panicked);
    world.run();
    assert_eq!(world.verdict().cause, "kernel-panic", "{}", world.trace());
}
