//! The installed disk: its kernel, its passphrase, its target, its login.

use bootgate::machine::{CommandExit, Effect, Event, EvidenceRef, IdentityFault, Mark, ProbeClass};

use crate::plans;
use crate::scenario::Scenario;
use crate::words::{identity, probed, reset, seen, stable};

#[test]
fn a_passphrase_is_answered_once_and_then_the_target_is_awaited() {
    let events = vec![
        (5_000, seen(Mark::UnlockPrompt)),
        (9_000, seen(Mark::Userspace)),
        (20_000, seen(Mark::Target)),
    ];
    let world = Scenario::new("unlock", plans::installed(true, false), events)
        .by("5000 BootingDisk → Unlocking: passphrase-asked
            9000 Unlocking → Verifying: passphrase-accepted ✓ \
             the boot went on and the passphrase was not asked for again
            20005 Verifying → Exiting: target-reached ✓ query-status: running")
        .comes_to("passed every-claim-proved installed Releasing")
        .check();
    let answers = world
        .effects
        .iter()
        .filter(|(_, effect)| *effect == Effect::AnswerPrompt { stage: 0 });
    assert_eq!(answers.count(), 1);
}

#[test]
fn the_target_may_follow_the_passphrase_at_once() {
    let events = vec![(5_000, seen(Mark::UnlockPrompt)), (9_000, seen(Mark::Target))];
    Scenario::new("unlock, then target", plans::installed(true, false), events)
        .by("9005 Verifying → Exiting: target-reached ✓ query-status: running")
        .comes_to("passed every-claim-proved installed Releasing")
        .check();
}

#[test]
fn a_login_confirms_the_target_where_it_is_asked_for() {
    let by = "logins";
    let late = vec![
        (5_000, seen(Mark::Kernel)),
        (9_000, seen(Mark::Target)),
        (20_000, stable()),
    ];
    let early = vec![
        (5_000, seen(Mark::Kernel)),
        (9_000, stable()),
        (20_000, seen(Mark::Target)),
    ];
    for events in [late, early] {
        let world = Scenario::new(by, plans::installed(false, true), events)
            .comes_to("passed every-claim-proved installed Releasing")
            .check();
        assert!(
            world
                .trace()
                .contains("query-status: running; stable logins on the installed system")
        );
    }
}

#[test]
#[allow(clippy::too_many_lines, reason = "a table of one row a failure")]
fn each_failure_of_the_installed_disk_has_its_cause() {
    let kernel = (5_000, seen(Mark::Kernel));
    let prompt = (5_000, seen(Mark::UnlockPrompt));
    let plain = || plans::installed(false, false);
    let encrypted = || plans::installed(true, false);
    let login = || plans::installed(false, true);
    let target = (9_000, seen(Mark::Target));
    let rejected = |at| (at, probed(ProbeClass::AuthRejected));
    let rows = [
        (plain(), vec![], "failed installed-silent installed BootingDisk"),
        (
            plain(),
            vec![(5_000, Event::ConsoleSpoke)],
            "failed installed-silent installed BootingDisk",
        ),
        (
            plain(),
            vec![kernel.clone()],
            "failed target-not-reached installed Verifying",
        ),
        (
            plain(),
            vec![kernel.clone(), (9_000, seen(Mark::LoginPrompt))],
            "failed stopped-at-login-prompt installed Verifying",
        ),
        // A login prompt is the first thing that a quiet kernel shows.
        (
            plain(),
            vec![(9_000, seen(Mark::LoginPrompt))],
            "failed stopped-at-login-prompt installed Verifying",
        ),
        (
            encrypted(),
            vec![kernel.clone()],
            "failed passphrase-not-asked installed BootingDisk",
        ),
        (
            encrypted(),
            vec![kernel.clone(), target.clone()],
            "failed passphrase-not-asked installed Verifying",
        ),
        (
            encrypted(),
            vec![prompt.clone(), (9_000, seen(Mark::UnlockPrompt))],
            "failed passphrase-rejected installed Unlocking",
        ),
        (
            encrypted(),
            vec![prompt],
            "failed target-not-reached installed Unlocking",
        ),
        (
            login(),
            vec![kernel.clone(), target.clone()],
            "untestable ssh-not-listening installed Verifying",
        ),
        (
            login(),
            vec![kernel.clone(), target.clone(), (10_000, probed(ProbeClass::Broken))],
            "failed ssh-unstable installed Verifying",
        ),
        (
            login(),
            vec![kernel.clone(), rejected(9_000), rejected(9_100), rejected(9_200)],
            "untestable ssh-auth-rejected installed Verifying",
        ),
        (
            login(),
            vec![
                kernel.clone(),
                target.clone(),
                (10_000, identity(IdentityFault::HostKeyCopied)),
            ],
            "failed host-key-copied installed Verifying",
        ),
        // A system that has reached its target and resets is not up.
        (
            login(),
            vec![kernel, target, (12_000, reset())],
            "failed unexpected-reset installed Verifying",
        ),
    ];
    for (plan, events, verdict) in rows {
        Scenario::new("installed", plan, events).comes_to(verdict).check();
    }
}

#[test]
fn a_target_after_a_login_prompt_in_time_passes() {
    let events = vec![
        (5_000, seen(Mark::Kernel)),
        (9_000, seen(Mark::LoginPrompt)),
        (28_999, seen(Mark::Target)),
    ];
    Scenario::new("prompt first", plans::installed(false, false), events)
        .by("9000 · login-prompt-seen: a login prompt is not the target
            24000 ! login-settle in 5000 ms
            28999 · target-seen")
        .comes_to("passed every-claim-proved installed Releasing")
        .check();
}

fn told(status: i32) -> Event {
    let evidence = EvidenceRef::file("ssh/installed.target.txt");
    let exit = CommandExit::Status(status);
    Event::TargetChecked { exit, evidence }
}

#[test]
fn behind_a_login_prompt_the_installed_system_itself_tells_its_target() {
    let events = vec![
        (5_000, seen(Mark::Kernel)),
        (9_000, seen(Mark::LoginPrompt)),
        (9_500, seen(Mark::LoginPrompt)),
        (28_000, told(0)),
        // The console speaks again when all is said.
        (40_000, seen(Mark::Target)),
    ];
    let world = Scenario::new("told", plans::installed(false, false), events)
        .by("9000 · login-prompt-seen: a login prompt is not the target
            9500 · login-prompt-seen: a login prompt is not the target
            24500 ! login-settle in 5000 ms
            28000 · target-told: the installed system says so; its console no longer does")
        .comes_to("passed every-claim-proved installed Releasing")
        .check();
    assert_eq!(world.asked(&Effect::CheckTarget { stage: 0 }), [9_000], "once");
}

#[test]
fn a_target_that_is_denied_may_be_on_its_way() {
    let denied = |more: Vec<(u64, Event)>| {
        let events = vec![
            (5_000, seen(Mark::Kernel)),
            (9_000, seen(Mark::LoginPrompt)),
            (10_000, told(3)),
        ];
        Scenario::new("denied", plans::installed(false, false), [events, more].concat())
    };
    denied(vec![(28_000, seen(Mark::Target))])
        .by("9000 · login-prompt-seen: a login prompt is not the target
            10000 · target-not-told: exit status 3
            24000 ! login-settle in 5000 ms
            28000 · target-seen")
        .comes_to("passed every-claim-proved installed Releasing")
        .check();
    denied(Vec::new())
        .comes_to("failed stopped-at-login-prompt installed Verifying")
        .check();
}

#[test]
fn a_reset_on_the_way_up_begins_the_boot_anew() {
    // First-boot relabelling: the prompt of the boot before the reset is not that of the boot after it.
    let events = vec![
        (5_000, seen(Mark::Kernel)),
        (9_000, seen(Mark::LoginPrompt)),
        (10_000, reset()),
        (15_000, seen(Mark::Kernel)),
        (60_000, seen(Mark::Target)),
    ];
    let world = Scenario::new("relabelled", plans::installed(false, false), events)
        .comes_to("passed every-claim-proved installed Releasing")
        .check();
    assert!(world.machine.reports()[0].remarks[0].contains("reset on the way up"));
}
