//! Sizes and durations.

use std::time::Duration;

use serde_json::{Value as Json, json};

use super::context::Context;
use super::key::{Field, Kind};
use super::value::{bad_value, string, wrong_type_but};
use crate::units::{ByteSize, parse_span};

/// The longest duration that a gate file may ask for. Scaled deadlines stay far from what a clock can hold.
const SPAN_MAX: Duration = Duration::from_secs(7 * 24 * 3600);

/// A number of bytes with its unit.
pub(super) struct Size {
    pub(super) min: ByteSize,
    /// The size must be a multiple of this, for `granule_reason`.
    pub(super) granule: ByteSize,
    pub(super) granule_reason: &'static str,
}

impl Kind for Size {
    type Out = ByteSize;

    fn read(&self, field: &Field<'_>, cx: &Context<'_>) -> Option<ByteSize> {
        let expected = "a size in quotes";
        if let Some(integer) = field.value.get_ref().as_integer() {
            let label = format!("write `\"{integer}MiB\"`");
            cx.report(wrong_type_but(field, expected, label));
            return None;
        }
        let text = string(field, expected, cx)?;
        let size = match text.parse::<ByteSize>() {
            Ok(size) => size,
            Err(error) => {
                cx.report(bad_value(
                    field,
                    format!("`{text}` {error}"),
                    "expected a size, like `4GiB`",
                ));
                return None;
            }
        };
        if size < self.min {
            let message = format!("`{}` is too small", field.name);
            cx.report(bad_value(field, message, format!("must be at least {}", self.min)));
            return None;
        }
        let granule = self.granule;
        if !size.0.is_multiple_of(granule.0) {
            let message = format!("`{text}` is not a multiple of {granule}");
            let label = format!("write `{}`", self.suggestion(text, size));
            cx.report(bad_value(field, message, label).help(self.granule_reason));
            return None;
        }
        Some(size)
    }

    fn example(&self) -> String {
        "\"2GiB\"".to_owned()
    }

    fn schema(&self) -> Json {
        json!({ "type": "string", "pattern": r"^\s*[0-9]+(\.[0-9]{0,6})?\s*([KMGT]i?B?|kB|B)\s*$" })
    }
}

impl Size {
    /// What was most likely meant by a size that is no multiple of the granule.
    fn suggestion(&self, text: &str, size: ByteSize) -> String {
        // `2GB` of memory is nearly always 2GiB.
        let binary = text
            .strip_suffix('B')
            .map(|number_and_prefix| format!("{number_and_prefix}iB"));
        let binary = binary.and_then(|text| Some((text.parse::<ByteSize>().ok()?, text)));
        match binary {
            Some((size, text)) if size.0.is_multiple_of(self.granule.0) => text,
            _ => in_written_units(ByteSize(size.0.next_multiple_of(self.granule.0))),
        }
    }
}

/// A size in the largest unit that holds it as a whole number, as a gate file has it.
fn in_written_units(size: ByteSize) -> String {
    const UNITS: [(&str, u64); 3] = [
        ("GiB", crate::units::GIB),
        ("MiB", crate::units::MIB),
        ("KiB", crate::units::KIB),
    ];
    let unit = UNITS
        .iter()
        .find(|(_, bytes)| size.0 > 0 && size.0.is_multiple_of(*bytes));
    unit.map_or_else(
        || format!("{}B", size.0),
        |(name, bytes)| format!("{}{name}", size.0 / bytes),
    )
}

/// A duration with its unit.
pub(super) struct Span {
    pub(super) zero_allowed: bool,
}

impl Kind for Span {
    type Out = Duration;

    fn read(&self, field: &Field<'_>, cx: &Context<'_>) -> Option<Duration> {
        let expected = "a duration in quotes";
        if let Some(integer) = field.value.get_ref().as_integer() {
            cx.report(wrong_type_but(field, expected, format!("write `\"{integer}s\"`")));
            return None;
        }
        let text = string(field, expected, cx)?;
        let span = match parse_span(text) {
            Ok(span) => span,
            Err(error) => {
                cx.report(bad_value(
                    field,
                    format!("`{text}` {error}"),
                    "expected a duration, like `90s`",
                ));
                return None;
            }
        };
        let range = if span.is_zero() && !self.zero_allowed {
            Some("must be longer than 0s")
        } else if span > SPAN_MAX {
            Some("must be 168h at most")
        } else {
            None
        };
        if let Some(label) = range {
            cx.report(bad_value(field, format!("`{}` is out of range", field.name), label));
            return None;
        }
        Some(span)
    }

    fn example(&self) -> String {
        "\"10m\"".to_owned()
    }

    fn schema(&self) -> Json {
        json!({ "type": "string", "pattern": r"^\s*([0-9]+(\.[0-9]{0,6})?\s*(ms|sec|s|min|m|h)\s*)+$" })
    }
}
