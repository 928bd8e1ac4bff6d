//! Requests and answers: one JSON object a line in each direction, one request a connection.
//!
//! After a positive answer to [`Request::Console`] the connection carries the console's bytes, raw, both ways. After one
//! to [`Request::Ssh`] it carries [`Frame`](super::Frame)s to the client until the command has ended.

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// The socket's name in the run directory.
pub const SOCKET: &str = "control.sock";
/// The longest request, in bytes.
pub const REQUEST_BYTES_MAX: usize = 64 * 1024;

/// What a person asks of a held machine.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "verb", rename_all = "kebab-case", rename_all_fields = "snake_case")]
pub enum Request {
    /// How it stands: answered with a [`HoldStatus`].
    Status,
    /// Let the guest go on.
    Resume,
    /// Stop it again.
    Pause,
    /// End the machine.
    Quit,
    /// Keep it for this long from now on.
    Extend {
        /// How long, in seconds.
        seconds: u64,
    },
    /// Give a QMP command; answered with its result.
    Qmp {
        /// The command's name.
        command: String,
        /// Its arguments, an object or null.
        arguments: Value,
    },
    /// Ask for a page of the human monitor; answered with its text.
    Monitor {
        /// The command line.
        line: String,
    },
    /// Save the screen; answered with the file's path.
    Screenshot,
    /// Type text; answered with how many keys or bytes were sent.
    Type {
        /// The text; for the screen in the notation of [`keymap`](crate::qemu::keymap).
        text: String,
        /// Where to.
        into: TypeInto,
    },
    /// Attach to the serial console.
    Console,
    /// Where the guest's SSH is and who may log in: answered with a [`GuestAccess`].
    GuestAccess,
    /// Run a command in the guest with the login that the gate knows.
    Ssh {
        /// The command line.
        command: String,
    },
    /// Save the guest's memory for `crash` or `gdb`; answered with path and size.
    MemoryDump {
        /// True: kdump-compressed with zlib, for `crash`. False: ELF, for both.
        compressed: bool,
    },
    /// Open QEMU's gdbstub on a loopback port; answered with the address.
    Gdb,
}

/// What is typed into.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum TypeInto {
    /// The serial console.
    Serial,
    /// The keyboard that belongs to the screen.
    Screen,
}

/// The answer to a request.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Answer {
    /// It is done; what it gave.
    Done(Value),
    /// It is not done.
    Refused(Refusal),
}

/// Why a request was not carried out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refusal {
    /// What happened.
    pub problem: String,
    /// What to do about it.
    pub help: String,
}

/// How a held machine stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HoldStatus {
    /// QEMU's word for what the guest does, such as `paused`.
    pub guest: String,
    /// When it is ended if nobody asks for more, in RFC 3339.
    pub expires: String,
    /// The process that holds it.
    pub holder_pid: u32,
    /// QEMU's process.
    pub qemu_pid: u32,
}

/// How to log in to the guest by hand.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GuestAccess {
    /// The host's end of the forward.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// The user that the gate names.
    pub user: Option<String>,
    /// The host key that was seen, as a line for `known_hosts` without the host's name.
    pub host_key: Option<String>,
    /// The file with the private key, if the gate names one.
    pub key_file: Option<String>,
}
