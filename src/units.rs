//! Sizes and durations with their units, as people write them in a gate file and read them in a message.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

/// Bytes in one KiB.
pub const KIB: u64 = 1024;
/// Bytes in one MiB.
pub const MIB: u64 = 1024 * KIB;
/// Bytes in one GiB.
pub const GIB: u64 = 1024 * MIB;
/// Bytes in one TiB.
pub const TIB: u64 = 1024 * GIB;

/// A number of bytes, written with a binary unit: `512MiB`, `4GiB`, `1.5GiB`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ByteSize(pub u64);

/// Why a text is not a size or a duration. The text reads after the value that was written.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum UnitError {
    /// Nothing was written.
    #[error("is empty; write a number and a unit, like `{example}`")]
    Empty {
        /// A value that would be right.
        example: &'static str,
    },
    /// A number with no unit behind it.
    #[error("has no unit; write `{suggestion}`")]
    NoUnit {
        /// The same number with the unit that is most often meant.
        suggestion: String,
    },
    /// A unit that is not known.
    #[error("has the unit `{unit}`, which is not one of {known}")]
    UnknownUnit {
        /// What was written.
        unit: String,
        /// The units that are known.
        known: &'static str,
    },
    /// The part before the unit is not a number.
    #[error("does not start with a number; write it like `{example}`")]
    NotANumber {
        /// A value that would be right.
        example: &'static str,
    },
    /// The value does not fit.
    #[error("is too large")]
    TooLarge,
}

const SIZE_UNITS: &str = "B, KiB, MiB, GiB, TiB (binary) or kB, MB, GB, TB (decimal)";
const SPAN_UNITS: &str = "ms, s, m, h";

fn split_number(text: &str) -> (&str, &str) {
    let end = text
        .find(|c: char| !(c.is_ascii_digit() || c == '.'))
        .unwrap_or(text.len());
    (&text[..end], text[end..].trim_start())
}

/// Whole and fractional part of a decimal number, the fraction in millionths.
fn decimal(number: &str) -> Option<(u64, u64)> {
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    let digits = |s: &str| s.bytes().all(|b| b.is_ascii_digit());
    if whole.is_empty() || !digits(whole) || !digits(fraction) || fraction.len() > 6 {
        return None;
    }
    let whole = whole.parse().ok()?;
    let fraction = format!("{fraction:0<6}").parse().ok()?;
    Some((whole, fraction))
}

fn scaled(number: &str, unit: u64) -> Option<u64> {
    let (whole, millionths) = decimal(number)?;
    let fraction = u64::try_from(u128::from(millionths) * u128::from(unit) / 1_000_000).ok()?;
    whole.checked_mul(unit)?.checked_add(fraction)
}

impl FromStr for ByteSize {
    type Err = UnitError;

    fn from_str(text: &str) -> Result<Self, UnitError> {
        let text = text.trim();
        let example = "4GiB";
        if text.is_empty() {
            return Err(UnitError::Empty { example });
        }
        let (number, unit) = split_number(text);
        if decimal(number).is_none() {
            return Err(if number.len() > 18 {
                UnitError::TooLarge
            } else {
                UnitError::NotANumber { example }
            });
        }
        let unit = match unit {
            "B" => 1,
            "KiB" | "K" => KIB,
            "MiB" | "M" => MIB,
            "GiB" | "G" => GIB,
            "TiB" | "T" => TIB,
            "kB" | "KB" => 1000,
            "MB" => 1_000_000,
            "GB" => 1_000_000_000,
            "TB" => 1_000_000_000_000,
            "" => {
                return Err(UnitError::NoUnit {
                    suggestion: format!("{number}MiB"),
                });
            }
            other => {
                return Err(UnitError::UnknownUnit {
                    unit: other.to_owned(),
                    known: SIZE_UNITS,
                });
            }
        };
        scaled(number, unit).map(ByteSize).ok_or(UnitError::TooLarge)
    }
}

impl fmt::Display for ByteSize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (unit, name) = match self.0 {
            0..KIB => return write!(f, "{} B", self.0),
            KIB..MIB => (KIB, "KiB"),
            MIB..GIB => (MIB, "MiB"),
            GIB..TIB => (GIB, "GiB"),
            _ => (TIB, "TiB"),
        };
        if self.0.is_multiple_of(unit) {
            return write!(f, "{} {name}", self.0 / unit);
        }
        let tenths = u128::from(self.0) * 10 / u128::from(unit);
        write!(f, "{}.{} {name}", tenths / 10, tenths % 10)
    }
}

/// Parses a duration such as `90s`, `10m`, `1h30m`, `500ms`.
pub fn parse_span(text: &str) -> Result<Duration, UnitError> {
    let mut rest = text.trim();
    let example = "10m";
    if rest.is_empty() {
        return Err(UnitError::Empty { example });
    }
    let mut total_us: u64 = 0;
    while !rest.is_empty() {
        let (number, tail) = split_number(rest);
        if decimal(number).is_none() {
            return Err(UnitError::NotANumber { example });
        }
        let end = tail
            .find(|c: char| c.is_ascii_digit() || c.is_whitespace())
            .unwrap_or(tail.len());
        let unit = match &tail[..end] {
            "ms" => 1_000,
            "s" | "sec" => 1_000_000,
            "m" | "min" => 60_000_000,
            "h" => 3_600_000_000,
            "" => {
                return Err(UnitError::NoUnit {
                    suggestion: format!("{number}s"),
                });
            }
            other => {
                return Err(UnitError::UnknownUnit {
                    unit: other.to_owned(),
                    known: SPAN_UNITS,
                });
            }
        };
        total_us = scaled(number, unit)
            .and_then(|us| total_us.checked_add(us))
            .ok_or(UnitError::TooLarge)?;
        rest = tail[end..].trim_start();
    }
    Ok(Duration::from_micros(total_us))
}

/// A duration as people read it: `850 ms`, `12.3 s`, `4m 05s`, `1h 02m 03s`.
pub fn human_span(span: Duration) -> String {
    let ms = span.as_millis();
    let s = span.as_secs();
    if ms < 1_000 {
        format!("{ms} ms")
    } else if s < 60 {
        format!("{}.{} s", s, (ms % 1_000) / 100)
    } else if s < 3_600 {
        format!("{}m {:02}s", s / 60, s % 60)
    } else {
        format!("{}h {:02}m {:02}s", s / 3_600, s % 3_600 / 60, s % 60)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn sizes_have_units() {
        assert_eq!("4GiB".parse(), Ok(ByteSize(4 * GIB)));
        assert_eq!("1.5GiB".parse(), Ok(ByteSize(3 * GIB / 2)));
        assert_eq!("2 GB".parse(), Ok(ByteSize(2_000_000_000)));
        let no_unit = "512".parse::<ByteSize>().unwrap_err();
        assert_eq!(no_unit.to_string(), "has no unit; write `512MiB`");
        assert!(matches!("4gib".parse::<ByteSize>(), Err(UnitError::UnknownUnit { .. })));
        assert_eq!("99999999999999TiB".parse::<ByteSize>(), Err(UnitError::TooLarge));
    }

    #[test]
    fn spans_add_up() {
        assert_eq!(parse_span("1h30m"), Ok(Duration::from_secs(5400)));
        assert_eq!(parse_span("500ms"), Ok(Duration::from_millis(500)));
        assert_eq!(parse_span("2m 30s"), Ok(Duration::from_secs(150)));
        assert_eq!(parse_span("10").unwrap_err().to_string(), "has no unit; write `10s`");
        assert_eq!(human_span(Duration::from_millis(12_340)), "12.3 s");
        assert_eq!(human_span(Duration::from_secs(245)), "4m 05s");
    }

    proptest! {
        #[test]
        fn no_text_panics(text in ".{0,40}") {
            let _ = text.parse::<ByteSize>();
            let _ = parse_span(&text);
        }

        #[test]
        fn a_size_is_read_back(n in 0u64..1_000_000) {
            prop_assert_eq!(format!("{n}MiB").parse::<ByteSize>(), Ok(ByteSize(n * MIB)));
        }
    }
}
