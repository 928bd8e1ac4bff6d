//! Which pixels a character is: tables that were measured from screens (see `fixtures/screens/README.md`).

use std::collections::HashMap;
use std::sync::LazyLock;

/// Pixels of the largest glyph.
const PIXELS_MAX: usize = 16 * 32;

/// The pixels of a glyph that have its colour: bit `y * width + x`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub(super) struct Mask([u64; PIXELS_MAX / 64]);

impl Mask {
    pub(super) fn set(&mut self, at: usize) {
        self.0[at / 64] |= 1 << (at % 64);
    }

    #[cfg(test)]
    pub(super) fn has(&self, at: usize) -> bool {
        self.0[at / 64] & (1 << (at % 64)) != 0
    }
}

/// A font of one size.
#[derive(Debug)]
pub(super) struct Font {
    /// Width of a glyph, in pixels.
    pub(super) width: usize,
    /// Height of a glyph, in pixels.
    pub(super) height: usize,
    glyphs: HashMap<Mask, char>,
}

impl Font {
    /// The character with these pixels.
    pub(super) fn character(&self, mask: &Mask) -> Option<char> {
        self.glyphs.get(mask).copied()
    }

    /// Its characters and their pixels.
    #[cfg(test)]
    pub(super) fn glyphs(&self) -> impl Iterator<Item = (char, Mask)> {
        self.glyphs.iter().map(|(mask, character)| (*character, *mask))
    }

    /// Reads a table: a line `size WxH`, then a line for each character with its code and its rows, both in hexadecimal.
    /// A row begins with its leftmost pixel and fills whole bytes.
    fn parse(table: &str) -> Option<Self> {
        let mut lines = table.lines().filter(|line| !line.starts_with('#'));
        let (width, height) = lines.next()?.strip_prefix("size ")?.split_once('x')?;
        let (width, height): (usize, usize) = (width.parse().ok()?, height.parse().ok()?);
        let row_bytes = width.div_ceil(8);
        let mut glyphs = HashMap::new();
        for line in lines {
            let (code, rows) = line.split_once(' ')?;
            let character = char::from_u32(u32::from_str_radix(code, 16).ok()?)?;
            let mut mask = Mask::default();
            for y in 0..height {
                for x in 0..width {
                    let digit = 2 * (y * row_bytes + x / 8);
                    let byte = u8::from_str_radix(rows.get(digit..digit + 2)?, 16).ok()?;
                    if byte & (0x80 >> (x % 8)) != 0 {
                        mask.set(y * width + x);
                    }
                }
            }
            glyphs.insert(mask, character);
        }
        Some(Self { width, height, glyphs })
    }
}

/// A font in cells of a width: VGA's text mode has nine pixels for eight, and the ninth is left blank.
#[derive(Debug, Clone, Copy)]
pub(super) struct Grid {
    pub(super) font: &'static Font,
    /// Width of a cell, in pixels. As high as the font.
    pub(super) cell_width: usize,
}

/// What is known, the most frequent first.
pub(super) fn grids() -> impl Iterator<Item = Grid> {
    let grid = |font, cell_width| Grid { font, cell_width };
    [
        grid(&*KERNEL_8X16, 8),
        grid(&*VGA_8X16, 9),
        grid(&*VGA_8X16, 8),
        grid(&*KERNEL_16X32, 16),
    ]
    .into_iter()
}

macro_rules! font {
    ($name:ident, $file:literal) => {
        static $name: LazyLock<Font> = LazyLock::new(|| {
            Font::parse(include_str!(concat!("fonts/", $file))).expect("the table is a constant that a test uses")
        });
    };
}

font!(VGA_8X16, "vga-8x16.hex");
font!(KERNEL_8X16, "kernel-8x16.hex");
font!(KERNEL_16X32, "kernel-16x32.hex");
