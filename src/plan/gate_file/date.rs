//! Days.

use jiff::civil::Date;
use serde_json::{Value as Json, json};

use super::context::Context;
use super::key::{Field, Kind};
use super::value::{wrong_type, wrong_type_but};

/// A day of the calendar.
pub(super) struct Day;

impl Kind for Day {
    type Out = Date;

    fn read(&self, field: &Field<'_>, cx: &Context<'_>) -> Option<Date> {
        let value = field.value.get_ref();
        let day = value
            .as_datetime()
            .filter(|written| written.time.is_none())
            .and_then(|written| written.to_string().parse::<Date>().ok());
        if day.is_none() {
            let expected = "a date without quotes";
            cx.report(match value.as_str().filter(|text| text.parse::<Date>().is_ok()) {
                Some(text) => wrong_type_but(field, expected, format!("write `{text}`")),
                None => wrong_type(field, "a date, like 2027-06-30"),
            });
        }
        day
    }

    fn example(&self) -> String {
        "2027-06-30".to_owned()
    }

    fn schema(&self) -> Json {
        json!({ "type": "string", "format": "date" })
    }
}
