//! A script.

use std::io::{BufRead as _, BufReader, Write as _, pipe};
use std::process::{Output, Stdio};

use crate::holder::Holder;

#[test]
fn bytes_pass_as_they_are_both_ways_beyond_the_end_of_input() {
    let holder = Holder::new("running", b"early\x1b]0;title\x07\n");
    let mut command = holder.attach();
    command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut script = command.spawn().unwrap();
    let mut guest = holder.console();
    let mut input = script.stdin.take().unwrap();
    input.write_all(b"echo\x1d\xff\n").unwrap();
    drop(input);
    guest.reads(b"echo\x1d\xff\n");
    guest.prints(b"\xffanswer\x1b[6n\n");
    guest.ends();
    let Output { status, stdout, stderr } = script.wait_with_output().unwrap();
    assert_eq!(status.code(), Some(0));
    assert_eq!(stdout, b"early\x1b]0;title\x07\n\xffanswer\x1b[6n\n");
    let stderr = String::from_utf8(stderr).unwrap();
    assert!(stderr.starts_with("the console has ended"), "{stderr}");
}

#[test]
fn nothing_of_a_long_input_is_lost() {
    let holder = Holder::new("running", b"");
    let (input, mut writer) = pipe().unwrap();
    let mut script = holder.attach().stdin(input).stdout(Stdio::null()).spawn().unwrap();
    let mut guest = holder.console();
    let text: Vec<u8> = (0..1_000_000_u32).map(|at| at.to_le_bytes()[at as usize % 3]).collect();
    std::thread::scope(|scope| {
        scope.spawn(|| writer.write_all(&text).unwrap());
        guest.reads(&text);
    });
    guest.ends();
    assert_eq!(script.wait().unwrap().code(), Some(0));
}

#[test]
fn it_ends_when_its_reader_has_seen_enough() {
    let holder = Holder::new("paused", b"first line\nsecond line\n");
    let (input, _never_written) = pipe().unwrap();
    let mut command = holder.attach();
    command.stdin(input).stdout(Stdio::piped()).stderr(Stdio::null());
    let mut script = command.spawn().unwrap();
    let mut guest = holder.console();
    let mut line = String::new();
    let mut output = BufReader::new(script.stdout.take().unwrap());
    output.read_line(&mut line).unwrap();
    assert_eq!(line, "first line\n");
    // Without a further byte from the guest or on standard input.
    drop(output);
    guest.is_left();
    assert_eq!(script.wait().unwrap().code(), Some(0));
}

#[test]
fn output_that_is_lost_is_no_success() {
    let holder = Holder::new("running", b"text\n");
    let full = std::fs::File::options().write(true).open("/dev/full").unwrap();
    let output = holder.attach().stdin(Stdio::null()).stdout(full).output().unwrap();
    assert_eq!(output.status.code(), Some(4));
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert!(stderr.contains("No space left on device"), "{stderr}");
}
