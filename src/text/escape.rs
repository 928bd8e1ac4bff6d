//! Which bytes of a terminal stream belong to escape sequences (ECMA-48, and what xterm and the Linux console add).

/// Length in bytes at which an escape sequence is taken for unterminated.
pub const ESCAPE_BYTES_MAX: u32 = 4096;

const ESC: u8 = 0x1b;
const BEL: u8 = 0x07;
const CANCEL: u8 = 0x18;
const SUBSTITUTE: u8 = 0x1a;

/// Where in an escape sequence a stream is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Escape {
    state: State,
    bytes: u32,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum State {
    #[default]
    Ground,
    /// Behind ESC.
    Start,
    /// Behind ESC and intermediate bytes.
    Intermediate,
    /// In a control sequence (`ESC [`).
    Control,
    /// Behind `ESC ]`.
    CommandStart,
    /// In an operating system command, device control or other string.
    Text,
    /// Behind an ESC in such a string.
    TextEscape,
    /// In the Linux console's `ESC ] P` and seven hexadecimal digits, which has no terminator.
    Palette(u8),
}

impl Escape {
    /// True outside of escape sequences.
    pub(super) fn is_ground(self) -> bool {
        self.state == State::Ground
    }

    /// True if `byte` ends a sequence that puts the cursor at an absolute position (CUP, HVP).
    pub(super) fn moves_cursor(self, byte: u8) -> bool {
        self.state == State::Control && matches!(byte, b'H' | b'f')
    }

    /// Moves on by one byte. True if the byte belongs to an escape sequence.
    pub(super) fn take(&mut self, byte: u8) -> bool {
        if self.state == State::Ground && byte != ESC {
            return false;
        }
        self.bytes += 1;
        let next = match byte {
            ESC if self.state == State::Text => State::TextEscape,
            ESC => {
                self.bytes = 0;
                State::Start
            }
            b'\r' | b'\n' => return self.abort(),
            CANCEL | SUBSTITUTE => State::Ground,
            _ if self.bytes > ESCAPE_BYTES_MAX => return self.abort(),
            _ => match self.state.next(byte) {
                Some(state) => state,
                None => return self.abort(),
            },
        };
        self.state = next;
        true
    }

    fn abort(&mut self) -> bool {
        *self = Self::default();
        false
    }
}

impl State {
    /// The state behind a byte that is not ESC, CAN, SUB, CR or LF. `None`: the byte is not part of the sequence.
    fn next(self, byte: u8) -> Option<Self> {
        match self {
            Self::Text | Self::CommandStart if byte == BEL => Some(Self::Ground),
            Self::Text => Some(Self::Text),
            Self::CommandStart => Some(match byte {
                b'R' => Self::Ground,
                b'P' => Self::Palette(7),
                _ => Self::Text,
            }),
            Self::Palette(left) => byte.is_ascii_hexdigit().then_some(match left {
                ..=1 => Self::Ground,
                _ => Self::Palette(left - 1),
            }),
            _ if byte >= 0x80 => None,
            // Other control characters act at once in a terminal and do not end the sequence.
            _ if byte.is_ascii_control() => Some(self),
            Self::Start | Self::TextEscape => Some(match byte {
                b'[' => Self::Control,
                b']' => Self::CommandStart,
                b'P' | b'X' | b'^' | b'_' => Self::Text,
                b' '..=b'/' => Self::Intermediate,
                _ => Self::Ground,
            }),
            Self::Intermediate if matches!(byte, b' '..=b'/') => Some(Self::Intermediate),
            Self::Control if byte < b'@' => Some(Self::Control),
            Self::Intermediate | Self::Control => Some(Self::Ground),
            Self::Ground => None,
        }
    }
}
