//! One clear error for each thing that can be wrong, and nothing left behind.

use std::path::{Path, PathBuf};

use bootgate::bundle::{Limits, UnpackError};
use bootgate::units::MIB;
use proptest::prelude::*;
use serde_json::json;
use tar::EntryType;

use crate::forge::{Forge, write};
use crate::run::{MIB_BYTES, Run, unpacked, unpacked_within};

/// A folder in which nothing but the bundle is to be found afterwards.
struct Yard(tempfile::TempDir);

impl Yard {
    fn new() -> Self {
        Self(tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap())
    }

    fn folder(&self) -> &Path {
        self.0.path()
    }

    async fn refuses_within(&self, bundle: PathBuf, limits: Limits) -> UnpackError {
        let before = self.listing();
        let refused = unpacked_within(&bundle, &self.folder().join("into"), limits)
            .await
            .unwrap_err();
        assert_eq!(self.listing(), before, "something was left by {refused}");
        refused
    }

    async fn refuses(&self, bundle: PathBuf) -> UnpackError {
        self.refuses_within(bundle, Limits::default()).await
    }

    fn listing(&self) -> Vec<PathBuf> {
        let entries = std::fs::read_dir(self.folder()).unwrap();
        entries.map(|entry| entry.unwrap().path()).collect()
    }
}

/// Unpacks a forged bundle, which must be refused.
async fn refused(forge: Forge) -> UnpackError {
    let yard = Yard::new();
    let bundle = forge.write(yard.folder());
    yard.refuses(bundle).await
}

#[tokio::test]
async fn a_forged_but_honest_bundle_is_taken() {
    let yard = Yard::new();
    let forge = Forge::new()
        .lists("a/b", b"hello")
        .entry(b"a/b", EntryType::Regular, b"hello");
    let bundle = forge.write(yard.folder());
    let into = yard.folder().join("into");
    unpacked(&bundle, &into).await.unwrap();
    assert_eq!(std::fs::read(into.join("a/b")).unwrap(), b"hello");
}

#[tokio::test]
async fn a_path_that_leads_out_is_refused_in_an_entry_and_in_the_manifest() {
    for path in [
        "/etc/x",
        "../x",
        "a/../../x",
        "a//b",
        "./a",
        "a/",
        "a\\b",
        "a\nb",
        "\u{e9}",
    ] {
        let entry = refused(Forge::new().entry(path.as_bytes(), EntryType::Regular, b"x")).await;
        assert!(matches!(entry, UnpackError::Path { .. }), "{path:?}: {entry:?}");
        let forge = Forge::new()
            .lists(path, b"x")
            .entry(path.as_bytes(), EntryType::Regular, b"x");
        let listed = refused(forge).await;
        assert!(matches!(listed, UnpackError::Manifest { .. }), "{path:?}: {listed:?}");
    }
    let odd = refused(Forge::new().entry(b"a\xff", EntryType::Regular, b"x")).await;
    assert!(matches!(odd, UnpackError::Path { .. }), "{odd:?}");
    for key in ["checkpoint", "images"] {
        let mut forge = Forge::new();
        let image = json!({ "path": "/x", "size_bytes": 1, "sha256": "0".repeat(64) });
        forge.manifest[key] = match key {
            "images" => json!([{ "image": image, "path": "../x" }]),
            _ => "../x".into(),
        };
        let outside = refused(forge).await;
        assert!(matches!(outside, UnpackError::Manifest { .. }), "{outside:?}");
    }
}

#[tokio::test]
async fn links_devices_and_directories_are_refused() {
    let kinds = [
        (EntryType::Symlink, "a symbolic link"),
        (EntryType::Link, "a hard link"),
        (EntryType::Char, "a device"),
        (EntryType::Block, "a device"),
        (EntryType::Fifo, "a pipe"),
        (EntryType::Directory, "a directory"),
        (EntryType::GNULongName, "of an unknown kind"),
        (EntryType::GNUSparse, "of an unknown kind"),
        (EntryType::XGlobalHeader, "of an unknown kind"),
    ];
    for (entry_type, words) in kinds {
        let refused = refused(Forge::new().lists("a", b"").entry(b"a", entry_type, b"")).await;
        assert!(
            matches!(&refused, UnpackError::Kind { kind, .. } if *kind == words),
            "{entry_type:?}: {refused:?}"
        );
    }
}

#[tokio::test]
async fn what_the_manifest_does_not_name_or_names_twice_is_refused() {
    let file = |forge: Forge, path: &str| forge.entry(path.as_bytes(), EntryType::Regular, b"x");
    let unlisted = refused(file(file(Forge::new().lists("a", b"x"), "a"), "b")).await;
    assert!(matches!(unlisted, UnpackError::Unlisted { .. }), "{unlisted:?}");
    let twice = refused(file(file(Forge::new().lists("a", b"x"), "a"), "a")).await;
    assert!(matches!(twice, UnpackError::Duplicate { .. }), "{twice:?}");
    let missing = refused(file(Forge::new().lists("a", b"x").lists("b", b"x"), "a")).await;
    assert!(matches!(missing, UnpackError::Missing { .. }), "{missing:?}");
    let listed_twice = refused(file(Forge::new().lists("a", b"x").lists("a", b"x"), "a")).await;
    assert!(matches!(listed_twice, UnpackError::Manifest { .. }), "{listed_twice:?}");
    let below_a_file = refused(Forge::new().lists("a", b"x").lists("a/b", b"x")).await;
    assert!(matches!(below_a_file, UnpackError::Manifest { .. }), "{below_a_file:?}");
    let announced = refused(
        Forge::new()
            .lists("a", b"x")
            .entry(b"a", EntryType::XHeader, b"11 path=/x\n"),
    )
    .await;
    assert!(matches!(announced, UnpackError::Unlisted { .. }), "{announced:?}");
}

#[tokio::test]
async fn other_content_than_the_manifest_says_is_refused() {
    let other = refused(Forge::new().lists("a", b"x").entry(b"a", EntryType::Regular, b"y")).await;
    assert!(
        matches!(&other, UnpackError::Damaged { problem, .. } if problem.contains("SHA-256")),
        "{other:?}"
    );
    let longer = refused(Forge::new().lists("a", b"x").entry(b"a", EntryType::Regular, b"xx")).await;
    assert!(
        matches!(&longer, UnpackError::Damaged { problem, .. } if problem.contains("size")),
        "{longer:?}"
    );
    let sparse = json!({ "path": "a", "size_bytes": 10, "extents": [[0, 1]], "sha256": "0".repeat(64) });
    let not_sparse = refused(Forge::new().lists_value(&sparse).entry(b"a", EntryType::Regular, b"x")).await;
    assert!(matches!(not_sparse, UnpackError::Damaged { .. }), "{not_sparse:?}");
}

#[tokio::test]
async fn parts_that_make_no_sense_are_refused() {
    let maps = [
        json!([[0, 0]]),
        json!([[0, 20]]),
        json!([[4, 2], [0, 2]]),
        json!([[0, 4], [2, 4]]),
        json!([[u64::MAX, 2]]),
    ];
    for map in maps {
        let sparse = json!({ "path": "a", "size_bytes": 10, "extents": map, "sha256": "0".repeat(64) });
        let refused = refused(Forge::new().lists_value(&sparse)).await;
        assert!(matches!(refused, UnpackError::Manifest { .. }), "{refused:?}");
    }
}

#[tokio::test]
async fn a_bomb_does_not_go_off() {
    let yard = Yard::new();
    let small = Limits {
        data_bytes_max: MIB,
        file_bytes_max: 2 * MIB,
    };
    let zeros = vec![0; 4 * MIB_BYTES];
    let honest = || Forge::new().lists("a", &zeros).entry(b"a", EntryType::Regular, &zeros);
    let file = yard.refuses_within(honest().write(yard.folder()), small).await;
    assert!(matches!(file, UnpackError::TooLarge { .. }), "{file:?}");
    let large = Limits {
        file_bytes_max: u64::MAX,
        ..small
    };
    let all = yard.refuses_within(honest().write(yard.folder()), large).await;
    assert!(matches!(all, UnpackError::TooLarge { .. }), "{all:?}");
    // One that lies about its size gets no further than it said.
    let liar = Forge::new().lists("a", b"x").claims(b"a", 1 << 33, &zeros);
    let lied = yard.refuses(liar.write(yard.folder())).await;
    assert!(matches!(lied, UnpackError::Damaged { .. }), "{lied:?}");
    let header = Forge::new().lists("a", b"x").entry(b"a", EntryType::XHeader, &zeros);
    let announced = yard.refuses(header.write(yard.folder())).await;
    assert!(matches!(announced, UnpackError::Unlisted { .. }), "{announced:?}");
    let mut tail = Forge::new().tar();
    tail.extend(&zeros);
    let tail = write(yard.folder(), &zstd::encode_all(&tail[..], 1).unwrap());
    let tail = yard.refuses(tail).await;
    assert!(matches!(tail, UnpackError::Compression { .. }), "{tail:?}");
    let disk = json!({ "path": "a", "size_bytes": 1_u64 << 62, "extents": [], "sha256": "0".repeat(64) });
    let disk = yard.refuses(Forge::new().lists_value(&disk).write(yard.folder())).await;
    assert!(matches!(disk, UnpackError::TooLarge { .. }), "{disk:?}");
}

#[tokio::test]
async fn a_stream_that_asks_for_much_memory_is_refused() {
    let yard = Yard::new();
    let mut encoder = zstd::Encoder::new(Vec::new(), 1).unwrap();
    encoder.window_log(30).unwrap();
    std::io::Write::write_all(&mut encoder, &Forge::new().tar()).unwrap();
    let bundle = write(yard.folder(), &encoder.finish().unwrap());
    let refused = yard.refuses(bundle).await;
    assert!(
        matches!(&refused, UnpackError::NotABundle { problem, .. } if problem.contains("memory")),
        "{refused:?}"
    );
}

#[tokio::test]
async fn other_files_and_other_versions_are_told() {
    let yard = Yard::new();
    for bytes in [
        &b"PK\x03\x04 a zip archive"[..],
        &zstd::encode_all(&b"no tar"[..], 1).unwrap(),
    ] {
        let bundle = write(yard.folder(), bytes);
        let refused = yard.refuses(bundle).await;
        assert!(
            matches!(refused, UnpackError::NotABundle { .. } | UnpackError::Truncated),
            "{refused:?}"
        );
    }
    let mut forge = Forge::new();
    forge.manifest = json!({ "format": 9, "bootgate_version": "9.0\u{1b}[2J", "else": true });
    let newer = refused(forge).await;
    assert!(matches!(&newer, UnpackError::Format { found: 9, .. }), "{newer:?}");
    assert!(!newer.to_string().contains('\u{1b}'), "{newer}");
    let mut forge = Forge::new();
    forge.manifest["else"] = true.into();
    let unknown = refused(forge).await;
    assert!(matches!(unknown, UnpackError::Manifest { .. }), "{unknown:?}");
}

#[tokio::test]
async fn a_bundle_cut_anywhere_or_damaged_anywhere_is_refused() {
    let run = Run::new();
    let whole = std::fs::read(run.pack(false, u64::MAX).await.unwrap().path).unwrap();
    let yard = Yard::new();
    let cuts = [1, 5, 100, 1000, whole.len() / 2, whole.len() - 5, whole.len() - 1];
    for cut in cuts {
        let bundle = write(yard.folder(), &whole[..cut]);
        let refused = yard.refuses(bundle).await;
        assert!(matches!(refused, UnpackError::Truncated), "{cut}: {refused:?}");
    }
    let empty = yard.refuses(write(yard.folder(), b"")).await;
    assert!(
        matches!(empty, UnpackError::NotABundle { .. } | UnpackError::Truncated),
        "{empty:?}"
    );
    for at in (0..whole.len()).step_by(whole.len() / 61) {
        let mut damaged = whole.clone();
        damaged[at] ^= 0x20;
        yard.refuses(write(yard.folder(), &damaged)).await;
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]
    #[test]
    fn no_name_leads_out(name in prop::collection::vec(prop::sample::select(b"./a\\ ~\x00".to_vec()), 1..40)) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let yard = Yard::new();
            let listed = String::from_utf8_lossy(&name).into_owned();
            let forge = Forge::new().lists(&listed, b"x").entry(&name, EntryType::Regular, b"x");
            let bundle = forge.write(yard.folder());
            let before = yard.listing().len();
            let done = unpacked(&bundle, &yard.folder().join("into")).await;
            let allowed = before + usize::from(done.is_ok());
            assert_eq!(yard.listing().len(), allowed, "{name:?}: {done:?}");
        });
    }
}
