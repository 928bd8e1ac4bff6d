use proptest::prelude::*;

use super::*;
use crate::screen::font::grids;

/// A picture of rows of text.
struct Drawn {
    width: usize,
    height: usize,
    pixels: Vec<u8>,
}

impl Drawn {
    fn new(grid: Grid, columns: usize, rows: usize, ground: [u8; 3]) -> Self {
        let (width, height) = (columns * grid.cell_width, rows * grid.font.height);
        Self {
            width,
            height,
            pixels: ground.repeat(width * height),
        }
    }

    fn set(&mut self, x: usize, y: usize, colour: [u8; 3]) {
        let at = (y * self.width + x) * 3;
        self.pixels[at..at + 3].copy_from_slice(&colour);
    }

    fn text(&mut self, grid: Grid, row: usize, text: &str, colour: [u8; 3]) {
        for (column, character) in text.chars().enumerate() {
            for (x, y) in pixels_of(grid, character) {
                self.set(column * grid.cell_width + x, row * grid.font.height + y, colour);
            }
        }
    }

    /// Underlines a cell as a cursor does.
    fn cursor(&mut self, grid: Grid, column: usize, row: usize, colour: [u8; 3]) {
        for y in grid.font.height - 2..grid.font.height {
            for x in 0..grid.cell_width {
                self.set(column * grid.cell_width + x, row * grid.font.height + y, colour);
            }
        }
    }

    fn read(&self) -> Option<Page> {
        let side = |pixels: usize| u32::try_from(pixels).unwrap();
        read(&Picture::new(side(self.width), side(self.height), &self.pixels).unwrap())
    }
}

fn pixels_of(grid: Grid, character: char) -> Vec<(usize, usize)> {
    let glyphs = grid.font.glyphs().find(|(known, _)| *known == character);
    let Some((_, mask)) = glyphs else { return Vec::new() };
    let all = (0..grid.font.height).flat_map(|y| (0..grid.font.width).map(move |x| (x, y)));
    all.filter(|(x, y)| mask.has(y * grid.font.width + x)).collect()
}

fn grid(index: usize) -> Grid {
    grids().nth(index).unwrap()
}

#[test]
fn every_font_has_every_printable_character_once() {
    for grid in grids() {
        let mut known: Vec<char> = grid.font.glyphs().map(|(character, _)| character).collect();
        known.sort_unstable();
        let printable: Vec<char> = ('!'..='~').collect();
        assert_eq!(known, printable, "{} x {}", grid.font.width, grid.font.height);
    }
}

#[test]
fn a_row_that_is_full_goes_on_in_the_next() {
    let mut drawn = Drawn::new(grid(0), 10, 4, [0; 3]);
    for (row, text) in ["boot", "0123456789", "abcdefghij", "k: "].into_iter().enumerate() {
        drawn.text(grid(0), row, text, [170; 3]);
    }
    let page = drawn.read().unwrap();
    assert_eq!(page.lines(), ["boot", "0123456789abcdefghijk:"]);
}

#[test]
fn a_cursor_and_what_has_no_glyph_leave_the_rest_of_a_line() {
    let mut drawn = Drawn::new(grid(1), 40, 3, [0; 3]);
    drawn.text(grid(1), 1, "Please enter passphrase:", [170; 3]);
    drawn.cursor(grid(1), 25, 1, [170; 3]);
    assert_eq!(drawn.read().unwrap().lines(), ["Please enter passphrase:"]);
    drawn.cursor(grid(1), 7, 1, [170; 3]);
    // What no font has, as a padlock in front of the question.
    drawn.set(9 * 28 + 3, 20, [170; 3]);
    assert_eq!(drawn.read().unwrap().lines(), ["Please enter passphrase:    \u{fffd}"]);
}

#[test]
fn a_picture_with_a_few_marks_is_no_text() {
    let mut drawn = Drawn::new(grid(0), 80, 25, [0; 3]);
    assert_eq!(drawn.read(), None);
    drawn.text(grid(0), 3, "-|-", [255; 3]);
    assert_eq!(drawn.read(), None);
}

#[test]
fn a_screen_beyond_the_bounds_is_not_read() {
    let pixels = vec![0; 8 * (COLUMNS_MAX + 1) * 16 * 3];
    let width = u32::try_from(8 * (COLUMNS_MAX + 1)).unwrap();
    assert_eq!(read(&Picture::new(width, 16, &pixels).unwrap()), None);
    assert_eq!(read(&Picture::new(1, 1, &[0; 3]).unwrap()), None);
}

proptest! {
    // A case is a picture of half a million pixels.
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn what_was_drawn_is_read(
        which in 0usize..4,
        texts in prop::collection::vec("[!-~]([ -~]{0,38}[!-~])?", 1..6),
        ink in any::<[u8; 3]>(),
        ground in any::<[u8; 3]>(),
    ) {
        prop_assume!(ink != ground);
        let mut drawn = Drawn::new(grid(which), 41, texts.len(), ground);
        for (row, text) in texts.iter().enumerate() {
            drawn.text(grid(which), row, text, ink);
        }
        let marks = texts.iter().flat_map(|text| text.chars()).filter(|character| *character != ' ').count();
        prop_assert_eq!(drawn.read().map(|page| page.lines()), (marks >= READABLE_MIN).then_some(texts));
    }

    #[test]
    fn noise_is_no_text(bytes in prop::collection::vec(any::<u8>(), 80 * 4 * 16)) {
        // In two colours, because more of them in a cell are never text.
        let pixel = |at: usize| if bytes[at / 8] & (1 << (at % 8)) == 0 { [0; 3] } else { [255; 3] };
        let pixels: Vec<u8> = (0..80 * 4 * 8 * 16).flat_map(pixel).collect();
        prop_assert_eq!(read(&Picture::new(640, 64, &pixels).unwrap()), None);
    }
}

/// A real screen that was recorded.
fn recorded(name: &str) -> Page {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("fixtures/screens")
        .join(name);
    let file = std::io::BufReader::new(std::fs::File::open(path).unwrap());
    let mut reader = png::Decoder::new(file).read_info().unwrap();
    let mut pixels = vec![0; reader.output_buffer_size().unwrap()];
    let info = reader.next_frame(&mut pixels).unwrap();
    read(&Picture::new(info.width, info.height, &pixels).unwrap()).unwrap()
}

#[test]
fn real_screens_are_read_whole() {
    for (name, columns, uuid) in [
        ("passphrase-bios.png", 80, "0f349d84-bf80-440a-8f96-2f58618609b1"),
        ("passphrase-uefi.png", 160, "3224b6cd-56ef-4b1d-91da-f2640f2c6dc7"),
    ] {
        let page = recorded(name);
        let lines = page.lines();
        let asked = format!("Please enter passphrase for disk tiny-root (luks-{uuid}):");
        let end: Vec<_> = lines.iter().rev().take(3).map(String::as_str).collect();
        assert_eq!(
            end,
            [&asked, "No key available with this passphrase.", &asked],
            "{name}"
        );
        assert!(
            lines
                .iter()
                .any(|line| line.ends_with("Welcome to Tiny 1 (Initramfs)!")),
            "{name}"
        );
        assert!(
            !lines.concat().contains(char::REPLACEMENT_CHARACTER),
            "{name}: {lines:#?}"
        );
        assert!(page.rows.iter().all(|row| row.chars().count() <= columns), "{name}");
    }
}
