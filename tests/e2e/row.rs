//! One row of the table: a run on the real guest and the verdict that it must have.

use std::panic::catch_unwind;
use std::time::{Duration, Instant};

use crate::gate::GateFile;
use crate::run::{Run, run};

/// What is run and what must come of it.
pub(crate) struct Row {
    /// Its name.
    pub(crate) name: &'static str,
    /// Its gate.
    pub(crate) gate: fn() -> GateFile,
    /// The verdict.
    pub(crate) expect: Expect,
    /// What else must hold.
    pub(crate) check: fn(&Run),
}

/// A verdict.
#[derive(Clone, Copy)]
pub(crate) struct Expect {
    /// Its class.
    pub(crate) class: &'static str,
    /// The program's exit code.
    pub(crate) exit: i32,
    /// Its cause.
    pub(crate) cause: &'static str,
    /// The rule that names it, if one knows it.
    pub(crate) rule: Option<&'static str>,
    /// The stage that it is decided in.
    pub(crate) stage: &'static str,
}

/// A row that was run.
pub(crate) struct Done {
    name: &'static str,
    verdict: String,
    took: Duration,
    /// Whether everything was as it must be.
    pub(crate) passed: bool,
}

impl Row {
    /// Runs it to its end, whatever that is.
    pub(crate) fn run(&self) -> Done {
        eprintln!("e2e: {} …", self.name);
        let begun = Instant::now();
        let verdict = catch_unwind(|| {
            let mut gate = (self.gate)();
            gate.put("gate", self.name.into());
            let run = run(&gate);
            self.expect.check(&run);
            (self.check)(&run);
            run.audit();
            format!("{}: {}", self.expect.class, self.expect.cause)
        });
        let took = begun.elapsed();
        eprintln!("e2e: {} after {:.0} s", self.name, took.as_secs_f64());
        Done {
            name: self.name,
            passed: verdict.is_ok(),
            verdict: verdict.unwrap_or_else(|_| "not as it must be; see above".to_owned()),
            took,
        }
    }
}

impl Expect {
    fn check(&self, run: &Run) {
        let verdict = &run.result["verdict"];
        let found = (
            verdict["class"].as_str().unwrap(),
            run.exit_code,
            verdict["cause"].as_str().unwrap(),
            verdict["rule"]["id"].as_str(),
        );
        assert_eq!(found, (self.class, self.exit, self.cause, self.rule), "{}", run.story());
        if !self.stage.is_empty() {
            assert_eq!(verdict["stage"], self.stage, "{}", run.story());
        }
    }
}

/// Prints the rows as a table.
pub(crate) fn print(done: &[Done]) {
    println!("\n{:<36} {:<56} {:>7}", "row", "verdict", "seconds");
    for row in done {
        let mark = if row.passed { "✓" } else { "✗" };
        println!(
            "{mark} {:<34} {:<56} {:>7.1}",
            row.name,
            row.verdict,
            row.took.as_secs_f64()
        );
    }
    let total: Duration = done.iter().map(|row| row.took).sum();
    println!("{} rows in {:.0} s", done.len(), total.as_secs_f64());
}
