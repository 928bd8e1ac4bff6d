//! One of everything: the events and the plans that the walk is made with.

use std::borrow::Cow;
use std::sync::LazyLock;
use std::time::Duration;

use crate::machine::event::{
    CommandExit, GuestStatus, IdentityFault, Mark, ProbeClass, ProcessEnd, Sighting, SshStability,
};
use crate::machine::record::EvidenceRef;
use crate::machine::{AccessRefusal, Cause, Class, Event, Finding, Machine, Prospects, RuleFacts, StopSignal};

/// One event of every kind that means something of its own, and every deadline that is armed.
pub fn representative_events(machine: &Machine) -> impl Iterator<Item = Cow<'static, Event>> {
    // The walk asks for them a hundred thousand times, and most are the same for every machine.
    static FIXED: LazyLock<Vec<Event>> = LazyLock::new(fixed_events);
    let armed: Vec<_> = machine.deadlines().iter().map(|armed| armed.kind).collect();
    let deadlines = armed
        .into_iter()
        .flat_map(|kind| [Event::DeadlineNear(kind), Event::DeadlinePassed(kind)]);
    FIXED.iter().map(Cow::Borrowed).chain(deadlines.map(Cow::Owned))
}

fn rule(fatal: bool) -> RuleFacts {
    RuleFacts {
        id: "rule".to_owned(),
        cause: "rule-cause".to_owned(),
        class: Class::Failed,
        is_note: false,
        title: "A rule".to_owned(),
        root_cause: "Because.".to_owned(),
        remedy: "Mend it.".to_owned(),
        tracker: None,
        publishable: false,
        expires: None,
        is_expired: false,
        fatal,
    }
}

fn finding(fatal: bool, file: &str) -> Finding {
    Finding {
        rule: rule(fatal),
        evidence: EvidenceRef::file(file),
        led_by: Vec::new(),
    }
}

fn fixed_events() -> Vec<Event> {
    let mut events = vec![
        Event::Prepared {
            accelerator: "tcg".to_owned(),
            scale_percent: 100,
        },
        Event::PreparationFailed {
            cause: Cause::Preflight,
            detail: String::new(),
        },
        Event::GuestShutDown {
            by_guest: true,
            reason: "guest-shutdown".to_owned(),
        },
        Event::GuestReset { by_guest: true },
        Event::GuestReset { by_guest: false },
        Event::GuestPanicked,
        Event::GuestStopped,
        Event::QmpLost { detail: String::new() },
        Event::ConsoleSpoke,
        Event::AnswerTyped,
        Event::ScreenShows { text: false },
        Event::ScreenShows { text: true },
        Event::AnswerNotTypable { position: 1 },
        Event::InputAwaited {
            evidence: EvidenceRef::file("serial.log"),
        },
        Event::SshBecameStable(SshStability {
            logins: 3,
            window: Duration::from_secs(2),
            uuid_proved: true,
        }),
        Event::SshIdentityFault(IdentityFault::HostKeyChanged(String::new())),
        Event::SshIdentityFault(IdentityFault::WrongMachine(String::new())),
        Event::SshIdentityFault(IdentityFault::HostKeyCopied(String::new())),
        Event::AccessOpened {
            detail: String::new(),
            evidence: EvidenceRef::file("serial.log"),
        },
        Event::AccessRefused {
            why: AccessRefusal::Login,
            detail: String::new(),
            evidence: EvidenceRef::file("serial.log"),
        },
        Event::CommandStarted,
        Event::CommandProgressed,
        Event::ConnectionLost,
        Event::CommandReattached,
        Event::CommandUnreachable { detail: String::new() },
    ];
    events.extend(host_events());
    events.extend(command_events());
    events.extend(machine_events());
    events.extend(sighting_events());
    let signals = [StopSignal::Interrupt, StopSignal::Terminate, StopSignal::HangUp];
    events.extend(signals.map(|signal| Event::CancelRequested { signal }));
    events
}

fn host_events() -> Vec<Event> {
    vec![
        Event::ImagesReleased,
        Event::ImageLocked { detail: String::new() },
        Event::Captured { missing: Vec::new() },
        Event::JournalCollected { missing: None },
        Event::CheckpointProgressed {
            done_bytes: 1,
            total_bytes: 2,
        },
        Event::CheckpointSaved { size_bytes: 1 },
        Event::CheckpointFailed { detail: String::new() },
        Event::HoldReleased,
        Event::HoldExtended {
            limit: Duration::from_secs(60),
        },
        Event::HostSpaceLow {
            place: "runs".to_owned(),
            free_bytes: 1,
            reserve_bytes: 2,
            bytes_per_second: 3,
        },
        Event::HostMemoryShort { percent: 50 },
        Event::HostStalled {
            gap: Duration::from_secs(5),
        },
    ]
}

fn command_events() -> Vec<Event> {
    let evidence = EvidenceRef::file("command.log");
    let pattern = 0;
    let mut events = Vec::from([
        Event::PassLineSeen {
            pattern,
            evidence: evidence.clone(),
        },
        Event::FailLineSeen {
            pattern,
            evidence: evidence.clone(),
        },
        Event::UntilLineSeen {
            pattern,
            evidence: evidence.clone(),
        },
    ]);
    for fatal in [true, false] {
        events.push(Event::OutputRuleMatched(finding(fatal, "command.log")));
        events.push(Event::RuleMatched(finding(fatal, "qmp.jsonl")));
        events.push(Event::ProspectsChanged(Prospects {
            at_end: vec![finding(fatal, "serial.log")],
            of_causes: vec![("ssh-not-listening".to_owned(), finding(false, "serial.log"))],
        }));
        let node = "disk".to_owned();
        events.push(Event::BlockIoFailed { node, no_space: fatal });
        events.push(Event::QmpSilent {
            stopped_by_signal: fatal,
        });
    }
    let killed = CommandExit::Signal("SIGKILL".to_owned());
    let holds = [CommandExit::Status(0), CommandExit::Status(1)];
    events.extend(holds.map(|exit| Event::ConditionChecked { exit }));
    for exit in [CommandExit::Status(0), CommandExit::Status(3)] {
        let evidence = evidence.clone();
        events.push(Event::TargetChecked { exit, evidence });
    }
    for exit in [CommandExit::Status(0), CommandExit::Status(1), killed] {
        let evidence = evidence.clone();
        events.push(Event::CommandEnded { exit, evidence });
    }
    events
}

fn machine_events() -> Vec<Event> {
    let statuses = [
        GuestStatus::Running,
        GuestStatus::Shutdown,
        GuestStatus::Panicked,
        GuestStatus::IoError,
        GuestStatus::InternalError,
        GuestStatus::Paused,
    ];
    let mut events: Vec<_> = statuses.map(Event::StatusObserved).into();
    let out_of_memory = Some("the cgroup's oom_kill count rose".to_owned());
    let name = "SIGKILL".to_owned();
    let ends = [
        ProcessEnd::Exited { code: 1 },
        ProcessEnd::Signalled {
            signal: 9,
            name: name.clone(),
            out_of_memory: None,
        },
        ProcessEnd::Signalled {
            signal: 9,
            name,
            out_of_memory,
        },
        ProcessEnd::NeverStarted,
    ];
    events.extend(ends.map(Event::QemuEnded));
    let classes = [
        ProbeClass::NoAnswer,
        ProbeClass::NotSsh,
        ProbeClass::Broken,
        ProbeClass::AuthRejected,
        ProbeClass::LoggedIn,
    ];
    events.extend(classes.map(Event::SshProbed));
    events
}

fn sighting_events() -> Vec<Event> {
    let marks = [
        Mark::Kernel,
        Mark::Userspace,
        Mark::Marker("live".to_owned()),
        Mark::LoginPrompt,
        Mark::UnlockPrompt,
        Mark::Target,
        Mark::Forbidden("BUG:".to_owned()),
        Mark::Rule(rule(true), Vec::new()),
        Mark::Rule(rule(false), Vec::new()),
    ];
    let sighting = |mark| Sighting {
        mark,
        evidence: EvidenceRef::file("serial.log"),
    };
    let mut events: Vec<_> = marks.map(|mark| Event::ConsoleMatched(sighting(mark))).into();
    let on_screen = [
        Mark::Kernel,
        Mark::Userspace,
        Mark::LoginPrompt,
        Mark::UnlockPrompt,
        Mark::PassphraseRefused,
        Mark::Target,
        Mark::Rule(rule(true), Vec::new()),
    ];
    events.extend(on_screen.map(|mark| Event::ScreenMatched(sighting(mark))));
    events
}
