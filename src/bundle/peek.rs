//! Reading one small file of a bundle without unpacking it. Evidence comes first in a bundle, so little of it is read.

use std::io::Read;
use std::path::Path;

use sha2::{Digest as _, Sha256};
use tar::EntryType;

use crate::qemu::disk::Digest;

use super::error::UnpackError;
use super::opened::{first, opened};

/// The file `name` of a bundle, of at most `bytes_max`, compared with its digest. `None`: the bundle does not hold it.
pub fn peek(bundle: &Path, name: &str, bytes_max: u64) -> Result<Option<Vec<u8>>, UnpackError> {
    let mut archive = opened(bundle)?;
    let mut entries = archive.entries().map_err(|e| UnpackError::stream(&e))?.raw(true);
    let (manifest, _) = first(bundle, &mut entries)?;
    let wanted = manifest.files.iter().find(|packed| packed.file.path == name);
    let Some(wanted) = wanted.filter(|packed| packed.file.extents.is_none()) else {
        return Ok(None);
    };
    for entry in entries {
        let entry = entry.map_err(|e| UnpackError::stream(&e))?;
        if entry.header().entry_type() != EntryType::Regular || entry.path_bytes().as_ref() != name.as_bytes() {
            continue;
        }
        let content = read(entry, bytes_max)?;
        if Digest::from(Sha256::new_with_prefix(&content)) != wanted.file.sha256 {
            return Err(UnpackError::Damaged {
                name: name.to_owned(),
                problem: "its SHA-256 is another one",
            });
        }
        return Ok(Some(content));
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
