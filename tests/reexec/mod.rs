//! Lets a test start its own binary again in another role, to be killed in that role.
#![allow(dead_code, reason = "not every test binary needs all of it")]

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};

const ROLE: &str = "BOOTGATE_TEST_ROLE";
const ARGUMENT: &str = "BOOTGATE_TEST_ARGUMENT";
const SAYS: &str = "role says: ";

/// In a test function that is a role: the argument if this process was started to play it, `None` in a normal test run.
pub(crate) fn playing(role: &str) -> Option<String> {
    let asked = std::env::var(ROLE).ok()?;
    (asked == role).then(|| std::env::var(ARGUMENT).unwrap_or_default())
}

/// In a role: tells the test a line.
pub(crate) fn say(line: &str) {
    let mut out = std::io::stdout().lock();
    writeln!(out, "\n{SAYS}{line}").unwrap();
    out.flush().unwrap();
}

/// In a role: waits to be killed.
pub(crate) fn wait_for_ever() -> ! {
    loop {
        std::thread::park();
    }
}

/// The command that plays the role whose test function has this name.
pub(crate) fn role_command(role: &str, argument: &Path) -> Command {
    dress(Command::new(std::env::current_exe().unwrap()), role, argument)
}

/// The same behind a wrapper such as `unshare -m`, which gets the binary and its arguments at the end.
pub(crate) fn wrapped_role_command(wrapper: &[&str], role: &str, argument: &Path) -> Command {
    let mut command = Command::new(wrapper[0]);
    command.args(&wrapper[1..]).arg(std::env::current_exe().unwrap());
    dress(command, role, argument)
}

fn dress(mut command: Command, role: &str, argument: &Path) -> Command {
    command.args(["--exact", role, "--nocapture"]);
    command.env(ROLE, role).env(ARGUMENT, argument);
    command.stdin(Stdio::null()).stdout(Stdio::piped());
    command
}

/// A process that plays a role. It is killed when this is dropped.
pub(crate) struct Role {
    pub(crate) process: Child,
    lines: BufReader<ChildStdout>,
}

impl Role {
    pub(crate) fn start(mut command: Command) -> Self {
        let mut process = command.spawn().unwrap();
        let lines = BufReader::new(process.stdout.take().unwrap());
        Self { process, lines }
    }

    /// The next line that the role says; panics if it ends without one.
    pub(crate) fn hears(&mut self) -> String {
        loop {
            let mut line = String::new();
            assert_ne!(
                self.lines.read_line(&mut line).unwrap(),
                0,
                "the role ended and said nothing"
            );
            if let Some(said) = line.trim_end().strip_prefix(SAYS) {
                return said.to_owned();
            }
        }
    }

    /// SIGKILL, and waits for the end.
    pub(crate) fn kill(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }
}

impl Drop for Role {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
