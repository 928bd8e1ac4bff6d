//! One probe: our boot sector under one accelerator and one CPU model.

use std::fmt;
use std::io::{self, Write as _};
use std::os::fd::{AsRawFd as _, OwnedFd};
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use nix::sys::memfd::{MFdFlags, memfd_create};

use crate::qemu::binary::{Qemu, said};
use crate::qemu::child::{self, Ended, Enough, Finished, Limits};
use crate::qemu::feature::Accel;
use crate::qemu::probe_sector::{LONG_MODE, REAL_MODE, sector};
use crate::units::human_span;

/// How long the probe may take. Under a working KVM it takes some 100 ms, most of it QEMU's own start.
pub(super) const PROBE_DEADLINE: Duration = Duration::from_secs(2);
/// The probe's console output is a few dozen bytes.
const PROBE_OUTPUT_BYTES_MAX: usize = 64 * 1024;
/// Size of the probe's disk. SeaBIOS reads none of a single sector.
const PROBE_DISK_BYTES: usize = 1024 * 1024;
/// What a probe showed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProbeResult {
    /// The CPU model that was tried.
    pub cpu_model: String,
    /// How far it came.
    pub outcome: ProbeOutcome,
    /// How long it took.
    pub took: Duration,
}

/// How far a probe came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ProbeOutcome {
    /// 64-bit code with paging on has run.
    LongMode,
    /// QEMU ran on, and 64-bit code was not reached before the deadline.
    Hung {
        /// True if at least real-mode code of ours has run.
        real_mode: bool,
    },
    /// QEMU ended.
    Ended {
        /// How, as a clause: `was killed by SIGABRT`.
        how: String,
        /// What it said.
        complaint: String,
    },
}

impl fmt::Display for ProbeResult {
    /// A clause about the probe: `with -cpu host was killed by SIGABRT: …`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "with `-cpu {}` ", self.cpu_model)?;
        let took = human_span(self.took);
        match &self.outcome {
            ProbeOutcome::LongMode => write!(f, "reached 64-bit code in {took}"),
            ProbeOutcome::Hung { real_mode: true } => {
                write!(f, "ran in real mode and hung before 64-bit code (waited {took})")
            }
            ProbeOutcome::Hung { real_mode: false } => write!(f, "hung in the firmware (waited {took})"),
            ProbeOutcome::Ended { how, complaint } => write!(f, "{how}{}", said(complaint)),
        }
    }
}

/// Runs the boot sector under one accelerator and CPU model.
pub(super) async fn probe(qemu: &Qemu, accel: Accel, cpu_model: &str, deadline: Duration) -> io::Result<ProbeResult> {
    let disk = probe_disk()?;
    // QEMU opens our file through our process: nothing is left behind on any disk, however this ends.
    let file = format!("/proc/{}/fd/{}", std::process::id(), disk.as_raw_fd());
    let mut command = Command::new(&qemu.binary);
    for dir in &qemu.data_dirs {
        command.arg("-L").arg(dir);
    }
    command.args([
        "-nodefaults",
        "-no-user-config",
        "-display",
        "none",
        "-name",
        "bootgate-probe",
    ]);
    command.args([
        "-machine",
        "q35",
        "-accel",
        accel.as_str(),
        "-cpu",
        cpu_model,
        "-m",
        "64M",
    ]);
    command.args([
        "-blockdev",
        &format!("driver=file,node-name=probe,read-only=on,filename={file}"),
    ]);
    command.args(["-device", "virtio-blk-pci,drive=probe,bootindex=0"]);
    command.args([
        "-chardev",
        "stdio,id=serial,signal=off",
        "-device",
        "isa-serial,chardev=serial",
    ]);
    let limits = Limits {
        deadline,
        stdout_bytes_max: PROBE_OUTPUT_BYTES_MAX,
    };
    let enough: Enough = Arc::new(|seen| contains(seen, LONG_MODE));
    let finished = child::run_until(command, limits, enough).await?;
    drop(disk);
    Ok(ProbeResult {
        cpu_model: cpu_model.to_owned(),
        outcome: outcome(&finished),
        took: finished.took,
    })
}

fn outcome(finished: &Finished) -> ProbeOutcome {
    match finished.ended {
        Ended::SeenEnough => ProbeOutcome::LongMode,
        Ended::Exited(_) => ProbeOutcome::Ended {
            how: finished.how(),
            complaint: finished.complaint(),
        },
        Ended::Deadline | Ended::TooMuchOutput | Ended::GivenUp => ProbeOutcome::Hung {
            real_mode: contains(&finished.stdout, REAL_MODE),
        },
    }
}

fn contains(haystack: &[u8], needle: &[u8]) -> bool {
    haystack.windows(needle.len()).any(|window| window == needle)
}

/// A disk in memory that starts with the boot sector.
fn probe_disk() -> io::Result<OwnedFd> {
    let memory = memfd_create("bootgate-probe", MFdFlags::MFD_CLOEXEC)?;
    let mut file = std::fs::File::from(memory);
    file.write_all(sector())?;
    file.set_len(PROBE_DISK_BYTES as u64)?;
    Ok(file.into())
}

#[cfg(all(test, target_arch = "x86_64"))]
mod tests {
    use super::*;
    use std::path::Path;

    #[tokio::test]
    async fn the_sector_reaches_long_mode_under_tcg() {
        // TCG on a loaded machine is slow; what is proved is that the sector gets there.
        let deadline = Duration::from_secs(60);
        let qemu = Qemu::find(Path::new("qemu-system-x86_64"), Vec::new()).await;
        let qemu = qemu.unwrap_or_else(|error| panic!("{error}; this test needs it: {}", error.mend()));
        for model in ["max,la57=off,erms=off,fsrm=off", "qemu64"] {
            let result = probe(&qemu, Accel::Tcg, model, deadline).await.unwrap();
            assert_eq!(result.outcome, ProbeOutcome::LongMode, "{result}");
        }
    }
}
