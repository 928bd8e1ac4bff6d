//! Every cause that the machine itself can name. Causes that only the console knows come from rules.

use crate::machine::Class;

/// What decided a verdict.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[allow(
    missing_docs,
    reason = "each variant's meaning is its row in `facts`, which results and messages show"
)]
pub enum Cause {
    EveryClaimProved,
    KernelPanic,
    GuestPoweredOff,
    UnexpectedReset,
    ResetLoop,
    NoMarker,
    NoSerialConsole,
    BootTimeout,
    SshNotListening,
    SshNotAnSshServer,
    SshAuthRejected,
    SshFlapping,
    SshUnstable,
    HostKeyChanged,
    HostKeyCopied,
    WrongMachine,
    CommandFailed,
    CommandKilled,
    CommandSilent,
    CommandTimeout,
    CommandUnreachable,
    ExpectedLineMissing,
    ForbiddenLine,
    InstalledSilent,
    StoppedAtLoginPrompt,
    TargetNotReached,
    PassphraseRejected,
    PassphraseNotAsked,
    QemuExited,
    QemuKilled,
    OutOfMemory,
    QemuStopped,
    QemuUnresponsive,
    QmpLost,
    QemuInternalError,
    GuestPausedByOthers,
    HostDiskFull,
    HostIoError,
    Preflight,
    HostTooSmall,
    FirmwareMissing,
    AcceleratorMissing,
    QemuWillNotStart,
    PrepareTimeout,
    QemuWillNotExit,
    ImageLocked,
    ImageDigestMismatch,
    Cancelled,
    Internal,
}

/// What a cause means.
#[derive(Debug, Clone, Copy)]
pub struct CauseFacts {
    /// The id in results, in kebab-case.
    pub id: &'static str,
    /// The class of the verdict.
    pub class: Class,
    /// One sentence.
    pub title: &'static str,
    /// What to do next.
    pub remedy: &'static str,
}

impl Cause {
    /// Every cause.
    pub const ALL: [Self; 49] = [
        Self::EveryClaimProved,
        Self::KernelPanic,
        Self::GuestPoweredOff,
        Self::UnexpectedReset,
        Self::ResetLoop,
        Self::NoMarker,
        Self::NoSerialConsole,
        Self::BootTimeout,
        Self::SshNotListening,
        Self::SshNotAnSshServer,
        Self::SshAuthRejected,
        Self::SshFlapping,
        Self::SshUnstable,
        Self::HostKeyChanged,
        Self::HostKeyCopied,
        Self::WrongMachine,
        Self::CommandFailed,
        Self::CommandKilled,
        Self::CommandSilent,
        Self::CommandTimeout,
        Self::CommandUnreachable,
        Self::ExpectedLineMissing,
        Self::ForbiddenLine,
        Self::InstalledSilent,
        Self::StoppedAtLoginPrompt,
        Self::TargetNotReached,
        Self::PassphraseRejected,
        Self::PassphraseNotAsked,
        Self::QemuExited,
        Self::QemuKilled,
        Self::OutOfMemory,
        Self::QemuStopped,
        Self::QemuUnresponsive,
        Self::QmpLost,
        Self::QemuInternalError,
        Self::GuestPausedByOthers,
        Self::HostDiskFull,
        Self::HostIoError,
        Self::Preflight,
        Self::HostTooSmall,
        Self::FirmwareMissing,
        Self::AcceleratorMissing,
        Self::QemuWillNotStart,
        Self::PrepareTimeout,
        Self::QemuWillNotExit,
        Self::ImageLocked,
        Self::ImageDigestMismatch,
        Self::Cancelled,
        Self::Internal,
    ];

    /// The id in results.
    pub fn id(self) -> &'static str {
        self.facts().id
    }

    /// What the cause means. One row a cause: id, class, sentence, what to do next.
    #[allow(
        clippy::too_many_lines,
        reason = "a table with one row a cause reads best in one piece"
    )]
    pub fn facts(self) -> CauseFacts {
        use Class::{Cancelled, Failed, Infrastructure, Internal, Passed, Untestable};
        let row = |id, class, title, remedy| CauseFacts {
            id,
            class,
            title,
            remedy,
        };
        match self {
            Self::EveryClaimProved => row("every-claim-proved", Passed, "Every stage's claim is proved.", ""),
            Self::KernelPanic => row(
                "kernel-panic",
                Failed,
                "The guest's kernel panicked.",
                "Read the lines before the panic on the serial console.",
            ),
            Self::GuestPoweredOff => row(
                "guest-powered-off",
                Failed,
                "The guest powered itself off when it should be running.",
                "Look in the serial console for who asked for the power-off.",
            ),
            Self::UnexpectedReset => row(
                "unexpected-reset",
                Failed,
                "The guest reset itself when it should be running.",
                "Look in the serial console for the last lines before the reset.",
            ),
            Self::ResetLoop => row(
                "reset-loop",
                Failed,
                "The guest resets again and again before it is up.",
                "Look in the serial console for what each boot says last.",
            ),
            Self::NoMarker => row(
                "no-marker",
                Failed,
                "The image wrote to the console, but neither the marker nor SSH appeared.",
                "Look at the last lines of the console; if the image is up, check the markers in the gate file.",
            ),
            Self::NoSerialConsole => row(
                "no-serial-console",
                Untestable,
                "Nothing came over the serial console and SSH did not answer.",
                "Boot the image with `console=ttyS0` on its kernel command line, or give the gate an [ssh] table.",
            ),
            Self::BootTimeout => row(
                "boot-timeout",
                Failed,
                "The stage's time ran out while the image was booting.",
                "Look at the last lines of the console; raise the stage's `timeout` if it was only slow.",
            ),
            Self::SshNotListening => row(
                "ssh-not-listening",
                Untestable,
                "The image is up, but nothing listens behind the SSH port.",
                "Test an image with sshd enabled (a debug image), or drop the [ssh] table and the stages that need it.",
            ),
            Self::SshNotAnSshServer => row(
                "not-an-ssh-server",
                Untestable,
                "Something that is not an SSH server answers on the SSH port.",
                "Check what listens on port 22 in the image.",
            ),
            Self::SshAuthRejected => row(
                "ssh-auth-rejected",
                Untestable,
                "The SSH server turned the login down.",
                "Check user, password or key in the gate's [ssh] table against the image.",
            ),
            Self::SshFlapping => row(
                "ssh-flapping",
                Failed,
                "SSH logins succeed and then fail again; they never became stable.",
                "Look in the guest for what restarts sshd or the network.",
            ),
            Self::SshUnstable => row(
                "ssh-unstable",
                Failed,
                "An SSH server answers, but no row of full logins succeeded.",
                "Look at the classes of the attempts in the trace: `bootgate trace last`.",
            ),
            Self::HostKeyChanged => row(
                "host-key-changed",
                Failed,
                "The SSH host key changed within one boot.",
                "Look in the guest for what makes host keys twice.",
            ),
            Self::HostKeyCopied => row(
                "host-key-copied",
                Failed,
                "The installed system has the live system's SSH host key.",
                "Have the installer leave host keys out, so that each installation makes its own.",
            ),
            Self::WrongMachine => row(
                "wrong-machine",
                Infrastructure,
                "The machine that answers over SSH is not the one that was started.",
                "Find what else listens on the forwarded port; the result of this run says nothing about the image.",
            ),
            Self::CommandFailed => row(
                "command-failed",
                Failed,
                "The stage's command ended with a failure status.",
                "Read the command's output.",
            ),
            Self::CommandKilled => row(
                "command-killed",
                Failed,
                "The stage's command was killed by a signal.",
                "Read the end of the command's output, and the console for an out-of-memory report.",
            ),
            Self::CommandSilent => row(
                "command-silent",
                Failed,
                "The stage's command stopped printing and did not end.",
                "Read the end of the output for where it hangs; raise `no-progress` if the step is only slow.",
            ),
            Self::CommandTimeout => row(
                "command-timeout",
                Failed,
                "The stage's time ran out while its command was still printing.",
                "Raise the stage's `timeout` if the command was only slow.",
            ),
            Self::CommandUnreachable => row(
                "command-unreachable",
                Failed,
                "The command could not be run or followed over SSH.",
                "Look at the last SSH attempts in the trace: `bootgate trace last`.",
            ),
            Self::ExpectedLineMissing => row(
                "expected-line-missing",
                Failed,
                "The command ended well without a line that it must print.",
                "Check the command's output against the stage's `pass` list.",
            ),
            Self::ForbiddenLine => row(
                "forbidden-line",
                Failed,
                "A line appeared that the gate file forbids.",
                "Read the lines around it.",
            ),
            Self::InstalledSilent => row(
                "installed-silent",
                Failed,
                "The installed disk was started and no kernel wrote to the console.",
                "Check the installed boot loader, and that the installed kernel has `console=ttyS0`.",
            ),
            Self::StoppedAtLoginPrompt => row(
                "stopped-at-login-prompt",
                Failed,
                "The installed system stopped at a login prompt without reaching the claimed target.",
                "Check the default target and the units it wants; a login prompt is not the target.",
            ),
            Self::TargetNotReached => row(
                "target-not-reached",
                Failed,
                "The installed system booted, but its target was not reached in time.",
                "Look at the last lines of the console for the unit that is waited for.",
            ),
            Self::PassphraseRejected => row(
                "passphrase-rejected",
                Failed,
                "The passphrase was not accepted.",
                "Check that the stage's `unlock` answer is the passphrase that the installer was given.",
            ),
            Self::PassphraseNotAsked => row(
                "passphrase-not-asked",
                Failed,
                "The installed disk came up without asking for its passphrase.",
                "Check that the installer really encrypts, or drop `unlock` from the stage.",
            ),
            Self::QemuExited => row(
                "qemu-exited",
                Infrastructure,
                "QEMU ended by itself.",
                "Read qemu.stderr in the run directory.",
            ),
            Self::QemuKilled => row(
                "qemu-killed",
                Infrastructure,
                "QEMU was killed by a signal.",
                "Find who sent it (the system log, a CI time limit), then run again.",
            ),
            Self::OutOfMemory => row(
                "host-out-of-memory",
                Infrastructure,
                "The host ran out of memory and killed QEMU.",
                "Give the machine less memory, or the host more.",
            ),
            Self::QemuStopped => row(
                "qemu-stopped",
                Infrastructure,
                "QEMU was stopped by a signal (SIGSTOP) and not continued.",
                "Find who sent it, then run again.",
            ),
            Self::QemuUnresponsive => row(
                "qemu-unresponsive",
                Infrastructure,
                "QEMU's monitor does not answer.",
                "Look at the host's load and disks, then run again.",
            ),
            Self::QmpLost => row(
                "qmp-lost",
                Infrastructure,
                "The QMP connection broke while QEMU was running.",
                "Read the end of qmp.jsonl in the run directory.",
            ),
            Self::QemuInternalError => row(
                "qemu-internal-error",
                Infrastructure,
                "QEMU or the accelerator stopped the guest with an internal error.",
                "Read qemu.stderr; try `accelerator = \"tcg\"`.",
            ),
            Self::GuestPausedByOthers => row(
                "guest-paused",
                Infrastructure,
                "Somebody outside paused the guest.",
                "Find who else controls this QEMU, then run again.",
            ),
            Self::HostDiskFull => row(
                "host-disk-full",
                Infrastructure,
                "The host's disk is full; the guest's write could not be stored.",
                "Free space where the runs are kept, or choose another place with `--runs`.",
            ),
            Self::HostIoError => row(
                "host-io-error",
                Infrastructure,
                "The host can't read or write an image of the guest.",
                "Look at the host's kernel log for the disk.",
            ),
            Self::Preflight => row(
                "preflight",
                Infrastructure,
                "The host does not have what the run needs.",
                "Run `bootgate doctor`.",
            ),
            Self::HostTooSmall => row(
                "host-space",
                Infrastructure,
                "The host has too little free space for this run.",
                "Free space where the runs are kept, or choose another place with `--runs`.",
            ),
            Self::FirmwareMissing => row(
                "firmware-missing",
                Infrastructure,
                "No usable firmware was found.",
                "Install OVMF (`apt-get install ovmf`), or set `firmware = \"bios\"`.",
            ),
            Self::AcceleratorMissing => row(
                "accelerator-missing",
                Infrastructure,
                "The accelerator that the gate asks for does not work here.",
                "Set `accelerator = \"auto\"` to fall back to TCG, or run `bootgate doctor`.",
            ),
            Self::QemuWillNotStart => row(
                "qemu-will-not-start",
                Infrastructure,
                "QEMU ended before its monitor answered.",
                "Read qemu.stderr and argv.txt in the run directory.",
            ),
            Self::PrepareTimeout => row(
                "prepare-timeout",
                Infrastructure,
                "The machine could not be brought up in time.",
                "Look at the host's load, then run again.",
            ),
            Self::QemuWillNotExit => row(
                "qemu-will-not-exit",
                Infrastructure,
                "QEMU did not exit, even after SIGKILL.",
                "Look at the host's kernel log for a hung disk.",
            ),
            Self::ImageLocked => row(
                "image-locked",
                Infrastructure,
                "An image is still locked after QEMU has exited.",
                "Find who else has it open (`fuser FILE`).",
            ),
            Self::ImageDigestMismatch => row(
                "image-digest-mismatch",
                Infrastructure,
                "The image is not the one that the gate file pins.",
                "Fetch the image again, or update `sha256` in the gate file.",
            ),
            Self::Cancelled => row("cancelled", Cancelled, "The run was stopped from outside.", ""),
            Self::Internal => row(
                "internal",
                Internal,
                "bootgate has a defect.",
                "Report it with the run directory's trace.jsonl and result.json.",
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn each_cause_stands_once_with_an_id_of_its_own() {
        let ids: BTreeSet<_> = Cause::ALL.iter().map(|cause| cause.id()).collect();
        assert_eq!(ids.len(), Cause::ALL.len());
        let causes: BTreeSet<_> = Cause::ALL.iter().collect();
        assert_eq!(causes.len(), Cause::ALL.len());
    }

    #[test]
    fn each_cause_that_is_not_good_news_says_what_to_do() {
        for cause in Cause::ALL {
            let facts = cause.facts();
            assert!(facts.title.ends_with('.'), "{cause:?}");
            let needs_remedy = !matches!(facts.class, Class::Passed | Class::Cancelled);
            assert_eq!(!facts.remedy.is_empty(), needs_remedy, "{cause:?}");
        }
    }
}
