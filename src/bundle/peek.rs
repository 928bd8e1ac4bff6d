//! Reading one small file of a bundle without unpacking it. Evidence comes first in a bundle, so little of it is read.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use sha2::{Digest as _, Sha256};
use tar::{Archive, EntryType};

use crate::checkpoint::WINDOW_LOG_MAX;
use crate::qemu::disk::Digest;

use super::error::UnpackError;
use super::manifest::{MANIFEST, Manifest};
use super::unpack::read_manifest;

/// The largest manifest that is read, in bytes.
const MANIFEST_BYTES_MAX: u64 = 64 * crate::units::MIB;

/// The file `name` of a bundle, of at most `bytes_max`, compared with its digest. `None`: the bundle does not hold it.
pub fn peek(bundle: &Path, name: &str, bytes_max: u64) -> Result<Option<Vec<u8>>, UnpackError> {
    let file = File::open(bundle).map_err(UnpackError::host("read", bundle))?;
    let mut decoder = zstd::Decoder::new(file).map_err(|e| UnpackError::stream(&e))?;
    let window = decoder.window_log_max(WINDOW_LOG_MAX);
    window.map_err(|e| UnpackError::stream(&e))?;
    let mut archive = Archive::new(decoder);
    let mut manifest: Option<Manifest> = None;
    for entry in archive.entries().map_err(|e| UnpackError::stream(&e))?.raw(true) {
        let entry = entry.map_err(|e| UnpackError::stream(&e))?;
        let is_plain = entry.header().entry_type() == EntryType::Regular;
        let path = entry.path_bytes().into_owned();
        match &manifest {
            None if is_plain && path == MANIFEST.as_bytes() => {
                let text = read(entry, MANIFEST_BYTES_MAX)?;
                manifest = Some(read_manifest(&text)?);
            }
            None => {
                let problem = format!("its first entry is not {MANIFEST}");
                let path = bundle.to_owned();
                return Err(UnpackError::NotABundle { path, problem });
            }
            Some(manifest) if is_plain && path == name.as_bytes() => {
                let wanted = manifest.files.iter().find(|packed| packed.file.path == name);
                let Some(wanted) = wanted.filter(|packed| packed.file.extents.is_none()) else {
                    return Ok(None);
                };
                let content = read(entry, bytes_max)?;
                let found = Digest::from(Sha256::new_with_prefix(&content));
                if found != wanted.file.sha256 {
                    return Err(UnpackError::Damaged {
                        name: name.to_owned(),
                        problem: "its SHA-256 is another one",
                    });
                }
                return Ok(Some(content));
            }
            Some(_) => {}
        }
    }
    Ok(None)
}

fn read(mut entry: impl Read, bytes_max: u64) -> Result<Vec<u8>, UnpackError> {
    let mut content = Vec::new();
    let read = entry.by_ref().take(bytes_max + 1).read_to_end(&mut content);
    read.map_err(|e| UnpackError::stream(&e))?;
    if content.len() as u64 > bytes_max {
        return Err(UnpackError::TooLarge {
            found_bytes: content.len() as u64,
            limit_bytes: bytes_max,
        });
    }
    Ok(content)
}
