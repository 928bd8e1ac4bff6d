use super::*;
use proptest::prelude::*;

const SMALL: Size = Size { columns: 20, rows: 4 };

#[test]
fn what_is_overwritten_is_gone() {
    let screen = render_on(b"old line\rnew\r\n\x1b[3;5Hthird\x1b[2;1Hsecond\x1b[?25l", SMALL);
    assert_eq!(screen.lines, ["new line", "second", "    third", ""]);
    assert_eq!((screen.cursor_row, screen.cursor_column), (1, 6));
    assert_eq!(screen.text(), "new line\nsecond\n    third\n");
}

#[test]
fn sequences_do_what_they_do_in_a_terminal() {
    for (raw, text) in [
        // Scrolling and wrapping.
        ("1\r\n2\r\n3\r\n4\r\n5", "2\n3\n4\n5\n"),
        ("12345678901234567890", "12345678901234567890\n"),
        ("12345678901234567890x", "12345678901234567890\nx\n"),
        ("12345678901234567890\rx", "x2345678901234567890\n"),
        ("a\r\nb\r\nc\r\nd\x1b[2;3r\x1b[3;1H\nX", "a\nc\nX\nd\n"),
        ("a\r\nb\r\nc\x1b[H\x1bMX", "X\na\nb\nc\n"),
        ("a\r\nb\x1b[S\x1b[2;1Hx", "b\nx\n"),
        ("a\x1b[T", "\na\n"),
        // Erasing, inserting, deleting, repeating.
        ("1\r\n2\x1b[2J\x1b[Hx", "x\n"),
        ("abc\r\nabc\r\nabc\x1b[2;2H\x1b[J", "abc\na\n"),
        ("abc\r\nabc\r\nabc\x1b[2;2H\x1b[1J", "\n  c\nabc\n"),
        ("abc\x1b[2D\x1b[K", "a\n"),
        ("abc\x1b[2G\x1b[1K|", " |c\n"),
        ("abc\x1b[2K|", "   |\n"),
        ("abc\r\x1b[2@x", "x abc\n"),
        ("abc\r\x1b[P", "bc\n"),
        ("abcd\r\x1b[2X", "  cd\n"),
        ("a\r\nb\x1b[H\x1b[L", "\na\nb\n"),
        ("a\r\nb\r\nc\x1b[H\x1b[M", "b\nc\n"),
        ("-\x1b[4b", "-----\n"),
        // Moving.
        ("\x1b[2;3Hx\x1b[Ay\x1b[Bz", "   y\n  x z\n"),
        ("abc\x08\x08x\ty", "axc     y\n"),
        ("\x1b[2dx\x1b[Fy\x1b[Ez", "y\nz\n"),
        ("\x1b7ab\x1b8x", "xb\n"),
        ("\x1b[sab\x1b[ux", "xb\n"),
        ("\x1b[99;99Hx", "\n\n\n                   x\n"),
        // Frames, the other screen, a reset.
        ("\x1b(0lqk\x1b(Bq\x1b)0\x0ex\x0fx", "┌─┐q│x\n"),
        ("main\x1b[?1049h\x1b[Hother", "other\n"),
        ("main\x1b[?1049h\x1b[Hother\x1b[?1049l!", "main!\n"),
        ("x\x1b[31;1my\x1b[?25l\x1b[=3hz\x1bcw", "w\n"),
        ("", ""),
    ] {
        assert_eq!(render_on(raw.as_bytes(), SMALL).text(), text, "{raw:?}");
    }
}

#[test]
fn nothing_on_a_screen_acts_on_the_terminal_that_shows_it() {
    let raw = "\x1b]0;title\x07a\u{202e}b\u{9b}31m e\u{301} \x1bP1;2q#0\x1b\\c\r\n##[error]x\x1b[5n\x1b[c".as_bytes();
    assert_eq!(render(raw).text(), "a\\u{202e}b31m e\\u{301} c\n##\\[error]x\n");
}

#[test]
fn the_size_is_the_one_that_was_drawn_for() {
    for (raw, rows) in [
        ("x", 25),
        ("\x1b[25;1H", 25),
        ("\x1b[29;1H", 31),
        ("\x1b[50;1H", 50),
        ("\x1b[999;999H", 25),
    ] {
        assert_eq!(render(raw.as_bytes()).lines.len(), rows, "{raw:?}");
    }
}

/// Recorded from the serial port of real guests; fixtures/screens/README.md says how.
#[test]
fn menus_look_like_menus() {
    for (name, raw) in [
        (
            "firmware_setup",
            include_bytes!("../../../fixtures/screens/ovmf-setup.bin").as_slice(),
        ),
        (
            "grub_under_uefi",
            include_bytes!("../../../fixtures/screens/grub-uefi.bin"),
        ),
        (
            "grub_under_bios",
            include_bytes!("../../../fixtures/screens/grub-bios.bin"),
        ),
    ] {
        insta::assert_snapshot!(name, render(raw).text());
    }
}

/// Pieces that a terminal acts on, close together.
fn hostile() -> impl Strategy<Value = Vec<u8>> {
    let part = prop_oneof![
        prop::sample::select(vec![
            "\x1b[",
            "\x1b]",
            "\x1bP",
            "\x1b(0",
            "\x1b",
            "65535",
            "99999999999",
            ";",
            "H",
            "A",
            "B",
            "L",
            "M",
            "P",
            "@",
            "X",
            "J",
            "K",
            "S",
            "T",
            "r",
            "h",
            "l",
            "?1049h",
            "?6h",
            "\x1b[2;3r",
            "\x1b7",
            "\x1b8",
            "\x1bM",
            "\x1bc",
            "\t",
            "\r",
            "\n",
            "\x08",
            "漢",
            "e\u{301}",
            "\u{1f600}",
            "\u{200d}",
            "text",
            "\u{fe0f}",
        ])
        .prop_map(|text| text.as_bytes().to_vec()),
        prop::collection::vec(any::<u8>(), 0..6),
    ];
    prop::collection::vec(part, 0..120).prop_map(|parts| parts.concat())
}

proptest! {
    #[test]
    fn anything_is_drawn_within_the_screen(raw in hostile(), columns in 0usize..200, rows in 0usize..80) {
        let screen = render_on(&raw, Size { columns, rows });
        let (columns, rows) = (columns.clamp(1, COLUMNS_MAX), rows.clamp(1, ROWS_MAX));
        prop_assert_eq!(screen.lines.len(), rows);
        for line in &screen.lines {
            prop_assert!(line.chars().count() <= columns * CHARS_PER_COLUMN_MAX);
            prop_assert!(!line.chars().any(char::is_control), "{line:?}");
        }
        prop_assert!(screen.cursor_row < rows && screen.cursor_column < columns, "{screen:?}");
    }
}

#[test]
fn only_the_end_is_drawn() {
    let end = [vec![b'\n'; DRAWN_BYTES_MAX - 3], b"end".to_vec()].concat();
    let long = [vec![b'x'; 1000], end.clone()].concat();
    assert_eq!(render_on(&long, SMALL), render_on(&end, SMALL));
}

/// The slowest there is: every three bytes blank the whole screen.
#[test]
fn the_time_is_bounded() {
    let raw = b"\x1b[J".repeat(DRAWN_BYTES_MAX / 3);
    let size = Size {
        columns: COLUMNS_MAX,
        rows: ROWS_MAX,
    };
    let started = std::time::Instant::now();
    render_on(&raw, size);
    assert!(started.elapsed() < std::time::Duration::from_secs(10));
}
