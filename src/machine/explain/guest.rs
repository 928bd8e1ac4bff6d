//! Causes from power-on to a stable login.

use super::row::{AGAIN, CHECK, Explanation, INSPECT, TRACE, row};
use crate::machine::Cause;

/// Booting, and everything that may befall a running guest.
pub(super) const ROWS: &[Explanation] = &[
    row(
        Cause::KernelPanic,
        "QMP GUEST_PANICKED from the guest's panic device, or a rule at the panic's line on the console; QEMU then stands still with the guest in it.",
        &["serial.log", "screen-1.png", "registers-1.txt"],
        INSPECT,
    ),
    row(
        Cause::GuestPoweredOff,
        "QMP SHUTDOWN by the guest while a stage still needs it, confirmed by the machine's state or its end.",
        &["serial.log", "qmp.jsonl"],
        INSPECT,
    ),
    row(
        Cause::UnexpectedReset,
        "QMP RESET by the guest after it was up, confirmed by what the console says afterwards.",
        &["serial.log", "qmp.jsonl"],
        INSPECT,
    ),
    row(
        Cause::ResetLoop,
        "Several QMP RESETs by the guest within one stage before it was up.",
        &["serial.log", "firmware.log"],
        INSPECT,
    ),
    row(
        Cause::NoMarker,
        "The deadline for the marker passed; the console had lines, none of them was a marker, and no SSH server answered.",
        &["serial.log", "screen-1.png"],
        INSPECT,
    ),
    row(
        Cause::NoSerialConsole,
        "The deadline passed with no byte of the guest's on the serial console and no answer over SSH.",
        &["screen-1.png", "serial.log", "firmware.log"],
        INSPECT,
    ),
    row(
        Cause::BootTimeout,
        "The stage's own time ran out before anything better was known.",
        &["trace.jsonl", "serial.log", "screen-1.png"],
        TRACE,
    ),
    row(
        Cause::WaitingForInput,
        "The console's last line looks like a question and stands; no disk is used and no virtual CPU runs for three seconds.",
        &["serial.log", "screen-1.png"],
        INSPECT,
    ),
    row(
        Cause::ForbiddenLine,
        "A pattern of `[console] fail`, or of the stage's `fail`, was found in a line.",
        &["serial.log", "ssh/STAGE.log"],
        INSPECT,
    ),
    row(
        Cause::EveryClaimProved,
        "Each stage ended by its own event and its confirming signal, at the level that it claims.",
        &["trace.jsonl"],
        TRACE,
    ),
    row(
        Cause::NotEverythingTested,
        "A stage's `only-tests-if` said in the guest that the stage shows nothing here; the others have passed.",
        &["result.json", "trace.jsonl"],
        TRACE,
    ),
    row(
        Cause::StageProved,
        "The one stage of this run ended by its own event and its confirming signal.",
        &["trace.jsonl", "step.json"],
        "bootgate decide RUN…",
    ),
];

/// Letting us in.
pub(super) const ACCESS_ROWS: &[Explanation] = &[
    row(
        Cause::AccessLoginRefused,
        "The login program on the serial console said so, or asked for the name again and again.",
        &["serial.log"],
        INSPECT,
    ),
    row(
        Cause::AccessNoShell,
        "The login was taken, and no shell answered a command with the word that only a shell prints.",
        &["serial.log"],
        INSPECT,
    ),
    row(
        Cause::AccessNotRoot,
        "`sudo -n` was refused in the shell on the serial console.",
        &["serial.log"],
        INSPECT,
    ),
    row(
        Cause::AccessNoServer,
        "None of the known units of SSH servers is in the image, and the gate names no `start` command.",
        &["serial.log"],
        "bootgate debug-iso PRODUCTION -o DEBUG",
    ),
    row(
        Cause::AccessServerFailed,
        "The command that starts the SSH server ended with a failure status.",
        &["serial.log"],
        INSPECT,
    ),
    row(
        Cause::AccessTimeout,
        "The time of `[ssh] open-by` (`within`) passed before the conversation on the console ended.",
        &["serial.log", "screen-1.png"],
        INSPECT,
    ),
    row(
        Cause::SshNotListening,
        "The image is up, and every connection was reset until `[ssh] appear-within` passed: QEMU's network accepts before anybody listens.",
        &["trace.jsonl", "serial.log"],
        "bootgate debug-iso PRODUCTION -o DEBUG",
    ),
    row(
        Cause::SshNotAnSshServer,
        "Something answered on the port with a greeting that is not `SSH-2.0-…`.",
        &["trace.jsonl"],
        TRACE,
    ),
    row(
        Cause::SshAuthRejected,
        "A server answered, the key exchange ended well, and every way to log in was turned down.",
        &["trace.jsonl", "serial.log"],
        CHECK,
    ),
    row(
        Cause::SshFlapping,
        "Logins succeeded and failed in turn until `[ssh] stable-within` passed.",
        &["trace.jsonl", "serial.log"],
        TRACE,
    ),
    row(
        Cause::SshUnstable,
        "A server answered, and no row of full logins was complete when `[ssh] stable-within` passed.",
        &["trace.jsonl", "serial.log"],
        TRACE,
    ),
    row(
        Cause::HostKeyChanged,
        "Two logins with one boot id showed different host keys.",
        &["trace.jsonl"],
        TRACE,
    ),
    row(
        Cause::WrongMachine,
        "A full login worked, and the machine behind it has another UUID in its firmware tables than QEMU was given.",
        &["trace.jsonl", "argv.txt"],
        AGAIN,
    ),
];
