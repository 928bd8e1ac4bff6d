//! `bootgate debug-iso` when it is stopped, has no room, or is given its login.

use std::fs::{File, Permissions};
use std::io::{BufRead as _, BufReader, Read as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Command, Stdio};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::build::System;
use crate::cli_support::{bootgate, run, see};
use crate::own_mounts::with_own_mounts;

/// An archive that never ends. It says when it has begun, and its end of the pipe closes when it is gone.
const ENDLESS: &str = r#"#!/bin/sh
[ "$1" != --version ] || exec PROGRAM --version
exec 9>BEGUN
echo begun >&9
# The header of a file of a terabyte, then its zeros.
printf '%-100s%-8s%-8s%-8s%-12s%-12s%-8s0' ./big 0000644 0000000 0000000 77777777777 00000000000 CHECKSUM | tr ' ' '\0'
exec cat /dev/zero
"#;

/// The names in a directory.
fn names(directory: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(directory).unwrap();
    let mut names: Vec<_> = entries
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

/// The sum of the header's bytes, its own field being blanks, as the header holds it.
fn checksum() -> String {
    let fields = [
        "./big",
        "0000644",
        "0000000",
        "0000000",
        "77777777777",
        "00000000000",
        "0",
    ];
    let sum: u32 = fields.iter().flat_map(|field| field.bytes()).map(u32::from).sum();
    format!("{:06o}", sum + 8 * u32::from(b' '))
}

#[test]
fn stopped_while_it_repacks_it_leaves_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let production = System::production().iso(directory.path());
    let (programs, work) = (directory.path().join("programs"), directory.path().join("work"));
    std::fs::create_dir(&programs).unwrap();
    std::fs::create_dir(&work).unwrap();
    let begun = directory.path().join("begun");
    nix::unistd::mkfifo(&begun, nix::sys::stat::Mode::S_IRWXU).unwrap();
    let found = Command::new("sh").args(["-c", "command -v sqfs2tar"]).output().unwrap();
    let script = ENDLESS
        .replace("PROGRAM", String::from_utf8(found.stdout).unwrap().trim())
        .replace("BEGUN", begun.to_str().unwrap())
        .replace("CHECKSUM", &checksum());
    let program = programs.join("sqfs2tar");
    std::fs::write(&program, script).unwrap();
    std::fs::set_permissions(&program, Permissions::from_mode(0o755)).unwrap();
    let path = format!("{}:{}", programs.display(), std::env::var("PATH").unwrap());
    let output = work.join("debug.iso");
    let arguments = [
        "debug-iso",
        production.to_str().unwrap(),
        "-o",
        output.to_str().unwrap(),
    ];
    let child = bootgate(arguments)
        .env("PATH", path)
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();

    let mut pipe = BufReader::new(File::open(&begun).unwrap());
    let mut line = String::new();
    pipe.read_line(&mut line).unwrap();
    assert_eq!(line, "begun\n");
    assert_eq!(names(&work).len(), 1, "it has begun to write");
    kill(Pid::from_raw(child.id().cast_signed()), Signal::SIGINT).unwrap();
    let ended = child.wait_with_output().unwrap();
    let told = String::from_utf8(ended.stderr).unwrap();
    assert_eq!(ended.status.code(), Some(130), "{told}");
    assert!(told.contains("stopped by SIGINT; nothing was written"), "{told}");
    // This ends when the program that wrote the archive is gone.
    pipe.read_to_end(&mut Vec::new()).unwrap();
    assert_eq!(names(&work), [""; 0]);
}

#[test]
fn without_room_nothing_is_begun() {
    let directory = tempfile::tempdir().unwrap();
    let production = System::production().iso(directory.path());
    let small = directory.path().join("small");
    std::fs::create_dir(&small).unwrap();
    let words = with_own_mounts(&small);
    let script =
        "mount -t tmpfs -o size=64K tmpfs \"$1\" && { \"$2\" debug-iso \"$3\" -o \"$1/debug.iso\" || code=$?; }
        ls -A \"$1\"; exit ${code:-0}";
    let mut command = Command::new(words[0]);
    command.args(&words[1..]).args(["sh", "-c", script, "sh"]).args([
        &small,
        Path::new(env!("CARGO_BIN_EXE_bootgate")),
        &production,
    ]);
    let seen = see(&mut command);
    assert_eq!(seen.code, Some(4), "{seen:?}");
    assert!(seen.stderr.contains("free"), "{seen:?}");
    assert!(seen.stderr.contains("help: "), "{seen:?}");
    assert_eq!(seen.stdout, "", "nothing is left in the directory");
}

#[test]
fn a_login_that_was_given_is_the_only_one_and_no_file_is_made_for_it() {
    let directory = tempfile::tempdir().unwrap();
    let production = System::production().iso(directory.path());
    let file = |name: &str, text: &str| {
        let path = directory.path().join(name);
        std::fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let key = file("ci.pub", "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIHRlc3Q ci@example\n");
    let secret = "correct horse battery staple";
    let password = file("password", &format!("{secret}\nand no more\n"));
    let private = file("ci", "-----BEGIN OPENSSH PRIVATE KEY-----\n");
    let make = |name: &str, option: &str, value: &str| {
        let output = directory.path().join(name);
        let output = output.to_str().unwrap();
        run([
            "debug-iso",
            production.to_str().unwrap(),
            "-o",
            output,
            option,
            value,
            "--json",
        ])
    };
    let by_key = make("key.iso", "--authorized-key", &key);
    assert_eq!(by_key.code, Some(0), "{by_key:?}");
    assert_eq!(by_key.json()["login"]["by"], "key");
    assert!(by_key.json()["login"]["file"].is_null(), "{by_key:?}");
    let by_password = make("password.iso", "--password-file", &password);
    assert_eq!(by_password.code, Some(0), "{by_password:?}");
    assert_eq!(by_password.json()["login"]["by"], "password");
    let told = format!("{by_password:?}");
    assert!(!told.contains(secret), "{told}");
    let record = std::fs::read_to_string(directory.path().join("password.iso.json")).unwrap();
    assert!(!record.contains(secret), "{record}");

    let refused = make("none.iso", "--authorized-key", &private);
    assert_eq!(refused.code, Some(2));
    assert!(refused.stderr.contains("it is a private key"), "{refused:?}");
    let made: Vec<_> = names(directory.path())
        .into_iter()
        .filter(|name| name.contains(".iso"))
        .collect();
    assert_eq!(
        made,
        [
            "key.iso",
            "key.iso.json",
            "password.iso",
            "password.iso.json",
            production.file_name().unwrap().to_str().unwrap()
        ]
    );
}
