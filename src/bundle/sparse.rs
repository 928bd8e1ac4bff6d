//! The map of a sparse tar entry in GNU tar's form 1.0: decimal lines in front of the data, padded to whole blocks.
//!
//! The form is that of GNU tar's manual, "Storing Sparse Files", PAX format version 1.0.

use crate::checkpoint::StoredFile;

/// Size of a tar block in bytes.
pub(super) const BLOCK_BYTES: usize = 512;

/// The map of a file: the number of parts, then offset and length of each. A hole at the end is an empty part, as GNU
/// tar writes it, so that the size is known.
pub(super) fn map(file: &StoredFile) -> Vec<u8> {
    let mut parts = file.data();
    let end = parts.last().map_or(0, |(offset, length)| offset + length);
    if end < file.size_bytes || parts.is_empty() {
        parts.push((file.size_bytes, 0));
    }
    let count = format!("{}\n", parts.len());
    let lines = parts.iter().map(|(offset, length)| format!("{offset}\n{length}\n"));
    let mut map: Vec<u8> = std::iter::once(count)
        .chain(lines)
        .flat_map(String::into_bytes)
        .collect();
    map.resize(map.len().next_multiple_of(BLOCK_BYTES), 0);
    map
}

/// The extended header that announces a sparse file: its real name and size.
pub(super) fn announcement(file: &StoredFile) -> Vec<u8> {
    let size = file.size_bytes.to_string();
    let records = [
        ("GNU.sparse.major", "1"),
        ("GNU.sparse.minor", "0"),
        ("GNU.sparse.name", file.path.as_str()),
        ("GNU.sparse.realsize", size.as_str()),
    ];
    records
        .iter()
        .flat_map(|(key, value)| record(key, value).into_bytes())
        .collect()
}

/// A record that begins with its own length, the digits of the length included.
fn record(key: &str, value: &str) -> String {
    let rest = format!(" {key}={value}\n");
    let mut length = rest.len();
    while length != rest.len() + length.to_string().len() {
        length = rest.len() + length.to_string().len();
    }
    format!("{length}{rest}")
}

/// The name that a sparse entry has in its own header: that of a folder beside the file, as GNU tar does it. A program
/// that knows nothing of sparse files puts the map and the data there.
pub(super) fn entry_name(path: &str) -> String {
    match path.rsplit_once('/') {
        Some((folder, name)) => format!("{folder}/GNUSparseFile.0/{name}"),
        None => format!("GNUSparseFile.0/{path}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_counts_itself() {
        assert_eq!(record("path", "a"), "9 path=a\n");
        // From 99 to 100 the length grows by its own digit.
        for length in 80..110 {
            let record = record("k", &"v".repeat(length));
            let (digits, _) = record.split_once(' ').unwrap();
            assert_eq!(digits.parse::<usize>().unwrap(), record.len());
        }
    }

    #[test]
    fn a_hole_at_the_end_is_in_the_map() {
        let file = StoredFile {
            path: "disks/a.raw".to_owned(),
            size_bytes: 1 << 20,
            extents: Some(vec![(0, 4096)]),
            sha256: "0".repeat(64).parse().unwrap(),
        };
        let map = map(&file);
        assert_eq!(map.len(), BLOCK_BYTES);
        assert!(map.starts_with(b"2\n0\n4096\n1048576\n0\n\0"));
        assert_eq!(entry_name(&file.path), "disks/GNUSparseFile.0/a.raw");
    }
}
