//! A command on its way to QEMU.

use std::fmt;

use serde_json::{Value, json};

use super::error::QmpError;

/// Whether a command waits for those before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Band {
    /// One after the other, in QEMU's main loop.
    InBand,
    /// At once, even if the main loop is blocked; refused if QEMU doesn't offer it. Only a few commands can do it.
    OutOfBand,
    /// Out of band if QEMU offers it, else in band.
    OutOfBandIfOffered,
}

/// A command and how it is to be sent. Its `Debug` form shows no arguments.
#[derive(Clone)]
pub struct Request {
    pub(super) command: String,
    pub(super) arguments: Value,
    pub(super) band: Band,
    pub(super) secret: bool,
}

impl fmt::Debug for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Request({}, {:?})", self.command, self.band)
    }
}

impl Request {
    /// A command by its name; `arguments` is a JSON object, or `Null` for none.
    pub fn new(command: impl Into<String>, arguments: Value) -> Self {
        Self {
            command: command.into(),
            arguments,
            band: Band::InBand,
            secret: false,
        }
    }

    /// A command by its type.
    pub fn typed<C: qapi::Command>(command: &C) -> Result<Self, QmpError> {
        serde_json::to_value(command)
            .map(|arguments| Self::new(C::NAME, arguments))
            .map_err(|error| QmpError::Encode {
                command: C::NAME.to_owned(),
                error: error.to_string(),
            })
    }

    /// Sends it in another band.
    #[must_use]
    pub fn in_band(mut self, band: Band) -> Self {
        self.band = band;
        self
    }

    /// Keeps the arguments, and what QEMU says about them, out of the transcript and of errors.
    #[must_use]
    pub fn secret(mut self) -> Self {
        self.secret = true;
        self
    }

    /// The command's name.
    pub fn command(&self) -> &str {
        &self.command
    }

    /// True if the arguments must not be shown.
    pub fn is_secret(&self) -> bool {
        self.secret
    }

    /// The command as it goes over the wire, with these arguments.
    pub(super) fn line(&self, id: u64, oob: bool, arguments: &Value) -> Vec<u8> {
        let verb = if oob { "exec-oob" } else { "execute" };
        let mut message = json!({ verb: self.command, "id": id });
        if !arguments.is_null() && arguments.as_object().is_none_or(|members| !members.is_empty()) {
            message["arguments"] = arguments.clone();
        }
        message.to_string().into_bytes()
    }
}
