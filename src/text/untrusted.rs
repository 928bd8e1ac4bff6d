//! Bytes that a guest chose.

use std::fmt;

/// Bytes that a guest, or a server in it, chose. They have no `Display`: each sink has its own encoder in this room,
/// and only that encoder turns them into something a terminal, a log, a page or a parser may see.
#[derive(Clone, PartialEq, Eq, Hash, Default)]
pub struct Untrusted(Vec<u8>);

impl Untrusted {
    /// Wraps bytes from a guest.
    pub fn new(bytes: impl Into<Vec<u8>>) -> Self {
        Self(bytes.into())
    }

    /// The bytes as they came, for a raw log and for matching.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// True if there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl AsRef<[u8]> for Untrusted {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for Untrusted {
    /// Escaped ASCII, so that a `{:?}` in a test or a log can't carry an escape sequence.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{}\"", self.0.escape_ascii())
    }
}
