//! Causes of commands, and of the installed system.

use super::row::{CHECK, Explanation, INSPECT, TRACE, row};
use crate::machine::Cause;

/// A stage's command.
pub(super) const ROWS: &[Explanation] = &[
    row(
        Cause::CommandFailed,
        "The command's exit status, read in the guest over SSH, is not 0.",
        &["ssh/STAGE.log", "serial.log"],
        INSPECT,
    ),
    row(
        Cause::CommandKilled,
        "The command's exit status names a signal.",
        &["ssh/STAGE.log", "serial.log"],
        INSPECT,
    ),
    row(
        Cause::CommandSilent,
        "The command printed nothing for as long as `no-progress` says, and had not ended.",
        &["ssh/STAGE.log", "screen-1.png", "serial.log"],
        INSPECT,
    ),
    row(
        Cause::CommandTimeout,
        "The stage's `timeout` passed while the command was still printing.",
        &["ssh/STAGE.log", "trace.jsonl"],
        TRACE,
    ),
    row(
        Cause::CommandUnreachable,
        "The SSH session broke and could not be had again, so the command could not be started or followed.",
        &["trace.jsonl", "ssh/STAGE.log", "serial.log"],
        TRACE,
    ),
    row(
        Cause::ExpectedLineMissing,
        "The command ended with status 0 and a line of the stage's `pass` or `until` was never printed.",
        &["ssh/STAGE.log"],
        INSPECT,
    ),
    row(
        Cause::PredecessorFailed,
        "The newest run of the stage before has a verdict that is not a pass; nothing was started.",
        &["result.json", "step.json"],
        "bootgate ps",
    ),
    row(
        Cause::PredecessorMissing,
        "There is no run of the stage before, or it was interrupted before its result; nothing was started.",
        &["result.json", "step.json"],
        "bootgate run gate.toml --stage NAME",
    ),
];

/// The installed disk.
pub(super) const INSTALLED_ROWS: &[Explanation] = &[
    row(
        Cause::NoBootLoader,
        "The target disk's first sector was read before the start and holds no boot code, or the firmware said that it finds nothing to start.",
        &["ssh/STAGE.log", "firmware.log", "disks/"],
        INSPECT,
    ),
    row(
        Cause::InstalledSilent,
        "The machine runs from the target disk, and its kernel's first line did not come in time.",
        &["serial-2.log", "screen-2.png", "firmware.log"],
        INSPECT,
    ),
    row(
        Cause::StoppedAtLoginPrompt,
        "A login prompt stood on the console for as long as `login-settle` says, and the target's line did not come.",
        &["serial-2.log", "screen-2.png"],
        INSPECT,
    ),
    row(
        Cause::TargetNotReached,
        "The installed kernel spoke, and the stage's `timeout` passed without the target's line.",
        &["serial-2.log", "screen-2.png"],
        INSPECT,
    ),
    row(
        Cause::HostKeyCopied,
        "A login on the installed system showed the host key that the live system had.",
        &["trace.jsonl"],
        TRACE,
    ),
    row(
        Cause::PassphraseRejected,
        "The prompt came again after the answer, or a line says that the passphrase is wrong.",
        &["serial-2.log", "screen-text-2.log"],
        INSPECT,
    ),
    row(
        Cause::PassphraseNotTypable,
        "The prompt was seen on the screen, and a character of the answer is on no key of a US keyboard.",
        &["screen-text-2.log", "screen-2.png"],
        CHECK,
    ),
    row(
        Cause::PassphraseNotAsked,
        "The target's line came without the prompt of the stage's `unlock`.",
        &["serial-2.log", "screen-text-2.log", "ssh/STAGE.log"],
        INSPECT,
    ),
];
