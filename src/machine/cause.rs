//! Every cause that the machine itself can name. Causes that only the console knows come from rules.

use serde::{Deserialize, Serialize};

use crate::machine::Class;

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

/// One table for all: the cause, its id, its class, its sentence, what to do next.
macro_rules! causes {
    ($($cause:ident: $id:literal, $class:ident, $title:literal, $remedy:literal;)*) => {
        /// What decided a verdict.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        pub enum Cause {
            $(#[doc = $title] $cause,)*
        }

        impl Cause {
            /// Every cause.
            pub const ALL: &'static [Self] = &[$(Self::$cause),*];

            /// What the cause means.
            pub fn facts(self) -> CauseFacts {
                match self {
                    $(Self::$cause => CauseFacts {
                        id: $id,
                        class: Class::$class,
                        title: $title,
                        remedy: $remedy,
                    },)*
                }
            }
        }
    };
}

causes! {
    EveryClaimProved: "every-claim-proved", Passed,
        "Every stage's claim is proved.",
        "";
    NotEverythingTested: "not-everything-tested", Passed,
        "Nothing failed, but not every stage has tested what it is for.",
        "";
    StageProved: "stage-proved", Passed,
        "The claim of this stage is proved; the others are proved by runs of their own.",
        "";
    KernelPanic: "kernel-panic", Failed,
        "The guest's kernel panicked.",
        "Read the lines before the panic on the serial console.";
    GuestPoweredOff: "guest-powered-off", Failed,
        "The guest powered itself off when it should be running.",
        "Look in the serial console for who asked for the power-off.";
    UnexpectedReset: "unexpected-reset", Failed,
        "The guest reset itself when it should be running.",
        "Look in the serial console for the last lines before the reset.";
    ResetLoop: "reset-loop", Failed,
        "The guest resets again and again before it is up.",
        "Look in the serial console for what each boot says last.";
    NoMarker: "no-marker", Failed,
        "The image wrote to the console, but neither the marker nor SSH appeared.",
        "Look at the last lines of the console; if the image is up, check the markers in the gate file.";
    NoSerialConsole: "no-serial-console", Untestable,
        "Nothing came over the serial console and SSH did not answer.",
        "Boot the image with `console=ttyS0` on its kernel command line, or give the gate an [ssh] table.";
    BootTimeout: "boot-timeout", Failed,
        "The stage's time ran out while the image was booting.",
        "Look at the last lines of the console; raise the stage's `timeout` if it was only slow.";
    WaitingForInput: "waiting-for-input", Failed,
        "The guest asks a question on the console and waits for somebody to type.",
        "Answer it beforehand (a kernel argument, a preseed or kickstart file), or have the image not ask: nobody types at a gate.";
    AccessLoginRefused: "access-login-refused", Untestable,
        "The login on the serial console was turned down.",
        "Check user and password of `[ssh] open-by` against the image.";
    AccessNoShell: "access-no-shell", Untestable,
        "No shell answered on the serial console behind the login.",
        "Look at the console's last lines; the user of `[ssh] open-by` needs a shell.";
    AccessNotRoot: "access-not-root", Untestable,
        "The user on the serial console can't become root without a password.",
        "Name a user of the image that is root or may use sudo without a password.";
    AccessNoServer: "access-no-sshd", Untestable,
        "The image has no SSH server that could be started.",
        "Test a debug image with an SSH server, or give `[ssh] open-by` a `start` command that starts another one.";
    AccessServerFailed: "access-sshd-failed", Untestable,
        "The image's SSH server could not be started.",
        "Read the lines on the console; try the same command in the image by hand.";
    AccessTimeout: "access-timeout", Untestable,
        "The image could not be logged in to on the serial console in time.",
        "Look at the console's last lines: does a getty run on the serial console (`console=ttyS0`)?";
    SshNotListening: "ssh-not-listening", Untestable,
        "The image is up, but nothing listens behind the SSH port.",
        "Test an image with sshd enabled (a debug image), or drop the [ssh] table and the stages that need it.";
    SshNotAnSshServer: "not-an-ssh-server", Untestable,
        "Something that is not an SSH server answers on the SSH port.",
        "Check what listens on port 22 in the image.";
    SshAuthRejected: "ssh-auth-rejected", Untestable,
        "The SSH server turned the login down.",
        "Check user, password or key in the gate's [ssh] table against the image.";
    SshFlapping: "ssh-flapping", Failed,
        "SSH logins succeed and then fail again; they never became stable.",
        "Look in the guest for what restarts sshd or the network.";
    SshUnstable: "ssh-unstable", Failed,
        "An SSH server answers, but no row of full logins succeeded.",
        "Look at the classes of the attempts in the trace: `bootgate trace last`.";
    HostKeyChanged: "host-key-changed", Failed,
        "The SSH host key changed within one boot.",
        "Look in the guest for what makes host keys twice.";
    HostKeyCopied: "host-key-copied", Failed,
        "The installed system has the live system's SSH host key.",
        "Have the installer leave host keys out, so that each installation makes its own.";
    WrongMachine: "wrong-machine", Infrastructure,
        "The machine that answers over SSH is not the one that was started.",
        "Find what else listens on the forwarded port; the result of this run says nothing about the image.";
    CommandFailed: "command-failed", Failed,
        "The stage's command ended with a failure status.",
        "Read the command's output.";
    CommandKilled: "command-killed", Failed,
        "The stage's command was killed by a signal.",
        "Read the end of the command's output, and the console for an out-of-memory report.";
    CommandSilent: "command-silent", Failed,
        "The stage's command stopped printing and did not end.",
        "Read the end of the output for where it hangs; raise `no-progress` if the step is only slow.";
    CommandTimeout: "command-timeout", Failed,
        "The stage's time ran out while its command was still printing.",
        "Raise the stage's `timeout` if the command was only slow.";
    CommandUnreachable: "command-unreachable", Failed,
        "The command could not be run or followed over SSH.",
        "Look at the last SSH attempts in the trace: `bootgate trace last`.";
    ExpectedLineMissing: "expected-line-missing", Failed,
        "The command ended well without a line that it must print.",
        "Check the command's output against the stage's `pass` list.";
    ForbiddenLine: "forbidden-line", Failed,
        "A line appeared that the gate file forbids.",
        "Read the lines around it.";
    NoBootLoader: "no-boot-loader", Failed,
        "The installed disk has no boot loader for a BIOS.",
        "Check that the installer writes one to the disk's first sector, or boot with `firmware = \"uefi\"`.";
    InstalledSilent: "installed-silent", Failed,
        "The installed disk was started and no kernel wrote to the console.",
        "Check the installed boot loader, and that the installed kernel has `console=ttyS0`.";
    StoppedAtLoginPrompt: "stopped-at-login-prompt", Failed,
        "The installed system stopped at a login prompt without reaching the claimed target.",
        "Check the default target and the units it wants; a login prompt is not the target.";
    TargetNotReached: "target-not-reached", Failed,
        "The installed system booted, but its target was not reached in time.",
        "Look at the last lines of the console for the unit that is waited for.";
    PassphraseRejected: "passphrase-rejected", Failed,
        "The passphrase was not accepted.",
        "Check that the stage's `unlock` answer is the passphrase that the installer was given.";
    PassphraseNotTypable: "passphrase-not-typable", Untestable,
        "The passphrase is asked for on the screen, and a keyboard can't type it.",
        "Install with a passphrase of printable ASCII characters, or have the image ask on the serial console.";
    PassphraseNotAsked: "passphrase-not-asked", Failed,
        "The installed disk came up without asking for its passphrase.",
        "Check that the installer really encrypts, or drop `unlock` from the stage.";
    QemuExited: "qemu-exited", Infrastructure,
        "QEMU ended by itself.",
        "Read qemu.stderr in the run directory.";
    QemuKilled: "qemu-killed", Infrastructure,
        "QEMU was killed by a signal.",
        "Find who sent it (the system log, a CI time limit), then run again.";
    OutOfMemory: "host-out-of-memory", Infrastructure,
        "The host ran out of memory and killed QEMU.",
        "Give the machine less memory, or the host more.";
    QemuStopped: "qemu-stopped", Infrastructure,
        "QEMU was stopped by a signal (SIGSTOP) and not continued.",
        "Find who sent it, then run again.";
    QemuUnresponsive: "qemu-unresponsive", Infrastructure,
        "QEMU's monitor does not answer.",
        "Look at the host's load and disks, then run again.";
    QmpLost: "qmp-lost", Infrastructure,
        "The QMP connection broke while QEMU was running.",
        "Read the end of qmp.jsonl in the run directory.";
    QemuInternalError: "qemu-internal-error", Infrastructure,
        "QEMU or the accelerator stopped the guest with an internal error.",
        "Read qemu.stderr; try `accelerator = \"tcg\"`.";
    GuestPausedByOthers: "guest-paused", Infrastructure,
        "Somebody outside paused the guest.",
        "Find who else controls this QEMU, then run again.";
    HostDiskFull: "host-disk-full", Infrastructure,
        "The host's disk is full; the guest's write could not be stored.",
        "Free space where the runs are kept, or choose another place with `--runs`.";
    HostDiskNearlyFull: "host-disk-nearly-full", Infrastructure,
        "The host's disk is nearly full; the guest was paused before a write of its own failed.",
        "Free space there, name another directory with `[host] scratch` or `--runs`, or ask for less with `[host] reserve`.";
    HostIoError: "host-io-error", Infrastructure,
        "The host can't read or write an image of the guest.",
        "Look at the host's kernel log for the disk.";
    Preflight: "preflight", Infrastructure,
        "The host does not have what the run needs.",
        "Run `bootgate doctor`.";
    HostTooSmall: "host-space", Infrastructure,
        "The host has too little free space for this run.",
        "Free space where the runs are kept, or choose another place with `--runs`.";
    FirmwareMissing: "firmware-missing", Infrastructure,
        "No usable firmware was found.",
        "Install OVMF (`apt-get install ovmf`), or set `firmware = \"bios\"`.";
    AcceleratorMissing: "accelerator-missing", Infrastructure,
        "The accelerator that the gate asks for does not work here.",
        "Set `accelerator = \"auto\"` to fall back to TCG, or run `bootgate doctor`.";
    QemuWillNotStart: "qemu-will-not-start", Infrastructure,
        "QEMU ended before its monitor answered.",
        "Read qemu.stderr and argv.txt in the run directory.";
    PrepareTimeout: "prepare-timeout", Infrastructure,
        "The machine could not be brought up in time.",
        "Look at the host's load, then run again.";
    QemuWillNotExit: "qemu-will-not-exit", Infrastructure,
        "QEMU did not exit, even after SIGKILL.",
        "Look at the host's kernel log for a hung disk.";
    ImageLocked: "image-locked", Infrastructure,
        "An image is still locked after QEMU has exited.",
        "Find who else has it open (`fuser FILE`).";
    ImageDigestMismatch: "image-digest-mismatch", Infrastructure,
        "The image is not the one that the gate file pins.",
        "Fetch the image again, or update `sha256` in the gate file.";
    NotRestored: "not-restored", Infrastructure,
        "What the stage before has left can't go on here.",
        "Run the stage on a host with the same QEMU and accelerator, or run the stage before it again.";
    RestoredSilent: "restored-silent", Infrastructure,
        "The restored machine does not answer over SSH as it did before it was saved.",
        "Run this stage again; if it stays silent, run the stage before it again.";
    CheckpointFailed: "checkpoint-failed", Infrastructure,
        "The stage has passed, but what the next one goes on with could not be saved.",
        "Free space where the runs are kept, then run the stage again.";
    PredecessorFailed: "predecessor-failed", Failed,
        "The stage was skipped, because the one before it did not pass.",
        "Look at the run of the stage that did not pass.";
    PredecessorMissing: "predecessor-missing", Infrastructure,
        "The stage was skipped, because there is no whole run of the one before it.",
        "Run the stage before it first, or say by `--from` where its run or its bundle is.";
    DebugRecordMismatch: "debug-record-mismatch", Infrastructure,
        "The record beside the image under test is about other images.",
        "Make the debug image again (`bootgate debug-iso PRODUCTION -o DEBUG`), or name the production image it is made from.";
    Cancelled: "cancelled", Cancelled,
        "The run was stopped from outside.",
        "";
    Internal: "internal", Internal,
        "bootgate has a defect.",
        "Report it with the run directory's trace.jsonl and result.json.";
}

impl Cause {
    /// True if the cause says what did not come or did not end well, not why: a rule that was certain before then tells
    /// the cause.
    pub fn is_open(self) -> bool {
        matches!(
            self,
            Self::KernelPanic
                | Self::GuestPoweredOff
                | Self::UnexpectedReset
                | Self::ResetLoop
                | Self::NoMarker
                | Self::BootTimeout
                | Self::SshNotListening
                | Self::SshFlapping
                | Self::SshUnstable
                | Self::CommandFailed
                | Self::CommandKilled
                | Self::CommandSilent
                | Self::CommandTimeout
                | Self::CommandUnreachable
                | Self::ExpectedLineMissing
                | Self::InstalledSilent
                | Self::StoppedAtLoginPrompt
                | Self::TargetNotReached
                | Self::QemuExited
                | Self::QemuWillNotStart
        )
    }

    /// The cause with this id.
    pub fn of_id(id: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|cause| cause.id() == id)
    }

    /// The id in results.
    pub fn id(self) -> &'static str {
        self.facts().id
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
        for &cause in Cause::ALL {
            let facts = cause.facts();
            assert!(facts.title.ends_with('.'), "{cause:?}");
            let needs_remedy = !matches!(facts.class, Class::Passed | Class::Cancelled);
            assert_eq!(!facts.remedy.is_empty(), needs_remedy, "{cause:?}");
        }
    }
}
