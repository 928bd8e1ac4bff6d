//! A directory outside of the run's for its large files. The run keeps a link to it, so every path stays one in the run.

use std::fs::{self, DirBuilder};
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, symlink};
use std::path::{Path, PathBuf};

/// The directory of a run's disks, in its own.
pub(super) const DISKS: &str = "disks";
/// Says whose a scratch directory is: it holds the path of the run.
const OWNER: &str = "bootgate-run";
/// What an owner's file may hold, in bytes: the longest path of Linux.
const OWNER_BYTES_MAX: u64 = 4096;

/// Makes the directory of a run's disks: in `scratch`, with a link in the run, or in the run itself.
pub(super) fn make_disks(run: &Path, id: &str, scratch: Option<&Path>) -> io::Result<()> {
    let private = |path: &Path| DirBuilder::new().mode(0o700).create(path);
    let disks = run.join(DISKS);
    let Some(scratch) = scratch else {
        return private(&disks);
    };
    let own = scratch.canonicalize()?.join(id);
    private(&own)?;
    fs::write(own.join(OWNER), run.as_os_str().as_encoded_bytes())?;
    symlink(&own, &disks)
}

/// Removes what is left of a run's scratch directory when its disks are gone; a directory that still holds one stays.
pub fn remove_scratch(run: &Path) {
    let disks = run.join(DISKS);
    let Ok(own) = fs::read_link(&disks) else { return };
    let is_owner = |name: io::Result<fs::DirEntry>| name.is_ok_and(|entry| entry.file_name() == OWNER);
    if fs::read_dir(&own).is_ok_and(|mut entries| entries.all(is_owner)) {
        let _ = fs::remove_file(own.join(OWNER));
        let _ = fs::remove_dir(&own);
        let _ = fs::remove_file(disks);
    }
}

/// A directory in `scratch` that a run has made, and the path of that run.
pub(super) fn owned(scratch: &Path) -> io::Result<Vec<(PathBuf, PathBuf)>> {
    use std::io::Read as _;
    use std::os::unix::ffi::OsStringExt as _;
    let mut owned = Vec::new();
    for entry in fs::read_dir(scratch)? {
        let directory = entry?.path();
        let Ok(file) = fs::File::open(directory.join(OWNER)) else {
            continue;
        };
        let mut run = Vec::new();
        file.take(OWNER_BYTES_MAX).read_to_end(&mut run)?;
        owned.push((directory, PathBuf::from(std::ffi::OsString::from_vec(run))));
    }
    owned.sort();
    Ok(owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn disks_lie_in_the_scratch_directory_and_are_reached_through_the_run() {
        let folder = tempfile::tempdir().unwrap();
        let (run, scratch) = (folder.path().join("run"), folder.path().join("scratch"));
        fs::create_dir(&run).unwrap();
        fs::create_dir(&scratch).unwrap();
        make_disks(&run, "gate-1", Some(&scratch)).unwrap();
        let disk = run.join("disks/target.raw");
        fs::write(&disk, "a disk").unwrap();
        assert!(scratch.join("gate-1/target.raw").exists());
        assert_eq!(owned(&scratch).unwrap(), [(scratch.join("gate-1"), run.clone())]);
        remove_scratch(&run);
        assert!(disk.exists(), "a disk that is kept keeps its directory");
        fs::remove_file(&disk).unwrap();
        remove_scratch(&run);
        assert_eq!(fs::read_dir(&scratch).unwrap().count(), 0);
        assert!(run.join(DISKS).symlink_metadata().is_err());
        make_disks(&run, "gate-2", None).unwrap();
        remove_scratch(&run);
        assert!(run.join(DISKS).is_dir());
    }

    #[test]
    fn a_directory_of_another_run_is_never_taken_over() {
        let folder = tempfile::tempdir().unwrap();
        let run = folder.path().join("run");
        fs::create_dir(&run).unwrap();
        fs::create_dir(folder.path().join("gate-1")).unwrap();
        let taken = make_disks(&run, "gate-1", Some(folder.path()));
        assert_eq!(taken.unwrap_err().kind(), io::ErrorKind::AlreadyExists);
    }
}
