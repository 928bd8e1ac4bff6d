//! Passwords, keys and answers. No message of this room repeats their values.

use serde_json::{Value as Json, json};

use super::context::Context;
use super::diagnostic::Mistake;
use super::key::{Field, Group, Key, Kind, Table};
use super::reader::TableReader;
use super::schema::table_schema;
use super::value::{bad_value, wrong_type};
use super::word::{HostPath, Variable};
use crate::plan::{Secret, SecretSource};

static ENVIRONMENT: Key<Variable> = Key::optional(
    "env",
    Variable,
    "The environment variable of bootgate's own process that holds the value.",
);
static FILE: Key<HostPath> = Key::optional(
    "file",
    HostPath,
    "The file whose first line is the value; for a key, the whole file.",
);
static SOURCE: Table = Table {
    title: "a secret",
    doc: "Where the value comes from.",
    keys: &[&ENVIRONMENT, &FILE],
    group: Group::ExactlyOne(&["env", "file"]),
};

const KEY_BEGIN: &str = "-----BEGIN OPENSSH PRIVATE KEY-----";
const KEY_END: &str = "-----END OPENSSH PRIVATE KEY-----";

/// A value that must not be shown.
pub(super) enum SecretValue {
    /// A password or an answer.
    Password,
    /// An OpenSSH private key.
    PrivateKey,
}

impl Kind for SecretValue {
    type Out = SecretSource;

    fn read(&self, field: &Field<'_>, cx: &Context<'_>) -> Option<SecretSource> {
        let value = field.value.get_ref();
        if value.is_table() {
            let table = TableReader::open(field, &SOURCE, cx)?;
            let (environment, file) = (table.take(&ENVIRONMENT), table.take(&FILE));
            return environment
                .map(SecretSource::Environment)
                .or(file.map(SecretSource::File));
        }
        let Some(text) = value.as_str() else {
            let expected = "a string, `{ env = \"…\" }` or `{ file = \"…\" }`";
            cx.report(wrong_type(field, expected));
            return None;
        };
        let mistake = match self {
            Self::Password => password_mistake(text, field),
            Self::PrivateKey => key_mistake(text, field),
        };
        if let Some(mistake) = mistake {
            cx.report(mistake);
            return None;
        }
        Some(SecretSource::Inline(Secret::new(text.to_owned())))
    }

    fn example(&self) -> String {
        "{ env = \"BOOTGATE_PASSWORD\" }".to_owned()
    }

    fn schema(&self) -> Json {
        json!({ "anyOf": [{ "type": "string", "minLength": 1 }, table_schema(&SOURCE)] })
    }

    fn table(&self) -> Option<&'static Table> {
        Some(&SOURCE)
    }
}

fn password_mistake(text: &str, field: &Field<'_>) -> Option<Mistake> {
    let name = field.name;
    if text.is_empty() {
        let label = "write it here, or say where it is: `{ env = \"…\" }`, `{ file = \"…\" }`";
        return Some(bad_value(field, format!("`{name}` is empty"), label));
    }
    let control = text.contains(char::is_control);
    control.then(|| {
        bad_value(
            field,
            format!("`{name}` holds a control character"),
            "it is one line of text",
        )
    })
}

fn key_mistake(text: &str, field: &Field<'_>) -> Option<Mistake> {
    let text = text.trim();
    let message = "this is not an OpenSSH private key";
    let file = "to read the key from a file, write `key = { file = \"…\" }`";
    let mistake = if text.starts_with("ssh-") || text.starts_with("ecdsa-") {
        bad_value(field, message, "this is a public key; the private one is needed").help(file)
    } else if text.starts_with("-----BEGIN") && !text.starts_with(KEY_BEGIN) {
        bad_value(field, message, "a key in another format").help("`ssh-keygen -p -f FILE` rewrites it as OpenSSH's")
    } else if !text.starts_with(KEY_BEGIN) {
        bad_value(field, message, format!("expected it to start with `{KEY_BEGIN}`")).help(file)
    } else if !text.ends_with(KEY_END) {
        bad_value(field, message, format!("cut off: it does not end with `{KEY_END}`")).help(file)
    } else {
        return None;
    };
    Some(mistake)
}
