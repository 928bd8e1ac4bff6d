//! Whether a qcow2 file is whole.

use std::io;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use super::create::qemu_img_for;
use crate::qemu::child::{self, Ended, Limits};

/// How long `qemu-img check` may take. It reads what maps the clusters, and none of them.
const CHECK_DEADLINE: Duration = Duration::from_secs(60);
const OUTPUT_BYTES_MAX: usize = 64 * 1024;
/// The exit code of `qemu-img check` for a file whose map is wrong, as that of one that was cut off is: QEMU itself reads zeros
/// behind its end and says nothing (`qemu-img(1)`). Clusters that nobody uses have a code of their own, and do no harm.
const DAMAGED: i32 = 2;

/// True if `qemu-img check` finds a qcow2 file damaged. False if it is whole, or that could not be told.
///
/// # Errors
/// If the program can't be started.
pub async fn is_damaged(qemu: &Path, qcow2: &Path) -> io::Result<bool> {
    let Ok(program) = qemu_img_for(qemu) else {
        return Ok(false);
    };
    let mut command = Command::new(program);
    command
        .args(["check", "-q", "-U", "-f", "qcow2", "--"])
        .arg(std::path::absolute(qcow2)?);
    let limits = Limits {
        deadline: CHECK_DEADLINE,
        stdout_bytes_max: OUTPUT_BYTES_MAX,
    };
    let finished = child::run(command, limits).await?;
    Ok(matches!(finished.ended, Ended::Exited(status) if status.code() == Some(DAMAGED)))
}
