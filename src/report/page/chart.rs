//! The timeline of a run as a picture: states against their deadlines, and what was seen, on one clock.

use maud::{Markup, PreEscaped, html};
use serde_json::Value;

use crate::report::trace::{Moment, QmpMoment, Timeline};
use crate::text::terminal_line;

use super::picture::Screens;
use super::states::Limit;

/// The width of the picture in its own units; the browser scales it.
const WIDTH: u64 = 1200;
/// Where the time begins.
const LEFT: u64 = 110;
/// Where it ends: a mark at the end of the run is seen whole.
const RIGHT: u64 = WIDTH - 8;
/// How wide a character of a name is at most, on average.
const NAME_CHAR_WIDTH: u64 = 7;
/// How wide a time below the axis is.
const CLOCK_WIDTH: u64 = 40;
/// What a bar leaves around its name.
const NAME_MARGIN: u64 = 8;
const ROW_HEIGHT: u64 = 26;
/// The most marks of one lane: a guest can be noisy, and more would be one bar.
const MARKS_MAX: usize = 400;
/// The most characters of a hint.
const HINT_CHARS_MAX: usize = 200;

/// The lanes of marks: their name, the notes that belong to them, and how the evidence's file begins that a verdict of theirs has.
const LANES: [(&str, &[&str], &str); 3] = [
    (
        "console",
        &[
            "kernel-seen",
            "userspace-seen",
            "marker-seen",
            "login-prompt",
            "rule-matched",
            "target-seen",
            "passphrase-asked",
        ],
        "serial",
    ),
    (
        "SSH",
        &[
            "ssh-probe",
            "ssh-answered",
            "connection-broke",
            "command-started",
            "uploaded",
        ],
        "ssh/",
    ),
    ("other", &[], ""),
];

/// Draws the timeline.
pub(super) fn chart(timeline: &Timeline<'_>, qmp: &[QmpMoment], screens: &Screens<'_>) -> Markup {
    let scale = Scale::new(timeline);
    let qmp_row = 2 + LANES.len() as u64;
    let screens_row = qmp_row + u64::from(!qmp.is_empty());
    let rows = screens_row + u64::from(!screens.is_empty());
    let height = ROW_HEIGHT * (rows + 1);
    html! {
        svg.chart viewBox={ "0 0 " (WIDTH) " " (height) } role="img" aria-label="Timeline; the table below says the same" {
            (axis(&scale, height))
            (lane_name(0, "stage"))
            (lane_name(1, "state"))
            @for stage in &timeline.stages {
                (bar(&scale, 0, (stage.from_us(), stage.to_us()), stage.name, stage.outcome.unwrap_or("running")))
                @for state in &stage.states {
                    @if let Some(known) = Limit::of(stage, state) { (limit(&scale, (state.from_us, known.to_us), known.kind)) }
                    (bar(&scale, 1, (state.from_us, state.to_us), state.state, "state"))
                }
            }
            @for (lane, (name, ..)) in LANES.iter().enumerate() {
                @let row = 2 + lane as u64;
                (lane_name(row, name))
                @for moment in timeline.moments.iter().filter(|moment| lane_of(moment) == Some(lane)).take(MARKS_MAX) {
                    (mark(&scale, row, moment.at_us, &hint(moment), moment.what == "verdict"))
                }
            }
            @if !qmp.is_empty() { (lane_name(qmp_row, "QMP")) }
            @for event in qmp.iter().take(MARKS_MAX) {
                (mark(&scale, qmp_row, event.at_us, &event.name, false))
            }
            @if !screens.is_empty() { (lane_name(screens_row, "screens")) }
            @for (at_us, what) in screens.moments() {
                (mark(&scale, screens_row, at_us, what, false))
            }
        }
    }
}

/// The lane of a moment. A verdict stands where its evidence was seen; what belongs to no other lane belongs to the last.
fn lane_of(moment: &Moment<'_>) -> Option<usize> {
    let file = moment.record.pointer("/evidence/file").and_then(Value::as_str);
    let is_here = |(_, notes, files): &(&str, &[&str], &str)| match moment.what {
        "verdict" => file.unwrap_or_default().starts_with(files),
        what => notes.is_empty() || notes.contains(&what),
    };
    LANES.iter().position(is_here).filter(|_| moment.what != "stage-ended")
}

struct Scale {
    end_us: u64,
}

impl Scale {
    fn new(timeline: &Timeline<'_>) -> Self {
        let last = timeline.stages.last().map_or(0, crate::report::StageSpan::to_us);
        Self {
            end_us: last.max(timeline.end_us).max(1),
        }
    }

    /// Tenths of a unit are enough for a picture.
    fn x(&self, at_us: u64) -> String {
        let tenths = u128::from(at_us.min(self.end_us)) * u128::from((RIGHT - LEFT) * 10) / u128::from(self.end_us);
        let tenths = tenths + u128::from(LEFT * 10);
        format!("{}.{}", tenths / 10, tenths % 10)
    }

    fn width(&self, from_us: u64, to_us: u64) -> String {
        let tenths = self.tenths(from_us, to_us).max(10);
        format!("{}.{}", tenths / 10, tenths % 10)
    }

    fn tenths(&self, from_us: u64, to_us: u64) -> u128 {
        let length = to_us.min(self.end_us).saturating_sub(from_us);
        u128::from(length) * u128::from((RIGHT - LEFT) * 10) / u128::from(self.end_us)
    }

    /// True if a time that begins there would be cut off at the picture's end.
    fn is_at_the_end(&self, at_us: u64) -> bool {
        self.tenths(0, at_us) > u128::from((WIDTH - LEFT - CLOCK_WIDTH) * 10)
    }

    /// True if a bar has room for its name: half a name tells less than none.
    fn has_room(&self, from_us: u64, to_us: u64, name: &str) -> bool {
        let needed = NAME_MARGIN + NAME_CHAR_WIDTH * name.chars().count() as u64;
        self.tenths(from_us, to_us) >= u128::from(needed * 10)
    }
}

fn axis(scale: &Scale, height: u64) -> Markup {
    const STEPS_S: [u64; 12] = [1, 2, 5, 10, 20, 30, 60, 120, 300, 600, 1800, 3600];
    let seconds = scale.end_us / 1_000_000;
    let step = STEPS_S.into_iter().find(|step| seconds / step <= 12).unwrap_or(7200);
    html! {
        @for at_s in (0..=seconds).step_by(usize::try_from(step).unwrap_or(1)) {
            @let x = scale.x(at_s * 1_000_000);
            line.tick x1=(x) x2=(x) y1="0" y2=(height - ROW_HEIGHT) {}
            @let anchor = scale.is_at_the_end(at_s * 1_000_000).then_some("end");
            text.tick x=(x) y=(height - 8) text-anchor=[anchor] { (clock(at_s)) }
        }
    }
}

fn clock(seconds: u64) -> String {
    format!("{}:{:02}", seconds / 60, seconds % 60)
}

fn lane_name(row: u64, name: &str) -> Markup {
    html! { text.lane x="0" y=(row * ROW_HEIGHT + 17) { (name) } }
}

fn bar(scale: &Scale, row: u64, (from_us, to_us): (u64, u64), name: &str, class: &str) -> Markup {
    let name = shown(name);
    let (x, width) = (scale.x(from_us), scale.width(from_us, to_us));
    let kind = match class {
        "passed" | "failed" | "state" | "running" => class,
        _ => "other",
    };
    let failing = ["Stopping", "Capturing", "Saving", "Held", "Discarding"].contains(&name.as_str());
    let seconds = std::time::Duration::from_micros(to_us - from_us).as_secs_f64();
    html! {
        g {
            title { (name) ": " (format!("{seconds:.3}")) " s, " (class) }
            rect class={ "bar " (kind) @if failing { " failing" } } x=(x) y=(row * ROW_HEIGHT + 3) width=(width) height=(ROW_HEIGHT - 6) rx="3" {}
            @if scale.has_room(from_us, to_us, &name) {
                // Letters that are wider than most are cut off at the end of the bar.
                svg x=(x) y=(row * ROW_HEIGHT) width=(width) height=(ROW_HEIGHT) {
                    text.name x="5" y="17" { (name) }
                }
            }
        }
    }
}

/// How long the state might have stood.
fn limit(scale: &Scale, (from_us, to_us): (u64, u64), kind: &str) -> Markup {
    html! {
        g {
            title { "deadline " (shown(kind)) }
            rect.limit x=(scale.x(from_us)) y=(2 * ROW_HEIGHT - 3) width=(scale.width(from_us, to_us)) height="3" {}
        }
    }
}

fn mark(scale: &Scale, row: u64, at_us: u64, hint: &str, important: bool) -> Markup {
    let y = row * ROW_HEIGHT + 13;
    let seconds = std::time::Duration::from_micros(at_us).as_secs_f64();
    html! {
        circle.mark.important[important] cx=(scale.x(at_us)) cy=(y) r=(if important { 6 } else { 4 }) {
            title { (format!("{seconds:.3}")) " s: " (hint) }
        }
    }
}

fn hint(moment: &Moment<'_>) -> String {
    let detail = moment.record.get("detail").or_else(|| moment.record.get("cause"));
    let detail = detail.and_then(Value::as_str).unwrap_or_default();
    shown(format!("{} {detail}", moment.what).trim_end())
}

fn shown(text: &str) -> String {
    terminal_line(text, HINT_CHARS_MAX)
}

/// Markup that is ours and holds nothing of anybody else's.
pub(super) fn ours(text: &str) -> Markup {
    PreEscaped(text.to_owned())
}
