//! The rooms of `src/` keep to their floors: imports go downward only, pure rooms stay pure, `unsafe` stays where it
//! is meant to be, and a `mod.rs` only declares. The floor plan is `table.rs`.

mod check;
mod paths;
#[path = "../support/source.rs"]
mod source;
mod table;

mod proof;

use check::Sources;

#[test]
fn the_rooms_keep_to_their_floors() {
    let files = source::files_below("src", &["rs"]);
    let texts: Vec<(String, String)> = files
        .iter()
        .map(|path| {
            (
                source::relative(path),
                source::read(path).expect("a Rust source is UTF-8"),
            )
        })
        .collect();
    assert!(
        texts.iter().any(|(name, _)| name == "src/lib.rs"),
        "the sources were not found"
    );
    let violations = Sources::new(texts.iter().map(|(name, text)| (name.as_str(), text.as_str()))).violations();
    assert!(
        violations.is_empty(),
        "{} against the floor plan:\n{}",
        violations.len(),
        violations.join("\n")
    );
}
