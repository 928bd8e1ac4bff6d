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
        match (self, byte) {
            (Self::TextEscape, b'\\') | (Self::Text | Self::CommandStart, BEL) => Some(Self::Ground),
            (Self::Text, _) => Some(Self::Text),
            (Self::CommandStart, b'R') => Some(Self::Ground),
            (Self::CommandStart, b'P') => Some(Self::Palette(7)),
            (Self::CommandStart, _) => Some(Self::Text),
            (Self::Palette(left), b'0'..=b'9' | b'a'..=b'f' | b'A'..=b'F') => Some(match left {
                ..=1 => Self::Ground,
                _ => Self::Palette(left - 1),
            }),
            (Self::Ground | Self::Palette(_), _) | (_, 0x80..) => None,
            // Other control characters act at once in a terminal and do not end the sequence.
            (_, ..0x20 | 0x7f) => Some(self),
            (Self::Start | Self::TextEscape, b'[') => Some(Self::Control),
            (Self::Start | Self::TextEscape, b']') => Some(Self::CommandStart),
            (Self::Start | Self::TextEscape, b'P' | b'X' | b'^' | b'_') => Some(Self::Text),
            (Self::Start | Self::TextEscape | Self::Intermediate, b' '..=b'/') => Some(Self::Intermediate),
            (Self::Start | Self::TextEscape | Self::Intermediate, _) => Some(Self::Ground),
            (Self::Control, b'@'..=b'~') => Some(Self::Ground),
            (Self::Control, _) => Some(Self::Control),
        }
    }
}
