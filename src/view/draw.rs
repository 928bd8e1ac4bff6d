//! A run as a few rows below the lines that it has printed.

use std::ops::Range;
use std::time::Instant;

use super::model::{StageView, coarse};
use super::{Ink, Look, Model, Row, wrap};
use crate::machine::{Class, DeadlineKind, StageOutcome, State};
use crate::plan::Evidence;
use crate::units::human_span;

/// How many stages are shown; the others are counted.
const STAGES_MAX: usize = 6;
/// How wide the block gets, in columns: the eye finds the right end of a row no more in a wider one.
const COLUMNS_MAX: usize = 110;
/// Where the names of stages stand, and the labels below them.
const INDENT: usize = 3;
/// Where what the labels stand for begins.
const VALUE_COLUMN: usize = 13;
/// The widest column of names.
const NAME_COLUMNS_MAX: usize = 24;
/// The widest bar.
const BAR_COLUMNS_MAX: usize = 40;

/// How much the row of a kind is worth where there is no room for all: less first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Rank {
    /// The one thing that goes on.
    Now,
    /// How far it is.
    Bar,
    /// What is left of its time.
    Time,
    /// What the guest says.
    Said,
    /// Which run it is.
    Head,
    /// What was and what will be.
    Others,
    /// What was decided last.
    Event,
}

/// Draws the run as it is `now`: never more rows than the window has but one, none wider than it.
pub fn draw(model: &Model, now: Instant, look: &Look) -> Vec<Row> {
    let narrow = Look {
        columns: look.columns.min(COLUMNS_MAX),
        ..*look
    };
    let look = &narrow;
    let mut rows = vec![(Rank::Head, head(model, now, look))];
    if model.state == State::Held && model.closing.is_none() {
        rows.extend(held(model, now, look));
    } else {
        rows.extend(stages(model, now, look));
        if model.stages.is_empty() {
            rows.extend(bar(model, look).map(|row| (Rank::Bar, row)));
        } else {
            rows.extend(details(model, now, look));
        }
    }
    fit(rows, look.rows.saturating_sub(1))
}

/// Leaves out what is worth least.
fn fit(mut rows: Vec<(Rank, Row)>, rows_max: usize) -> Vec<Row> {
    while rows.len() > rows_max {
        let least = rows.iter().map(|(rank, _)| *rank).max();
        let Some(at) = rows.iter().rposition(|(rank, _)| Some(*rank) == least) else {
            break;
        };
        rows.remove(at);
    }
    rows.into_iter().map(|(_, row)| row).collect()
}

fn head(model: &Model, now: Instant, look: &Look) -> Row {
    let elapsed = coarse(now.saturating_duration_since(model.began));
    let row = Row::new(look)
        .add(Ink::Dim, "── ")
        .add(Ink::Bold, &model.gate)
        .add(Ink::Plain, " ");
    let row = match &model.verdict {
        Some((class, cause)) => row.add(ink_of(*class), &format!("{}: {cause} ", class.as_str())),
        None => row,
    };
    let line = row.room().saturating_sub(elapsed.len() + 4);
    row.fill("─", line, Ink::Dim)
        .add(Ink::Plain, &format!(" {elapsed} "))
        .fill("─", 2, Ink::Dim)
}

fn ink_of(class: Class) -> Ink {
    match class {
        Class::Passed => Ink::Good,
        Class::KnownFailure | Class::Cancelled | Class::Untestable => Ink::Warn,
        Class::Failed | Class::Infrastructure | Class::Internal => Ink::Bad,
    }
}

/// The stages around the one that goes on, and how many there are besides.
fn stages(model: &Model, now: Instant, look: &Look) -> Vec<(Rank, Row)> {
    let count = model.stages.len();
    let current = model.current.unwrap_or(0);
    let from = (current + 2)
        .saturating_sub(STAGES_MAX)
        .min(count.saturating_sub(STAGES_MAX));
    let shown = from..(from + STAGES_MAX).min(count);
    let names = model.stages[shown.clone()]
        .iter()
        .map(|stage| stage.name.chars().count());
    let name_columns = names.max().unwrap_or(0).min(NAME_COLUMNS_MAX);
    let mut rows = Vec::new();
    rows.extend(others(model, 0..shown.start, "before", look));
    for index in shown.clone() {
        let is_current = model.current == Some(index) && model.stages[index].ended.is_none();
        let rank = if is_current { Rank::Now } else { Rank::Others };
        let row = stage(model, &model.stages[index], (is_current, name_columns), now, look);
        rows.push((rank, row));
        if is_current {
            rows.extend(bar(model, look).map(|row| (Rank::Bar, row)));
        }
    }
    rows.extend(others(model, shown.end..count, "to come", look));
    if model.closing.is_some() || model.current.is_none_or(|index| model.stages[index].ended.is_some()) {
        let what = model.closing.unwrap_or(model.state.name());
        let row = Row::new(look).add(Ink::Live, " ▶ ").add(Ink::Plain, what);
        rows.push((Rank::Now, row));
    }
    rows
}

fn others(model: &Model, range: Range<usize>, where_: &str, look: &Look) -> Option<(Rank, Row)> {
    let count = model.stages[range].len();
    let stages = if count == 1 { "stage" } else { "stages" };
    let row = || Row::new(look).add(Ink::Dim, &format!(" · {count} {stages} {where_}"));
    (count > 0).then(|| (Rank::Others, row()))
}

fn stage(model: &Model, view: &StageView, (is_current, name_columns): (bool, usize), now: Instant, look: &Look) -> Row {
    let (ink, mark) = match view.ended {
        Some((_, outcome, _)) => mark_of(outcome),
        None if is_current => (Ink::Live, "▶"),
        None => (Ink::Dim, "·"),
    };
    let (what, time) = match view.ended {
        Some((ended, outcome, reached)) => {
            let took = view
                .began
                .map(|began| human_span(ended.saturating_duration_since(began)));
            let reached = reached.map_or("nothing", Evidence::as_str);
            let what = match outcome {
                StageOutcome::Passed => reached.to_owned(),
                other => format!("{}, reached {reached}", other.as_str()),
            };
            (what, took.unwrap_or_default())
        }
        None if is_current => {
            let elapsed = view.began.map(|began| coarse(now.saturating_duration_since(began)));
            (model.state.name().to_owned(), elapsed.unwrap_or_default())
        }
        None => (String::new(), String::new()),
    };
    let name_ink = match (is_current, view.ended.is_some()) {
        (true, _) => Ink::Bold,
        (_, true) => Ink::Plain,
        _ => Ink::Dim,
    };
    let name: String = view.name.chars().take(name_columns).collect();
    let row = Row::new(look)
        .add(ink, &format!(" {mark} "))
        .add(name_ink, &name)
        .to_column(INDENT + name_columns + 2);
    let row = row.add(if is_current { Ink::Live } else { Ink::Plain }, &what);
    if time.is_empty() {
        return row;
    }
    let column = (look.columns.saturating_sub(1)).saturating_sub(time.len() + 3);
    row.add(Ink::Plain, "  ").to_column(column).add(Ink::Plain, &time)
}

fn mark_of(outcome: StageOutcome) -> (Ink, &'static str) {
    match outcome {
        StageOutcome::Passed => (Ink::Good, "✓"),
        StageOutcome::NotTested => (Ink::Warn, "○"),
        StageOutcome::Failed => (Ink::Bad, "✗"),
        StageOutcome::Undecided => (Ink::Warn, "?"),
        StageOutcome::NotReached | StageOutcome::Skipped => (Ink::Dim, "-"),
    }
}

fn bar(model: &Model, look: &Look) -> Option<Row> {
    let progress = model.progress.as_ref()?;
    let row = Row::new(look).to_column(INDENT);
    let columns = (row.room().saturating_sub(8) / 2).min(BAR_COLUMNS_MAX);
    let done = columns * usize::from(progress.percent.min(100)) / 100;
    let row = row
        .fill("━", done, Ink::Live)
        .fill("─", columns - done, Ink::Dim)
        .add(Ink::Plain, &format!(" {:>3} %  ", progress.percent));
    Some(row.add(Ink::Plain, &progress.what))
}

/// What is left of the time, what the guest says, what was decided last: always the same rows, so that nothing jumps.
fn details(model: &Model, now: Instant, look: &Look) -> Vec<(Rank, Row)> {
    let deadlines = model.deadlines(now);
    let is_little = deadlines.iter().any(|(.., is_little)| *is_little);
    let left: Vec<_> = deadlines
        .iter()
        .map(|(kind, left, _)| format!("{} {} left", kind.name(), coarse(*left)))
        .collect();
    let mut rows = vec![(
        Rank::Time,
        labelled(
            "deadline",
            if is_little { Ink::Warn } else { Ink::Plain },
            &left.join(", "),
            look,
        ),
    )];
    if !model.output.is_empty() {
        rows.push((Rank::Said, labelled("output", Ink::Plain, &model.output, look)));
    }
    rows.push((Rank::Said, labelled("console", Ink::Plain, &model.console, look)));
    rows.push((Rank::Event, labelled("event", Ink::Dim, &model.event, look)));
    rows
}

fn labelled(label: &str, ink: Ink, value: &str, look: &Look) -> Row {
    Row::new(look)
        .to_column(INDENT)
        .add(Ink::Dim, label)
        .to_column(VALUE_COLUMN)
        .add(ink, value)
}

/// A failed machine that waits for a person: how long still, and what to type.
fn held(model: &Model, now: Instant, look: &Look) -> Vec<(Rank, Row)> {
    let left = model.left(DeadlineKind::Hold, now).map_or_else(String::new, coarse);
    let told = format!("for {left} more; the machine stands paused at the failure");
    let mut rows = vec![(Rank::Time, labelled("held", Ink::Plain, &told, look))];
    // To be typed, so it is no use in part.
    let command = wrap(&model.inspect, look.columns.saturating_sub(VALUE_COLUMN + 1).max(1));
    let labels = std::iter::once("look").chain(std::iter::repeat(""));
    let command = labels.zip(command.iter());
    rows.extend(command.map(|(label, part)| (Rank::Now, labelled(label, Ink::Bold, part, look))));
    rows.push((Rank::Others, labelled("end", Ink::Plain, "Ctrl-C", look)));
    rows
}
