//! Whatever an image says, the gate file is one that is read, with the keys that it should have and no others.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use proptest::prelude::*;

use super::draft::{Draft, GateImage, draft};
use super::look::{Medium, Survey};
use crate::image::{Announcement, Getty, LiveTool, MenuEntry, Outline, Password, Person, Seen, Server, Volume};
use crate::plan::{self, DiskFormat};

fn seen(word: &mut impl FnMut() -> String) -> Seen {
    Seen {
        what: word(),
        file: word(),
    }
}

/// A survey in which every word of the image's is made by `word`, and `kind` chooses what there is.
fn survey(kind: u32, mut word: impl FnMut() -> String) -> Survey {
    let has = |bit: u32| kind & (1 << bit) != 0;
    let (name, started, refused) = (seen(&mut word), seen(&mut word), seen(&mut word));
    let outline = Outline {
        place: word(),
        name: has(0).then_some(name),
        systemd: Some(if has(1) { 252 } else { 257 }),
        live: has(2).then(|| (LiveTool::LiveConfig, word())),
        server: match (has(3), has(4)) {
            (true, true) => Server::Started(started),
            (true, false) => Server::Installed(word()),
            (false, _) => Server::None,
        },
        root_refused: has(5).then_some(refused),
        takes_key: has(6).then(&mut word),
        getty: match (has(7), has(8)) {
            (true, true) => Getty::Autologin {
                file: word(),
                user: word(),
            },
            (true, false) => Getty::Prompt(word()),
            (false, _) => Getty::None,
        },
        people: vec![Person {
            name: "live".to_owned(),
            password: if has(9) { Password::Empty } else { Password::Set },
            root_by: has(10).then(&mut word),
        }],
        keys: vec![word()],
        announcement: has(11).then(|| Announcement {
            text: format!("ready: \"'{}", kind % 7),
            unit: word(),
            file: word(),
        }),
        target: Some(word()),
        installers: if has(12) { vec![word(), word()] } else { Vec::new() },
    };
    let console = if has(13) { "console=ttyS0" } else { "quiet" };
    let entry = MenuEntry {
        file: word(),
        title: word(),
        arguments: format!("{console} {}", word()),
        of_syslinux: has(21),
        is_default: has(22),
    };
    let medium = if has(14) {
        Medium::Iso(Volume {
            label: word(),
            bios: true,
            uefi: has(15),
            stick: has(16),
        })
    } else {
        Medium::Disk(DiskFormat::Raw)
    };
    Survey {
        path: PathBuf::from(word()),
        medium,
        bios: has(17).then(&mut word),
        uefi: has(15).then(&mut word),
        loaders: vec![("GRUB", word())],
        entries: vec![entry],
        system: has(18).then_some(outline),
        encrypted: if has(19) { vec![word()] } else { Vec::new() },
        unseen: vec![word(), word()],
        cut: has(20).then(&mut word),
        record: None,
    }
}

/// Every key with the tables that it stands in.
fn keys(text: &str) -> BTreeSet<String> {
    fn walk(value: &toml::Value, path: &str, keys: &mut BTreeSet<String>) {
        match value {
            toml::Value::Table(table) => {
                for (key, value) in table {
                    let path = format!("{path}.{key}");
                    keys.insert(path.clone());
                    walk(value, &path, keys);
                }
            }
            toml::Value::Array(values) => values.iter().for_each(|value| walk(value, path, keys)),
            _ => {}
        }
    }
    let table: toml::Table = text.parse().unwrap_or_else(|error| panic!("{error}\n{text}"));
    let mut found = BTreeSet::new();
    walk(&toml::Value::Table(table), "", &mut found);
    found
}

fn image() -> GateImage {
    GateImage {
        written: "a \"quoted\"\n[image].iso".to_owned(),
    }
}

fn assert_read(draft: &Draft, text: &str) {
    let read = plan::parse(Path::new("gate.toml"), text);
    assert!(read.is_ok(), "{}\n{}", read.unwrap_err().render(false), draft.text);
}

/// The file with everything that is switched off switched on.
fn switched_on(text: &str) -> String {
    let lines = text.lines().map(|line| match line.strip_prefix('#') {
        Some(setting) if !setting.starts_with(' ') => setting,
        _ => line,
    });
    lines.collect::<Vec<_>>().join("\n")
}

/// Words that would be keys, tables, ends of strings or of lines.
fn hostile() -> impl Strategy<Value = String> {
    let pieces = prop_oneof![
        Just("\n"),
        Just("\r"),
        Just("\""),
        Just("'''"),
        Just("\"\"\""),
        Just("\\"),
        Just("]"),
        Just("\n[ssh]\n"),
        Just("\n#[ssh]\n"),
        Just("gate = \"x\""),
        Just("\u{1b}[2J"),
        Just("\u{2028}"),
        Just("\u{85}"),
        Just("\u{202e}"),
        Just("`"),
        Just(" "),
        Just("# "),
        Just("\0"),
        Just("::error::"),
        Just("##[x]"),
        Just("a"),
        Just("€"),
    ];
    let of_pieces = proptest::collection::vec(pieces, 0..8).prop_map(|pieces| pieces.concat());
    prop_oneof![of_pieces, any::<String>()]
}

proptest! {
    #[test]
    fn no_word_of_an_image_becomes_a_key(kind in any::<u32>(), words in proptest::collection::vec(hostile(), 1..12)) {
        let mut next = words.iter().cycle().cloned();
        let hostile = draft(&survey(kind, || next.next().unwrap()), &image());
        let tame = draft(&survey(kind, || "word".to_owned()), &image());
        prop_assert_eq!(keys(&hostile.text), keys(&tame.text));
        prop_assert_eq!(keys(&switched_on(&hostile.text)), keys(&switched_on(&tame.text)));
        assert_read(&hostile, &hostile.text);
        prop_assert!(hostile.text.chars().all(|c| c == '\n' || !c.is_control()), "{:?}", hostile.text);
    }

    #[test]
    fn what_is_switched_off_can_be_switched_on(kind in any::<u32>()) {
        let draft = draft(&survey(kind, || "/usr/sbin/word".to_owned()), &image());
        assert_read(&draft, &switched_on(&draft.text));
    }
}

#[test]
fn an_image_that_says_nothing_gets_a_gate_that_is_read() {
    let draft = draft(&survey(0, String::new), &image());
    assert_read(&draft, &draft.text);
    assert!(draft.text.contains("gate = \"gate\""), "{}", draft.text);
    assert_eq!(
        draft.warnings.len(),
        2,
        "no serial console, nothing to start: {:?}",
        draft.warnings
    );
}

#[test]
fn an_encrypted_disk_is_gated_by_its_question() {
    let draft = draft(&survey(1 << 19 | 1 << 13, || "volume 3 (luks)".to_owned()), &image());
    assert!(draft.text.contains("passphrase-asked"), "{}", draft.text);
    assert_read(&draft, &draft.text);
}
