//! A bundle's archive, and its first entry, by which everything else in it is judged.

use std::fs::File;
use std::io::{self, BufReader, Read};
use std::path::Path;

use serde_json::Value;
use tar::{Archive, Entry, EntryType};
use zstd::Decoder;

use crate::checkpoint::{WINDOW_LOG_MAX, safe_relative};
use crate::text::terminal_line;
use crate::units::MIB;

use super::error::UnpackError;
use super::manifest::{FORMAT, MANIFEST, Manifest};

/// The largest manifest that is read, in bytes.
const MANIFEST_BYTES_MAX: u64 = 64 * MIB;
/// The most characters of a name or a complaint that are told.
pub(super) const NAME_CHARS_MAX: usize = 200;

pub(super) type Stream = Decoder<'static, BufReader<File>>;

/// What a bundle says that it holds. No more than that is read.
pub fn look(bundle: &Path) -> Result<Manifest, UnpackError> {
    let mut archive = opened(bundle)?;
    let mut entries = archive.entries().map_err(|e| UnpackError::stream(&e))?.raw(true);
    Ok(first(bundle, &mut entries)?.0)
}

/// A bundle's archive. The memory that its compression may ask for is bounded.
pub(super) fn opened(bundle: &Path) -> Result<Archive<Stream>, UnpackError> {
    let file = File::open(bundle).map_err(UnpackError::host("read", bundle))?;
    let mut decoder = Decoder::new(file).map_err(|e| UnpackError::stream(&e))?;
    let window = decoder.window_log_max(WINDOW_LOG_MAX);
    window.map_err(|e| UnpackError::stream(&e))?;
    Ok(Archive::new(decoder))
}

/// Reads the first entry: the manifest, and its text.
pub(super) fn first<'a, R: Read + 'a>(
    bundle: &Path,
    entries: &mut impl Iterator<Item = io::Result<Entry<'a, R>>>,
) -> Result<(Manifest, Vec<u8>), UnpackError> {
    let not_a_bundle = |problem: String| UnpackError::NotABundle {
        path: bundle.to_owned(),
        problem: terminal_line(problem, NAME_CHARS_MAX),
    };
    let entry = entries.next().ok_or_else(|| not_a_bundle("it is empty".to_owned()))?;
    let mut entry = entry.map_err(|error| match UnpackError::stream(&error) {
        UnpackError::Truncated => UnpackError::Truncated,
        _ => not_a_bundle(error.to_string()),
    })?;
    if entry.path_bytes().as_ref() != MANIFEST.as_bytes() || entry.header().entry_type() != EntryType::Regular {
        return Err(not_a_bundle(format!("its first entry is not {MANIFEST}")));
    }
    if entry.size() > MANIFEST_BYTES_MAX {
        return Err(UnpackError::TooLarge {
            found_bytes: entry.size(),
            limit_bytes: MANIFEST_BYTES_MAX,
        });
    }
    let mut text = Vec::new();
    entry.read_to_end(&mut text).map_err(|e| UnpackError::stream(&e))?;
    Ok((read_manifest(&text)?, text))
}

fn read_manifest(text: &[u8]) -> Result<Manifest, UnpackError> {
    let refused = |problem: String| UnpackError::Manifest {
        problem: terminal_line(problem, NAME_CHARS_MAX),
    };
    let value: Value = serde_json::from_slice(text).map_err(|e| refused(e.to_string()))?;
    // First of all: another format may differ in anything else.
    match value["format"].as_u64() {
        Some(format) if format == u64::from(FORMAT) => {}
        Some(found) => {
            let writer = value["bootgate_version"].as_str().unwrap_or("of an unknown version");
            return Err(UnpackError::Format {
                found,
                known: FORMAT,
                writer: terminal_line(writer, 40),
            });
        }
        None => return Err(refused("it names no format".to_owned())),
    }
    let manifest: Manifest = serde_json::from_value(value).map_err(|e| refused(e.to_string()))?;
    let elsewhere = |path: &&String| safe_relative(path).is_err();
    let named = manifest.images.iter().filter_map(|image| image.path.as_ref());
    if named.chain(&manifest.checkpoint).find(elsewhere).is_some() {
        return Err(refused("it names a path outside of the bundle".to_owned()));
    }
    match manifest.problem() {
        Some(problem) => Err(refused(problem)),
        None => Ok(manifest),
    }
}
