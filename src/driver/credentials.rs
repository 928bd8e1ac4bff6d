//! systemd credentials for an image that starts no SSH server by itself: files whose contents QEMU puts into the guest's
//! SMBIOS tables, where systemd looks for `io.systemd.credential.binary:NAME=BASE64` (`systemd.system-credentials(7)`).

use std::fs::DirBuilder;
use std::io;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};

use base64ct::{Base64, Encoding as _};

use crate::evidence::write_atomically;
use crate::machine::BootFrom;
use crate::plan::{CredentialsPlan, OpenBy, Plan};

/// Keys that may log in as root; put in place by systemd-tmpfiles since version 252.
const KEYS: &str = "ssh.authorized_keys.root";
/// A drop-in of the target that every live system reaches; taken since version 256.
const UNITS: &str = "systemd.unit-dropin.multi-user.target";

/// The directory of the run that holds them.
fn directory(run: &Path) -> PathBuf {
    run.join("credentials")
}

fn plan_of(plan: &Plan) -> Option<&CredentialsPlan> {
    match plan.ssh.as_ref()?.open_by.as_ref()? {
        OpenBy::Credentials(credentials) => Some(credentials),
        OpenBy::SerialLogin(_) => None,
    }
}

/// The files for a machine of the plan, whether they are there yet or not. An installed system gets none.
pub(super) fn files(plan: &Plan, boot: BootFrom, run: &Path) -> Vec<PathBuf> {
    if plan_of(plan).is_none() || boot == BootFrom::TargetDisk {
        return Vec::new();
    }
    [KEYS, UNITS].map(|name| directory(run).join(name)).to_vec()
}

/// Writes the files, readable by their owner only.
pub(super) fn write(plan: &Plan, public_key: &str, run: &Path) -> io::Result<()> {
    let Some(credentials) = plan_of(plan) else {
        return Ok(());
    };
    let directory = directory(run);
    DirBuilder::new().mode(0o700).create(&directory)?;
    let units = format!("[Unit]\nWants={}\n", credentials.units.join(" "));
    for (name, value) in [(KEYS, format!("{public_key}\n")), (UNITS, units)] {
        let value = Base64::encode_string(value.as_bytes());
        let text = format!("io.systemd.credential.binary:{name}={value}");
        write_atomically(&directory.join(name), text.as_bytes())?;
    }
    Ok(())
}
