//! What the owner of a session tells the driver.

use std::fmt;

use serde::Deserialize;

use super::codec::BadFrame;
use super::error::QmpLoss;
use super::event::QmpEvent;

/// Something that the driver has to know. `Lost` comes once and is the last one.
#[derive(Debug, Clone)]
pub enum QmpNotice {
    /// Commands are accepted from now on.
    Ready {
        /// Which QEMU answers.
        version: QemuVersion,
        /// True if commands can overtake others (QEMU's out-of-band execution), so that a ping tells a blocked main
        /// loop from a dead QEMU.
        oob: bool,
    },
    /// Something happened in QEMU or in the guest.
    Event(QmpEvent),
    /// The other end broke the protocol in a way that the session survives.
    Note(ProtocolNote),
    /// The session is over.
    Lost(QmpLoss),
}

/// A QEMU version, as its greeting tells it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QemuVersion {
    /// The first number.
    pub major: u32,
    /// The second number.
    pub minor: u32,
    /// The third number.
    pub micro: u32,
    /// The packager's own words, such as `Debian 1:7.2+dfsg-7`; may be empty.
    pub package: String,
}

impl fmt::Display for QemuVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.major, self.minor, self.micro)
    }
}

/// A breach of the protocol that the session survived.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ProtocolNote {
    /// A line that is not QMP.
    #[error("QEMU sent {0}")]
    BadFrame(BadFrame),
    /// A second greeting; nothing was negotiated again.
    #[error("QEMU greeted a second time")]
    SecondGreeting,
    /// An event came before commands were negotiated. It is reported all the same.
    #[error("QEMU sent the event {name} before the session was negotiated")]
    EarlyEvent {
        /// The event's name.
        name: String,
    },
    /// A reply with an id that we did not send, or that was answered already.
    #[error("QEMU answered a command with the id {id}, which is not waited for")]
    UnknownId {
        /// The id.
        id: String,
    },
    /// A result without an id.
    #[error("QEMU sent a result without an id")]
    ResultWithoutId,
    /// An error without an id: QEMU could not read something that we sent.
    #[error("QEMU reported an error without saying for which command: {desc} ({class})")]
    ErrorWithoutId {
        /// QEMU's class of error.
        class: String,
        /// QEMU's own words.
        desc: String,
    },
    /// A reply for a caller who had stopped waiting.
    #[error("QEMU answered `{command}` (id {id}) after its caller had stopped waiting")]
    LateReply {
        /// The id.
        id: u64,
        /// The command's name.
        command: String,
    },
    /// The driver did not take its notices, and the queue was full. Ask `query-status` what is true now.
    #[error("{count} notices were dropped because they were not taken in time; the machine's state must be asked for")]
    NoticesDropped {
        /// How many.
        count: u64,
    },
}

/// What a greeting says.
#[derive(Debug)]
pub(super) struct Greeting {
    pub(super) version: QemuVersion,
    pub(super) oob: bool,
}

#[derive(Deserialize)]
struct WireGreeting {
    version: WireVersion,
    #[serde(default)]
    capabilities: Vec<serde_json::Value>,
}

#[derive(Deserialize)]
struct WireVersion {
    qemu: WireTriple,
    #[serde(default)]
    package: String,
}

#[derive(Deserialize)]
struct WireTriple {
    major: u32,
    minor: u32,
    micro: u32,
}

impl Greeting {
    pub(super) fn read(json: &str) -> Result<Self, serde_json::Error> {
        let WireGreeting { version, capabilities } = serde_json::from_str(json)?;
        Ok(Self {
            version: QemuVersion {
                major: version.qemu.major,
                minor: version.qemu.minor,
                micro: version.qemu.micro,
                package: super::error::printable(&version.package),
            },
            oob: capabilities.iter().any(|capability| capability == "oob"),
        })
    }
}
