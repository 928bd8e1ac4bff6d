//! Journals that need recovery. What is read without writing must be what e2fsck makes of a copy.

use crate::images::{cat, ext, names, run, text};
use bootgate::diskfs::Disk;
use std::path::{Path, PathBuf};

const BLOCK_BYTES: usize = 4096;

/// Blocks of a file, from debugfs.
fn blocks(image: &Path, file: &str) -> Vec<u64> {
    let printed = run("debugfs", &["-R", &format!("blocks {file}"), text(image)], "");
    printed
        .split_whitespace()
        .map(|number| number.parse().unwrap())
        .collect()
}

/// A file of one block, for debugfs to write into the journal.
fn block(dir: &Path, name: &str, head: &[u8]) -> PathBuf {
    let path = dir.join(name);
    let mut content = vec![b'.'; BLOCK_BYTES];
    content[..head.len()].copy_from_slice(head);
    std::fs::write(&path, content).unwrap();
    path
}

/// A file system whose journal holds what `commands` wrote, and what e2fsck made of a copy.
fn dirty(dir: &Path, options: &[&str], commands: &dyn Fn(&Path) -> String) -> (Disk, Disk) {
    let image = ext(dir, "dirty", options);
    run("debugfs", &["-w", "-f", "-", text(&image)], &commands(&image));
    let features = run("debugfs", &["-R", "features", text(&image)], "");
    assert!(features.contains("needs_recovery"), "{features}");
    let copy = dir.join("recovered");
    std::fs::copy(&image, &copy).unwrap();
    let before = std::fs::read(&image).unwrap();
    let disk = Disk::open(&image).unwrap();
    run("e2fsck", &["-fy", "-E", "journal_only", text(&copy)], "");
    assert_eq!(std::fs::read(&image).unwrap(), before, "the image is not written");
    (disk, Disk::open(&copy).unwrap())
}

#[test]
fn what_the_journal_holds_is_read() {
    // Formats of the log: without checksums, with those of version 2 and 3, narrow and wide block numbers.
    for (open, options) in [
        ("jo", vec!["-t", "ext4", "-b", "4096"]),
        ("jo", vec!["-t", "ext3", "-b", "4096"]),
        ("jo -c -v 2", vec!["-t", "ext4", "-b", "4096"]),
        ("jo -c -v 3", vec!["-t", "ext4", "-b", "4096"]),
        ("jo -c -v 3", vec!["-t", "ext4", "-b", "4096", "-O", "^64bit"]),
    ] {
        let dir = tempfile::tempdir().unwrap();
        let new = block(dir.path(), "new", b"newer");
        let newest = block(dir.path(), "newest", b"newest");
        // A block that begins as the journal's own do is escaped.
        let escaped = block(dir.path(), "escaped", b"\xc0\x3b\x39\x98escaped");
        let (disk, recovered) = dirty(dir.path(), &options, &|image| {
            let at = blocks(image, "/big");
            format!(
                "{open}\njw -b {},{} {}\njw -b {} {}\njw -b {} {}\njc\n",
                at[0],
                at[1],
                text(&two(dir.path(), &new)),
                at[1],
                text(&newest),
                at[2],
                text(&escaped)
            )
        });
        let content = cat(&disk, "/big").unwrap();
        let at = |index: usize| &content[index * BLOCK_BYTES..];
        assert!(at(0).starts_with(b"newer"), "{open} {options:?}");
        assert!(at(1).starts_with(b"newest"));
        assert!(at(2).starts_with(b"\xc0\x3b\x39\x98escaped"));
        assert_eq!(content, cat(&recovered, "/big").unwrap(), "{open} {options:?}");
        assert_eq!(names(&disk, "/etc"), names(&recovered, "/etc"));
    }
}

/// The same block twice, for two places.
fn two(dir: &Path, block: &Path) -> PathBuf {
    let path = dir.join("two");
    std::fs::write(&path, std::fs::read(block).unwrap().repeat(2)).unwrap();
    path
}

#[test]
fn what_was_revoked_is_not_read_from_the_journal() {
    for open in ["jo", "jo -c -v 3"] {
        let dir = tempfile::tempdir().unwrap();
        let stale = block(dir.path(), "stale", b"stale");
        let again = block(dir.path(), "again", b"again");
        let (disk, recovered) = dirty(dir.path(), &["-t", "ext4", "-b", "4096"], &|image| {
            let at = blocks(image, "/big");
            format!(
                "{open}\njw -b {0} {stale}\njw -r {0}\njw -b {1} {stale}\njw -r {1}\njw -b {1} {again}\njc\n",
                at[0],
                at[1],
                stale = text(&stale),
                again = text(&again)
            )
        });
        let content = cat(&disk, "/big").unwrap();
        assert_eq!(content[..4], [0; 4], "the revoked block is read from its place");
        assert!(
            content[BLOCK_BYTES..].starts_with(b"again"),
            "a later transaction wrote it again"
        );
        assert_eq!(content, cat(&recovered, "/big").unwrap());
    }
}

#[test]
fn a_transaction_without_its_end_is_not_read() {
    let dir = tempfile::tempdir().unwrap();
    let new = block(dir.path(), "new", b"newer");
    let (disk, recovered) = dirty(dir.path(), &["-t", "ext4", "-b", "4096"], &|image| {
        let at = blocks(image, "/big");
        format!(
            "jo -c -v 3\njw -b {} {new}\njw -c -b {} {new}\njc\n",
            at[0],
            at[1],
            new = text(&new)
        )
    });
    let content = cat(&disk, "/big").unwrap();
    assert!(content.starts_with(b"newer"));
    assert_eq!(content[BLOCK_BYTES..BLOCK_BYTES + 4], [0, 4, 0, 0]);
    assert_eq!(content, cat(&recovered, "/big").unwrap());
}

/// The log is a ring: turned by any number of blocks, with its start turned likewise, it says the same.
#[test]
fn a_log_that_wraps_round_is_read_to_its_end() {
    let dir = tempfile::tempdir().unwrap();
    let new = block(dir.path(), "new", b"newer");
    let image = ext(dir.path(), "dirty", &["-t", "ext4", "-b", "4096"]);
    let at = blocks(&image, "/big");
    let writes: Vec<String> = (0..5)
        .map(|index| format!("jw -b {} {}\n", at[index], text(&new)))
        .collect();
    run(
        "debugfs",
        &["-w", "-f", "-", text(&image)],
        &format!("jo\n{}jc\n", writes.concat()),
    );
    let journal = blocks(&image, "<8>");
    let sound = std::fs::read(&image).unwrap();
    let place = |block: u64| usize::try_from(block).unwrap() * BLOCK_BYTES;
    let superblock = place(journal[0]);
    assert_eq!(
        sound[superblock + 0x14..superblock + 0x20],
        [0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 1]
    );
    let ring = journal.len() - 1;
    for turn in [1, ring - 4, ring - 3, ring - 2, ring - 1] {
        let mut turned = sound.clone();
        for index in 0..ring {
            let (from, to) = (place(journal[1 + index]), place(journal[1 + (index + turn) % ring]));
            turned[to..to + BLOCK_BYTES].copy_from_slice(&sound[from..from + BLOCK_BYTES]);
        }
        let start = u32::try_from(1 + turn).unwrap();
        turned[superblock + 0x1c..superblock + 0x20].copy_from_slice(&start.to_be_bytes());
        std::fs::write(&image, &turned).unwrap();
        let content = cat(&Disk::open(&image).unwrap(), "/big").unwrap();
        for index in 0..5 {
            assert!(
                content[index * BLOCK_BYTES..].starts_with(b"newer"),
                "block {index}, turned by {turn}"
            );
        }
        let copy = dir.path().join("recovered");
        std::fs::write(&copy, &turned).unwrap();
        run("e2fsck", &["-fy", "-E", "journal_only", text(&copy)], "");
        assert_eq!(
            content,
            cat(&Disk::open(&copy).unwrap(), "/big").unwrap(),
            "turned by {turn}"
        );
    }
}
