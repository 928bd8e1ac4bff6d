//! What the header of a qcow2 file says, so that none from elsewhere makes QEMU open a file of this host.
//!
//! The layout is that of QEMU's `docs/interop/qcow2.txt`.

use std::fs::File;
use std::io::{self, Read as _};
use std::path::Path;

const MAGIC: [u8; 4] = *b"QFI\xfb";
const HEADER_BYTES: usize = 80;
/// Bit of the incompatible features: the data is in another file, which the header names.
const EXTERNAL_DATA_FILE: u64 = 1 << 2;

/// What matters of a header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Header {
    /// The disk's size as the guest sees it.
    pub(super) virtual_bytes: u64,
    /// The header names a file below this one.
    pub(super) has_backing: bool,
    /// The data lies in another file.
    pub(super) has_data_file: bool,
}

impl Header {
    /// Reads the header of a file. One that is not qcow2 is an error of the kind `InvalidData`.
    pub(super) fn read(path: &Path) -> io::Result<Self> {
        let mut bytes = [0; HEADER_BYTES];
        File::open(path)?.read_exact(&mut bytes)?;
        Self::parse(&bytes).ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "it is not a qcow2 file"))
    }

    fn parse(bytes: &[u8; HEADER_BYTES]) -> Option<Self> {
        let number = |at: usize| bytes[at..at + 8].try_into().map_or(0, u64::from_be_bytes);
        let version = bytes[4..8].try_into().map_or(0, u32::from_be_bytes);
        if bytes[..4] != MAGIC || !matches!(version, 2 | 3) {
            return None;
        }
        // Version 2 has no features; what lies in their place is something else.
        let incompatible = if version == 3 { number(72) } else { 0 };
        Some(Self {
            virtual_bytes: number(24),
            has_backing: number(8) != 0,
            has_data_file: incompatible & EXTERNAL_DATA_FILE != 0,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header(version: u32, backing: u64, features: u64) -> [u8; HEADER_BYTES] {
        let mut bytes = [0; HEADER_BYTES];
        bytes[..4].copy_from_slice(&MAGIC);
        bytes[4..8].copy_from_slice(&version.to_be_bytes());
        bytes[8..16].copy_from_slice(&backing.to_be_bytes());
        bytes[24..32].copy_from_slice(&(64_u64 << 20).to_be_bytes());
        bytes[72..].copy_from_slice(&features.to_be_bytes());
        bytes
    }

    #[test]
    fn what_leads_to_other_files_is_seen() {
        let plain = Header::parse(&header(3, 0, 0)).unwrap();
        assert_eq!(
            (plain.virtual_bytes, plain.has_backing, plain.has_data_file),
            (64 << 20, false, false)
        );
        assert!(Header::parse(&header(2, 4096, u64::MAX)).is_some_and(|h| h.has_backing && !h.has_data_file));
        assert!(Header::parse(&header(3, 0, 4)).unwrap().has_data_file);
        assert_eq!(Header::parse(&header(4, 0, 0)), None);
        assert_eq!(Header::parse(&[0; HEADER_BYTES]), None);
    }
}
