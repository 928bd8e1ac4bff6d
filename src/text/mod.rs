//! Text that came from outside, and what may be done with it.

mod console;
mod escape;
mod json;
mod markdown;
mod redact;
mod sanitize;
mod scan;
mod untrusted;

pub use console::{ConsoleFilter, TERMINAL_IN_ORDER};
pub use escape::ESCAPE_BYTES_MAX;
pub use json::printable_json;
pub use markdown::{markdown_code, markdown_text};
pub use redact::{Redactor, RedactorStream, SECRET_BYTES_MIN};
pub use sanitize::{actions_log, json_text, lines, markdown_fence, terminal_line, terminal_name, xml_text};
pub use scan::{Piece, Scanner};
pub use untrusted::Untrusted;
