//! The guest's own journal, while the guest still runs: over SSH, or typed at a root shell that waits on the console.

use std::time::Duration;

use tokio::sync::broadcast::error::RecvError;
use tokio::sync::mpsc;

use crate::evidence::{RunDir, write_atomically};
use crate::serial::console::Console;
use crate::ssh::{HostKeyPin, Login, Output, PhaseTimes, Session};
use crate::text::Redactor;

/// Prints the journal, or the kernel's messages where there is none.
const COMMAND: &str = "journalctl -b --no-pager -o short-precise -n 5000 2>/dev/null || dmesg";
/// The same for a slow serial line. The end is in two pieces, so that the echo of the command is not taken for it.
const SERIAL_COMMAND: &str =
    "{ journalctl -b --no-pager -n 200 2>/dev/null || dmesg | tail -n 200; }; echo bootgate-journal-'end'";
const SERIAL_END: &[u8] = b"bootgate-journal-end";
/// How much of a journal is kept, in bytes: its end.
const JOURNAL_BYTES_MAX: usize = 4 * 1024 * 1024;
const PIECES_MAX: usize = 16;
/// How long a shell may take to print it; the machine's own deadline comes first.
const SERIAL_WITHIN: Duration = Duration::from_secs(10);

/// How a guest can be asked.
pub(super) enum Way {
    /// By the login of the gate.
    Ssh(Box<Login>, HostKeyPin, uuid::Uuid),
    /// At the prompt of a root shell.
    Shell(Console),
}

/// True if the console stands at the prompt of a root shell: of an initramfs, or one that ends in `# `.
pub(super) fn at_root_shell(last_line: &str) -> bool {
    let line = last_line.trim_end();
    line.ends_with("(initramfs)") || (line.ends_with('#') && line.chars().count() <= 80)
}

/// Saves the journal as `journal-<number>.txt`; gives why it can't be had.
pub(super) async fn collect(way: Way, run: &RunDir, number: u64, redactor: &Redactor) -> Option<String> {
    let journal = match way {
        Way::Ssh(login, pin, uuid) => over_ssh(&login, &pin, uuid).await,
        Way::Shell(console) => at_shell(&console).await,
    };
    let saved = journal.and_then(|journal| {
        let journal = redactor.redact(&journal);
        let path = run.path().join(format!("journal-{number}.txt"));
        let written = run.reserve().retry_evidence(|| write_atomically(&path, &journal));
        written.map_err(|error| error.to_string())
    });
    saved.err()
}

async fn over_ssh(login: &Login, pin: &HostKeyPin, uuid: uuid::Uuid) -> Result<Vec<u8>, String> {
    let connected = Session::connect(login, pin, Some(uuid), &mut PhaseTimes::default()).await;
    let (session, _) = connected.map_err(|outcome| outcome.class().meaning().to_owned())?;
    let (pieces, mut received) = mpsc::channel(PIECES_MAX);
    let gather = async {
        let mut journal = Vec::new();
        while let Some(Output::Stdout(piece) | Output::Stderr(piece)) = received.recv().await {
            keep_end(&mut journal, &piece);
        }
        journal
    };
    let (ended, journal) = tokio::join!(session.stream(COMMAND.to_owned(), pieces), gather);
    // Not waited for: the guest is about to be stopped.
    drop(session);
    ended.map_err(|error| error.to_string())?;
    Ok(journal)
}

async fn at_shell(console: &Console) -> Result<Vec<u8>, String> {
    let (_, mut live) = console.attach();
    console.send_line(SERIAL_COMMAND).map_err(|error| error.to_string())?;
    let mut journal = Vec::new();
    let printed = async {
        loop {
            match live.recv().await {
                Ok(bytes) => keep_end(&mut journal, &bytes),
                Err(RecvError::Lagged(_)) => {}
                Err(RecvError::Closed) => return Err("the console was closed".to_owned()),
            }
            if journal.windows(SERIAL_END.len()).any(|window| window == SERIAL_END) {
                return Ok(());
            }
        }
    };
    match tokio::time::timeout(SERIAL_WITHIN, printed).await {
        Ok(printed) => printed.map(|()| journal),
        Err(_) => Err("the shell on the console did not answer".to_owned()),
    }
}

fn keep_end(journal: &mut Vec<u8>, piece: &[u8]) {
    journal.extend_from_slice(piece);
    let excess = journal.len().saturating_sub(JOURNAL_BYTES_MAX);
    journal.drain(..excess);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shells_are_told_from_other_prompts() {
        for line in ["(initramfs) ", "root@live:~# ", "sh-5.2# ", ":/root# ", "# "] {
            assert!(at_root_shell(line), "{line}");
        }
        for line in [
            "live login: ",
            "Password: ",
            "Proceed? [y/N] ",
            "Give root password for maintenance: ",
            "user@live:~$ ",
            "",
        ] {
            assert!(!at_root_shell(line), "{line}");
        }
    }
}
