//! `[[stage]]`: what only some kinds of stages have.

use std::time::Duration;

use super::container::{Choice, List, ListOfTables, SubTable};
use super::key::{Group, Key, StageWord, Table};
use super::number::Flag;
use super::pattern::LinePattern;
use super::reader::TableReader;
use super::secret_value::SecretValue;
use super::stage_rules::check_reachable;
use super::unit::Span;
use super::word::{GuestFile, HostPath, Mode, Text};
use crate::plan::{Condition, Pattern, Prompt, PromptChannel, StageKind, Upload};

const COMMANDS: &[StageWord] = &[StageWord::Command];
const INSTALLED_BOOTS: &[StageWord] = &[StageWord::InstalledBoot];

pub(super) static UPLOADS: Key<ListOfTables> =
    Key::optional("upload", ListOfTables(&UPLOAD), "Files copied to the guest first.").only_in(COMMANDS);
pub(super) static COMMAND: Key<Text> = Key::required(
    "command",
    Text {
        example: "installer --yes",
    },
    "The command line, run by the guest's `sh`. It must end with status 0.",
)
.only_in(COMMANDS);
pub(super) static PASS: Key<List<LinePattern>> = Key::default(
    "pass",
    List(LinePattern),
    "[]",
    "Lines of which each must appear in the command's output.",
)
.only_in(COMMANDS);
pub(super) static FAIL: Key<List<LinePattern>> = Key::default(
    "fail",
    List(LinePattern),
    "[]",
    "Lines of which none may appear in the command's output.",
)
.only_in(COMMANDS);
pub(super) static UNTIL: Key<List<LinePattern>> = Key::default(
    "until",
    List(LinePattern),
    "[]",
    "Lines of which the first one ends the command, and well; without one, the stage fails whatever the exit status. \
     Lines of `pass` must have appeared by then.",
)
.only_in(COMMANDS);
pub(super) static ONLY_TESTS_IF: Key<SubTable> = Key::optional(
    "only-tests-if",
    SubTable(&CONDITION),
    "What must hold in the guest for the command to test what the stage is for. Where it does not hold, the command runs \
     all the same, and the stage is told as not tested instead of passed.",
)
.only_in(COMMANDS);
pub(super) static NO_PROGRESS: Key<Span> = Key::default(
    "no-progress",
    Span { zero_allowed: false },
    "\"2m\"",
    "How long the command may print nothing.",
)
.only_in(COMMANDS);
pub(super) static TARGET: Key<LinePattern> = Key::required(
    "target",
    LinePattern,
    "The line on the console that says that the installed system has reached its target.",
)
.only_in(INSTALLED_BOOTS);
pub(super) static UNLOCK_TABLE: Key<SubTable> = Key::optional(
    "unlock",
    SubTable(&UNLOCK),
    "The passphrase prompt of the installed system, and its answer.",
)
.only_in(INSTALLED_BOOTS);
pub(super) static LOGIN_SETTLE: Key<Span> = Key::default(
    "login-settle",
    Span { zero_allowed: true },
    "\"20s\"",
    "How long a login prompt may stand on the console without the target being reached.",
)
.only_in(INSTALLED_BOOTS);
pub(super) static VERIFY_SSH: Key<Flag> = Key::default(
    "verify-ssh",
    Flag,
    "false",
    "True if a login over SSH must confirm the target.",
)
.only_in(INSTALLED_BOOTS);
pub(super) static TARGET_CHECK: Key<Text> = Key::optional(
    "target-check",
    Text {
        example: "systemctl is-active --quiet graphical.target",
    },
    "The command whose exit status 0 says that the installed system has reached its target. It is run over SSH when a login \
     prompt stands before the target: systemd tells nothing more on a console that has been a login prompt's for five \
     seconds. Default: systemd is asked if `target` is a line of its own and the gate has a login.",
)
.only_in(INSTALLED_BOOTS);

static CONDITION_COMMAND: Key<Text> = Key::required(
    "command",
    Text {
        example: "test -e /run/small",
    },
    "The command line, run by the guest's `sh` before the stage's command. It holds if the status is 0.",
);
static BECAUSE: Key<Text> = Key::required(
    "because",
    Text {
        example: "with more memory the bug hides",
    },
    "Why the stage tests nothing where it does not hold; the report says so.",
);
static CONDITION: Table = Table {
    title: "a condition",
    doc: "What must hold in the guest for a stage to test what it is for.",
    keys: &[&CONDITION_COMMAND, &BECAUSE],
    group: Group::None,
};

static FROM: Key<HostPath> = Key::required("from", HostPath, "The file on the host.");
static TO: Key<GuestFile> = Key::required("to", GuestFile, "The absolute path in the guest.");
static MODE: Key<Mode> = Key::default("mode", Mode, "\"0755\"", "Its permission bits, in octal.");
static UPLOAD: Table = Table {
    title: "an upload",
    doc: "A file copied to the guest.",
    keys: &[&FROM, &TO, &MODE],
    group: Group::None,
};

static PROMPT: Key<LinePattern> = Key::required(
    "prompt",
    LinePattern,
    "What the prompt looks like. It need not end with a newline.",
);
static ANSWER: Key<SecretValue> = Key::required("answer", SecretValue::Password, "The answer.");
static CHANNEL: Key<Choice<PromptChannel>> = Key::default(
    "channel",
    Choice {
        all: &PromptChannel::ALL,
        name: PromptChannel::as_str,
    },
    "\"auto\"",
    "Where it is asked, and so answered: on the serial console, on the screen, or on whichever of both asks.",
);
static UNLOCK: Table = Table {
    title: "`unlock`",
    doc: "A passphrase prompt and its answer.",
    keys: &[&PROMPT, &ANSWER, &CHANNEL],
    group: Group::None,
};

/// What the stage does, by the keys of its kind.
pub(super) fn read_kind(
    table: &TableReader<'_>,
    kind: StageWord,
    timeout: Option<Duration>,
    has_login: bool,
) -> Option<StageKind> {
    match kind {
        StageWord::Boot => Some(StageKind::Boot),
        StageWord::Command => {
            let uploads: Vec<_> = table.tables(&UPLOADS).iter().map(read_upload).collect();
            let command = table.take(&COMMAND);
            let (pass, fail) = (table.take(&PASS), table.take(&FAIL));
            let until = table.take(&UNTIL);
            let condition = if table.has(&ONLY_TESTS_IF) {
                table.table(&ONLY_TESTS_IF)
            } else {
                None
            };
            let only_tests_if = condition.and_then(|condition| read_condition(&condition));
            let no_progress = table.take(&NO_PROGRESS);
            check_reachable(table, &NO_PROGRESS, timeout);
            Some(StageKind::Command {
                uploads: uploads.into_iter().collect::<Option<_>>()?,
                command: command?,
                pass: pass?,
                fail: fail?,
                until: until?,
                only_tests_if,
                no_progress: no_progress?,
            })
        }
        StageWord::InstalledBoot => {
            let target = table.take(&TARGET);
            let unlock_table = if table.has(&UNLOCK_TABLE) {
                table.table(&UNLOCK_TABLE)
            } else {
                None
            };
            let unlock = unlock_table.and_then(|unlock| read_unlock(&unlock));
            let target_check = table.take(&TARGET_CHECK);
            let (login_settle, verify_ssh) = (table.take(&LOGIN_SETTLE), table.take(&VERIFY_SSH));
            check_reachable(table, &LOGIN_SETTLE, timeout);
            let target = target?;
            Some(StageKind::InstalledBoot {
                target_check: target_check.or_else(|| has_login.then(|| systemd_check(&target)).flatten()),
                target,
                unlock,
                login_settle: login_settle?,
                verify_ssh: verify_ssh?,
            })
        }
    }
}

fn read_upload(table: &TableReader<'_>) -> Option<Upload> {
    let (from, to, mode) = (table.take(&FROM), table.take(&TO), table.take(&MODE));
    Some(Upload {
        from: from?,
        to: to?,
        mode: mode?,
    })
}

fn read_condition(table: &TableReader<'_>) -> Option<Condition> {
    let (command, because) = (table.take(&CONDITION_COMMAND), table.take(&BECAUSE));
    Some(Condition {
        command: command?,
        because: because?,
    })
}

fn read_unlock(table: &TableReader<'_>) -> Option<Prompt> {
    let (pattern, answer, channel) = (table.take(&PROMPT), table.take(&ANSWER), table.take(&CHANNEL));
    Some(Prompt {
        pattern: pattern?,
        answer: answer?,
        channel: channel?,
    })
}

/// How systemd is asked for the target that a line of its own names. `is-system-running` waits until the boot is over.
fn systemd_check(target: &Pattern) -> Option<String> {
    let Pattern::Text(line) = target else { return None };
    let unit = line.split_once("Reached target ")?.1.split_whitespace().next()?;
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_.@".contains(c);
    let is_target = unit.ends_with(".target") && unit.chars().all(is_plain) && !unit.starts_with('-');
    is_target.then(|| format!("systemctl is-system-running --wait >/dev/null 2>&1; systemctl is-active {unit}"))
}
