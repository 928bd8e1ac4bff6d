//! Who logs in.

use std::path::PathBuf;

use super::{SecretSource, SshPlan};

/// Who logs in to the guest, and with what. Neither password nor key: with the key that is made for the run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LoginPlan {
    /// The user.
    pub user: String,
    /// The password, if password login is used.
    pub password: Option<SecretSource>,
    /// The private key, if key login is used.
    pub key: Option<SecretSource>,
}

impl LoginPlan {
    /// The file that the private key lies in, if it lies in one.
    pub fn key_file(&self) -> Option<PathBuf> {
        match &self.key {
            Some(SecretSource::File(path)) => Some(path.clone()),
            _ => None,
        }
    }
}

impl SshPlan {
    /// The login without the rules for its stability.
    pub fn login(&self) -> LoginPlan {
        LoginPlan {
            user: self.user.clone(),
            password: self.password.clone(),
            key: self.key.clone(),
        }
    }
}
