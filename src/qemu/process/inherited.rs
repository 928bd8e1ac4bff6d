//! File descriptors that a child gets, under numbers that its command line may name before it is started.

use std::io;
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use tokio::net::UnixStream;

/// A file descriptor for a child. The child sees it under the number that it has here, so `-chardev socket,fd=N` can be
/// written before the child is started. It stays close-on-exec in this process: of all children only the one it is
/// given to gets it.
#[derive(Debug)]
pub struct InheritedFd(OwnedFd);

impl InheritedFd {
    /// The number under which the child sees it.
    pub fn number(&self) -> RawFd {
        self.0.as_raw_fd()
    }
}

impl From<OwnedFd> for InheritedFd {
    fn from(fd: OwnedFd) -> Self {
        Self(fd)
    }
}

/// A pair of connected sockets, one end for us and one for a child: QMP or a serial console that needs no file, no
/// listening, no retries, and that nobody else can open.
#[derive(Debug)]
pub struct InheritedSocket {
    /// Our end. It reads end-of-file when the child has ended.
    pub ours: UnixStream,
    /// The child's end, for [`SpawnRequest::inherited`](super::SpawnRequest::inherited).
    pub child: InheritedFd,
}

impl InheritedSocket {
    /// Makes a pair. Must be called inside a tokio runtime.
    pub fn pair() -> io::Result<Self> {
        let (ours, child) = std::os::unix::net::UnixStream::pair()?;
        ours.set_nonblocking(true)?;
        Ok(Self {
            ours: UnixStream::from_std(ours)?,
            child: InheritedFd(child.into()),
        })
    }
}
