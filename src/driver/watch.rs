//! What the console of a stage is watched for, and what each match means.

use crate::machine::{EvidenceRef, Mark, Sighting};
use crate::plan::{Pattern, Plan, StageKind};
use crate::serial::marker::{Match, Target, Watch, WatchError};
use crate::text::{Redactor, Untrusted};
use crate::triage::{self, Rules, Source};

const KERNEL: &str = "kernel";
const USERSPACE: &str = "userspace";
const LOGIN: &str = "login-prompt";
pub(super) const UNLOCK: &str = "unlock-prompt";
pub(super) const REFUSED: &str = "passphrase-refused";
const TARGET: &str = "target";
const MARKER: &str = "marker:";
const FORBIDDEN: &str = "forbidden:";

/// The first line of a Linux kernel.
const KERNEL_PATTERN: &str = r"(?-u:\b)Linux version \d";
/// Signs of user space: an init announcing itself, the kernel handing over to it, or a unit being reached.
const USERSPACE_PATTERN: &str =
    r"systemd\[1\]: |\bRun /\S+ as init process|INIT: version |Reached target |Welcome to |Freeing unused kernel";
/// The prompt of getty, at the end of a line.
const LOGIN_PATTERN: &str = r"(?-u:\b)login: ?$";

/// What says that a passphrase was wrong: cryptsetup and the boot scripts around it.
const REFUSED_PATTERN: &str = r"No key available with this passphrase|cryptsetup failed, bad password|Failed to activate with specified passphrase";

/// The targets for the console of a stage.
pub(super) fn of_stage(plan: &Plan, stage: usize, rules: &Rules) -> Result<Watch, WatchError> {
    Watch::new(targets_of(plan, stage, rules))
}

/// The targets for the screen of a stage.
pub(super) fn of_screen(plan: &Plan, stage: usize, rules: &Rules) -> Result<Watch, WatchError> {
    let mut targets = targets_of(plan, stage, rules);
    targets.push(regex(REFUSED, REFUSED_PATTERN));
    for target in targets.iter_mut().filter(|target| target.prompt) {
        target.pattern = as_shown(&target.pattern);
    }
    Watch::new(targets)
}

/// What a question looks like on a screen: blanks at a line's end can't be seen.
pub(super) fn as_shown(pattern: &Pattern) -> Pattern {
    match pattern {
        Pattern::Text(text) => Pattern::Text(text.trim_end().to_owned()),
        Pattern::Regex(regex) => Pattern::Regex(regex.clone()),
    }
}

fn targets_of(plan: &Plan, stage: usize, rules: &Rules) -> Vec<Target> {
    let mut targets = vec![
        regex(KERNEL, KERNEL_PATTERN),
        regex(USERSPACE, USERSPACE_PATTERN),
        prompt(LOGIN, Pattern::Regex(LOGIN_PATTERN.to_owned())),
    ];
    if let StageKind::InstalledBoot { target, unlock, .. } = &plan.stages[stage].kind {
        targets.push(text(TARGET.to_owned(), target.clone()));
        targets.extend(unlock.iter().map(|unlock| prompt(UNLOCK, unlock.pattern.clone())));
    } else {
        let markers = plan.console.markers.iter();
        targets.extend(markers.map(|marker| text(format!("{MARKER}{}", marker.name), marker.pattern.clone())));
    }
    let forbidden = plan.console.fail.iter().enumerate();
    targets.extend(forbidden.map(|(index, pattern)| text(format!("{FORBIDDEN}{index}"), pattern.clone())));
    targets.extend(triage::targets(rules, &[Source::Serial]));
    targets
}

/// The targets for the firmware's debug port.
pub(super) fn of_firmware(rules: &Rules) -> Result<Watch, WatchError> {
    Watch::new(triage::targets(rules, &[Source::Serial]))
}

/// The targets for the output of a stage's command.
pub(super) fn of_command(stage: &StageKind, rules: &Rules) -> Result<Watch, WatchError> {
    let mut targets = triage::targets(rules, &[Source::CommandOutput]);
    if let StageKind::Command { pass, fail, until, .. } = stage {
        for (kind, patterns) in [("pass", pass), ("fail", fail), ("until", until)] {
            let numbered = patterns.iter().enumerate();
            targets.extend(numbered.map(|(index, pattern)| text(format!("{kind}:{index}"), pattern.clone())));
        }
    }
    Watch::new(targets)
}

fn regex(id: &str, pattern: &str) -> Target {
    text(id.to_owned(), Pattern::Regex(pattern.to_owned()))
}

fn text(id: String, pattern: Pattern) -> Target {
    Target {
        id,
        pattern,
        prompt: false,
    }
}

fn prompt(id: &str, pattern: Pattern) -> Target {
    Target {
        id: id.to_owned(),
        pattern,
        prompt: true,
    }
}

/// Where a match stands, in the stream that `file` records: the offset is that of the quotation.
pub(super) fn evidence(found: &Match, file: &str, redactor: &Redactor) -> EvidenceRef {
    EvidenceRef {
        file: file.to_owned(),
        offset_bytes: Some(found.quote_offset),
        // A guest may echo what it was given; the raw log keeps that, what is quoted from it does not.
        quote: Some(Untrusted::new(redactor.redact(found.line.as_bytes()))),
    }
}

/// What a match on the console means. `None`: a rule's target, or one that no console has.
pub(super) fn sighting(plan: &Plan, found: &Match, file: &str, redactor: &Redactor) -> Option<Sighting> {
    let mark = match found.id.as_str() {
        KERNEL => Mark::Kernel,
        USERSPACE => Mark::Userspace,
        LOGIN => Mark::LoginPrompt,
        UNLOCK => Mark::UnlockPrompt,
        REFUSED => Mark::PassphraseRefused,
        TARGET => Mark::Target,
        id => {
            if let Some(name) = id.strip_prefix(MARKER) {
                Mark::Marker(name.to_owned())
            } else {
                let index = id.strip_prefix(FORBIDDEN)?.parse::<usize>().ok()?;
                Mark::Forbidden(plan.console.fail.get(index)?.to_string())
            }
        }
    };
    let evidence = evidence(found, file, redactor);
    Some(Sighting { mark, evidence })
}
