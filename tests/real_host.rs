//! The host has what the other tests with a real QEMU start, so that a missing package fails here, once and by name.

use std::path::Path;
use std::process::Command;

#[track_caller]
fn answers(program: &str, question: &str, expected: &str) {
    let output = Command::new(program)
        .arg(question)
        .output()
        .unwrap_or_else(|error| panic!("`{program}` can't be started ({error}); install what is missing: make deps"));
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success() && said.contains(expected),
        "`{program} {question}` ended with {} and said: {said}{}",
        output.status,
        String::from_utf8_lossy(&output.stderr)
    );
}

#[test]
fn qemu_starts() {
    answers("qemu-system-x86_64", "--version", "QEMU emulator version");
    answers("qemu-img", "--version", "qemu-img version");
}

#[test]
fn there_is_firmware_for_uefi() {
    let descriptors = Path::new("/usr/share/qemu/firmware");
    let found = std::fs::read_dir(descriptors).is_ok_and(|mut files| files.next().is_some());
    assert!(
        found,
        "no firmware descriptor in {}; install what is missing: make deps",
        descriptors.display()
    );
}
