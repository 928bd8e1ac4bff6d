//! A holder of a machine that is not there: it speaks the control protocol, and the test is the guest.

use std::io::{BufRead as _, BufReader, ErrorKind, Read as _, Write as _};
use std::net::Shutdown;
use std::os::unix::net::{UnixListener, UnixStream};
use std::process::Command;
use std::sync::mpsc;
use std::time::Duration;

use bootgate::control::{Answer, HoldStatus, Request, SOCKET};
use bootgate::evidence::RunDir;
use jiff::Timestamp;
use serde_json::Value;
use tempfile::TempDir;

pub(crate) use crate::window::PATIENCE;

pub(crate) struct Holder {
    directory: TempDir,
    _run: RunDir,
    consoles: mpsc::Receiver<UnixStream>,
}

impl Holder {
    /// Holds a machine whose guest is in this state and has printed this before anybody came.
    pub(crate) fn new(guest: &'static str, printed: &'static [u8]) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let run = RunDir::create(directory.path(), "gate", Timestamp::now()).unwrap();
        let listener = UnixListener::bind(run.path().join(SOCKET)).unwrap();
        let (found, consoles) = mpsc::channel();
        std::thread::spawn(move || {
            for client in listener.incoming() {
                if let Some(console) = serve(client.unwrap(), guest, printed)
                    && found.send(console).is_err()
                {
                    return;
                }
            }
        });
        Self {
            directory,
            _run: run,
            consoles,
        }
    }

    /// The program, attaching to that machine's console.
    pub(crate) fn attach(&self) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_bootgate"));
        command.args(["inspect", "last", "console", "--runs"]);
        command.arg(self.directory.path()).env_remove("BOOTGATE_LOG");
        command
    }

    /// The guest's end of the console that somebody has attached to.
    pub(crate) fn console(&self) -> Guest {
        let stream = self.consoles.recv_timeout(PATIENCE).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.set_write_timeout(Some(PATIENCE)).unwrap();
        Guest(stream)
    }
}

/// Answers one request; gives the stream if it was for the console.
fn serve(client: UnixStream, guest: &str, printed: &[u8]) -> Option<UnixStream> {
    let mut reader = BufReader::new(client);
    let mut request = String::new();
    reader.read_line(&mut request).unwrap();
    let mut client = reader.into_inner();
    let done = |value: Value| serde_json::to_string(&Answer::Done(value)).unwrap() + "\n";
    match serde_json::from_str(&request).unwrap() {
        Request::Status => {
            let status = HoldStatus {
                guest: guest.to_owned(),
                expires: "2030-01-01T00:00:00Z".to_owned(),
                holder_pid: 1,
                qemu_pid: 1,
            };
            let answer = done(serde_json::to_value(status).unwrap());
            client.write_all(answer.as_bytes()).unwrap();
            None
        }
        Request::Console => {
            // In one piece: what was printed arrives together with the answer.
            let answer = [done(Value::Null).as_bytes(), printed].concat();
            client.write_all(&answer).unwrap();
            Some(client)
        }
        other => panic!("not asked by a console: {other:?}"),
    }
}

/// The guest, as far as its console goes. Dropped, its holder is gone.
pub(crate) struct Guest(UnixStream);

impl Guest {
    pub(crate) fn prints(&mut self, bytes: &[u8]) {
        self.0.write_all(bytes).unwrap();
    }

    /// Prints until nobody takes it; gives what the last attempt came to.
    pub(crate) fn floods(&mut self, patience: Duration) -> ErrorKind {
        self.0.set_write_timeout(Some(patience)).unwrap();
        loop {
            if let Err(error) = self.0.write_all(&[b'.'; 4096]) {
                return error.kind();
            }
        }
    }

    /// Passes if these bytes are what is typed next.
    #[track_caller]
    pub(crate) fn reads(&mut self, expected: &[u8]) {
        let mut read = vec![0; expected.len()];
        self.0.read_exact(&mut read).unwrap();
        assert!(read == expected, "{:?}", read.escape_ascii().to_string());
    }

    /// Passes if nothing more is typed: whoever was attached has gone.
    #[track_caller]
    pub(crate) fn is_left(&mut self) {
        let mut rest = Vec::new();
        self.0.read_to_end(&mut rest).unwrap();
        assert_eq!(rest, b"");
    }

    /// Prints nothing more.
    pub(crate) fn ends(self) {
        self.0.shutdown(Shutdown::Both).unwrap();
    }
}
