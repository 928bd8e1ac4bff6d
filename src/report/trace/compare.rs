//! Two runs side by side: where the time went, and which state differs.

use std::fmt::Write as _;
use std::time::Duration;

use serde_json::{Value, json};

use crate::text::terminal_line;

use super::timeline::{Timeline, text};

/// The most characters of a name.
const NAME_CHARS_MAX: usize = 40;
/// The most states of a run that are compared.
const STATES_MAX: usize = 2000;

/// What two runs went through.
#[derive(Debug, Clone, PartialEq)]
pub struct Comparison {
    /// The two runs.
    runs: [String; 2],
    /// Their verdicts: class and cause.
    verdicts: [Option<String>; 2],
    rows: Vec<Row>,
}

/// A state that one run or both went through.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Row {
    stage: String,
    state: String,
    took_us: [Option<u64>; 2],
    /// How each run left it.
    left_by: [Option<String>; 2],
}

struct Step<'a> {
    stage: &'a str,
    state: &'a str,
    took_us: u64,
    left_by: Option<String>,
}

impl Comparison {
    /// Compares two runs, each by its name and the records of its trace.
    pub fn new(a: (&str, &[Value]), b: (&str, &[Value])) -> Self {
        let (one, other) = (Timeline::new(a.1), Timeline::new(b.1));
        let (steps_a, steps_b) = (steps(&one), steps(&other));
        let rows = aligned(&steps_a, &steps_b)
            .into_iter()
            .map(|(a, b)| row(a.map(|at| &steps_a[at]), b.map(|at| &steps_b[at])))
            .collect();
        Self {
            runs: [a.0.to_owned(), b.0.to_owned()],
            verdicts: [&one, &other].map(|timeline| {
                let verdict = timeline.verdict?;
                Some(format!("{} {}", text(verdict, "class"), text(verdict, "cause")))
            }),
            rows,
        }
    }

    /// The first row that only one run went through, or that they left by different events.
    fn first_difference(&self) -> Option<&Row> {
        self.rows
            .iter()
            .find(|row| row.took_us.contains(&None) || row.left_by[0] != row.left_by[1])
    }

    /// For a program.
    pub fn to_json(&self) -> Value {
        let row = |row: &Row| {
            json!({
                "stage": row.stage, "state": row.state,
                "a_us": row.took_us[0], "b_us": row.took_us[1],
                "a_left_by": row.left_by[0], "b_left_by": row.left_by[1],
            })
        };
        json!({
            "a": { "run": self.runs[0], "verdict": self.verdicts[0] },
            "b": { "run": self.runs[1], "verdict": self.verdicts[1] },
            "states": self.rows.iter().map(row).collect::<Vec<_>>(),
            "first_difference": self.first_difference().map(row),
        })
    }

    /// For a person: a line a state, and what differs below.
    pub fn to_text(&self) -> String {
        let mut out = String::new();
        for (letter, (run, verdict)) in ["a", "b"].iter().zip(self.runs.iter().zip(&self.verdicts)) {
            let verdict = verdict.as_deref().unwrap_or("no verdict");
            let _ = writeln!(out, "{letter}: {}  {}", shown(run), shown(verdict));
        }
        let _ = writeln!(
            out,
            "\n{:<16} {:<14} {:>11} {:>11} {:>11}",
            "stage", "state", "a", "b", "b - a"
        );
        for row in &self.rows {
            let times = row.took_us.map(|took| took.map_or_else(|| "-".to_owned(), seconds));
            let line = format!(
                "{:<16} {:<14} {:>11} {:>11} {:>11}",
                shown(&row.stage),
                shown(&row.state),
                times[0],
                times[1],
                change(row)
            );
            let _ = writeln!(out, "{}", line.trim_end());
        }
        let total = |run: usize| self.rows.iter().filter_map(|row| row.took_us[run]).sum::<u64>();
        let _ = writeln!(
            out,
            "{:<31} {:>11} {:>11} {:>11}\n",
            "all",
            seconds(total(0)),
            seconds(total(1)),
            signed(total(0), total(1))
        );
        out.push_str(&self.ending());
        out
    }

    fn ending(&self) -> String {
        let Some(row) = self.first_difference() else {
            return "Both went through the same states, each left by the same event.\n".to_owned();
        };
        let place = format!("{} in stage {}", shown(&row.state), shown(&row.stage));
        match row.took_us {
            [Some(_), None] => format!("First difference: only a was in {place}.\n"),
            [None, Some(_)] => format!("First difference: only b was in {place}.\n"),
            _ => {
                let by = |run: usize| shown(row.left_by[run].as_deref().unwrap_or("nothing: the trace ends there"));
                format!(
                    "First difference: {place} was left by {} in a, by {} in b.\n",
                    by(0),
                    by(1)
                )
            }
        }
    }
}

fn shown(text: &str) -> String {
    terminal_line(text, NAME_CHARS_MAX)
}

fn seconds(us: u64) -> String {
    format!("{:.3} s", Duration::from_micros(us).as_secs_f64())
}

fn signed(a_us: u64, b_us: u64) -> String {
    let sign = if b_us < a_us { "-" } else { "+" };
    format!("{sign}{}", seconds(a_us.abs_diff(b_us)))
}

fn change(row: &Row) -> String {
    match row.took_us {
        [Some(a), Some(b)] => signed(a, b),
        [Some(_), None] => "only a".to_owned(),
        _ => "only b".to_owned(),
    }
}

fn steps<'a>(timeline: &Timeline<'a>) -> Vec<Step<'a>> {
    let states = timeline
        .stages
        .iter()
        .flat_map(|stage| stage.states.iter().map(|state| (stage.name, state)));
    let steps = states.map(|(stage, span)| Step {
        stage,
        state: span.state,
        took_us: span.length_us(),
        left_by: span.left_by.map(|record| text(record, "event").to_owned()),
    });
    steps.take(STATES_MAX).collect()
}

fn row(a: Option<&Step<'_>>, b: Option<&Step<'_>>) -> Row {
    let either = a.or(b);
    Row {
        stage: either.map_or("", |step| step.stage).to_owned(),
        state: either.map_or("", |step| step.state).to_owned(),
        took_us: [a, b].map(|step| step.map(|step| step.took_us)),
        left_by: [a, b].map(|step| step.and_then(|step| step.left_by.clone())),
    }
}

/// Which steps of two runs stand for the same: a longest common subsequence of stages and states.
fn aligned(a: &[Step<'_>], b: &[Step<'_>]) -> Vec<(Option<usize>, Option<usize>)> {
    let same = |i: usize, j: usize| (a[i].stage, a[i].state) == (b[j].stage, b[j].state);
    let mut longest = vec![vec![0_u32; b.len() + 1]; a.len() + 1];
    for i in (0..a.len()).rev() {
        for j in (0..b.len()).rev() {
            longest[i][j] = if same(i, j) {
                longest[i + 1][j + 1] + 1
            } else {
                longest[i + 1][j].max(longest[i][j + 1])
            };
        }
    }
    let (mut i, mut j, mut pairs) = (0, 0, Vec::new());
    while i < a.len() || j < b.len() {
        if i < a.len() && j < b.len() && same(i, j) {
            pairs.push((Some(i), Some(j)));
            (i, j) = (i + 1, j + 1);
        } else if j == b.len() || (i < a.len() && longest[i + 1][j] >= longest[i][j + 1]) {
            pairs.push((Some(i), None));
            i += 1;
        } else {
            pairs.push((None, Some(j)));
            j += 1;
        }
    }
    pairs
}
