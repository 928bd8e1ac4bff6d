//! What one attempt to log in came to. Pure data.

use std::fmt;

use uuid::Uuid;

use super::hostkey::HostKey;
use crate::text::Untrusted;

/// The kernel's random id of one boot (`/proc/sys/kernel/random/boot_id`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BootId(pub Uuid);

impl fmt::Display for BootId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// What a full login learned.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Facts {
    /// The boot that answered.
    pub boot_id: BootId,
    /// The machine's SMBIOS UUID. `None`: the user may not read it (only root may) or there is none.
    pub uuid: Option<Uuid>,
    /// The server's host key.
    pub host_key: HostKey,
    /// The server's identification line, without its line ending.
    pub server_banner: Untrusted,
}

/// What one attempt to log in came to, from the earliest end to the latest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ProbeOutcome {
    /// The connection was refused.
    Refused,
    /// The connection could not be made for another reason.
    Unreachable {
        /// The operating system's words, or that the deadline passed.
        error: String,
    },
    /// Accepted, then reset with nothing sent.
    ResetBeforeBanner,
    /// Accepted, then closed with nothing sent.
    ClosedBeforeBanner,
    /// Accepted, then nothing until the deadline.
    SilentBeforeBanner,
    /// Something was sent, but no whole SSH identification line within the deadline and the limit of bytes.
    NotSsh {
        /// How it began.
        first_bytes: Untrusted,
    },
    /// The connection ended during the key exchange.
    ResetInKex,
    /// The key exchange can't succeed.
    KexFailed(KexFailure),
    /// The key exchange did not end before the deadline.
    SilentInKex,
    /// The server's host key is not the one pinned for this boot.
    HostKeyChanged {
        /// The pinned key.
        pinned: HostKey,
        /// The key that was offered.
        offered: HostKey,
    },
    /// The connection ended during authentication.
    ClosedInAuth,
    /// User and password or key were not accepted.
    AuthRejected {
        /// The methods that the server would still try.
        methods_left: Vec<&'static str>,
    },
    /// Authentication did not end before the deadline.
    AuthSilent,
    /// The server refused a channel or a command.
    ExecRefused,
    /// The command of the probe gave no usable answer.
    ExecFailed(ExecFailure),
    /// A login succeeded, but on another machine.
    WrongMachine {
        /// The UUID that the run gave its machine.
        expected: Uuid,
        /// The UUID that was read back.
        found: Uuid,
    },
    /// A full login.
    LoggedIn(Facts),
}

/// Why a key exchange can't succeed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KexFailure {
    /// The two sides have no algorithm in common. A server with nothing but an RSA host key ends here, with `what`
    /// being `host key`: bootgate uses Ed25519 and ECDSA host keys only.
    NothingInCommon {
        /// The kind of algorithm.
        what: &'static str,
        /// What the server offers, separated by commas.
        offered: Untrusted,
    },
    /// The server broke the protocol.
    Protocol(String),
}

/// Why the command of a probe gave no usable answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ExecFailure {
    /// The connection or the channel ended first.
    Closed,
    /// No channel, or no answer, before the deadline.
    Silent,
    /// It ended with this status.
    Status(u32),
    /// It printed no boot id.
    NoBootId {
        /// How its output began.
        output: Untrusted,
    },
}

macro_rules! classes {
    ($($variant:ident $name:literal $meaning:literal;)*) => {
        /// The kind of a [`ProbeOutcome`], ordered by how far the login came.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum ProbeClass {
            $(#[doc = $meaning] $variant,)*
        }

        impl ProbeClass {
            /// Every class, the earliest end first.
            pub const ALL: [Self; [$($name),*].len()] = [$(Self::$variant),*];

            /// Its name in traces, results and messages.
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $name,)* }
            }

            /// What it means, in one sentence.
            pub fn meaning(self) -> &'static str {
                match self { $(Self::$variant => $meaning,)* }
            }
        }
    };
}

classes! {
    Refused "refused" "Nothing on the host forwards this port: QEMU is gone or the port is wrong.";
    Unreachable "unreachable" "The host itself could not make the connection.";
    ResetBeforeBanner "reset-before-banner"
        "The forward works and the guest's kernel answers, but no server listens on the port (yet).";
    ClosedBeforeBanner "closed-before-banner"
        "The connection was closed with nothing sent: no server listens behind the forward, or it turns us away.";
    SilentBeforeBanner "silent-before-banner"
        "The forward accepted, but nothing in the guest answered: its network is not up, or the server hangs.";
    NotSsh "not-ssh" "Something answers, but it sent no whole SSH identification line.";
    ResetInKex "reset-in-kex" "An SSH server answered and ended the connection during the key exchange.";
    KexFailed "kex-failed" "An SSH server answered, but the two sides can't agree on how to talk.";
    SilentInKex "silent-in-kex" "An SSH server answered and then fell silent during the key exchange.";
    HostKeyChanged "host-key-changed"
        "The server's host key changed within a boot: another machine answers, or the guest replaced its keys.";
    ClosedInAuth "closed-in-auth" "The server ended the connection instead of answering the login.";
    AuthRejected "auth-rejected" "The server works, but does not accept this user with this password or key.";
    AuthSilent "auth-silent" "The server did not answer the login in time.";
    ExecRefused "exec-refused" "The login was accepted, but the server runs no command for this user.";
    ExecFailed "exec-failed" "The login was accepted, but a small command gave no usable answer.";
    WrongMachine "wrong-machine" "The login worked, but on a machine that is not the one this run started.";
    LoggedIn "logged-in" "A full login: a command ran in the guest and named its boot.";
}

impl fmt::Display for ProbeClass {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl ProbeClass {
    /// True if something behind the forward sent at least a byte: a listener exists.
    pub fn answered(self) -> bool {
        self >= Self::NotSsh
    }

    /// True if trying again can't help as long as the guest is the same.
    pub fn is_final(self) -> bool {
        matches!(self, Self::HostKeyChanged | Self::WrongMachine)
    }
}

impl ProbeOutcome {
    /// Its kind.
    pub fn class(&self) -> ProbeClass {
        match self {
            Self::Refused => ProbeClass::Refused,
            Self::Unreachable { .. } => ProbeClass::Unreachable,
            Self::ResetBeforeBanner => ProbeClass::ResetBeforeBanner,
            Self::ClosedBeforeBanner => ProbeClass::ClosedBeforeBanner,
            Self::SilentBeforeBanner => ProbeClass::SilentBeforeBanner,
            Self::NotSsh { .. } => ProbeClass::NotSsh,
            Self::ResetInKex => ProbeClass::ResetInKex,
            Self::KexFailed(_) => ProbeClass::KexFailed,
            Self::SilentInKex => ProbeClass::SilentInKex,
            Self::HostKeyChanged { .. } => ProbeClass::HostKeyChanged,
            Self::ClosedInAuth => ProbeClass::ClosedInAuth,
            Self::AuthRejected { .. } => ProbeClass::AuthRejected,
            Self::AuthSilent => ProbeClass::AuthSilent,
            Self::ExecRefused => ProbeClass::ExecRefused,
            Self::ExecFailed(_) => ProbeClass::ExecFailed,
            Self::WrongMachine { .. } => ProbeClass::WrongMachine,
            Self::LoggedIn(_) => ProbeClass::LoggedIn,
        }
    }
}

/// As much of an outcome as the stability rule needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ProbeSummary {
    /// The kind of the outcome.
    pub class: ProbeClass,
    /// The boot that a full login found.
    pub boot_id: Option<BootId>,
}

impl From<&ProbeOutcome> for ProbeSummary {
    fn from(outcome: &ProbeOutcome) -> Self {
        Self {
            class: outcome.class(),
            boot_id: match outcome {
                ProbeOutcome::LoggedIn(facts) => Some(facts.boot_id),
                _ => None,
            },
        }
    }
}
