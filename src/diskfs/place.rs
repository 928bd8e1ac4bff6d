//! A place on a disk, as people write it.

use std::str::FromStr;

use super::error::DiskFsError;

/// `/etc/fstab`, wherever it is, or `2:/etc/fstab` on volume 2.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// The volume, if one was named.
    pub volume: Option<u32>,
    /// The path from the volume's root.
    pub path: Vec<u8>,
}

impl FromStr for Place {
    type Err = DiskFsError;

    fn from_str(written: &str) -> Result<Self, DiskFsError> {
        let wrong = || DiskFsError::NotAPlace {
            written: written.to_owned(),
        };
        let (volume, path) = match written.split_once(':') {
            Some((number, path)) if !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit()) => {
                (Some(number.parse().map_err(|_| wrong())?), path)
            }
            _ => (None, written),
        };
        // `2:` is the volume's root.
        let path = if volume.is_some() && path.is_empty() { "/" } else { path };
        if !path.starts_with('/') || path.contains('\0') {
            return Err(wrong());
        }
        Ok(Self {
            volume,
            path: path.as_bytes().to_vec(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_has_a_path_and_may_have_a_volume() {
        let place = |written: &str| written.parse::<Place>().map(|place| (place.volume, place.path)).ok();
        for (written, expected) in [
            ("/etc/fstab", Some((None, "/etc/fstab"))),
            ("2:/etc/fstab", Some((Some(2), "/etc/fstab"))),
            ("2:", Some((Some(2), "/"))),
            ("0:/a:b", Some((Some(0), "/a:b"))),
            ("/1:b", Some((None, "/1:b"))),
            ("", None),
            (":", None),
            ("etc/fstab", None),
            ("2:etc", None),
            ("a:/etc", None),
            ("99999999999:/etc", None),
            ("/a\0b", None),
        ] {
            assert_eq!(
                place(written),
                expected.map(|(volume, path)| (volume, path.as_bytes().to_vec()))
            );
        }
    }
}
