//! Which key of the gate file a verdict is about.

use crate::machine::{Cause, State, Verdict};
use crate::plan::{KeyStep, Place, place_of};

/// The line of the gate file that a verdict is about: of the key that its cause can be answered by, else of its stage.
pub(super) fn blamed(gate_file: &str, verdict: &Verdict) -> Place {
    let stage = [KeyStep::Key("stage"), KeyStep::Item(verdict.stage)];
    let way: Vec<_> = match key(verdict) {
        Some(Blame::Stage(key)) => stage.into_iter().chain([KeyStep::Key(key)]).collect(),
        Some(Blame::Gate(table, key)) => vec![KeyStep::Key(table), KeyStep::Key(key)],
        None => stage.to_vec(),
    };
    place_of(gate_file, &way)
}

/// The line of a stage.
pub(super) fn stage_line(gate_file: &str, stage: usize) -> Place {
    place_of(gate_file, &[KeyStep::Key("stage"), KeyStep::Item(stage)])
}

enum Blame {
    /// A key of the stage.
    Stage(&'static str),
    /// A key in a table of the gate.
    Gate(&'static str, &'static str),
}

fn key(verdict: &Verdict) -> Option<Blame> {
    // What a rule knows better began with what the machine saw.
    let seen = verdict.symptom.unwrap_or(&verdict.cause);
    Some(match Cause::of_id(seen)? {
        Cause::BootTimeout | Cause::CommandTimeout => Blame::Stage("timeout"),
        Cause::CommandSilent => Blame::Stage("no-progress"),
        Cause::CommandFailed | Cause::CommandKilled | Cause::CommandUnreachable => Blame::Stage("command"),
        Cause::ExpectedLineMissing => Blame::Stage("pass"),
        Cause::ForbiddenLine if verdict.state == State::Installing => Blame::Stage("fail"),
        Cause::ForbiddenLine => Blame::Gate("console", "fail"),
        Cause::TargetNotReached | Cause::StoppedAtLoginPrompt => Blame::Stage("target"),
        Cause::PassphraseRejected | Cause::PassphraseNotAsked => Blame::Stage("unlock"),
        Cause::NoMarker | Cause::NoSerialConsole => Blame::Gate("console", "markers"),
        Cause::SshNotListening | Cause::SshNotAnSshServer | Cause::SshFlapping | Cause::SshUnstable => {
            Blame::Gate("ssh", "user")
        }
        Cause::SshAuthRejected => Blame::Gate("ssh", "password"),
        Cause::ImageDigestMismatch => Blame::Gate("image", "sha256"),
        Cause::FirmwareMissing => Blame::Gate("machine", "firmware"),
        Cause::AcceleratorMissing => Blame::Gate("machine", "accelerator"),
        Cause::HostDiskNearlyFull => Blame::Gate("host", "reserve"),
        _ => return None,
    })
}
