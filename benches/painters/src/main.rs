//! What a terminal is told by bootgate's own painter, by indicatif and by ratatui, each as calm as it can be made, while
//! the same run goes on for a hundred seconds: booting, installing with a bar, lines above, failing and held.
//!
//! A cell flickers if it shows the same before and after a change, and nothing for a moment in between. A terminal that
//! knows synchronized updates shows none of these moments; the emulated one here does not know them.

mod screen;
mod script;
mod with_cells;
mod with_indicatif;
mod with_ratatui;

#[path = "../../../tests/view/runs.rs"]
#[allow(dead_code, reason = "the tests of the view need the rest")]
mod runs;

use bootgate::view::{Look, Painter, Row};

/// Shows lines, and below them a block of rows.
trait Paint {
    /// What to write for that.
    fn paint(&mut self, above: &str, block: Vec<Row>, look: &Look) -> String;
}

impl Paint for Painter {
    fn paint(&mut self, above: &str, block: Vec<Row>, look: &Look) -> String {
        Painter::paint(self, above, block, look)
    }
}

type Make = fn() -> Box<dyn Paint>;

const PAINTERS: [(&str, Make); 5] = [
    ("bootgate's own", || Box::new(Painter::default())),
    (
        "indicatif, a bar for each row",
        || Box::new(with_indicatif::Rows::new()),
    ),
    (
        "indicatif, one bar of all rows",
        || Box::new(with_indicatif::One::new()),
    ),
    ("ratatui-core, inline", || Box::new(with_ratatui::Inline::default())),
    ("bootgate's own, with ratatui-core's differ", || {
        Box::new(with_cells::Cells::default())
    }),
];

fn main() {
    println!(
        "| painter | bytes | glyphs | flickering cells | cursor | lines kept when 100 columns become 60 | rows left over |"
    );
    println!("|---|---|---|---|---|---|---|");
    for (name, make) in PAINTERS {
        let seen = screen::watch(&mut *make(), script::frames(80));
        let (kept, left) = screen::narrowed(&mut *make(), 100, 60);
        println!(
            "| {name} | {} | {} | {} | column {}{} | {kept} of {} | {left} |",
            seen.bytes,
            seen.glyphs,
            seen.flickering,
            seen.column,
            if seen.hidden { ", hidden" } else { "" },
            screen::LINES_BEFORE,
        );
    }
}
