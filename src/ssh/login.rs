//! Where and how to log in, and how long each phase of it may take.

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use russh::keys::PrivateKey;

use crate::plan::Secret;

/// Where and how to log in.
#[derive(Debug, Clone)]
pub struct Login {
    /// The host's end of the forward. Always on loopback.
    pub address: SocketAddr,
    /// The user in the guest.
    pub user: String,
    /// What proves who we are.
    pub auth: Auth,
    /// How long each phase may take.
    pub deadlines: PhaseDeadlines,
}

/// What proves who we are. Its `Debug` form shows no secret.
#[derive(Debug, Clone)]
pub enum Auth {
    /// A password. An empty one is offered as such.
    Password(Secret),
    /// A private key that was read by [`Auth::key`].
    Key(ClientKey),
}

/// A private key that can be used.
#[derive(Clone)]
pub struct ClientKey(pub(super) Arc<PrivateKey>);

impl fmt::Debug for ClientKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

/// Why a private key can't be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// It has a passphrase.
    #[error("the private key has a passphrase; make one without: ssh-keygen -t ed25519 -N '' -f key")]
    Encrypted,
    /// It is of a kind that bootgate does not use.
    #[error("the private key is of type {0}; make an Ed25519 key: ssh-keygen -t ed25519 -N '' -f key")]
    Kind(String),
    /// It is not a private key.
    #[error("the text is not a private key in OpenSSH's form; make one: ssh-keygen -t ed25519 -N '' -f key")]
    Unreadable,
}

impl Auth {
    /// Reads a private key in OpenSSH's text form.
    pub fn key(text: &Secret) -> Result<Self, KeyError> {
        let key = russh::keys::decode_secret_key(text.expose(), None).map_err(|error| match error {
            russh::keys::Error::KeyIsEncrypted => KeyError::Encrypted,
            _ => KeyError::Unreadable,
        })?;
        let algorithm = key.algorithm();
        if !super::client::HOST_KEY_ALGORITHMS.contains(&algorithm) {
            return Err(KeyError::Kind(algorithm.as_str().to_owned()));
        }
        Ok(Self::Key(ClientKey(Arc::new(key))))
    }
}

/// How long each phase of a login, and of what follows, may take. russh itself has no such limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PhaseDeadlines {
    /// Until the host accepts the connection.
    pub connect: Duration,
    /// Until the server's whole identification line is there. Short, because a connection that was made before the
    /// guest had a network may stay silent for ever, and a new one finds a late server quickly.
    pub banner: Duration,
    /// The key exchange.
    pub kex: Duration,
    /// Authentication.
    pub auth: Duration,
    /// Opening a channel.
    pub open: Duration,
    /// A short command, and any pause in a transfer.
    pub exec: Duration,
    /// Silence after which the server is asked for a sign of life; the connection is given up after
    /// [`KEEPALIVES_MAX`] unanswered ones.
    pub keepalive: Duration,
}

/// Unanswered requests for a sign of life after which a connection counts as lost.
pub const KEEPALIVES_MAX: usize = 3;

impl Default for PhaseDeadlines {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(2),
            banner: Duration::from_secs(3),
            kex: Duration::from_secs(10),
            auth: Duration::from_secs(10),
            open: Duration::from_secs(5),
            exec: Duration::from_secs(30),
            keepalive: Duration::from_secs(5),
        }
    }
}

impl PhaseDeadlines {
    /// The same with every guest-facing time multiplied by `factor`. Connecting is the host's own business and is not
    /// scaled.
    #[must_use]
    pub fn scaled(self, factor: f64) -> Self {
        let scale = |span: Duration| Duration::try_from_secs_f64(span.as_secs_f64() * factor).unwrap_or(span);
        Self {
            connect: self.connect,
            banner: scale(self.banner),
            kex: scale(self.kex),
            auth: scale(self.auth),
            open: scale(self.open),
            exec: scale(self.exec),
            keepalive: scale(self.keepalive),
        }
    }
}

/// How long each phase of a login took. `None`: it was not completed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct PhaseTimes {
    /// Until the host accepted the connection.
    pub connect: Option<Duration>,
    /// Until the server's identification line was there.
    pub banner: Option<Duration>,
    /// The key exchange.
    pub kex: Option<Duration>,
    /// Authentication.
    pub auth: Option<Duration>,
    /// Opening the channel.
    pub open: Option<Duration>,
    /// Running the command that reads the facts.
    pub exec: Option<Duration>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_secret_in_debug() {
        let auth = Auth::Password(Secret::new("canary".into()));
        assert!(!format!("{auth:?}").contains("canary"));
    }

    #[test]
    fn a_key_that_is_none_is_refused() {
        assert_eq!(
            Auth::key(&Secret::new("canary".into())).unwrap_err(),
            KeyError::Unreadable
        );
    }

    #[test]
    fn scaling_spares_the_host() {
        let twice = PhaseDeadlines::default().scaled(2.0);
        assert_eq!(
            (twice.connect, twice.banner),
            (Duration::from_secs(2), Duration::from_secs(6))
        );
    }
}
