//! Why a command has no result, and why a session is over.

use std::io;
use std::time::Duration;

use super::codec::{LineTooLong, WireError};
use crate::units::{ByteSize, human_span};

/// How much of QEMU's own words is shown, in characters.
const TEXT_CHARS_MAX: usize = 500;

/// Why a command has no result.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum QmpError {
    /// No reply came in time. QEMU may still carry the command out.
    #[error("{}", late(command, *after, *negotiated))]
    Deadline {
        /// The command's name.
        command: String,
        /// How long was waited.
        after: Duration,
        /// False if QEMU had not even greeted us, so that the command was never sent.
        negotiated: bool,
    },
    /// QEMU said no.
    #[error("QEMU refused `{command}`: {desc} ({class})")]
    Refused {
        /// The command's name.
        command: String,
        /// QEMU's class of error, such as `GenericError` or `CommandNotFound`.
        class: String,
        /// QEMU's own words; `***` if the command held a secret.
        desc: String,
    },
    /// The reply has another form than this version of bootgate knows. The command itself succeeded.
    #[error(
        "QEMU carried out `{command}`, but its reply has an unknown form: {error}. The reply begins: {raw}. \
         The whole reply is in qmp.jsonl; another QEMU version may be newer or older than bootgate knows"
    )]
    Decode {
        /// The command's name.
        command: String,
        /// Where it differs.
        error: String,
        /// How the reply begins; `***` if the command held a secret.
        raw: String,
    },
    /// The command can't be written as JSON; a defect of bootgate.
    #[error("`{command}` can't be written as JSON: {error}")]
    Encode {
        /// The command's name.
        command: String,
        /// Why not.
        error: String,
    },
    /// Too many commands wait for QEMU; this one was not sent.
    #[error("`{command}` was not sent: {waiting} commands wait for QEMU already")]
    Busy {
        /// The command's name.
        command: String,
        /// How many wait.
        waiting: usize,
    },
    /// The command was to overtake others, but this QEMU doesn't offer that; it was not sent.
    #[error("`{command}` was not sent: this QEMU does not offer out-of-band commands")]
    NoOutOfBand {
        /// The command's name.
        command: String,
    },
    /// The session is over.
    #[error(transparent)]
    Lost(#[from] QmpLoss),
}

/// Why a session is over. There is no way back: QEMU's exit status usually says more.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum QmpLoss {
    /// QEMU closed its end: it exited, was killed, or quit as told.
    #[error("QEMU closed the QMP connection{}; its exit status and qemu.stderr say why", unfinished(*unfinished_bytes))]
    Closed {
        /// How much of an unfinished message had arrived, in bytes.
        unfinished_bytes: usize,
    },
    /// Reading failed; a reset connection is what a QEMU that ended with unread commands leaves.
    #[error("reading from the QMP connection failed: {error}; QEMU's exit status and qemu.stderr say why")]
    Read {
        /// The operating system's words.
        error: String,
    },
    /// A line passed the limit.
    #[error(
        "QEMU sent a line of more than {} without an end; the session was given up to bound memory",
        ByteSize(*limit_bytes as u64)
    )]
    LineTooLong {
        /// The limit in bytes.
        limit_bytes: usize,
    },
    /// The greeting can't be read, so this is not a QMP server that we know.
    #[error("the QMP greeting can't be read: {error}; is there a QEMU at the other end?")]
    BadGreeting {
        /// Where it went wrong.
        error: String,
    },
    /// QEMU refused `qmp_capabilities`, so no command can be sent.
    #[error("QEMU refused to negotiate QMP: {desc} ({class})")]
    NotNegotiated {
        /// QEMU's class of error.
        class: String,
        /// QEMU's own words.
        desc: String,
    },
    /// The task that owns the connection ended with its runtime.
    #[error("the QMP connection was given up because bootgate is ending")]
    GivenUp,
}

impl From<io::Error> for QmpLoss {
    fn from(error: io::Error) -> Self {
        Self::Read {
            error: error.to_string(),
        }
    }
}

impl From<LineTooLong> for QmpLoss {
    fn from(error: LineTooLong) -> Self {
        Self::LineTooLong {
            limit_bytes: error.limit_bytes,
        }
    }
}

impl QmpError {
    /// QEMU's refusal in our words; what it says about a secret command may repeat the secret, so it is left out.
    pub(super) fn refused(command: String, error: &WireError, secret: bool) -> Self {
        let desc = if secret {
            "***".to_owned()
        } else {
            printable(&error.desc)
        };
        Self::Refused {
            command,
            class: printable(&error.class),
            desc,
        }
    }
}

/// A text from QEMU as it may stand in a message: bounded, on one line, with nothing that a terminal obeys.
pub(super) fn printable(text: &str) -> String {
    let mut shown: String = text
        .chars()
        .take(TEXT_CHARS_MAX)
        .map(|c| if is_plain(c) { c } else { '\u{fffd}' })
        .collect();
    if text.chars().nth(TEXT_CHARS_MAX).is_some() {
        shown.push('…');
    }
    shown
}

/// False for control characters and for those that turn the direction of writing.
fn is_plain(c: char) -> bool {
    !c.is_control() && !matches!(c, '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

fn late(command: &str, after: Duration, negotiated: bool) -> String {
    let after = human_span(after);
    if negotiated {
        format!(
            "QEMU did not answer `{command}` within {after}; it may still carry it out. qmp.jsonl shows what it said last"
        )
    } else {
        format!("`{command}` could not be sent within {after}: QEMU has not greeted us yet. qemu.stderr may say why")
    }
}

fn unfinished(bytes: usize) -> String {
    if bytes == 0 {
        String::new()
    } else {
        format!(" in the middle of a message ({bytes} bytes of it had come)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_say_what_to_do() {
        let loss = QmpLoss::LineTooLong {
            limit_bytes: super::super::codec::QMP_LINE_BYTES_MAX,
        };
        assert!(loss.to_string().contains("more than 10 MiB"), "{loss}");
        let closed = QmpLoss::Closed { unfinished_bytes: 0 };
        assert_eq!(
            closed.to_string(),
            "QEMU closed the QMP connection; its exit status and qemu.stderr say why"
        );
        let late = QmpError::Deadline {
            command: "cont".into(),
            after: Duration::from_secs(2),
            negotiated: true,
        };
        assert!(
            late.to_string().starts_with("QEMU did not answer `cont` within 2.0 s"),
            "{late}"
        );
    }

    #[test]
    fn words_of_others_can_not_drive_a_terminal() {
        let shown = printable("a\x1b[31m\n\u{202e}b\u{9b}");
        assert_eq!(shown, "a\u{fffd}[31m\u{fffd}\u{fffd}b\u{fffd}");
        assert_eq!(printable(&"x".repeat(600)).chars().count(), TEXT_CHARS_MAX + 1);
    }
}
