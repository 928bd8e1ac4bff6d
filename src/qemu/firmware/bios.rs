//! SeaBIOS, which QEMU loads by itself.

use std::path::PathBuf;

use crate::qemu::binary::{BinaryError, Qemu, data_path};

/// What the machine `q35` loads unless it is told otherwise.
const FILE_NAME: &str = "bios-256k.bin";

/// Why there is no SeaBIOS.
#[derive(Debug, thiserror::Error)]
pub enum BiosError {
    /// No directory of QEMU's data has it.
    #[error("there is no SeaBIOS (`{FILE_NAME}`); QEMU looks for it in {}", list(.searched))]
    NotFound {
        /// The directories.
        searched: Vec<PathBuf>,
    },
    /// QEMU did not say where it looks.
    #[error(transparent)]
    Binary(#[from] BinaryError),
}

fn list(directories: &[PathBuf]) -> String {
    let names: Vec<_> = directories.iter().map(|path| path.display().to_string()).collect();
    names.join(", ")
}

impl BiosError {
    /// What a person does about it.
    pub fn mend(&self) -> String {
        match self {
            Self::NotFound { .. } => "install it (Debian and Ubuntu: `apt install seabios`; Fedora: `dnf install \
                                      seabios-bin`; Arch: `pacman -S seabios`), or set `firmware = \"uefi\"`"
                .to_owned(),
            Self::Binary(error) => error.mend(),
        }
    }
}

/// The file that QEMU would load.
pub async fn find_bios(qemu: &Qemu) -> Result<PathBuf, BiosError> {
    let mut searched = qemu.data_dirs.clone();
    searched.extend(data_path(&qemu.binary).await?);
    let files = searched.iter().map(|directory| directory.join(FILE_NAME));
    let found = files.into_iter().find(|path| path.is_file());
    // `/usr/bin/../share/seabios` is how QEMU says `/usr/share/seabios`.
    let found = found.map(|path| path.canonicalize().unwrap_or(path));
    found.ok_or(BiosError::NotFound { searched })
}
