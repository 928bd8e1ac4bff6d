//! Events by short names.

use std::time::Duration;

use bootgate::machine::{
    Class, CommandExit, Event, EvidenceRef, Finding, GuestStatus, IdentityFault, Mark, ProbeClass, ProcessEnd,
    RuleFacts, Sighting, SshStability, StopSignal,
};

pub(crate) fn seen(mark: Mark) -> Event {
    let evidence = EvidenceRef::file("serial.log");
    Event::ConsoleMatched(Sighting { mark, evidence })
}

pub(crate) fn shown(mark: Mark) -> Event {
    let evidence = EvidenceRef::file("screen-text.log");
    Event::ScreenMatched(Sighting { mark, evidence })
}

pub(crate) fn marker() -> Event {
    seen(Mark::Marker("live".to_owned()))
}

pub(crate) fn question() -> Event {
    Event::InputAwaited {
        evidence: EvidenceRef::file("serial.log"),
    }
}

pub(crate) fn probed(class: ProbeClass) -> Event {
    Event::SshProbed(class)
}

pub(crate) fn stable() -> Event {
    Event::SshBecameStable(SshStability {
        logins: 3,
        window: Duration::from_secs(2),
        uuid_proved: true,
    })
}

pub(crate) fn identity(fault: fn(String) -> IdentityFault) -> Event {
    Event::SshIdentityFault(fault("the particulars".to_owned()))
}

pub(crate) fn rule(class: Class, fatal: bool) -> RuleFacts {
    RuleFacts {
        id: "kernel/panic".to_owned(),
        cause: "kernel-panic".to_owned(),
        class,
        is_note: false,
        title: "The kernel panicked".to_owned(),
        root_cause: "It met a bug.".to_owned(),
        remedy: "Read on.".to_owned(),
        tracker: None,
        publishable: false,
        expires: None,
        is_expired: false,
        fatal,
    }
}

/// A rule that is certain by the line at this offset of the console.
pub(crate) fn finding(rule: RuleFacts, offset_bytes: u64) -> Finding {
    Finding {
        rule,
        evidence: EvidenceRef {
            offset_bytes: Some(offset_bytes),
            ..EvidenceRef::file("serial.log")
        },
        led_by: Vec::new(),
    }
}

pub(crate) fn by_rule(rule: RuleFacts) -> Mark {
    Mark::Rule(rule, Vec::new())
}

pub(crate) fn output_rule(class: Class, fatal: bool) -> Event {
    Event::OutputRuleMatched(Finding {
        rule: rule(class, fatal),
        evidence: EvidenceRef::file("ssh/install.log"),
        led_by: Vec::new(),
    })
}

pub(crate) fn pass_line() -> Event {
    Event::PassLineSeen {
        pattern: 0,
        evidence: EvidenceRef::file("ssh/install.log"),
    }
}

pub(crate) fn until_line(offset_bytes: u64) -> Event {
    Event::UntilLineSeen {
        pattern: 0,
        evidence: EvidenceRef {
            file: "ssh/export.log".to_owned(),
            offset_bytes: Some(offset_bytes),
            quote: None,
        },
    }
}

pub(crate) fn fail_line() -> Event {
    Event::FailLineSeen {
        pattern: 0,
        evidence: EvidenceRef::file("ssh/install.log"),
    }
}

pub(crate) fn ended(status: i32) -> Event {
    let exit = CommandExit::Status(status);
    Event::CommandEnded {
        exit,
        evidence: EvidenceRef::file("ssh/install.log"),
    }
}

pub(crate) fn command_killed() -> Event {
    let exit = CommandExit::Signal("SIGKILL".to_owned());
    Event::CommandEnded {
        exit,
        evidence: EvidenceRef::file("ssh/install.log"),
    }
}

pub(crate) fn unreachable() -> Event {
    Event::CommandUnreachable {
        detail: "no route".to_owned(),
    }
}

pub(crate) fn shut_down(by_guest: bool, reason: &str) -> Event {
    Event::GuestShutDown {
        by_guest,
        reason: reason.to_owned(),
    }
}

pub(crate) fn reset() -> Event {
    Event::GuestReset { by_guest: true }
}

pub(crate) fn io_error(no_space: bool) -> Event {
    Event::BlockIoFailed {
        node: "target".to_owned(),
        no_space,
    }
}

pub(crate) fn space_low() -> Event {
    Event::HostSpaceLow {
        place: "/srv/runs".to_owned(),
        free_bytes: 250 << 20,
        reserve_bytes: 256 << 20,
        bytes_per_second: 1 << 30,
    }
}

pub(crate) fn status(status: GuestStatus) -> Event {
    Event::StatusObserved(status)
}

pub(crate) fn qmp_lost() -> Event {
    Event::QmpLost {
        detail: "QEMU closed the connection".to_owned(),
    }
}

pub(crate) fn exited(code: i32) -> Event {
    Event::QemuEnded(ProcessEnd::Exited { code })
}

pub(crate) fn killed() -> ProcessEnd {
    ProcessEnd::Signalled {
        signal: 9,
        name: "SIGKILL".to_owned(),
        out_of_memory: None,
    }
}

pub(crate) fn out_of_memory() -> Event {
    let out_of_memory = Some("the cgroup's oom_kill count rose".to_owned());
    Event::QemuEnded(ProcessEnd::Signalled {
        signal: 9,
        name: "SIGKILL".to_owned(),
        out_of_memory,
    })
}

pub(crate) fn cancel(signal: StopSignal) -> Event {
    Event::CancelRequested { signal }
}

pub(crate) fn stalled(secs: u64) -> Event {
    Event::HostStalled {
        gap: Duration::from_secs(secs),
    }
}
