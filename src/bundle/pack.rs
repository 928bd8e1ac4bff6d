//! Writing a bundle.

use std::fs::File;
use std::io::{self, Write};
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;

use sha2::{Digest as _, Sha256};
use tokio::sync::watch;

use crate::checkpoint::{BoundedFile, Cancel, Phase, Progress, Room, encoder, interrupted, read_data};
use crate::qemu::disk::Digest;
use crate::units::ByteSize;

use super::archive::Archive;
use super::contents::{Contents, Options, Source};
use super::error::PackError;
use super::manifest::{MANIFEST, Manifest, Role};

/// A bundle that was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bundle {
    /// The file.
    pub path: PathBuf,
    /// Its size in bytes.
    pub size_bytes: u64,
    /// Its SHA-256.
    pub sha256: Digest,
    /// What it holds, and what was left out.
    pub manifest: Manifest,
}

/// The name of a bundle as long as it is not whole.
pub fn partial_name(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".partial");
    PathBuf::from(name)
}

/// Writes a bundle of a run to the new file `to`; its name ends in `.tar.zst`.
///
/// If all of it is larger than the budget, the images are left out, then the disks, then the memory; the evidence stays,
/// and the manifest names what is missing. The file has its name only when it is whole and durable; until then, and for
/// ever if something fails, it is named `….partial`.
pub async fn pack(
    options: Options,
    to: PathBuf,
    room: Room,
    progress: watch::Sender<Progress>,
    cancel: Cancel,
) -> Result<Bundle, PackError> {
    let (cancel, _stop_when_dropped) = cancel.part();
    let work = move || {
        Packer {
            to,
            room,
            progress,
            cancel,
        }
        .pack(&options)
    };
    let done = tokio::task::spawn_blocking(work).await;
    done.unwrap_or(Err(PackError::Cancelled))
}

struct Packer {
    to: PathBuf,
    room: Room,
    progress: watch::Sender<Progress>,
    cancel: Cancel,
}

/// How an attempt ended that did not succeed.
enum Failure {
    /// It did not fit.
    Budget,
    Error(PackError),
}

impl Packer {
    fn pack(&self, options: &Options) -> Result<Bundle, PackError> {
        if self.to.symlink_metadata().is_ok() {
            return Err(PackError::Exists { path: self.to.clone() });
        }
        let mut reading = Progress::of(Phase::Digests, 0);
        let mut step = |bytes| {
            reading.done_bytes += bytes;
            self.tell(reading)
        };
        let mut contents = Contents::collect(options, &mut step)?;
        let reason = format!("with it the bundle is larger than {}", ByteSize(self.room.budget_bytes));
        // The memory does not get any smaller.
        while contents.data_bytes(Role::Memory) > self.room.budget_bytes {
            contents.drop_least(&reason);
        }
        loop {
            match self.attempt(&contents) {
                Ok((size_bytes, sha256, manifest)) => {
                    return Ok(Bundle {
                        path: self.to.clone(),
                        size_bytes,
                        sha256,
                        manifest,
                    });
                }
                Err(Failure::Budget) if contents.drop_least(&reason) => {}
                Err(Failure::Budget) => {
                    return Err(PackError::Budget {
                        budget_bytes: self.room.budget_bytes,
                    });
                }
                Err(Failure::Error(error)) => return Err(error),
            }
        }
    }

    fn tell(&self, now: Progress) -> ControlFlow<()> {
        self.progress.send_replace(now);
        if self.cancel.is_cancelled() {
            ControlFlow::Break(())
        } else {
            ControlFlow::Continue(())
        }
    }

    /// Writes what is left of the contents, and gives the file its name.
    fn attempt(&self, contents: &Contents) -> Result<(u64, Digest, Manifest), Failure> {
        let partial = partial_name(&self.to);
        let host = |what: &'static str| {
            let partial = partial.clone();
            move |source: io::Error| failure(what, &partial, source)
        };
        // One that was left by an attempt that did not fit, or by a bootgate that was killed.
        match std::fs::remove_file(&partial) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(host("replace")(error)),
            _ => {}
        }
        let output = BoundedFile::create(&partial, self.room).map_err(host("create"))?;
        let written = output.counter();
        let mut archive = Archive::new(encoder(output).map_err(host("write"))?);
        let manifest = contents.manifest();
        let json = serde_json::to_vec_pretty(&manifest).map_err(|e| host("write")(io::Error::other(e)))?;
        archive.small(MANIFEST, &json).map_err(host("write"))?;
        let total = contents.sources.iter().map(|s| s.packed.file.data_bytes()).sum();
        let mut now = Progress::of(Phase::Packing, total);
        for source in &contents.sources {
            let mut step = |bytes| {
                now.done_bytes += bytes;
                now.stored_bytes = written.load(Ordering::Relaxed);
                self.tell(now)
            };
            let sha256 = add(&mut archive, source, &mut step).map_err(host("write"))?;
            if sha256 != source.packed.file.sha256 {
                let path = source.packed.file.path.clone();
                return Err(Failure::Error(PackError::Changed { path }));
            }
        }
        let encoder = archive.finish().map_err(host("write"))?;
        let output = encoder.finish().map_err(host("write"))?;
        output.sync().map_err(host("write"))?;
        std::fs::rename(&partial, &self.to).map_err(host("rename"))?;
        let folder = self.to.parent().filter(|folder| !folder.as_os_str().is_empty());
        let durable = File::open(folder.unwrap_or(Path::new("."))).and_then(|folder| folder.sync_all());
        durable.map_err(host("write"))?;
        let (size_bytes, sha256) = output.finish();
        Ok((size_bytes, sha256, manifest))
    }
}

/// Adds a file, and gives the digest of what was really read.
fn add<W: Write>(
    archive: &mut Archive<W>,
    source: &Source,
    step: &mut dyn FnMut(u64) -> ControlFlow<()>,
) -> io::Result<Digest> {
    let file = &source.packed.file;
    archive.begin(file)?;
    let mut hasher = Sha256::new();
    read_data(&source.file, &file.data(), &mut |chunk| {
        hasher.update(chunk);
        archive.data(chunk)?;
        if step(chunk.len() as u64).is_break() {
            return Err(interrupted());
        }
        Ok(())
    })?;
    // The map of a sparse file is whole blocks, so it does not matter here.
    archive.pad(file.data_bytes())?;
    Ok(hasher.into())
}

fn failure(what: &'static str, partial: &Path, source: io::Error) -> Failure {
    match source.kind() {
        io::ErrorKind::FileTooLarge => Failure::Budget,
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Failure::Error(PackError::NoSpace {
            partial: partial.to_owned(),
        }),
        _ => Failure::Error(PackError::host(what, partial)(source)),
    }
}
