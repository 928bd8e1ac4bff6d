//! A holder that outlives its terminal: the run goes on in a child in a session of its own, and this process waits until the
//! machine is held or the run is over.

use std::io::{self, Write as _};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::process::ExitCode;

use nix::unistd::{getppid, setsid};
use rustix::process::{Pid, Signal, kill_process, set_parent_process_death_signal};
use tokio::io::AsyncReadExt as _;

use crate::driver::StopSignals;
use crate::machine::{StopSignal, Verdict};

use super::say;

/// The child's end of the line to its parent: its standard input.
const HELD: &str = "held";

/// Runs this very command again in the background, with `--background`; gives its exit code, or, once a machine is held, the
/// exit code of the verdict.
pub(super) fn follow() -> ExitCode {
    match follow_child() {
        Ok(code) => ExitCode::from(code),
        Err(error) => {
            say::tell(format_args!(
                "error: no process can be started in the background: {error}"
            ));
            ExitCode::from(Verdict::EXIT_INTERNAL)
        }
    }
}

fn follow_child() -> io::Result<u8> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let mut signals = StopSignals::catch()?;
        let (ours, theirs) = UnixStream::pair()?;
        // The name by which the kernel knows this program still leads to it when its file was replaced.
        let mut child = tokio::process::Command::new("/proc/self/exe")
            .args(std::env::args_os().skip(1))
            .arg("--background")
            .stdin(OwnedFd::from(theirs))
            .spawn()?;
        ours.set_nonblocking(true)?;
        let mut line = tokio::net::UnixStream::from_std(ours)?;
        let pid = child.id().and_then(|pid| Pid::from_raw(i32::try_from(pid).ok()?));
        let mut said = Vec::new();
        loop {
            tokio::select! {
                read = line.read_buf(&mut said) => match (read, held_code(&said)) {
                    (_, Some(code)) => return Ok(code),
                    (Ok(0) | Err(_), None) => break,
                    (Ok(_), None) => {}
                },
                signal = signals.next() => forward(pid, signal),
            }
        }
        loop {
            tokio::select! {
                status = child.wait() => {
                    let code = status?.code().and_then(|code| u8::try_from(code).ok());
                    return Ok(code.unwrap_or(Verdict::EXIT_INTERNAL));
                }
                signal = signals.next() => forward(pid, signal),
            }
        }
    })
}

fn held_code(said: &[u8]) -> Option<u8> {
    let line = std::str::from_utf8(said).ok()?.strip_suffix('\n')?;
    line.strip_prefix(HELD)?.trim().parse().ok()
}

fn forward(pid: Option<Pid>, signal: StopSignal) {
    let signal = match signal {
        StopSignal::Interrupt => Signal::INT,
        StopSignal::Terminate => Signal::TERM,
        StopSignal::HangUp => Signal::HUP,
    };
    if let Some(pid) = pid {
        let _ = kill_process(pid, signal);
    }
}

/// In the child, before anything else: a session of its own, and an end with its parent until [`release`].
pub(super) fn begin() -> io::Result<()> {
    set_parent_process_death_signal(Some(Signal::KILL))?;
    setsid()?;
    if getppid().as_raw() == 1 {
        return Err(io::Error::other("the process that waits for the verdict is gone"));
    }
    Ok(())
}

/// In the child, on the thread that called [`begin`]: from here on it may outlive its parent.
pub(super) fn release() -> io::Result<()> {
    set_parent_process_death_signal(None)?;
    Ok(())
}

/// In the child, when everything is printed: tells the parent the verdict's exit code and lets go of the terminal.
pub(super) fn let_go(code: u8) -> io::Result<()> {
    let mut line = UnixStream::from(rustix::io::dup(rustix::stdio::stdin())?);
    let nowhere = std::fs::OpenOptions::new().read(true).write(true).open("/dev/null")?;
    writeln!(line, "{HELD} {code}")?;
    rustix::stdio::dup2_stdin(&nowhere)?;
    rustix::stdio::dup2_stdout(&nowhere)?;
    rustix::stdio::dup2_stderr(&nowhere)?;
    Ok(())
}
