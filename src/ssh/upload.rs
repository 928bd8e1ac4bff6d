//! Copying a file to the guest over the standard input of a command: no SFTP server is needed.

use std::io::SeekFrom;

use sha2::{Digest, Sha256};
use tokio::fs::File;
use tokio::io::{AsyncReadExt, AsyncSeekExt};

use super::client::Session;
use super::exec::ExecError;
use super::shell::{UPLOAD, answer, command_line};
use crate::plan::Upload;

/// Bytes read at a time.
const CHUNK_BYTES: usize = 64 * 1024;

/// A file that is in the guest now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Uploaded {
    /// Its path in the guest.
    pub path: String,
    /// Its size.
    pub size_bytes: u64,
    /// Its SHA-256, as 64 lower-case hexadecimal digits.
    pub sha256: String,
    /// True if the guest computed the same digest. False: it has no `sha256sum`; only the size was compared.
    pub digest_verified: bool,
}

/// Why a file is not in the guest.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum UploadError {
    /// The file on the host can't be read.
    #[error("{path}: {error}")]
    Source {
        /// The file on the host.
        path: String,
        /// The operating system's words.
        error: String,
    },
    /// The connection or the server failed.
    #[error(transparent)]
    Exec(#[from] ExecError),
    /// The guest could not write it.
    #[error("the guest could not write {path}: {problem}")]
    Guest {
        /// The path in the guest.
        path: String,
        /// What went wrong there.
        problem: GuestProblem,
    },
}

/// What went wrong in the guest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum GuestProblem {
    /// The path is a directory.
    #[error("it is a directory")]
    Directory,
    /// Writing failed.
    #[error("it can't be written (disk full, read-only, or not permitted)")]
    Write,
    /// Fewer or more bytes arrived than were sent; the file on the host may have changed meanwhile.
    #[error("another number of bytes arrived than was sent")]
    Size,
    /// Other bytes arrived; the file on the host may have changed meanwhile.
    #[error("the digest of what arrived differs")]
    Digest,
    /// The script's answer is missing: the guest's `sh` or its tools are not POSIX.
    #[error("its shell gave no answer")]
    NoAnswer,
}

/// Copies a file to the guest: whole, with its permission bits, or not at all. Its directory is made if it is missing.
pub async fn upload(session: &Session, spec: &Upload) -> Result<Uploaded, UploadError> {
    let source = |error: std::io::Error| UploadError::Source {
        path: spec.from.display().to_string(),
        error: error.to_string(),
    };
    let mut file = File::open(&spec.from).await.map_err(source)?;
    let (size_bytes, sha256) = digest(&mut file).await.map_err(source)?;
    file.seek(SeekFrom::Start(0)).await.map_err(source)?;

    let (mode, size) = (format!("{:o}", spec.mode), size_bytes.to_string());
    let command = command_line(UPLOAD, &[&spec.to, &mode, &size, &sha256]);
    let reply = session.call(command, file, session.deadlines.exec, |_| false).await?;
    let words = answer(&reply.stdout, "upload").unwrap_or_default();
    let problem = match words.first().map(String::as_str) {
        Some("stored") => {
            return Ok(Uploaded {
                path: spec.to.clone(),
                size_bytes,
                sha256,
                digest_verified: words.get(1).is_some_and(|word| word == "digest"),
            });
        }
        Some("directory") => GuestProblem::Directory,
        Some("write") => GuestProblem::Write,
        Some("short") => GuestProblem::Size,
        Some("digest") => GuestProblem::Digest,
        _ => GuestProblem::NoAnswer,
    };
    Err(UploadError::Guest {
        path: spec.to.clone(),
        problem,
    })
}

async fn digest(file: &mut File) -> std::io::Result<(u64, String)> {
    let (mut hash, mut size_bytes) = (Sha256::new(), 0);
    let mut chunk = vec![0; CHUNK_BYTES];
    loop {
        let size = file.read(&mut chunk).await?;
        if size == 0 {
            break;
        }
        hash.update(&chunk[..size]);
        size_bytes += size as u64;
    }
    let digits: Vec<String> = hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
    Ok((size_bytes, digits.concat()))
}
