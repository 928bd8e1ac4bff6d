//! Reading a gate file, with every mistake told at once.

use std::io::{IsTerminal as _, Read as _};
use std::path::Path;

use crate::plan::{self, GateFileErrors, Plan};

/// The largest gate file that is read, in bytes.
const GATE_FILE_BYTES_MAX: u64 = 1024 * 1024;

/// Why there is no plan.
pub(super) enum GateError {
    /// The file can't be read.
    Unreadable(String),
    /// The file is wrong.
    Wrong(GateFileErrors),
}

/// Reads and checks a gate file.
pub(super) fn read(path: &Path) -> Result<Plan, GateError> {
    let unreadable = |why: String| GateError::Unreadable(format!("error: the gate file `{}` {why}", path.display()));
    let file = std::fs::File::open(path).map_err(|error| {
        unreadable(match error.kind() {
            std::io::ErrorKind::NotFound => "does not exist".to_owned(),
            _ => format!("can't be read: {error}"),
        })
    })?;
    let mut text = String::new();
    let mut file = file.take(GATE_FILE_BYTES_MAX + 1);
    file.read_to_string(&mut text)
        .map_err(|error| unreadable(format!("can't be read: {error}")))?;
    if text.len() as u64 > GATE_FILE_BYTES_MAX {
        return Err(unreadable(
            "is larger than 1 MiB; a gate file is a page of text".to_owned(),
        ));
    }
    plan::parse(path, &text).map_err(GateError::Wrong)
}

/// Tells a person (or with `json`, a program) what is wrong with a gate file. Nothing was started.
pub(super) fn tell(error: &GateError, json: bool) {
    match error {
        GateError::Unreadable(message) if json => {
            println!("{}", serde_json::json!({"errors": [{"message": message}]}));
        }
        GateError::Unreadable(message) => eprintln!("{message}"),
        GateError::Wrong(errors) if json => println!("{}", errors.to_json()),
        GateError::Wrong(errors) => {
            let count = errors.diagnostics().len();
            let noun = if count == 1 { "mistake" } else { "mistakes" };
            eprint!("{}", errors.render(std::io::stderr().is_terminal()));
            eprintln!("\n{count} {noun} in the gate file; nothing was started");
        }
    }
}
