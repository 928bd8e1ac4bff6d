//! A socket that QEMU reaches by its path and nobody else reaches at all.

use std::fs::DirBuilder;
use std::io;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};

use uuid::Uuid;

/// The longest path of a socket, in bytes: `sun_path` in unix(7) has 108 with the zero at the end.
const SOCKET_PATH_BYTES_MAX: usize = 107;

/// A place for a socket, in a directory of mode 0700 that is removed with all that is in it.
#[derive(Debug)]
pub(super) struct PrivatePlace {
    directory: PathBuf,
}

impl PrivatePlace {
    /// In `preferred`, or, where the path of a socket would be too long, in the user's runtime directory or the directory
    /// for temporary files.
    pub(super) fn near(preferred: &Path) -> io::Result<Self> {
        let name = format!("bootgate-{}", &Uuid::new_v4().simple().to_string()[..12]);
        let runtime = std::env::var_os("XDG_RUNTIME_DIR").map(PathBuf::from);
        let places = [Some(preferred.to_owned()), runtime, Some(std::env::temp_dir())];
        let mut last = io::Error::new(
            io::ErrorKind::InvalidInput,
            "every directory for a socket has too long a path (a socket's path has at most 107 bytes); set TMPDIR to a shorter one",
        );
        for place in places.into_iter().flatten().filter(|place| place.is_absolute()) {
            let directory = place.join(&name);
            if socket_in(&directory).as_os_str().len() > SOCKET_PATH_BYTES_MAX {
                continue;
            }
            match DirBuilder::new().mode(0o700).create(&directory) {
                Ok(()) => return Ok(Self { directory }),
                Err(error) => last = error,
            }
        }
        Err(last)
    }

    /// The path for the socket.
    pub(super) fn socket(&self) -> PathBuf {
        socket_in(&self.directory)
    }
}

fn socket_in(directory: &Path) -> PathBuf {
    directory.join("s")
}

impl Drop for PrivatePlace {
    fn drop(&mut self) {
        // What can't be removed is an empty directory or a dead socket.
        let _ = std::fs::remove_dir_all(&self.directory);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt as _;

    #[test]
    fn it_is_private_short_and_removed() {
        let top = tempfile::tempdir().unwrap();
        let short = PrivatePlace::near(top.path()).unwrap();
        assert!(short.socket().starts_with(top.path()));
        let long = top.path().join("x".repeat(100));
        std::fs::create_dir(&long).unwrap();
        let place = PrivatePlace::near(&long).unwrap();
        let socket = place.socket();
        assert!(!socket.starts_with(&long) && socket.as_os_str().len() <= SOCKET_PATH_BYTES_MAX);
        let directory = socket.parent().unwrap().to_owned();
        assert_eq!(directory.metadata().unwrap().permissions().mode() & 0o777, 0o700);
        let _listener = std::os::unix::net::UnixListener::bind(&socket).unwrap();
        drop(place);
        assert!(!directory.exists());
    }
}
