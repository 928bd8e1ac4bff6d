//! Texts with a form: names, paths, digests, permission bits.

use std::path::PathBuf;

use serde_json::{Value as Json, json};

use super::context::Context;
use super::key::{Field, Kind};
use super::value::{bad_value, string, wrong_type_but};

/// Any text that is not empty.
pub(super) struct Text {
    pub(super) example: &'static str,
}

impl Kind for Text {
    type Out = String;

    fn read(&self, field: &Field<'_>, cx: &Context<'_>) -> Option<String> {
        non_empty(field, "a string", cx).map(str::to_owned)
    }

    fn example(&self) -> String {
        format!("\"{}\"", self.example)
    }

    fn schema(&self) -> Json {
        json!({ "type": "string", "minLength": 1 })
    }
}

fn non_empty<'a>(field: &Field<'a>, expected: &str, cx: &Context<'_>) -> Option<&'a str> {
    let text = string(field, expected, cx)?;
    if text.is_empty() {
        let label = format!("expected {expected}");
        cx.report(bad_value(field, format!("`{}` is empty", field.name), label));
        return None;
    }
    Some(text)
}

/// A name that is also part of file names: lower-case letters, digits and `-`, a letter first.
pub(super) struct Name {
    /// The longest name, in bytes.
    pub(super) max_bytes: usize,
}

impl Kind for Name {
    type Out = String;

    fn read(&self, field: &Field<'_>, cx: &Context<'_>) -> Option<String> {
        let name = non_empty(field, "a name", cx)?;
        let inner = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        if name.starts_with(|c: char| c.is_ascii_lowercase()) && name.chars().all(inner) {
            if name.len() <= self.max_bytes {
                return Some(name.to_owned());
            }
            let label = format!("{} characters; {} at most", name.len(), self.max_bytes);
            cx.report(bad_value(field, "the name is too long", label));
            return None;
        }
        let message = format!("\"{name}\" is not a name");
        let suggestion = self.slug(name);
        let label = match suggestion.as_str() {
            "" => "expected a name, like \"boot-live\"".to_owned(),
            slug => format!("write \"{slug}\""),
        };
        let help = "names hold lower-case letters, digits and `-`, and start with a letter: they become file names";
        cx.report(bad_value(field, message, label).help(help));
        None
    }

    fn example(&self) -> String {
        "\"some-name\"".to_owned()
    }

    fn schema(&self) -> Json {
        json!({ "type": "string", "pattern": "^[a-z][a-z0-9-]*$", "maxLength": self.max_bytes })
    }
}

impl Name {
    /// The nearest right name, or nothing.
    fn slug(&self, text: &str) -> String {
        let lower = text.to_lowercase();
        let words = lower
            .split(|c: char| !c.is_ascii_alphanumeric())
            .filter(|word| !word.is_empty());
        let joined = words.collect::<Vec<_>>().join("-");
        let slug = joined.trim_start_matches(|c: char| !c.is_ascii_lowercase());
        slug.chars().take(self.max_bytes).collect()
    }
}

/// A file or directory of the host, relative to the gate file.
pub(super) struct HostPath;

impl Kind for HostPath {
    type Out = PathBuf;

    fn read(&self, field: &Field<'_>, cx: &Context<'_>) -> Option<PathBuf> {
        let path = non_empty(field, "a path", cx)?;
        if path.starts_with('~') {
            let label = "write the whole path, or one relative to the gate file";
            cx.report(bad_value(field, "`~` is not expanded in a gate file", label));
            return None;
        }
        Some(cx.resolve(path))
    }

    fn example(&self) -> String {
        "\"path\"".to_owned()
    }

    fn schema(&self) -> Json {
        json!({ "type": "string", "minLength": 1, "pattern": "^[^~]" })
    }
}

/// A program of the host: a name looked up in `PATH`, or a path relative to the gate file if it has a `/`.
pub(super) struct Program;

impl Kind for Program {
    type Out = PathBuf;

    fn read(&self, field: &Field<'_>, cx: &Context<'_>) -> Option<PathBuf> {
        match field.value.get_ref().as_str() {
            Some(name) if !name.is_empty() && !name.contains(['/', '~', '\0']) => Some(PathBuf::from(name)),
            _ => HostPath.read(field, cx),
        }
    }

    fn example(&self) -> String {
        "\"qemu-system-x86_64\"".to_owned()
    }

    fn schema(&self) -> Json {
        HostPath.schema()
    }
}

/// A file of the guest: absolute.
pub(super) struct GuestFile;

impl Kind for GuestFile {
    type Out = String;

    fn read(&self, field: &Field<'_>, cx: &Context<'_>) -> Option<String> {
        let path = non_empty(field, "a path", cx)?;
        let mistake = if !path.starts_with('/') {
            Some((
                "is not an absolute path of the guest",
                format!("write `\"/{path}\"`, or where it should go"),
            ))
        } else if path.ends_with('/') {
            Some((
                "is a directory",
                format!("add the name of the file, like `\"{path}installer\"`"),
            ))
        } else {
            None
        };
        if let Some((problem, label)) = mistake {
            cx.report(bad_value(field, format!("`{path}` {problem}"), label));
            return None;
        }
        Some(path.to_owned())
    }

    fn example(&self) -> String {
        "\"/usr/local/bin/installer\"".to_owned()
    }

    fn schema(&self) -> Json {
        json!({ "type": "string", "pattern": "^/(.*[^/])?$" })
    }
}

/// Permission bits in octal.
pub(super) struct Mode;

impl Kind for Mode {
    type Out = u32;

    fn read(&self, field: &Field<'_>, cx: &Context<'_>) -> Option<u32> {
        let expected = "octal permission bits in quotes";
        if let Some(integer) = field.value.get_ref().as_integer() {
            cx.report(wrong_type_but(
                field,
                expected,
                format!("write `\"{:0>4}\"`", integer.as_str()),
            ));
            return None;
        }
        let text = string(field, expected, cx)?;
        let octal = (3..=4).contains(&text.len()) && text.bytes().all(|digit| (b'0'..=b'7').contains(&digit));
        let mode = u32::from_str_radix(text, 8).ok().filter(|_| octal);
        if mode.is_none() {
            let message = format!("`{text}` is not permission bits");
            cx.report(bad_value(
                field,
                message,
                "expected three or four octal digits, like `\"0755\"`",
            ));
        }
        mode
    }

    fn example(&self) -> String {
        "\"0755\"".to_owned()
    }

    fn schema(&self) -> Json {
        json!({ "type": "string", "pattern": "^[0-7]{3,4}$" })
    }
}

/// A SHA-256 digest; upper-case digits become lower-case.
pub(super) struct Sha256;

impl Kind for Sha256 {
    type Out = String;

    fn read(&self, field: &Field<'_>, cx: &Context<'_>) -> Option<String> {
        let digest = string(field, "a SHA-256 digest in quotes", cx)?;
        let label = if let Some(other) = digest.chars().find(|c| !c.is_ascii_hexdigit()) {
            format!("{other:?} is not a hexadecimal digit")
        } else if digest.len() != 64 {
            format!("{} digits; a SHA-256 has 64", digest.len())
        } else {
            return Some(digest.to_ascii_lowercase());
        };
        let help = "`sha256sum IMAGE` prints it";
        cx.report(bad_value(field, "this is not a SHA-256 digest", label).help(help));
        None
    }

    fn example(&self) -> String {
        "\"<64 hexadecimal digits>\"".to_owned()
    }

    fn schema(&self) -> Json {
        json!({ "type": "string", "pattern": "^[0-9A-Fa-f]{64}$" })
    }
}

/// The name of an environment variable.
pub(super) struct Variable;

impl Kind for Variable {
    type Out = String;

    fn read(&self, field: &Field<'_>, cx: &Context<'_>) -> Option<String> {
        let name = non_empty(field, "the name of a variable", cx)?;
        let bare = name.trim_start_matches('$');
        let inner = |c: char| c.is_ascii_alphanumeric() || c == '_';
        let right = !bare.is_empty() && bare.chars().all(inner) && !bare.starts_with(|c: char| c.is_ascii_digit());
        if right && bare == name {
            return Some(name.to_owned());
        }
        let label = if right {
            format!("write \"{bare}\", without the `$`")
        } else {
            "expected letters, digits and `_`, like \"BOOTGATE_PASSWORD\"".to_owned()
        };
        cx.report(bad_value(
            field,
            "this is not the name of an environment variable",
            label,
        ));
        None
    }

    fn example(&self) -> String {
        "\"BOOTGATE_PASSWORD\"".to_owned()
    }

    fn schema(&self) -> Json {
        json!({ "type": "string", "pattern": "^[A-Za-z_][A-Za-z0-9_]*$" })
    }
}
