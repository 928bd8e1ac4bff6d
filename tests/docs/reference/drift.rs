//! The committed pages are the generated ones.

use super::{causes, commands, exit_codes, gate_file, trace};
use crate::pages::top;

#[test]
fn the_committed_reference_is_the_generated_one() {
    let pages = [
        ("gate-file.md", gate_file::page()),
        ("causes.md", causes::page()),
        ("exit-codes.md", exit_codes::page()),
        ("trace.md", trace::page()),
        ("commands.md", commands::page()),
    ];
    let folder = top().join("docs/reference");
    let bless = std::env::var_os("BOOTGATE_BLESS").is_some_and(|it| it == "1");
    let mut stale = Vec::new();
    for (name, generated) in &pages {
        let file = folder.join(name);
        if bless {
            std::fs::write(&file, generated).expect("the pages can be written");
        }
        if std::fs::read_to_string(&file).unwrap_or_default() != *generated {
            stale.push(*name);
        }
    }
    assert!(
        stale.is_empty(),
        "{stale:?} in docs/reference are not what the code says; write them anew with\n    BOOTGATE_BLESS=1 cargo test --test docs\nand look at the difference"
    );
    let there = std::fs::read_dir(folder).unwrap().count();
    assert_eq!(there, pages.len(), "a page of the reference that nothing makes");
}
