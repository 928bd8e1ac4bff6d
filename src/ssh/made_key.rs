//! A key pair that is made for one purpose and lives no longer than it.

use std::sync::Arc;

use russh::keys::PrivateKey;
use russh::keys::ssh_key::LineEnding;
use russh::keys::ssh_key::private::Ed25519Keypair;
use sha2::{Digest as _, Sha256};
use uuid::Uuid;

use super::login::{Auth, ClientKey};
use crate::plan::Secret;

/// An Ed25519 key pair.
#[derive(Clone)]
pub struct MadeKey {
    /// The public key in OpenSSH's form, on one line without an end.
    pub public: String,
    /// What logs in by it.
    pub auth: Auth,
    key: Arc<PrivateKey>,
}

impl MadeKey {
    /// Makes a key pair. `comment` says what it is for.
    ///
    /// # Errors
    /// If the keys can't be written in OpenSSH's form, which is a defect.
    pub fn make(comment: &str) -> Result<Self, String> {
        // Each of the three holds 122 bits of the system's own randomness.
        let mut seed = Sha256::new();
        for _ in 0..3 {
            seed.update(Uuid::new_v4().as_bytes());
        }
        let mut key = PrivateKey::from(Ed25519Keypair::from_seed(&seed.finalize().into()));
        key.set_comment(comment);
        let public = key.public_key().to_openssh().map_err(|error| error.to_string())?;
        let key = Arc::new(key);
        let auth = Auth::Key(ClientKey(key.clone()));
        Ok(Self { public, auth, key })
    }

    /// The private key in OpenSSH's form.
    ///
    /// # Errors
    /// If it can't be written so, which is a defect.
    pub fn private(&self) -> Result<Secret, String> {
        let text = self.key.to_openssh(LineEnding::LF).map_err(|error| error.to_string())?;
        Ok(Secret::new(text.to_string()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_key_is_new_and_readable() {
        let (one, other) = (MadeKey::make("a run").unwrap(), MadeKey::make("a run").unwrap());
        assert_ne!(one.public, other.public);
        assert!(one.public.starts_with("ssh-ed25519 AAAA") && one.public.ends_with(" a run"));
        assert!(Auth::key(&one.private().unwrap()).is_ok());
    }
}
