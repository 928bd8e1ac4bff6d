//! Tar entries as they are written.

use std::io::{self, Write};

use tar::{EntryType, Header};

use super::sparse::{self, BLOCK_BYTES};
use crate::checkpoint::StoredFile;

/// Writes a tar archive.
pub(super) struct Archive<W: Write> {
    output: W,
}

impl<W: Write> Archive<W> {
    pub(super) fn new(output: W) -> Self {
        Self { output }
    }

    /// Writes a whole small file.
    pub(super) fn small(&mut self, name: &str, bytes: &[u8]) -> io::Result<()> {
        self.header(name, bytes.len() as u64, EntryType::Regular)?;
        self.output.write_all(bytes)?;
        self.pad(bytes.len() as u64)
    }

    /// Begins a file; its data follows by [`Archive::data`], then [`Archive::pad`] with its length.
    pub(super) fn begin(&mut self, file: &StoredFile) -> io::Result<()> {
        if file.extents.is_none() {
            return self.header(&file.path, file.size_bytes, EntryType::Regular);
        }
        let announcement = sparse::announcement(file);
        let name = sparse::entry_name(&file.path);
        self.header(&name, announcement.len() as u64, EntryType::XHeader)?;
        self.output.write_all(&announcement)?;
        self.pad(announcement.len() as u64)?;
        let map = sparse::map(file);
        self.header(&name, map.len() as u64 + file.data_bytes(), EntryType::Regular)?;
        self.output.write_all(&map)
    }

    pub(super) fn data(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.output.write_all(bytes)
    }

    /// Fills the last block of an entry.
    pub(super) fn pad(&mut self, length: u64) -> io::Result<()> {
        let block = BLOCK_BYTES as u64;
        let missing = usize::try_from(length.next_multiple_of(block) - length).unwrap_or(0);
        self.output.write_all(&[0; BLOCK_BYTES][..missing])
    }

    /// Ends the archive with two empty blocks.
    pub(super) fn finish(mut self) -> io::Result<W> {
        self.output.write_all(&[0; 2 * BLOCK_BYTES])?;
        Ok(self.output)
    }

    fn header(&mut self, name: &str, size_bytes: u64, kind: EntryType) -> io::Result<()> {
        let mut header = Header::new_ustar();
        header.set_path(name)?;
        header.set_size(size_bytes);
        header.set_mode(0o600);
        header.set_mtime(0);
        header.set_entry_type(kind);
        header.set_cksum();
        self.output.write_all(header.as_bytes())
    }
}
