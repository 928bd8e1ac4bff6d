//! First use without a guest that runs: what `init` writes for images, what it refuses, and what a shell and a reader of
//! manuals get.

mod cli_support;
#[path = "support/gate.rs"]
mod gate;
#[path = "support/live.rs"]
mod live;
#[path = "support/tiny.rs"]
mod tiny;

use std::path::Path;
use std::process::Command;

use cli_support::{Seen, bootgate, run, see};

/// `bootgate` in a directory.
fn within(directory: &Path, arguments: &[&str]) -> Seen {
    see(bootgate(arguments).current_dir(directory))
}

/// The gate file for an image that lies in the directory, checked.
fn gate_of(directory: &Path, image: &str) -> String {
    let made = within(directory, &["init", image, "-o", "gate.toml", "--force"]);
    assert_eq!(made.code, Some(0), "{made:?}");
    let checked = within(directory, &["check", "gate.toml"]);
    assert_eq!(checked.code, Some(0), "{checked:?}");
    std::fs::read_to_string(directory.join("gate.toml")).unwrap()
}

/// Without the words of the release that the guest is built from, which is the host's, and without the line breaks that
/// follow from them.
fn of_any_release(gate: &str) -> String {
    let mut gate = gate.replace("\n# ", " ");
    for (pattern, word) in [(r"`(Debian|Ubuntu)[^`]*`", "`SYSTEM`"), (r"systemd \d+", "systemd N")] {
        gate = regex::Regex::new(pattern)
            .unwrap()
            .replace_all(&gate, word)
            .into_owned();
    }
    gate
}

#[test]
fn each_image_gets_a_gate_that_says_what_was_seen() {
    let directory = tempfile::tempdir().unwrap();
    let live = live::live();
    for (name, image) in [
        ("tiny", &tiny::tiny().iso),
        ("production", &live.production),
        ("debug", &live.debug),
    ] {
        let file = format!("{name}.iso");
        std::os::unix::fs::symlink(image, directory.path().join(&file)).unwrap();
        insta::assert_snapshot!(
            format!("init_{name}"),
            of_any_release(&gate_of(directory.path(), &file))
        );
    }
}

/// A disk with a partition table, an EFI system partition with GRUB's files, and an empty encrypted partition.
fn disk(directory: &Path) {
    let script = r#"set -eu
truncate -s 64M disk.raw
printf 'label: gpt\nstart=2048, size=65536, type=U\nsize=32768, type=L\n' | sfdisk --quiet disk.raw
truncate -s 32M esp.fat && mkfs.vfat -n ESP esp.fat >/dev/null
printf 'menuentry "It'"'"'s: `x`" {\n linux /vmlinuz console=ttyS0 root=/dev/sda2\n}\n' >grub.cfg
mmd -i esp.fat ::EFI ::EFI/BOOT ::grub
mcopy -i esp.fat grub.cfg ::grub/grub.cfg
mcopy -i esp.fat grub.cfg ::EFI/BOOT/BOOTX64.EFI
dd if=esp.fat of=disk.raw bs=512 seek=2048 conv=notrunc status=none
printf 'LUKS\272\276\000\001' | dd of=disk.raw bs=512 seek=67584 conv=notrunc status=none
"#;
    let made = Command::new("bash")
        .args(["-c", script])
        .current_dir(directory)
        .output()
        .unwrap();
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
}

#[test]
fn an_encrypted_disk_gets_a_gate_for_its_question() {
    let directory = tempfile::tempdir().unwrap();
    disk(directory.path());
    let raw = gate_of(directory.path(), "disk.raw");
    insta::assert_snapshot!("init_encrypted_disk", raw);
    let convert = ["convert", "-O", "qcow2", "disk.raw", "disk.qcow2"];
    let made = Command::new("qemu-img")
        .args(convert)
        .current_dir(directory.path())
        .status()
        .unwrap();
    assert!(made.success());
    let qcow2 = gate_of(directory.path(), "disk.qcow2");
    let as_raw = qcow2
        .replace("disk.qcow2", "disk.raw")
        .replace("A qcow2 disk", "A raw disk");
    assert_eq!(as_raw.replace("format = \"qcow2\"", "format = \"raw\""), raw);
}

#[test]
fn what_is_no_image_is_told_and_nothing_is_written() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path();
    let iso = std::fs::read(&tiny::tiny().iso).unwrap();
    std::fs::write(path.join("cut.iso"), &iso[..iso.len() / 2]).unwrap();
    std::fs::write(path.join("begun.iso"), &iso[..32 * 1024 + 7]).unwrap();
    std::fs::write(path.join("a.txt"), "no image\n".repeat(1000)).unwrap();
    std::fs::write(path.join("a.iso.gz"), b"\x1f\x8b\x08 and so on").unwrap();
    std::fs::write(path.join("zeros.img"), vec![0; 1 << 20]).unwrap();
    std::fs::write(path.join("empty.iso"), "").unwrap();
    std::fs::create_dir(path.join("folder")).unwrap();
    let mut pages = Vec::new();
    for (image, code) in [
        ("cut.iso", 1),
        ("begun.iso", 1),
        ("a.txt", 2),
        ("a.iso.gz", 2),
        ("zeros.img", 2),
        ("empty.iso", 2),
        ("folder", 2),
        ("missing.iso", 2),
    ] {
        let seen = within(path, &["init", image]);
        assert_eq!(seen.code, Some(code), "{image}: {seen:?}");
        assert!(!path.join("gate.toml").exists(), "{image}");
        pages.push(format!("$ bootgate init {image}\n{}", seen.page(&[])));
    }
    insta::assert_snapshot!("init_refused", pages.join("\n"));
}

/// Makes files by a script in a directory.
fn scripted(directory: &Path, script: &str) {
    let mut command = Command::new("bash");
    let made = command.args(["-euc", script]).current_dir(directory).output().unwrap();
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
}

/// mkfs.fat leaves a boot sector that says that there is nothing to boot.
#[test]
fn a_stick_without_a_partition_table_boots_by_what_lies_on_it() {
    let directory = tempfile::tempdir().unwrap();
    let make = "truncate -s 40M stick.img; mkfs.vfat stick.img >/dev/null; mmd -i stick.img ::EFI ::EFI/BOOT
        echo x >x; mcopy -i stick.img x ::EFI/BOOT/BOOTX64.EFI
        printf 'label live\n kernel linux\n append console=ttyS0\n' >s; mcopy -i stick.img s ::syslinux.cfg";
    scripted(directory.path(), make);
    let gate = gate_of(directory.path(), "stick.img");
    for words in [
        "firmware = \"uefi\"",
        "BIOS: nothing was seen",
        "`live` of `the whole disk (fat):/syslinux.cfg`",
    ] {
        assert!(gate.contains(words), "{words}: {gate}");
    }
}

#[test]
fn a_disk_that_was_cut_off_is_told() {
    let directory = tempfile::tempdir().unwrap();
    disk(directory.path());
    let cut = "qemu-img convert -O qcow2 disk.raw disk.qcow2; truncate -s 40M disk.raw; truncate -s -128K disk.qcow2";
    scripted(directory.path(), cut);
    for (image, words) in [
        ("disk.raw", "9 MiB of volume 2 (luks) lie behind the end of the file"),
        ("disk.qcow2", "`qemu-img check` finds it damaged"),
    ] {
        let seen = within(directory.path(), &["init", image, "-o", "-"]);
        assert_eq!(seen.code, Some(0), "{seen:?}");
        assert!(
            seen.stderr
                .contains(&format!("warning: the image may be cut off: {words}")),
            "{seen:?}"
        );
        assert!(seen.stdout.contains("# It may be cut off: "), "{seen:?}");
    }
}

/// The gate of somebody who has forgotten to unpack the image, and that of a disk whose rest lies elsewhere.
#[test]
fn what_is_no_image_is_refused_before_a_run_as_well() {
    let directory = tempfile::tempdir().unwrap();
    disk(directory.path());
    let gate = gate_of(directory.path(), "disk.raw");
    let make = "gzip -k disk.raw; qemu-img create -q -f qcow2 -b disk.raw -F raw over.qcow2
        qemu-img create -q -f qcow2 empty.qcow2 1G; mkfifo pipe; ln -s /dev/null null";
    scripted(directory.path(), make);
    for (image, format, words) in [
        (
            "disk.raw.gz",
            "raw",
            ["it is compressed with gzip", "gunzip -k disk.raw.gz"],
        ),
        (
            "over.qcow2",
            "qcow2",
            [
                "what it does not hold itself lies in `disk.raw`",
                "qemu-img convert -O qcow2 over.qcow2 ",
            ],
        ),
    ] {
        let refused = within(directory.path(), &["init", image, "-o", "-"]);
        let gate = gate
            .replace("disk.raw", image)
            .replace("\"raw\"", &format!("\"{format}\""));
        std::fs::write(directory.path().join("gate.toml"), gate).unwrap();
        let run = within(directory.path(), &["run", "gate.toml"]);
        for seen in [refused, run] {
            assert_eq!(seen.code, Some(2), "{seen:?}");
            assert!(words.iter().all(|words| seen.stderr.contains(words)), "{seen:?}");
        }
    }
    for (image, words) in [
        ("empty.qcow2", "the disk in it has no partition table"),
        ("pipe", "is a device or a pipe"),
        ("null", "is a device or a pipe"),
    ] {
        let seen = within(directory.path(), &["init", image, "-o", "-"]);
        assert_eq!(seen.code, Some(2), "{seen:?}");
        assert!(seen.stderr.contains(words), "{seen:?}");
    }
}

#[test]
fn a_gate_file_is_never_replaced_unasked() {
    let directory = tempfile::tempdir().unwrap();
    disk(directory.path());
    let gate = directory.path().join("gate.toml");
    std::fs::write(&gate, "mine\n").unwrap();
    let refused = within(directory.path(), &["init", "disk.raw"]);
    assert_eq!(refused.code, Some(2));
    assert!(refused.stderr.contains("--force"), "{refused:?}");
    assert_eq!(std::fs::read_to_string(&gate).unwrap(), "mine\n");
    let printed = within(directory.path(), &["init", "disk.raw", "-o", "-"]);
    assert_eq!((printed.code, printed.stderr.as_str()), (Some(0), ""));
    let json = within(directory.path(), &["init", "disk.raw", "-o", "-", "--json"]).json();
    assert_eq!(json["gate"].as_str(), Some(printed.stdout.as_str()));
    assert_eq!(within(directory.path(), &["init", "disk.raw", "--force"]).code, Some(0));
    assert_eq!(std::fs::read_to_string(&gate).unwrap(), printed.stdout);
    let names = std::fs::read_dir(directory.path()).unwrap();
    let drafts = names.filter(|entry| entry.as_ref().unwrap().file_name().to_string_lossy().starts_with('.'));
    assert_eq!(drafts.count(), 0, "nothing is left beside it");
}

#[test]
fn causes_are_explained() {
    for word in [
        "ssh-not-listening",
        "guest-disk-full",
        "hostname-step-after-complete-install",
    ] {
        insta::assert_snapshot!(format!("explain_{word}"), run(["explain", word]).page(&[]));
    }
    let list = run(["explain"]);
    assert_eq!(list.code, Some(0));
    let all = run(["explain", "--json"]).json();
    let causes = all.as_array().unwrap();
    assert!(causes.len() > 100, "{}", causes.len());
    for cause in causes {
        let id = cause["cause"].as_str().unwrap();
        assert!(
            list.stdout
                .lines()
                .any(|line| line.split_whitespace().next() == Some(id)),
            "{id}"
        );
    }
    let mistyped = run(["explain", "ssh-not-listenin"]);
    assert_eq!(mistyped.code, Some(2));
    assert!(
        mistyped.stderr.contains("bootgate explain ssh-not-listening"),
        "{mistyped:?}"
    );
    let hostile = run(["explain", "\u{1b}[2Jx\n::error::"]);
    assert_eq!(hostile.code, Some(2));
    assert!(
        !hostile.stderr.contains('\u{1b}') && hostile.stderr.lines().count() == 2,
        "{hostile:?}"
    );
}

/// What bash offers at the end of a command line.
fn completed(words: &[&str]) -> Vec<String> {
    let script = r#"
source <(bootgate completions bash) || exit 1
COMP_WORDS=("$@") COMP_CWORD=$(($# - 1)) COMP_LINE="$*" COMP_POINT=${#COMP_LINE} COMP_TYPE=9 COMP_KEY=9
definition=$(complete -p bootgate) || exit 1
[[ $definition =~ -F\ ([^ ]+) ]] || exit 1
"${BASH_REMATCH[1]}" bootgate "${COMP_WORDS[COMP_CWORD]}" "${COMP_WORDS[COMP_CWORD - 1]}"
printf '%s\n' "${COMPREPLY[@]}"
"#;
    let folder = Path::new(env!("CARGO_BIN_EXE_bootgate")).parent().unwrap();
    let path = format!("{}:{}", folder.display(), std::env::var("PATH").unwrap());
    let mut command = Command::new("bash");
    command
        .args(["--norc", "-c", script, "bash"])
        .args(words)
        .env("PATH", path);
    let seen = see(&mut command);
    assert_eq!((seen.code, seen.stderr.as_str()), (Some(0), ""), "{words:?}");
    seen.stdout.lines().map(str::to_owned).collect()
}

#[test]
fn bash_completes_commands_options_and_their_words() {
    assert_eq!(completed(&["bootgate", "ini"]), ["init"]);
    assert_eq!(completed(&["bootgate", "verify-production", "--forb"]), ["--forbid"]);
    assert_eq!(
        completed(&["bootgate", "diagram", "--form", ""]),
        ["mermaid", "transitions", "deadlines"]
    );
    assert_eq!(
        completed(&["bootgate", "run", "gate.toml", "--on-failure", "bu"]),
        ["bundle"]
    );
    let all = completed(&["bootgate", ""]);
    for command in ["init", "run", "explain", "completions", "man", "demo"] {
        assert!(all.iter().any(|word| word == command), "{command} of {all:?}");
    }
}

#[test]
fn other_shells_know_every_command_too() {
    let commands = completed(&["bootgate", ""]);
    for shell in ["zsh", "fish", "elvish", "powershell"] {
        let seen = run(["completions", shell]);
        assert_eq!(seen.code, Some(0), "{shell}");
        for command in commands.iter().filter(|word| !word.starts_with('-')) {
            assert!(seen.stdout.contains(command.as_str()), "{shell}: {command}");
        }
    }
    assert_eq!(run(["completions", "tcsh"]).code, Some(2));
}

#[test]
fn manual_pages_are_rendered_without_a_warning() {
    let directory = tempfile::tempdir().unwrap();
    let seen = within(directory.path(), &["man", "man1"]);
    assert_eq!(seen.code, Some(0), "{seen:?}");
    let mut pages: Vec<_> = std::fs::read_dir(directory.path().join("man1"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    pages.sort();
    let commands = completed(&["bootgate", ""])
        .into_iter()
        .filter(|word| !word.starts_with('-') && word != "help");
    assert_eq!(pages.len(), commands.count() + 1, "{pages:?}");
    for page in &pages {
        // What `man --warnings` runs, without its search and its pager.
        let rendered = Command::new("groff")
            .args(["-man", "-Tutf8", "-ww", "-P-cbou"])
            .arg(page)
            .output()
            .expect("groff renders manual pages: apt-get install groff-base");
        let complaints = String::from_utf8_lossy(&rendered.stderr).into_owned();
        assert!(
            rendered.status.success() && complaints.is_empty(),
            "{}: {complaints}",
            page.display()
        );
        let text = String::from_utf8_lossy(&rendered.stdout).into_owned();
        assert!(
            text.contains("NAME") && text.contains("SYNOPSIS") && text.contains("EXAMPLES"),
            "{}: {text}",
            page.display()
        );
    }
    let run_page = std::fs::read_to_string(directory.path().join("man1/bootgate-run.1")).unwrap();
    assert!(run_page.contains("bootgate run gate.toml"), "the examples are in it");
    // The check sees what is wrong.
    let broken = directory.path().join("broken.1");
    std::fs::write(&broken, run_page.replace(".SH OPTIONS", ".SH \\*[none]\n.XX")).unwrap();
    let judged = Command::new("groff")
        .args(["-man", "-Tutf8", "-ww"])
        .arg(broken)
        .output()
        .unwrap();
    assert!(!judged.stderr.is_empty());
}
