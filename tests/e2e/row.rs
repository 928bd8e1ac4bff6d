//! One row of the table: a run on the real guest and the verdict that it must have.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crate::bench::Outcome;

/// A verdict.
#[derive(Clone, Copy)]
pub(crate) struct Expect {
    /// Its class.
    pub(crate) class: &'static str,
    /// The program's exit code.
    pub(crate) exit: i32,
    /// Its cause; any if empty.
    pub(crate) cause: &'static str,
    /// The rule that names it, if one knows it.
    pub(crate) rule: Option<&'static str>,
}

/// Everything was proved.
pub(crate) const PASSED: Expect = Expect {
    class: "passed",
    exit: 0,
    cause: "",
    rule: None,
};

/// The image is at fault.
pub(crate) const fn failed(cause: &'static str, rule: &'static str) -> Expect {
    Expect {
        class: "failed",
        exit: 1,
        cause,
        rule: Some(rule),
    }
}

/// The rows that were run.
#[derive(Default)]
pub(crate) struct Table {
    rows: Vec<Row>,
    /// What was measured besides, to be printed below.
    pub(crate) remarks: Vec<String>,
    /// How the first step went that was run for another row, for those who compare with it.
    pub(crate) first_step: Option<FirstStep>,
    /// What goes on beside the rows, and what it adds.
    beside: Vec<(String, JoinHandle<String>)>,
}

/// The first step of the four under UEFI, which passed.
pub(crate) struct FirstStep {
    /// From power-on to the first login, in seconds.
    pub(crate) login_seconds: f64,
    /// From power-on to stable logins, in seconds.
    pub(crate) ready_seconds: f64,
    /// QEMU's command line, as the evidence has it.
    pub(crate) arguments: String,
}

struct Row {
    name: String,
    verdict: String,
    took: Duration,
    is_right: bool,
}

impl Table {
    /// Runs a row to its end, whatever that is; gives the run's directory if the row is as it must be.
    pub(crate) fn row(
        &mut self,
        name: &str,
        expect: Expect,
        run: impl FnOnce() -> Outcome,
        check: impl FnOnce(&Outcome),
    ) -> Option<PathBuf> {
        eprintln!("e2e: {name} …");
        let begun = Instant::now();
        let mut evidence = None;
        let done = catch_unwind(AssertUnwindSafe(|| {
            let outcome = run();
            evidence = Some(outcome.path.clone());
            expect.check(&outcome);
            check(&outcome);
            let verdict = &outcome.result["verdict"];
            let told = format!(
                "{}: {}",
                verdict["class"].as_str().unwrap(),
                verdict["cause"].as_str().unwrap()
            );
            (told, outcome.path)
        }));
        let took = begun.elapsed();
        if let (Err(_), Some(evidence)) = (&done, evidence) {
            keep(&evidence, name);
        }
        let (verdict, path) = done.map_or_else(
            |_| ("not as it must be; see above".to_owned(), None),
            |(told, path)| (told, Some(path)),
        );
        eprintln!("e2e: {name}: {verdict}, after {:.0} s", took.as_secs_f64());
        self.rows.push(Row {
            name: name.to_owned(),
            verdict,
            took,
            is_right: path.is_some(),
        });
        path
    }

    /// Starts what needs no attention and little of the machine; its remark comes with [`Table::finish`].
    pub(crate) fn beside(&mut self, name: &str, work: impl FnOnce() -> String + Send + 'static) {
        self.beside.push((name.to_owned(), std::thread::spawn(work)));
    }

    /// Waits for what goes on beside the rows.
    pub(crate) fn finish(&mut self) {
        for (name, work) in std::mem::take(&mut self.beside) {
            let begun = Instant::now();
            let remark = work.join();
            self.rows.extend(remark.is_err().then(|| Row {
                name,
                verdict: "not as it must be; see above".to_owned(),
                took: begun.elapsed(),
                is_right: false,
            }));
            self.remarks.extend(remark);
        }
    }

    /// Prints it, and how long it all took; tells whether every row is as it must be.
    pub(crate) fn print(&self, took: Duration) -> bool {
        println!("\n  {:<34} {:<52} {:>7}", "row", "verdict", "seconds");
        for row in &self.rows {
            let mark = if row.is_right { "✓" } else { "✗" };
            let seconds = row.took.as_secs_f64();
            println!("{mark} {:<34} {:<52} {seconds:>7.1}", row.name, row.verdict);
        }
        println!("{} rows in {:.0} s", self.rows.len(), took.as_secs_f64());
        for remark in &self.remarks {
            println!("{remark}");
        }
        !self.rows.is_empty() && self.rows.iter().all(|row| row.is_right)
    }
}

/// Keeps the evidence of a row that is not as it must be; its folder goes with the scenario.
fn keep(evidence: &Path, name: &str) {
    let kept = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("e2e-{}", name.replace([':', ' '], "-")));
    let _ = std::fs::remove_dir_all(&kept);
    match std::fs::rename(evidence, &kept) {
        Ok(()) => eprintln!("e2e: the run is kept in {}", kept.display()),
        Err(error) => eprintln!("e2e: the run can't be kept in {}: {error}", kept.display()),
    }
}

impl FirstStep {
    /// What a passed run that begins with it tells.
    pub(crate) fn of(outcome: &Outcome) -> Self {
        Self {
            login_seconds: outcome.seconds_to_login().unwrap(),
            ready_seconds: outcome.seconds_to("SshStable").unwrap(),
            arguments: outcome.text("argv.txt"),
        }
    }
}

impl Expect {
    #[track_caller]
    fn check(&self, outcome: &Outcome) {
        let verdict = &outcome.result["verdict"];
        let found = (verdict["class"].as_str().unwrap(), outcome.exit_code);
        assert_eq!(found, (self.class, self.exit), "{}", outcome.story());
        if !self.cause.is_empty() {
            assert_eq!(verdict["cause"], self.cause, "{}", outcome.story());
        }
        assert_eq!(verdict["rule"]["id"].as_str(), self.rule, "{}", outcome.story());
    }
}
