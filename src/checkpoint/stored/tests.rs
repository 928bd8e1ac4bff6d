//! Sparse files are described, copied and compared.

use super::*;
use proptest::prelude::*;
use std::fs::OpenOptions;

const GO_ON: fn(u64) -> ControlFlow<()> = |_| ControlFlow::Continue(());
/// Larger than what counts as data in between.
const STEP_BYTES: u64 = 2 * HOLE_BYTES_MIN;

/// A file of some steps with data where `filled` is true.
fn file(root: &Path, name: &str, filled: &[bool]) {
    let file = File::create(root.join(name)).unwrap();
    file.set_len(filled.len() as u64 * STEP_BYTES + 7).unwrap();
    for (index, _) in filled.iter().enumerate().filter(|(_, filled)| **filled) {
        file.write_all_at(&[0x5a; 9000], index as u64 * STEP_BYTES).unwrap();
    }
}

fn described(root: &Path, name: &str) -> StoredFile {
    StoredFile::describe(root, name, &mut { GO_ON }).unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]
    #[test]
    fn a_sparse_file_is_known_by_its_data(filled in prop::collection::vec(any::<bool>(), 1..12)) {
        let root = tempfile::tempdir().unwrap();
        file(root.path(), "disk", &filled);
        let stored = described(root.path(), "disk");
        stored.validate().unwrap();
        stored.verify(root.path(), &mut { GO_ON }).unwrap();
        let count = filled.iter().filter(|filled| **filled).count() as u64;
        prop_assert!(stored.data_bytes() <= count * STEP_BYTES + STEP_BYTES);
        // A copy without holes is the same file.
        let bytes = std::fs::read(root.path().join("disk")).unwrap();
        std::fs::write(root.path().join("disk"), bytes).unwrap();
        stored.verify(root.path(), &mut { GO_ON }).unwrap();
        // One byte anywhere makes it another.
        let at = stored.size_bytes - 1;
        let disk = OpenOptions::new().write(true).open(root.path().join("disk")).unwrap();
        disk.write_all_at(b"x", at).unwrap();
        let refused = stored.verify(root.path(), &mut { GO_ON });
        let as_meant = matches!(refused, Err(FileFault::Digest { .. }));
        prop_assert!(as_meant, "{:?}", refused);
        disk.set_len(at).unwrap();
        let refused = stored.verify(root.path(), &mut { GO_ON });
        let as_meant = matches!(refused, Err(FileFault::Size { .. }));
        prop_assert!(as_meant, "{:?}", refused);
    }

    #[test]
    fn what_lies_outside_is_found(
        a in prop::collection::vec((0_u64..6, 1_u64..6), 0..8),
        b in prop::collection::vec((0_u64..6, 1_u64..6), 0..8),
    ) {
        let spread = |gaps: &[(u64, u64)]| {
            let mut at = 0;
            let parts = gaps.iter().map(|(gap, length)| {
                let start = at + gap;
                at = start + length;
                (start, *length)
            });
            parts.collect::<Vec<_>>()
        };
        let (a, b) = (spread(&a), spread(&b));
        let bytes = |parts: &[(u64, u64)]| {
            let all = parts.iter().flat_map(|(start, length)| *start..start + length);
            all.collect::<std::collections::BTreeSet<_>>()
        };
        let expected: std::collections::BTreeSet<_> = bytes(&a).difference(&bytes(&b)).copied().collect();
        prop_assert_eq!(bytes(&without(&a, &b)), expected);
    }
}

#[test]
fn reading_ends_when_it_is_told_to() {
    let root = tempfile::tempdir().unwrap();
    file(root.path(), "disk", &[true; 3]);
    let told = StoredFile::describe(root.path(), "disk", &mut |_| ControlFlow::Break(()));
    assert_eq!(told.unwrap_err().kind(), io::ErrorKind::Interrupted);
}

#[test]
fn many_parts_are_joined_to_fewer() {
    let parts: Vec<_> = (0..10).map(|index| (index * 100, 10)).collect();
    assert_eq!(joined(&parts, 90), parts);
    assert_eq!(joined(&parts, 91), [(0, 910)]);
}
