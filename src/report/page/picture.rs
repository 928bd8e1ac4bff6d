//! Pictures of the guest's screen on the page.

use base64ct::{Base64, Encoding as _};
use maud::{Markup, html};
use serde_json::Value;

use super::facts::{clock, lined, shown};
use crate::report::trace::Timeline;
use crate::units::MIB;

/// The most bytes of pictures that a page holds. What does not fit is named.
pub const PAGE_PICTURES_BYTES_MAX: u64 = 16 * MIB;

/// A picture on the page.
#[derive(Debug, Clone, Default)]
pub struct PagePicture {
    /// The file's name in the run.
    pub name: String,
    /// The PNG.
    pub png: Vec<u8>,
    /// The text that was on the screen, if it was read.
    pub text: Option<String>,
    /// The number of the record in the trace that it belongs to, if it was taken as the run went on.
    pub record: Option<u64>,
}

/// When a picture was taken, and what is to be said of it.
struct Moment {
    at_us: Option<u64>,
    what: String,
}

/// The pictures, in the order in which they were taken.
pub(super) struct Screens<'a> {
    pictures: Vec<(Moment, &'a PagePicture)>,
    left_out: Vec<&'a str>,
}

impl<'a> Screens<'a> {
    pub(super) fn new(pictures: &'a [PagePicture], records: &[Value], timeline: &Timeline<'_>) -> Self {
        let mut held_bytes = 0;
        let (mut held, mut left_out) = (Vec::new(), Vec::new());
        for picture in pictures {
            let size_bytes = picture.png.len() as u64;
            if held_bytes + size_bytes > PAGE_PICTURES_BYTES_MAX {
                left_out.push(picture.name.as_str());
            } else {
                held_bytes += size_bytes;
                held.push((moment(picture, records, timeline), picture));
            }
        }
        held.sort_by_key(|(moment, _)| moment.at_us.unwrap_or(u64::MAX));
        Self {
            pictures: held,
            left_out,
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.pictures.is_empty()
    }

    /// When each was taken, in microseconds, and what it shows.
    pub(super) fn moments(&self) -> impl Iterator<Item = (u64, &str)> {
        let moments = self.pictures.iter().map(|(moment, _)| moment);
        moments.filter_map(|moment| Some((moment.at_us?, moment.what.as_str())))
    }

    pub(super) fn section(&self) -> Markup {
        html! {
            @if !self.is_empty() {
                section #screens aria-labelledby="screens-heading" {
                    h2 #screens-heading { "Screens" }
                    p.note { "The guest's screen as it came to each state." }
                    div.screens { @for (moment, picture) in &self.pictures { (figure(moment, picture)) } }
                    @if !self.left_out.is_empty() {
                        p.note { "Not on the page, for their size: " @for name in &self.left_out { (lined(name)) " " } }
                    }
                }
            }
        }
    }
}

fn moment(picture: &PagePicture, records: &[Value], timeline: &Timeline<'_>) -> Moment {
    let of_number = |number: u64| records.iter().find(|record| record["seq"].as_u64() == Some(number));
    if let Some(record) = picture.record.and_then(of_number) {
        let word = |key: &str| record[key].as_str().unwrap_or_default();
        let state = match (word("kind"), word("from"), word("to")) {
            ("transition", "Verifying", "Exiting") => "Verifying".to_owned(),
            ("transition", _, to) => to.to_owned(),
            _ => word("state").to_owned(),
        };
        let because = if word("kind") == "transition" {
            word("event")
        } else {
            word("what")
        };
        return Moment {
            at_us: record["t_us"].as_u64(),
            what: shown(&format!("{state}: {because}")),
        };
    }
    // What was captured of a machine that was stopped.
    let mut states = timeline.stages.iter().flat_map(|stage| &stage.states);
    let capturing = states.rfind(|span| span.state == "Capturing");
    Moment {
        at_us: capturing.map(|span| span.from_us),
        what: "as the machine was stopped".to_owned(),
    }
}

fn figure(moment: &Moment, picture: &PagePicture) -> Markup {
    let size = pixels(&picture.png);
    html! {
        figure {
            img src={ "data:image/png;base64," (Base64::encode_string(&picture.png)) } alt={ "The guest's screen, " (moment.what) }
                title=(lined(&picture.name)) width=[size.map(|(width, _)| width)] height=[size.map(|(_, height)| height)];
            figcaption {
                @if let Some(at_us) = moment.at_us { strong { (clock(at_us)) } " " }
                (moment.what)
            }
            @if let Some(text) = &picture.text { details { summary { "The serial console's last screen as text" } pre tabindex="0" { (lined(text)) } } }
        }
    }
}

/// The sides of a picture, from the PNG's first chunk, so that the page does not move as pictures are drawn.
fn pixels(png: &[u8]) -> Option<(u32, u32)> {
    let side = |at: usize| Some(u32::from_be_bytes(png.get(at..at + 4)?.try_into().ok()?));
    Some((side(16)?, side(20)?)).filter(|(width, height)| *width > 0 && *height > 0)
}
