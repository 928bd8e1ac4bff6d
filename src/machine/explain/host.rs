//! Causes on the host's side, and of the run itself.

use super::row::{AGAIN, CHECK, DOCTOR, Explanation, TRACE, row};
use crate::machine::Cause;

/// QEMU and the host while a guest runs.
pub(super) const ROWS: &[Explanation] = &[
    row(
        Cause::QemuExited,
        "The QEMU process ended without having been asked to, with an exit status.",
        &["qemu.stderr", "argv.txt", "qmp.jsonl"],
        DOCTOR,
    ),
    row(
        Cause::QemuKilled,
        "The QEMU process ended by a signal that bootgate has not sent.",
        &["qemu.stderr", "trace.jsonl"],
        AGAIN,
    ),
    row(
        Cause::OutOfMemory,
        "QEMU ended by SIGKILL and the kernel's count of out-of-memory kills went up.",
        &["trace.jsonl", "qemu.stderr"],
        DOCTOR,
    ),
    row(
        Cause::QemuStopped,
        "The monitor is silent, and the system says that the QEMU process is stopped.",
        &["trace.jsonl"],
        AGAIN,
    ),
    row(
        Cause::QemuUnresponsive,
        "The monitor's signs of life stayed away although QEMU runs.",
        &["qmp.jsonl", "trace.jsonl"],
        DOCTOR,
    ),
    row(
        Cause::QmpLost,
        "The monitor's connection ended, or held what is no QMP, and QEMU runs on.",
        &["qmp.jsonl", "qemu.stderr"],
        AGAIN,
    ),
    row(
        Cause::QemuInternalError,
        "QMP STOP with the run state `internal-error`, confirmed by `query-status`.",
        &["qemu.stderr", "registers-1.txt", "qmp.jsonl"],
        DOCTOR,
    ),
    row(
        Cause::GuestPausedByOthers,
        "QMP STOP that bootgate has not asked for, confirmed by `query-status`: paused.",
        &["qmp.jsonl"],
        AGAIN,
    ),
    row(
        Cause::HostDiskFull,
        "QMP BLOCK_IO_ERROR with the reason `enospc`: the guest's write could not be stored.",
        &["qmp.jsonl", "trace.jsonl"],
        DOCTOR,
    ),
    row(
        Cause::HostDiskNearlyFull,
        "The free space where the run writes fell below the reserve while the guest ran.",
        &["trace.jsonl"],
        DOCTOR,
    ),
    row(
        Cause::HostIoError,
        "QMP BLOCK_IO_ERROR for another reason than a full disk.",
        &["qmp.jsonl", "qemu.stderr"],
        DOCTOR,
    ),
    row(
        Cause::QemuWillNotStart,
        "QEMU ended before it greeted on its monitor.",
        &["qemu.stderr", "argv.txt"],
        DOCTOR,
    ),
    row(
        Cause::QemuWillNotExit,
        "The QEMU process was still there some time after SIGKILL.",
        &["trace.jsonl"],
        "bootgate reap",
    ),
    row(
        Cause::ImageLocked,
        "QEMU's lock on an image was still held after the process had ended.",
        &["trace.jsonl", "argv.txt"],
        "bootgate ps",
    ),
];

/// What a run needs before, between and after its machines.
pub(super) const RUN_ROWS: &[Explanation] = &[
    row(
        Cause::Preflight,
        "Something that the run needs was looked for before anything was started, and is not there.",
        &["result.json"],
        DOCTOR,
    ),
    row(
        Cause::HostTooSmall,
        "The free space was compared with what the disks and the evidence may take, before anything was started.",
        &["result.json"],
        DOCTOR,
    ),
    row(
        Cause::FirmwareMissing,
        "None of the places where distributions keep OVMF or SeaBIOS has a file that fits.",
        &["result.json"],
        DOCTOR,
    ),
    row(
        Cause::AcceleratorMissing,
        "The accelerator was probed by use: a boot sector must come to 64-bit code with paging on within two seconds.",
        &["result.json", "trace.jsonl"],
        DOCTOR,
    ),
    row(
        Cause::PrepareTimeout,
        "The deadline of Preparing passed: disks, firmware, QEMU's start and the first words on its monitor.",
        &["trace.jsonl", "qemu.stderr"],
        DOCTOR,
    ),
    row(
        Cause::ImageDigestMismatch,
        "The image's SHA-256 was computed and is not the one in the gate file.",
        &["result.json"],
        CHECK,
    ),
    row(
        Cause::DebugRecordMismatch,
        "The digests in the record beside the debug image were compared with both images.",
        &["result.json"],
        "bootgate debug-iso PRODUCTION -o DEBUG",
    ),
    row(
        Cause::NotRestored,
        "The checkpoint names another QEMU, machine or accelerator, a digest does not fit, or QMP MIGRATION ended as failed.",
        &["trace.jsonl", "qemu.stderr", "step.json"],
        "bootgate run gate.toml --stage NAME",
    ),
    row(
        Cause::RestoredSilent,
        "The memory was restored, and no login with the recorded host key in the recorded boot succeeded in time.",
        &["trace.jsonl", "serial.log"],
        "bootgate run gate.toml --stage NAME",
    ),
    row(
        Cause::CheckpointFailed,
        "Saving memory or disks ended with an error after the stage had passed.",
        &["trace.jsonl", "qmp.jsonl"],
        DOCTOR,
    ),
    row(
        Cause::Cancelled,
        "SIGINT, SIGTERM or SIGHUP reached bootgate; the guest was stopped and the evidence kept.",
        &["trace.jsonl"],
        AGAIN,
    ),
    row(
        Cause::Internal,
        "Something happened that the machine's own rules exclude.",
        &["trace.jsonl", "result.json"],
        TRACE,
    ),
];
