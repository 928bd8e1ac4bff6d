//! A QEMU that a test has started.

use std::io::{BufRead as _, BufReader, ErrorKind, Read as _, Write as _};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use serde_json::Value;

use super::Owned;

/// How long a QEMU may say nothing. It ends the test, not the time limit of the whole suite.
const SILENCE_MAX: Duration = Duration::from_secs(60);

/// QEMU with its QMP socket as file descriptor 0, its serial socket as 1, and the firmware's debug console as 2, which
/// is where its own complaints go as well.
pub(crate) struct Started {
    child: Owned,
    qmp: BufReader<UnixStream>,
    serial: UnixStream,
    errors: UnixStream,
}

impl Started {
    pub(crate) fn new(binary: &Path, arguments: &[String]) -> Self {
        let [qmp, serial, errors] = [(); 3].map(|()| UnixStream::pair().unwrap());
        let child = Command::new(binary)
            .args(arguments)
            .stdin(Stdio::from(OwnedFd::from(qmp.1)))
            .stdout(Stdio::from(OwnedFd::from(serial.1)))
            .stderr(Stdio::from(OwnedFd::from(errors.1)))
            .spawn()
            .unwrap();
        for stream in [&qmp.0, &serial.0, &errors.0] {
            stream.set_read_timeout(Some(SILENCE_MAX)).unwrap();
        }
        Self {
            child: Owned(child),
            qmp: BufReader::new(qmp.0),
            serial: serial.0,
            errors: errors.0,
        }
    }

    /// Starts the machine once its command line has been carried out.
    pub(crate) fn running(binary: &Path, arguments: &[String]) -> Self {
        let mut started = Self::new(binary, arguments);
        assert!(started.line().is_some(), "{}", started.stderr_at_end());
        started.execute("qmp_capabilities");
        started.execute("cont");
        started
    }

    pub(crate) fn line(&mut self) -> Option<Value> {
        let mut line = String::new();
        match self.qmp.read_line(&mut line) {
            Ok(0) => None,
            Err(error) if error.kind() == ErrorKind::ConnectionReset => None,
            Ok(_) => Some(serde_json::from_str(&line).unwrap()),
            Err(error) => panic!("QMP is silent: {error}"),
        }
    }

    pub(crate) fn execute(&mut self, command: &str) -> Value {
        writeln!(self.qmp.get_mut(), "{{\"execute\": \"{command}\"}}").unwrap();
        loop {
            let Some(line) = self.line() else {
                panic!("QMP ended before the answer to {command}: {}", self.stderr_at_end());
            };
            if let Some(answer) = line.get("return") {
                return answer.clone();
            }
            assert!(line.get("error").is_none(), "{command}: {line}");
        }
    }

    /// Ends QEMU in good order. The connection may end with a reset, even before the answer is read.
    pub(crate) fn quit(mut self) -> String {
        writeln!(self.qmp.get_mut(), "{{\"execute\": \"quit\"}}").unwrap();
        while self.line().is_some() {}
        self.stderr_at_end()
    }

    pub(crate) fn stderr_at_end(&mut self) -> String {
        self.child.end();
        let mut text = Vec::new();
        match self.errors.read_to_end(&mut text) {
            Ok(_) => {}
            Err(error) if error.kind() == ErrorKind::ConnectionReset => {}
            Err(error) => panic!("{error}"),
        }
        String::from_utf8_lossy(&text).into_owned()
    }

    /// Reads the firmware's debug console until it says `needle`.
    pub(crate) fn firmware_says(&mut self, needle: &str) {
        read_until(&mut self.errors, needle);
    }

    /// Reads the serial console until it says `needle`.
    pub(crate) fn serial_says(&mut self, needle: &str) {
        read_until(&mut self.serial, needle);
    }
}

fn read_until(stream: &mut UnixStream, needle: &str) {
    let mut text = String::new();
    let mut chunk = [0; 4096];
    while !text.contains(needle) {
        let count = stream.read(&mut chunk);
        let count = count.unwrap_or_else(|error| panic!("{error} before `{needle}`: {text}"));
        assert!(count > 0, "the end before `{needle}`: {text}");
        text += &String::from_utf8_lossy(&chunk[..count]);
    }
}
