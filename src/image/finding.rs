//! What speaks against publishing an image.

use serde::Serialize;

/// Something that must not be in a production image, or that could not be looked at.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Finding {
    /// The check that found it, in kebab-case.
    pub check: Check,
    /// Where: a path in the image, or in its squashfs behind a colon.
    pub path: String,
    /// What is there.
    pub what: String,
    /// Why that is a fault.
    pub why: String,
    /// What to do about it.
    pub remedy: String,
}

/// What an image is looked at for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Check {
    /// Something that has to be looked at is not there, so nothing is proved.
    NotLookedAt,
    /// An SSH server is started.
    SshdEnabled,
    /// A boot loader's configuration starts one.
    KernelArguments,
    /// A password is set.
    PasswordSet,
    /// A password is empty.
    PasswordEmpty,
    /// A key may log in.
    AuthorizedKey,
    /// Something is left of a debug image.
    DebugMarker,
    /// Something is there that the caller forbids.
    Forbidden,
}

impl Check {
    /// The name in results.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::NotLookedAt => "not-looked-at",
            Self::SshdEnabled => "sshd-enabled",
            Self::KernelArguments => "kernel-arguments",
            Self::PasswordSet => "password-set",
            Self::PasswordEmpty => "password-empty",
            Self::AuthorizedKey => "authorized-key",
            Self::DebugMarker => "debug-marker",
            Self::Forbidden => "forbidden",
        }
    }
}

impl Finding {
    pub(super) fn new(check: Check, path: impl Into<String>, what: impl Into<String>) -> Self {
        let (why, remedy) = match check {
            Check::NotLookedAt => (
                "What was not looked at is not proved.",
                "Name an image that has it; a check that finds nothing because it saw nothing is no check.",
            ),
            Check::SshdEnabled => (
                "Whoever reaches the machine over the network can try to log in.",
                "Build the image without enabling the server (systemctl disable, update-rc.d disable).",
            ),
            Check::KernelArguments => (
                "The kernel's command line starts what the system itself does not.",
                "Take the argument out of the boot loader's configuration.",
            ),
            Check::PasswordSet => (
                "Everybody who knows this image knows, or can find, this password.",
                "Lock it in the build: passwd --lock USER, or `*` in /etc/shadow.",
            ),
            Check::PasswordEmpty => (
                "Anybody can log in as this user without a password.",
                "Lock it, or say why it must be empty: --allow-empty-password USER=REASON.",
            ),
            Check::AuthorizedKey => (
                "The holder of the key can log in wherever an SSH server runs.",
                "Remove the file in the build.",
            ),
            Check::DebugMarker => (
                "A debug image, or a part of one, must not be published.",
                "Publish the production image; look in the build for what leaves this.",
            ),
            Check::Forbidden => ("It was forbidden by --forbid.", "Remove it in the build."),
        };
        Self {
            check,
            path: path.into(),
            what: what.into(),
            why: why.to_owned(),
            remedy: remedy.to_owned(),
        }
    }
}
