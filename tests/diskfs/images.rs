//! Images made in the test.

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use bootgate::diskfs::{Disk, DiskFsError, Place};

pub(crate) const MIB: u64 = 1024 * 1024;

/// Runs a tool with a text on its standard input and returns what it printed.
#[track_caller]
pub(crate) fn run(program: &str, arguments: &[&str], input: &str) -> String {
    let path = std::env::var("PATH").unwrap_or_default();
    let mut child = Command::new(program)
        .args(arguments)
        // Debian keeps these tools out of a user's PATH.
        .env("PATH", format!("{path}:/usr/sbin:/sbin"))
        .env("LC_ALL", "C")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap_or_else(|error| {
            panic!("`{program}`: {error}; install e2fsprogs, dosfstools, mtools, fdisk and qemu-utils")
        });
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{program} {arguments:?}: {said}");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

pub(crate) fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// A directory whose content goes into images.
pub(crate) fn content(dir: &Path) -> PathBuf {
    let root = dir.join("content");
    if root.is_dir() {
        return root;
    }
    fs::create_dir_all(root.join("etc")).unwrap();
    fs::create_dir_all(root.join("usr/bin")).unwrap();
    fs::write(root.join("etc/fstab"), "UUID=1 / ext4 defaults 0 1\n").unwrap();
    fs::write(root.join("etc/empty"), "").unwrap();
    fs::write(root.join("big"), big()).unwrap();
    for (target, link) in [
        ("../etc/fstab", "usr/table"),
        ("/usr/bin", "bin"),
        ("/bin/../table", "chain"),
        ("/loop", "loop"),
        ("/nowhere", "dangling"),
        (&"../etc/".repeat(20), "etc/long"),
    ] {
        std::os::unix::fs::symlink(target, root.join(link)).unwrap();
    }
    root
}

/// Three MiB that no two blocks of have in common.
pub(crate) fn big() -> Vec<u8> {
    (0..3 * 1024 * 1024u32 / 4).flat_map(u32::to_le_bytes).collect()
}

/// A file system of the ext family in a file.
#[track_caller]
pub(crate) fn ext(dir: &Path, name: &str, options: &[&str]) -> PathBuf {
    let image = dir.join(name);
    let root = content(dir);
    let mut arguments = vec!["-q", "-F", "-d", text(&root)];
    arguments.extend(options);
    arguments.extend([text(&image), "16M"]);
    run("mke2fs", &arguments, "");
    image
}

/// A FAT file system in a file.
#[track_caller]
pub(crate) fn fat(dir: &Path, name: &str, size_bytes: u64, options: &[&str]) -> PathBuf {
    let image = dir.join(name);
    fs::File::create(&image).unwrap().set_len(size_bytes).unwrap();
    run("mkfs.vfat", &[options, &["-n", "ESP", text(&image)]].concat(), "");
    let root = content(dir);
    run("mmd", &["-i", text(&image), "::/EFI", "::/EFI/BOOT"], "");
    let target = "::/EFI/BOOT/A long name of a file.txt";
    run(
        "mcopy",
        &["-i", text(&image), text(&root.join("etc/fstab")), target],
        "",
    );
    run(
        "mcopy",
        &["-i", text(&image), text(&root.join("big")), "::/BIG.BIN"],
        "",
    );
    image
}

/// A disk with the given images in partitions of 64 MiB, the first at 1 MiB.
#[track_caller]
pub(crate) fn partitioned(dir: &Path, label: &str, parts: &[&Path]) -> PathBuf {
    let image = dir.join(format!("{label}.raw"));
    let file = fs::File::create(&image).unwrap();
    file.set_len((parts.len() as u64 * 64 + 2) * MIB).unwrap();
    let mut script = format!("label: {label}\n");
    for index in 0..parts.len() {
        let name = if label == "gpt" {
            format!(", name=\"part {index}\"")
        } else {
            String::new()
        };
        let line = format!("start={}MiB, size=64MiB{name}\n", 1 + index * 64);
        script.push_str(&line);
    }
    run("sfdisk", &["-q", text(&image)], &script);
    for (index, part) in parts.iter().enumerate() {
        let start = (1 + index as u64 * 64) * MIB;
        file.write_all_at(&fs::read(part).unwrap(), start).unwrap();
    }
    image
}

pub(crate) fn place(written: &str) -> Place {
    written.parse().unwrap()
}

pub(crate) fn cat(disk: &Disk, written: &str) -> Result<Vec<u8>, DiskFsError> {
    let mut content = Vec::new();
    disk.read(&place(written), u64::MAX, &mut content)?;
    Ok(content)
}

/// The names of a directory, in one line.
#[track_caller]
pub(crate) fn names(disk: &Disk, written: &str) -> String {
    let listing = disk.list(&place(written)).unwrap();
    let names = listing
        .entries
        .iter()
        .map(|entry| String::from_utf8_lossy(&entry.name).into_owned());
    names.collect::<Vec<_>>().join(" ")
}
