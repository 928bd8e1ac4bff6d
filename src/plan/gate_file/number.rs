//! Flags and numbers without a unit.

use std::fmt::Display;

use serde_json::{Value as Json, json};
use toml::de::DeValue;

use super::context::Context;
use super::key::{Field, Kind};
use super::value::{bad_value, wrong_type, wrong_type_but};

/// `true` or `false`.
pub(super) struct Flag;

impl Kind for Flag {
    type Out = bool;

    fn read(&self, field: &Field<'_>, cx: &Context<'_>) -> Option<bool> {
        let value = field.value.get_ref();
        if value.as_bool().is_none() {
            cx.report(match value.as_str() {
                Some(word @ ("true" | "false")) => {
                    wrong_type_but(field, "true or false", format!("write `{word}`, without quotes"))
                }
                _ => wrong_type(field, "true or false"),
            });
        }
        value.as_bool()
    }

    fn example(&self) -> String {
        "true".to_owned()
    }

    fn schema(&self) -> Json {
        json!({ "type": "boolean" })
    }
}

/// A whole number.
pub(super) struct Count {
    pub(super) min: u32,
    pub(super) max: u32,
}

impl Kind for Count {
    type Out = u32;

    fn read(&self, field: &Field<'_>, cx: &Context<'_>) -> Option<u32> {
        let Some(integer) = field.value.get_ref().as_integer() else {
            cx.report(match field.value.get_ref().as_str().map(str::parse::<u32>) {
                Some(Ok(number)) => {
                    wrong_type_but(field, "a whole number", format!("write `{number}`, without quotes"))
                }
                _ => wrong_type(field, "a whole number"),
            });
            return None;
        };
        let number = u32::from_str_radix(integer.as_str(), integer.radix()).ok();
        in_range(number, self.min, self.max, field, cx)
    }

    fn example(&self) -> String {
        "2".to_owned()
    }

    fn schema(&self) -> Json {
        json!({ "type": "integer", "minimum": self.min, "maximum": self.max })
    }
}

/// A factor.
pub(super) struct Factor {
    pub(super) min: f64,
    pub(super) max: f64,
}

impl Kind for Factor {
    type Out = f64;

    fn read(&self, field: &Field<'_>, cx: &Context<'_>) -> Option<f64> {
        let number = match field.value.get_ref() {
            DeValue::Float(float) => float.as_str().parse().ok(),
            DeValue::Integer(integer) if integer.radix() == 10 => integer.as_str().parse().ok(),
            _ => {
                cx.report(wrong_type(field, "a number"));
                return None;
            }
        };
        in_range(number, self.min, self.max, field, cx)
    }

    fn example(&self) -> String {
        "4.0".to_owned()
    }

    fn schema(&self) -> Json {
        json!({ "type": "number", "minimum": self.min, "maximum": self.max })
    }
}

/// The number if it is within both bounds; a complaint if not.
fn in_range<T: PartialOrd + Display + Copy>(
    number: Option<T>,
    min: T,
    max: T,
    field: &Field<'_>,
    cx: &Context<'_>,
) -> Option<T> {
    let number = number.filter(|number| (&min..=&max).contains(&number));
    if number.is_none() {
        let message = format!("`{}` is out of range", field.name);
        cx.report(bad_value(field, message, format!("must be {min} to {max}")));
    }
    number
}
