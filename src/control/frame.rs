//! Frames of a command's output: one byte that tells the kind, four for the length (big-endian), then the bytes.

/// The longest content of a frame, in bytes.
pub const FRAME_BYTES_MAX: usize = 64 * 1024;
const HEAD_BYTES: usize = 5;
const STDOUT: u8 = b'o';
const STDERR: u8 = b'r';
const END: u8 = b'e';
const BROKEN: u8 = b'b';

/// One frame.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Frame {
    /// What the command printed on its standard output.
    Stdout(Vec<u8>),
    /// What it printed on its standard error.
    Stderr(Vec<u8>),
    /// The command has ended with this exit status.
    End(u8),
    /// The command could not be followed to its end.
    Broken(String),
}

/// Bytes that are no frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the holder sent something that is no frame")]
pub struct FrameError;

impl Frame {
    /// The frame as bytes. Output beyond [`FRAME_BYTES_MAX`] belongs in the next frame.
    pub fn encode(&self) -> Vec<u8> {
        let (kind, content) = match self {
            Self::Stdout(bytes) => (STDOUT, &bytes[..bytes.len().min(FRAME_BYTES_MAX)]),
            Self::Stderr(bytes) => (STDERR, &bytes[..bytes.len().min(FRAME_BYTES_MAX)]),
            Self::End(status) => (END, std::slice::from_ref(status)),
            Self::Broken(why) => (BROKEN, &why.as_bytes()[..why.len().min(FRAME_BYTES_MAX)]),
        };
        let length = u32::try_from(content.len()).unwrap_or(0);
        let mut bytes = vec![kind];
        bytes.extend(length.to_be_bytes());
        bytes.extend(content);
        bytes
    }

    /// Takes the first frame off the front of `bytes`; `None` if it is not whole yet.
    pub fn take(bytes: &mut Vec<u8>) -> Result<Option<Self>, FrameError> {
        let Some((head, rest)) = bytes.split_first_chunk::<HEAD_BYTES>() else {
            return Ok(None);
        };
        let [kind, length @ ..] = *head;
        let length = usize::try_from(u32::from_be_bytes(length)).map_err(|_| FrameError)?;
        if length > FRAME_BYTES_MAX {
            return Err(FrameError);
        }
        let Some(content) = rest.get(..length) else {
            return Ok(None);
        };
        let frame = match (kind, content) {
            (STDOUT, content) => Self::Stdout(content.to_vec()),
            (STDERR, content) => Self::Stderr(content.to_vec()),
            (END, [status]) => Self::End(*status),
            (BROKEN, why) => Self::Broken(String::from_utf8_lossy(why).into_owned()),
            _ => return Err(FrameError),
        };
        bytes.drain(..HEAD_BYTES + length);
        Ok(Some(frame))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn frames_survive_any_cutting(
            outputs in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..300), 0..10),
            status: u8,
            cut in 1_usize..50,
        ) {
            let mut sent: Vec<_> = outputs.into_iter().map(Frame::Stdout).collect();
            sent.push(Frame::End(status));
            let bytes: Vec<u8> = sent.iter().flat_map(Frame::encode).collect();
            let (mut pending, mut got) = (Vec::new(), Vec::new());
            for chunk in bytes.chunks(cut) {
                pending.extend_from_slice(chunk);
                while let Some(frame) = Frame::take(&mut pending).unwrap() {
                    got.push(frame);
                }
            }
            prop_assert_eq!(got, sent);
            prop_assert!(pending.is_empty());
        }

        #[test]
        fn any_bytes_are_a_frame_or_an_error(mut bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            while let Ok(Some(_)) = Frame::take(&mut bytes) {}
        }
    }
}
