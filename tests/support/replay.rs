//! Replays a run and compares it with its own trace.

use std::path::Path;

use bootgate::driver::{ReplayEnd, ReplayOptions, Replayed, replay};
use bootgate::plan;
use serde_json::Value;

/// A replay as the run was.
const UNCHANGED: ReplayOptions = ReplayOptions {
    rules: None,
    deadline_scale_percent: 100,
};

/// What tells a transition or a verdict from another.
const KEYS: [&str; 8] = ["kind", "stage", "from", "to", "event", "class", "cause", "state"];

/// The steps of a trace: transitions and the verdict.
pub(crate) fn steps(records: &[Value]) -> Vec<String> {
    let is_step = |record: &&Value| record["kind"] == "transition" || record["kind"] == "verdict";
    let told = |record: &Value| {
        let words = KEYS.iter().filter_map(|key| record[*key].as_str());
        words.collect::<Vec<_>>().join(" ")
    };
    records.iter().filter(is_step).map(told).collect()
}

/// Replays the run in a folder with some changes.
pub(crate) fn replayed(run: &Path, gate: &str, options: &ReplayOptions) -> Replayed {
    let plan = plan::parse(&run.join("gate.toml"), gate).unwrap_or_else(|errors| panic!("{}", errors.render(false)));
    replay(run, plan, options).unwrap_or_else(|error| panic!("{}: {error}", run.display()))
}

/// Replays the run in a folder as it was: it takes the same steps to the same verdict.
pub(crate) fn assert_replays(run: &Path, trace: &[Value]) -> Replayed {
    let gate = std::fs::read_to_string(run.join("gate.toml")).unwrap();
    let replayed = replayed(run, &gate, &UNCHANGED);
    assert_eq!(
        steps(&replayed.records),
        steps(trace),
        "{}: {:?}",
        run.display(),
        replayed.end
    );
    assert_eq!(replayed.end, ReplayEnd::Finished, "{}", run.display());
    replayed
}
