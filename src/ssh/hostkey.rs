//! The identity of an SSH server: pinned within a boot, compared across boots. Pure.

use std::fmt;

/// A host key as a person compares it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct HostKey {
    /// Its algorithm, by its SSH name (`ssh-ed25519`).
    pub algorithm: String,
    /// Its fingerprint in OpenSSH's form, `SHA256:` and unpadded base64.
    pub fingerprint: String,
}

impl fmt::Display for HostKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.algorithm, self.fingerprint)
    }
}

/// The host key that a boot must keep. Starts empty at each boot; the first key whose server logged us in, and proved
/// by its machine id that it is our machine, is pinned.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct HostKeyPin(Option<HostKey>);

/// A server offered another key than the pinned one.
#[derive(Debug, Clone, PartialEq, Eq, Hash, thiserror::Error)]
#[error("the host key changed within a boot: it was {pinned}, now it is {offered}")]
pub struct HostKeyChanged {
    /// The key that was pinned.
    pub pinned: HostKey,
    /// The key that was offered.
    pub offered: HostKey,
}

impl HostKeyPin {
    /// No key yet: any key is accepted.
    pub const UNSET: Self = Self(None);

    /// Only `key` is accepted.
    pub fn pinned(key: HostKey) -> Self {
        Self(Some(key))
    }

    /// The pinned key.
    pub fn key(&self) -> Option<&HostKey> {
        self.0.as_ref()
    }

    /// Whether a server that offers `key` may be talked to.
    pub fn check(&self, offered: &HostKey) -> Result<(), HostKeyChanged> {
        match &self.0 {
            Some(pinned) if pinned != offered => Err(HostKeyChanged {
                pinned: pinned.clone(),
                offered: offered.clone(),
            }),
            _ => Ok(()),
        }
    }

    /// Pins `key` unless one is pinned already. To be called after a full login only.
    pub fn pin_first(&mut self, key: &HostKey) {
        self.0.get_or_insert_with(|| key.clone());
    }
}

/// What the host keys of two boots of different systems say, such as the live system and the installed one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum KeyAcrossBoots {
    /// The second system has a key of its own, as it should.
    Fresh,
    /// The key was copied from the first system: every machine installed from the image would share it.
    Copied,
}

impl KeyAcrossBoots {
    /// Compares the key of the live system with that of the installed one.
    pub fn compare(live: &HostKey, installed: &HostKey) -> Self {
        if live == installed { Self::Copied } else { Self::Fresh }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(fingerprint: &str) -> HostKey {
        HostKey {
            algorithm: "ssh-ed25519".into(),
            fingerprint: format!("SHA256:{fingerprint}"),
        }
    }

    #[test]
    fn the_first_key_is_pinned_and_kept() {
        let mut pin = HostKeyPin::UNSET;
        assert_eq!(pin.check(&key("a")), Ok(()));
        pin.pin_first(&key("a"));
        pin.pin_first(&key("b"));
        assert_eq!(pin.key(), Some(&key("a")));
        assert_eq!(pin.check(&key("a")), Ok(()));
        let changed = pin.check(&key("b")).unwrap_err();
        assert_eq!((changed.pinned, changed.offered), (key("a"), key("b")));
    }

    #[test]
    fn a_copied_key_is_a_finding() {
        assert_eq!(KeyAcrossBoots::compare(&key("a"), &key("a")), KeyAcrossBoots::Copied);
        assert_eq!(KeyAcrossBoots::compare(&key("a"), &key("b")), KeyAcrossBoots::Fresh);
    }
}
