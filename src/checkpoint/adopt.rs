//! Bringing a checkpoint below another run's directory, so that it does not depend on the run that it was made by.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, FileExt as _, OpenOptionsExt as _};
use std::path::Path;

use super::describe::copy_file;
use super::open::{Checkpoint, blocking};
use super::record::MACHINE_FILE;
use super::restore_error::RestoreError;
use super::stored::{StoredFile, read_data};

/// Where a run keeps what it goes on with, in its directory. None of it is evidence of that run.
pub const ORIGIN: &str = "from";

impl Checkpoint {
    /// Brings its files below `into`, which is made, as `into/NAME` and beside it. They are never written again, so a second
    /// name for the same file is enough; where there can be none, its data is copied.
    pub async fn adopt(&self, name: &str, into: &Path) -> Result<Self, RestoreError> {
        let root = self.root().to_owned();
        let files: Vec<_> = self.record().files().into_iter().cloned().collect();
        let (to, name) = (into.to_owned(), name.to_owned());
        let directory = into.join(&name);
        blocking(move || {
            for file in &files {
                place(&root, &to, file)?;
            }
            let (from, to) = (root.join(&name).join(MACHINE_FILE), to.join(&name).join(MACHINE_FILE));
            folder_of(&to)?;
            copy_file(&from, &to).map_err(RestoreError::host("copy it to", &to))
        })
        .await?;
        Self::open(&directory)
    }

    /// Removes the memory, of which nothing is left to be read.
    pub fn forget_memory(&self) {
        if let Some(memory) = &self.record().memory {
            // It only takes space.
            let _ = std::fs::remove_file(self.root().join(&memory.file.path));
        }
    }
}

fn folder_of(path: &Path) -> Result<(), RestoreError> {
    let Some(folder) = path.parent() else { return Ok(()) };
    let made = DirBuilder::new().recursive(true).mode(0o700).create(folder);
    made.map_err(RestoreError::host("create", folder))
}

fn place(root: &Path, into: &Path, file: &StoredFile) -> Result<(), RestoreError> {
    let (from, to) = (root.join(&file.path), into.join(&file.path));
    folder_of(&to)?;
    let is_file = from.symlink_metadata().is_ok_and(|metadata| metadata.is_file());
    if !is_file {
        return Err(RestoreError::Outside {
            path: from,
            problem: "is no plain file",
        });
    }
    if std::fs::hard_link(&from, &to).is_ok() {
        return Ok(());
    }
    copy_data(&from, &to, file).map_err(RestoreError::host("copy it to", &to))
}

/// Copies the parts of a file that hold data.
fn copy_data(from: &Path, to: &Path, file: &StoredFile) -> io::Result<()> {
    let source = File::open(from)?;
    let target = OpenOptions::new().write(true).create_new(true).mode(0o600).open(to)?;
    target.set_len(file.size_bytes)?;
    for part in file.data() {
        let mut at = part.0;
        read_data(&source, &[part], &mut |chunk| {
            target.write_all_at(chunk, at)?;
            at += chunk.len() as u64;
            Ok(())
        })?;
    }
    Ok(())
}
