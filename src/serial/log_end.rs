//! A stream that a [`RawLog`](super::raw_log::RawLog) has written, whichever of its files it is in.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};

/// The last bytes of the stream whose first file is at `path`, at most `bytes_max`, and the stream offset of the first of them.
/// They have no gap: where a segment was dropped, they begin behind it. A plain file is a stream of one file.
pub fn read_log_end(path: &Path, bytes_max: u64) -> io::Result<(Vec<u8>, u64)> {
    let mut pieces = Vec::new();
    let (mut left, mut begin) = (bytes_max, None);
    for (start, path) in log_files(path).into_iter().rev() {
        let file = File::open(path)?;
        let length = file.metadata()?.len();
        if left == 0 || begin.is_some_and(|begin| start + length != begin) {
            break;
        }
        let from = length.saturating_sub(left);
        let mut piece = vec![0; usize::try_from(length - from).map_err(io::Error::other)?];
        file.read_exact_at(&mut piece, from)?;
        left -= length - from;
        begin = Some(start + from);
        pieces.push(piece);
    }
    pieces.reverse();
    Ok((pieces.concat(), begin.unwrap_or_default()))
}

/// The files of the stream whose first one is at `path`, by the stream offset of their first bytes, in order. Where one does not
/// begin at the end of the one before, the bytes between them were not kept. A plain file is a stream of one file.
pub fn log_files(path: &Path) -> Vec<(u64, PathBuf)> {
    let mut files = vec![(0, path.to_owned())];
    let (Some(folder), Some(name)) = (path.parent(), path.file_name().and_then(|name| name.to_str())) else {
        return files;
    };
    let here = folder.as_os_str().is_empty().then_some(Path::new("."));
    let prefix = format!("{name}.from-");
    // Who may not list the folder still has the first file.
    for entry in here.unwrap_or(folder).read_dir().into_iter().flatten().flatten() {
        let found = entry.file_name();
        let start = found
            .to_str()
            .and_then(|found| found.strip_prefix(&prefix)?.parse().ok());
        files.extend(
            start
                .filter(|_| entry.file_type().is_ok_and(|kind| kind.is_file()))
                .map(|start| (start, folder.join(&found))),
        );
    }
    files.sort();
    files
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::serial::raw_log::{LogLayout, RawLog};
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn it_is_the_end_of_what_was_written(head in 1_u64..50, tail in 4_u64..60, count in 0_u32..400, bytes_max in 1_u64..90) {
            let dir = tempfile::tempdir().unwrap();
            let path = dir.path().join("serial.log");
            let mut log = RawLog::create(LogLayout::new(&path, head, tail)).unwrap();
            let stream: Vec<u8> = (0..count).map(|n| u8::try_from(n % 251).unwrap()).collect();
            log.write(&stream).unwrap();
            let (end, offset) = read_log_end(&path, bytes_max).unwrap();
            let from = usize::try_from(offset).unwrap();
            prop_assert_eq!(&end[..], &stream[from..]);
            // Fewer than wanted only if there are no more, or those before were dropped.
            let is_whole = end.len() as u64 == bytes_max.min(log.bytes_total());
            prop_assert!(is_whole || log.layout().locate(offset - 1, log.bytes_total()).is_none());
        }
    }
}
