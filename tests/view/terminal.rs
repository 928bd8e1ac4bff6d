//! What a terminal shows after the painter has written to it again and again.

use std::num::NonZeroU16;

use bootgate::view::{Ink, Look, Painter, Row};
use proptest::prelude::*;

const ROWS: u16 = 12;

/// What happens between two looks.
#[derive(Debug, Clone)]
struct Change {
    above: Vec<String>,
    block: Vec<String>,
}

fn change() -> impl Strategy<Value = Change> {
    // A line may be wider than the window, and as wide as it is.
    let line = prop_oneof!["[a-z]{0,12}", "[A-Z]{30}", "[a-z]{31,70}"];
    (
        prop::collection::vec(line, 0..4),
        prop::collection::vec("[a-z0-9 ]{0,40}", 0..8),
    )
        .prop_map(|(above, block)| Change { above, block })
}

fn terminal(columns: u16) -> vt100::Parser {
    let size = |count| NonZeroU16::new(count).unwrap();
    vt100::Parser::new(size(ROWS), size(columns), 0)
}

proptest! {
    #[test]
    fn the_lines_stand_in_order_and_the_block_below_them(changes in prop::collection::vec(change(), 1..12), colour: bool) {
        let look = Look { columns: 30, rows: usize::from(ROWS), colour, unicode: true };
        let mut screen = terminal(30);
        let (mut painter, mut printed) = (Painter::default(), Vec::new());
        for Change { above, block } in changes {
            let rows: Vec<Row> = block.iter().map(|text| Row::new(&look).add(Ink::Live, text)).collect();
            let shown: Vec<String> = block.iter().map(|text| if text.len() > 29 { format!("{}…", &text[..28]) } else { text.clone() }).collect();
            let lines: String = above.iter().flat_map(|line| [line, "\n"]).collect();
            let text = painter.paint(&lines, rows.clone(), &look);
            // A terminal's driver writes CR LF for a line's end.
            for piece in text.replace('\n', "\r\n").split_inclusive("\x1b[J") {
                screen.process(piece.strip_suffix("\x1b[J").unwrap_or(piece).as_bytes());
                if piece.ends_with("\x1b[J") {
                    let is_empty = screen.screen().contents().is_empty();
                    prop_assert!(is_empty || screen.screen().cursor_position() != (0, 0), "tmux would keep it");
                    screen.process(b"\x1b[J");
                }
            }
            for line in &above {
                let pieces = line.as_bytes().chunks(30).map(|piece| String::from_utf8_lossy(piece).into_owned());
                printed.extend(if line.is_empty() { vec![String::new()] } else { pieces.collect() });
            }
            let mut wanted: Vec<String> = printed.iter().chain(&shown).map(|line| line.trim_end().to_owned()).collect();
            while wanted.last().is_some_and(String::is_empty) {
                wanted.pop();
            }
            let mut seen: Vec<String> =
                screen.screen().rows(0, 30).map(|line| line.trim_end().to_owned()).collect();
            while seen.last().is_some_and(String::is_empty) {
                seen.pop();
            }
            // A block that has become smaller leaves the window's last rows empty.
            prop_assert!(wanted.ends_with(&seen), "{:?} {:?}", wanted, seen);
            prop_assert!(seen.len() >= wanted.len().min(shown.len()));
            prop_assert!(!screen.screen().hide_cursor());
            prop_assert_eq!(painter.paint("", rows, &look), "", "the same again is nothing");
        }
    }
}

#[test]
fn a_window_that_has_become_narrow_breaks_rows_that_were_one() {
    let wide = Look {
        columns: 30,
        rows: usize::from(ROWS),
        colour: false,
        unicode: true,
    };
    let narrow = Look { columns: 10, ..wide };
    let mut painter = Painter::default();
    let row = |look: &Look| Row::new(look).add(Ink::Plain, "abcdefghijklmnopqrstuvwxy");
    painter.paint("", vec![row(&wide), row(&wide)], &wide);
    let text = painter.paint("", vec![row(&narrow)], &narrow);
    // Two rows of 25 columns take three each.
    assert!(text.contains("\r\x1b[6A\x1b[K\n\x1b[J\x1b[A"), "{text:?}");
    let text = painter.paint("", Vec::new(), &narrow);
    assert!(text.contains("\r\x1b[1A\x1b[K\n\x1b[J\x1b[A"), "{text:?}");
    assert_eq!(painter.paint("", Vec::new(), &narrow), "");
}
