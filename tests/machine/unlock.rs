//! The passphrase of the installed disk, asked for on the screen.

use bootgate::machine::{Class, Effect, Event, Mark};
use bootgate::plan::{Plan, PromptChannel, StageKind};

use crate::plans;
use crate::scenario::Scenario;
use crate::words::{by_rule, rule, seen, shown};

fn asks_on(wanted: PromptChannel) -> Plan {
    let mut plan = plans::installed(true, false);
    let StageKind::InstalledBoot {
        unlock: Some(unlock), ..
    } = &mut plan.stages[0].kind
    else {
        unreachable!("the stage boots an encrypted disk");
    };
    unlock.channel = wanted;
    plan
}

#[test]
fn what_the_screen_asks_is_typed_and_what_follows_accepts_it() {
    for follows in [seen(Mark::Userspace), shown(Mark::Userspace)] {
        let events = vec![
            (5_000, shown(Mark::UnlockPrompt)),
            // Said while the keys are still being typed.
            (5_500, seen(Mark::Userspace)),
            (6_000, Event::AnswerTyped),
            (9_000, follows),
            (20_000, shown(Mark::Target)),
        ];
        let world = Scenario::new("typed", plans::installed(true, false), events)
            .by("5000 BootingDisk → Unlocking: passphrase-asked ✓ \
                 it stands unchanged on two looks at the screen, 500 ms apart
                 6000 · answer-typed
                 9000 Unlocking → Verifying: passphrase-accepted ✓ \
                 the boot went on and the passphrase was not asked for again
                 20005 Verifying → Exiting: target-reached ✓ query-status: running")
            .comes_to("passed every-claim-proved installed Releasing")
            .check();
        let answers = world.effects.iter().map(|(_, effect)| effect);
        let typed = answers
            .clone()
            .filter(|effect| **effect == Effect::TypeAnswer { stage: 0 });
        let sent = answers.filter(|effect| **effect == Effect::AnswerPrompt { stage: 0 });
        assert_eq!((typed.count(), sent.count()), (1, 0));
    }
}

#[test]
fn the_serial_console_counts_where_both_ask() {
    let events = vec![
        (5_000, seen(Mark::UnlockPrompt)),
        (5_600, shown(Mark::UnlockPrompt)),
        (6_000, shown(Mark::PassphraseRefused)),
        (9_000, seen(Mark::Userspace)),
        (9_500, shown(Mark::UnlockPrompt)),
        (20_000, seen(Mark::Target)),
    ];
    let world = Scenario::new("both", plans::installed(true, false), events)
        .comes_to("passed every-claim-proved installed Releasing")
        .check();
    assert!(!world.trace().contains("screen"), "{}", world.trace());
    // The other way round it was too late to change the channel, and nothing is answered twice.
    let events = vec![
        (5_000, shown(Mark::UnlockPrompt)),
        (5_200, seen(Mark::UnlockPrompt)),
        (6_000, Event::AnswerTyped),
        (9_000, seen(Mark::Target)),
    ];
    Scenario::new("both, the screen first", plans::installed(true, false), events)
        .comes_to("passed every-claim-proved installed Releasing")
        .check();
}

#[test]
fn a_channel_that_is_chosen_counts_alone() {
    let asked = |ask: fn(Mark) -> Event, other: fn(Mark) -> Event| {
        vec![
            (5_000, other(Mark::UnlockPrompt)),
            (6_000, ask(Mark::UnlockPrompt)),
            (7_000, Event::AnswerTyped),
            (8_000, other(Mark::UnlockPrompt)),
            (9_000, seen(Mark::Target)),
        ]
    };
    for (channel, events) in [
        (PromptChannel::Serial, asked(seen, shown)),
        (PromptChannel::Screen, asked(shown, seen)),
    ] {
        let world = Scenario::new(channel.as_str(), asks_on(channel), events)
            .comes_to("passed every-claim-proved installed Releasing")
            .check();
        assert!(
            world.trace().contains("6000 BootingDisk → Unlocking"),
            "{}",
            world.trace()
        );
    }
}

#[test]
fn each_end_of_a_prompt_on_the_screen_has_its_cause() {
    let asked = |more: Vec<(u64, Event)>| {
        let mut events = vec![(5_000, shown(Mark::UnlockPrompt)), (6_000, Event::AnswerTyped)];
        events.extend(more);
        events
    };
    let shell = || by_rule(rule(Class::Failed, true));
    let rows = [
        (
            asked(vec![(9_000, shown(Mark::UnlockPrompt))]),
            "failed passphrase-rejected installed Unlocking",
        ),
        (
            asked(vec![(9_000, shown(Mark::PassphraseRefused))]),
            "failed passphrase-rejected installed Unlocking",
        ),
        (
            asked(vec![
                (8_000, shown(Mark::Userspace)),
                (9_000, shown(Mark::UnlockPrompt)),
            ]),
            "failed passphrase-rejected installed Verifying",
        ),
        // An emergency shell is not a wrong passphrase.
        (
            asked(vec![(9_000, shown(shell()))]),
            "failed kernel-panic installed Unlocking",
        ),
        (asked(vec![]), "failed target-not-reached installed Unlocking"),
        (
            vec![
                (5_000, shown(Mark::UnlockPrompt)),
                (5_001, Event::AnswerNotTypable { position: 4 }),
            ],
            "untestable passphrase-not-typable installed Unlocking",
        ),
        // A splash: nobody knows what it asks.
        (
            vec![(5_000, seen(Mark::Kernel)), (6_000, Event::ScreenShows { text: false })],
            "failed waiting-for-input installed BootingDisk",
        ),
        (
            vec![
                (4_000, Event::ScreenShows { text: false }),
                (5_000, seen(Mark::Kernel)),
                (6_000, Event::ScreenShows { text: true }),
            ],
            "failed passphrase-not-asked installed BootingDisk",
        ),
        // A silent serial console: the screen tells that the passphrase was not asked for.
        (
            vec![(5_000, shown(Mark::Kernel)), (9_000, shown(Mark::Target))],
            "failed passphrase-not-asked installed Verifying",
        ),
    ];
    for (events, verdict) in rows {
        Scenario::new("on the screen", plans::installed(true, false), events)
            .comes_to(verdict)
            .check();
    }
}
