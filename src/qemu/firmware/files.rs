//! A pair of firmware files and its use in a run.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use crate::plan::DiskFormat;
use crate::qemu::argv::{FirmwareSpec, FlashSpec};

/// The contents of a flash device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FlashFile {
    /// The file.
    pub path: PathBuf,
    /// Its format.
    pub format: DiskFormat,
}

/// UEFI firmware that exists on this host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UefiFiles {
    /// The code. Never written.
    pub code: FlashFile,
    /// What the variables start as. `None`: `code` holds them as well, and each run has its copy of the whole.
    pub vars: Option<FlashFile>,
    /// The firmware needs system management mode (Secure Boot builds).
    pub requires_smm: bool,
    /// The variables hold Secure Boot keys: what is not signed with them does not boot.
    pub enrolled_keys: bool,
    /// Where the pair came from: a descriptor file, or the name of the pair.
    pub source: String,
}

impl UefiFiles {
    /// The part that a run writes to: the template of its own copy.
    pub fn template(&self) -> &FlashFile {
        self.vars.as_ref().unwrap_or(&self.code)
    }

    /// Copies the variables to a new file that only this user can read. An existing file is an error.
    pub fn copy_vars(&self, to: &Path) -> io::Result<()> {
        let mut from = File::open(&self.template().path)?;
        let mut options = OpenOptions::new();
        let mut file = options.write(true).create_new(true).mode(0o600).open(to)?;
        io::copy(&mut from, &mut file)?;
        file.sync_all()
    }

    /// The firmware of a machine whose variables are in `vars`, a file made by [`Self::copy_vars`].
    pub fn with_vars(&self, vars: &Path) -> FirmwareSpec {
        let writable = FlashSpec {
            path: vars.to_path_buf(),
            format: self.template().format,
            read_only: false,
        };
        let code = FlashSpec {
            path: self.code.path.clone(),
            format: self.code.format,
            read_only: true,
        };
        let (flash0, flash1) = match self.vars {
            Some(_) => (code, Some(writable)),
            None => (writable, None),
        };
        FirmwareSpec::Uefi {
            flash0,
            flash1,
            smm: self.requires_smm,
        }
    }
}
