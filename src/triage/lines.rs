//! What is no line by itself, as the line that rules see.

/// An attempt to log in: the class of its outcome, and what that means.
pub fn probe_line(class: &str, meaning: &str) -> String {
    format!("{class}: {meaning}\n")
}

/// A QMP event: its name, and its data as JSON.
pub fn qmp_line(name: &str, data: &serde_json::Value) -> String {
    if data.is_null() {
        format!("{name}\n")
    } else {
        format!("{name} {data}\n")
    }
}

/// A cause: its id.
pub fn cause_line(id: &str) -> String {
    format!("{id}\n")
}
