//! One of everything: the events and the plans that the walk is made with.

use std::path::PathBuf;
use std::time::Duration;

use crate::machine::event::{
    CommandExit, Finding, GuestStatus, IdentityFault, Mark, ProbeClass, ProcessEnd, Prospects, RuleFacts, Sighting,
    SshStability,
};
use crate::machine::record::EvidenceRef;
use crate::machine::{AccessRefusal, Cause, Class, Event, Left, Machine, Part, Step, StopSignal};
use crate::plan::{
    Accelerator, Arch, Attachment, Condition, ConsolePlan, DiskCache, DiskFormat, DiskPlan, DiskUse, Evidence,
    FailurePolicy, Firmware, HostPlan, ImagePlan, ImageSource, MachinePlan, MarkerPlan, Network, OpenBy, Pattern, Plan,
    Prompt, PromptChannel, Secret, SecretSource, SerialLogin, SshPlan, StageKind, StagePlan, VmUse,
};
use crate::units::{ByteSize, GIB};

/// One event of every kind that means something of its own, and every deadline that is armed.
pub fn representative_events(machine: &Machine) -> Vec<Event> {
    let mut events = fixed_events();
    for armed in machine.deadlines().iter() {
        events.push(Event::DeadlineNear(armed.kind));
        events.push(Event::DeadlinePassed(armed.kind));
    }
    events
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
    ];
    events.extend(command_events());
    events.extend(machine_events());
    events.extend(sighting_events());
    let signals = [StopSignal::Interrupt, StopSignal::Terminate, StopSignal::HangUp];
    events.extend(signals.map(|signal| Event::CancelRequested { signal }));
    events
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

fn stage(name: &str, kind: StageKind, vm: VmUse, claims: Evidence) -> StagePlan {
    StagePlan {
        name: name.to_owned(),
        kind,
        vm,
        disks: DiskUse::Kept,
        memory: None,
        cpus: None,
        timeout: Duration::from_secs(600),
        warn_after: Duration::from_secs(360),
        claims,
        login: None,
    }
}

/// A plan that uses every kind of stage. With `encrypted`, the installed disk asks for a passphrase and a login must
/// confirm the target; without it, the first stage claims no more than the marker, the second one ends at a line and has
/// a condition, and the failed machine is held.
pub fn representative_plan(encrypted: bool) -> Plan {
    Plan {
        gate: "representative".to_owned(),
        file: PathBuf::from("representative.toml"),
        image: ImagePlan {
            source: ImageSource::Iso(PathBuf::from("live.iso")),
            attach: Attachment::Cd,
            sha256: None,
            production: None,
        },
        machine: MachinePlan {
            arch: Arch::X86_64,
            firmware: Firmware::Uefi,
            cpus: 2,
            memory: ByteSize(GIB),
            accelerator: Accelerator::Auto,
            cpu_model: None,
            qemu: PathBuf::from("qemu-system-x86_64"),
            qemu_data: Vec::new(),
            extra_args: Vec::new(),
            network: Network::Isolated,
        },
        host: HostPlan::default(),
        disks: vec![DiskPlan {
            name: "target".to_owned(),
            size_bytes: ByteSize(GIB),
            format: DiskFormat::Raw,
            cache: DiskCache::Unsafe,
            target: true,
            keep: encrypted,
        }],
        console: ConsolePlan {
            markers: vec![MarkerPlan {
                name: "live".to_owned(),
                pattern: Pattern::Text("LIVE-READY".to_owned()),
            }],
            fail: vec![Pattern::Text("BUG:".to_owned())],
        },
        ssh: Some(representative_ssh()),
        stages: representative_stages(encrypted),
        rules: Vec::new(),
        require: None,
        on_failure: Some(if encrypted {
            FailurePolicy::Bundle
        } else {
            FailurePolicy::Hold
        }),
        timeout_scale: None,
    }
}

fn representative_stages(encrypted: bool) -> Vec<StagePlan> {
    let command = StageKind::Command {
        uploads: Vec::new(),
        command: "install".to_owned(),
        pass: vec![Pattern::Text("done".to_owned())],
        fail: vec![Pattern::Text("fatal".to_owned())],
        until: Vec::new(),
        only_tests_if: None,
        no_progress: Duration::from_secs(120),
    };
    let mut export = command.clone();
    if let (
        StageKind::Command {
            until, only_tests_if, ..
        },
        false,
    ) = (&mut export, encrypted)
    {
        until.push(Pattern::Text("exported".to_owned()));
        *only_tests_if = Some(Condition {
            command: "small".to_owned(),
            because: "With more memory the bug hides.".to_owned(),
        });
    }
    let installed = StageKind::InstalledBoot {
        target: Pattern::Text("Reached target graphical.target".to_owned()),
        unlock: encrypted.then(|| Prompt {
            pattern: Pattern::Text("passphrase".to_owned()),
            answer: SecretSource::Inline(Secret::new("secret".to_owned())),
            channel: PromptChannel::Auto,
        }),
        login_settle: Duration::from_secs(20),
        verify_ssh: encrypted,
    };
    let first_claim = if encrypted { Evidence::Login } else { Evidence::Marker };
    vec![
        stage("boot-live", StageKind::Boot, VmUse::Fresh, first_claim),
        stage("export", export, VmUse::Same, Evidence::Installed),
        stage("install", command, VmUse::Fresh, Evidence::Installed),
        stage("installed", installed, VmUse::Fresh, Evidence::Target),
    ]
}

/// The whole of a plan, and each stage of it as a run of its own. With `ssh_stable`, logins were stable before.
pub fn representative_parts(plan: &Plan, ssh_stable: bool) -> Vec<Part> {
    let left = Left {
        run: "run".to_owned(),
        reached: Some(Evidence::Marker),
        marker_seen: true,
        ssh_stable,
        ..Left::default()
    };
    let step = |stage| {
        let left = (stage > 0).then(|| left.clone());
        Part::Stage(Box::new(Step { stage, left }))
    };
    let steps = (0..plan.stages.len()).map(step);
    std::iter::once(Part::Whole).chain(steps).collect()
}

/// The first stage of a plan that has no marker and opens the image by a login on its console.
pub fn opened_plan() -> Plan {
    let mut plan = representative_plan(false);
    plan.stages.truncate(1);
    plan.stages[0].claims = Evidence::Login;
    plan.console.markers.clear();
    let ssh = representative_ssh();
    plan.ssh = Some(SshPlan {
        password: None,
        open_by: Some(OpenBy::SerialLogin(SerialLogin {
            user: "root".to_owned(),
            password: None,
            start: None,
            within: Duration::from_secs(60),
        })),
        ..ssh
    });
    plan
}

fn representative_ssh() -> SshPlan {
    SshPlan {
        user: "root".to_owned(),
        password: Some(SecretSource::Inline(Secret::new("secret".to_owned()))),
        key: None,
        open_by: None,
        stable_logins: 3,
        stable_window: Duration::from_secs(2),
        appear_within: Duration::from_secs(60),
        stable_within: Duration::from_secs(90),
        retry_every: Duration::from_secs(1),
    }
}
