//! The picture that QEMU's `screendump` writes.

/// Largest picture that is read, in bytes.
pub const PPM_BYTES_MAX: usize = 64 * 1024 * 1024;
/// Longest side of a picture, in pixels.
pub const SIDE_PIXELS_MAX: u32 = 16_384;

const CHANNELS: usize = 3;
/// QEMU writes eight bits per channel.
const BRIGHTEST: u32 = 255;

/// Why a picture can't be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PictureError {
    /// It is larger than any screen.
    #[error("the screen's picture has {size_bytes} bytes, and at most {PPM_BYTES_MAX} are read")]
    TooLarge {
        /// Its size in bytes.
        size_bytes: usize,
    },
    /// It does not begin as a binary PPM does.
    #[error("the screen's picture is no binary PPM: {lacks}")]
    NotPpm {
        /// What is missing or wrong.
        lacks: &'static str,
    },
    /// The pixels are not as many as the header says, as in a file that was cut off.
    #[error("the screen's picture of {width} x {height} pixels has {have_bytes} bytes of pixels, and not {want_bytes}")]
    Pixels {
        /// Width in pixels.
        width: u32,
        /// Height in pixels.
        height: u32,
        /// Bytes behind the header.
        have_bytes: usize,
        /// Bytes that there should be.
        want_bytes: usize,
    },
}

/// A picture: three bytes a pixel, row by row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Picture<'a> {
    width: u32,
    height: u32,
    pixels: &'a [u8],
}

impl<'a> Picture<'a> {
    /// Reads what QEMU's `screendump` wrote: a binary PPM, `P6`, eight bits per channel, no comments.
    pub fn from_ppm(ppm: &'a [u8]) -> Result<Self, PictureError> {
        let lacks = |lacks| PictureError::NotPpm { lacks };
        if ppm.len() > PPM_BYTES_MAX {
            return Err(PictureError::TooLarge { size_bytes: ppm.len() });
        }
        let rest = ppm.strip_prefix(b"P6").ok_or(lacks("it does not begin with `P6`"))?;
        let (width, rest) = number(rest).ok_or(lacks("its width can't be read"))?;
        let (height, rest) = number(rest).ok_or(lacks("its height can't be read"))?;
        let (brightest, rest) = number(rest).ok_or(lacks("its depth can't be read"))?;
        if brightest != BRIGHTEST {
            return Err(lacks("it has not eight bits per channel"));
        }
        // One white-space character, because the first pixel's byte may look like another.
        let [b' ' | b'\n' | b'\t' | b'\r', pixels @ ..] = rest else {
            return Err(lacks("nothing stands between its header and its pixels"));
        };
        Self::new(width, height, pixels)
    }

    /// A picture of these pixels.
    pub fn new(width: u32, height: u32, pixels: &'a [u8]) -> Result<Self, PictureError> {
        let is_side = |pixels| (1..=SIDE_PIXELS_MAX).contains(&pixels);
        if !is_side(width) || !is_side(height) {
            let lacks = "its sides are not those of a screen";
            return Err(PictureError::NotPpm { lacks });
        }
        let want_bytes = width as usize * height as usize * CHANNELS;
        if pixels.len() != want_bytes {
            return Err(PictureError::Pixels {
                width,
                height,
                have_bytes: pixels.len(),
                want_bytes,
            });
        }
        Ok(Self { width, height, pixels })
    }

    /// Width in pixels.
    pub fn width(&self) -> u32 {
        self.width
    }

    /// Height in pixels.
    pub fn height(&self) -> u32 {
        self.height
    }

    /// All pixels.
    pub fn pixels(&self) -> &'a [u8] {
        self.pixels
    }

    /// True if all of it has one colour.
    pub fn is_blank(&self) -> bool {
        let first = &self.pixels[..CHANNELS];
        self.pixels.chunks_exact(CHANNELS).all(|pixel| pixel == first)
    }

    /// The bytes of `width` pixels of a row, the first of them at `x`.
    pub(super) fn run(&self, x: usize, y: usize, width: usize) -> &'a [u8] {
        let from = (y * self.width as usize + x) * CHANNELS;
        &self.pixels[from..from + width * CHANNELS]
    }
}

/// A number behind white space, and what follows it.
fn number(text: &[u8]) -> Option<(u32, &[u8])> {
    const DIGITS_MAX: usize = 9;
    let rest = text.trim_ascii_start();
    let digits = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
    if rest.len() == text.len() || !(1..=DIGITS_MAX).contains(&digits) {
        return None;
    }
    let (number, rest) = rest.split_at(digits);
    let value = number
        .iter()
        .fold(0, |value, digit| value * 10 + u32::from(digit - b'0'));
    Some((value, rest))
}
