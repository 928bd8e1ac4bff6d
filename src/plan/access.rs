//! How an image that starts no SSH server by itself is had to let us in.

use std::time::Duration;

use super::SecretSource;

/// How a production image is driven as it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OpenBy {
    /// By a login on its serial console, where the key of the run is put in place and the SSH server is started.
    SerialLogin(SerialLogin),
    /// By systemd credentials, handed over in the firmware's tables.
    Credentials(CredentialsPlan),
}

impl OpenBy {
    /// The name in gate files and results.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::SerialLogin(_) => "serial-login",
            Self::Credentials(_) => "credentials",
        }
    }
}

/// A login on the serial console.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SerialLogin {
    /// Who logs in: root, or a user whose `sudo` asks for no password.
    pub user: String,
    /// The user's password. `None`: none is asked for.
    pub password: Option<SecretSource>,
    /// The command that starts the SSH server. `None`: the unit that the image has is started.
    pub start: Option<String>,
    /// How long all of it may take, from the marker on.
    pub within: Duration,
}

/// systemd credentials (`systemd.system-credentials(7)`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CredentialsPlan {
    /// The units that the default target is to start; those that the image does not have are passed over.
    pub units: Vec<String>,
}
