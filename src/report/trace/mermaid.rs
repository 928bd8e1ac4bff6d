//! A trace as a Mermaid chart, for Markdown that is rendered: a pull request, a step summary, a wiki.

use std::fmt::Write as _;

use serde_json::Value;

use super::timeline::{Span, Timeline, text};

/// The most characters of a name in the chart.
const NAME_CHARS_MAX: usize = 60;
/// States that a run comes to only when it fails.
const FAILING: [&str; 5] = ["Stopping", "Capturing", "Saving", "Held", "Discarding"];

/// The trace as a Gantt chart: a section a stage, a bar a state, a milestone for the verdict.
pub fn mermaid_gantt(run: &str, records: &[Value]) -> String {
    let timeline = Timeline::new(records);
    let mut chart = format!(
        "gantt\n    title {}\n    dateFormat x\n    axisFormat %M:%S\n",
        plain(run)
    );
    for stage in &timeline.stages {
        let _ = writeln!(chart, "    section {}", plain(stage.name));
        for state in &stage.states {
            chart.push_str(&bar(state));
        }
    }
    if let Some(verdict) = timeline.verdict {
        let at_ms = verdict.get("t_us").and_then(Value::as_u64).unwrap_or(0) / 1000;
        let name = plain(&format!("{} {}", text(verdict, "class"), text(verdict, "cause")));
        let _ = writeln!(chart, "    {name} :milestone, {at_ms}, {at_ms}");
    }
    chart
}

fn bar(span: &Span<'_>) -> String {
    let mark = match span.left_by {
        _ if FAILING.contains(&span.state) => "crit, ",
        Some(_) => "",
        None => "active, ",
    };
    let (from_ms, to_ms) = (span.from_us / 1000, span.to_us / 1000);
    format!("    {} :{mark}{from_ms}, {to_ms}\n", plain(span.state))
}

/// A name without what Mermaid reads as syntax.
fn plain(name: &str) -> String {
    let kept = |c: char| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_' | '.');
    let name: String = name.chars().filter(|&c| kept(c)).take(NAME_CHARS_MAX).collect();
    match name.trim() {
        "" => "unnamed".to_owned(),
        name => name.to_owned(),
    }
}
