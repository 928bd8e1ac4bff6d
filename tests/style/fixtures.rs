//! A fixture that nothing reads is a promise that nothing keeps.

use crate::source::has_extension;

/// The fixtures that no test, source, script or description names, out of all written files (name and text).
///
/// A name counts if it is the file's own, or that of a folder it lies in together with the folder above, such as
/// `gates/bad` for `fixtures/gates/bad/no-image.toml`.
pub(crate) fn dead(files: &[(String, String)]) -> Vec<String> {
    let readers: Vec<&(String, String)> = files.iter().filter(|(name, _)| reads(name)).collect();
    let fixtures = files
        .iter()
        .filter(|(name, _)| name.starts_with("fixtures/") && !describes(name));
    let unread = fixtures.filter(|(name, _)| {
        let names = names_of(name);
        !readers
            .iter()
            .any(|(reader, text)| reader != name && names.iter().any(|wanted| text.contains(wanted)))
    });
    unread
        .map(|(name, _)| format!("{name}: named by no test, source, script, README or MANIFEST"))
        .collect()
}

/// Whether a file of this name tells of others.
fn describes(name: &str) -> bool {
    let last = name.rsplit('/').next().unwrap_or(name);
    last == "README.md" || last.starts_with("MANIFEST")
}

/// Whether what a file of this name holds is a use of a fixture.
fn reads(name: &str) -> bool {
    let is_code =
        has_extension(name, "rs") || has_extension(name, "sh") || name == "Makefile" || name.starts_with(".ci/");
    is_code || (name.starts_with("fixtures/") && (describes(name) || !name.contains('.')))
}

/// What a fixture may be called.
fn names_of(name: &str) -> Vec<String> {
    let steps: Vec<&str> = name.split('/').collect();
    let (file, folders) = steps.split_last().unwrap_or((&name, &[]));
    let mut names = vec![(*file).to_owned()];
    names.extend(folders.windows(2).map(|pair| pair.join("/")));
    names
}
