//! A guest that writes a hundred megabytes of what means harm, through the whole program: whatever shows something of the run
//! stays well-formed and has an end.

use std::fs;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Instant;

use bootgate::evidence::RECORD_BYTES_MAX;
use bootgate::report::SUMMARY_BYTES_MAX;
use bootgate::serial::cast::CAST_BYTES_MAX;
use nix::sys::resource::{UsageWho, getrusage};
use proptest::prelude::*;
use serde_json::Value;
use tempfile::TempDir;

use crate::bench::Bench;
use crate::ci_log::{acts, assert_harmless, github, gitlab};
use crate::hostile::{Harm, stretch};
use crate::json_schema::misfits;
use crate::live::{COLUMNS, ROWS, shown, wait_for_end};
use crate::oracles::{assert_cast, assert_chrome, assert_junit, assert_markdown, assert_page, shape};
use crate::player::fixture;
use crate::stories::halfway;
use crate::story::{Act, Story, after_cont};
use crate::window::Window;

const MIB: usize = 1024 * 1024;
const FLOOD_BYTES: usize = 100 * MIB;
/// How much memory bootgate may have at its highest, the writing of the page included.
const PEAK_KIB_MAX: i64 = 160 * 1024;
/// A line of a job's log, and all of it.
const LINE_CHARS_MAX: usize = 2000;
const LOG_BYTES_MAX: usize = 64 * 1024;
/// What a terminal is told in a second: ten times a screen of four bytes a cell.
const TERMINAL_BYTES_MAX_PER_S: u64 = 10 * 4 * 80 * 24;
/// A page holds 12 MiB of a console, of which a script's `<` takes six.
const PAGE_BYTES_MAX: usize = 80 * MIB;
const JUNIT_BYTES_MAX: usize = 200 * 1024;
const RESULT_BYTES_MAX: usize = 64 * 1024;
const TRACE_BYTES_MAX: usize = MIB;

const STAGE: &str = "[[stage]]\nname = \"boot-live\"\nkind = \"boot\"\ntimeout = \"120s\"\nclaims = \"marker\"\n";

/// A gate whose guest says so much of one harm, and then a line that is forbidden, with more of it.
struct Flood {
    bench: Bench,
    noise: TempDir,
}

/// What a run of it has left.
struct Flooded {
    _flood: Flood,
    run: PathBuf,
    /// What it has printed.
    log: String,
}

impl Flood {
    fn new(harm: Harm, seed: [u8; 32]) -> Self {
        let (place, noise) = (tempfile::tempdir().unwrap(), stretch(harm, seed));
        let last = [b"\r\nBUG: ", &noise[..MIB / 4], b"\r\nthe end\r\n"].concat();
        let [noise_file, last_file] = ["noise", "last"].map(|name| place.path().join(name));
        fs::write(&noise_file, &noise).unwrap();
        fs::write(&last_file, last).unwrap();
        let act = Act::SerialFlood(noise_file, FLOOD_BYTES.div_ceil(noise.len()), last_file);
        let story = Story::new(halfway()).and([after_cont(40, act)]);
        Self {
            bench: Bench::new("flood", "", &[STAGE], &[story]),
            noise: place,
        }
    }

    /// A file that a job has for what it is told.
    fn job_file(&self, name: &str) -> PathBuf {
        self.noise.path().join(name)
    }

    /// Runs it in the job of a system whose variable is this.
    fn in_job(self, variable: &str) -> Flooded {
        let output = Command::new(env!("CARGO_BIN_EXE_bootgate"))
            .args(["run", "gate.toml", "--runs", "runs"])
            .current_dir(self.bench.path())
            .env_remove("GITHUB_ACTIONS")
            .env_remove("GITLAB_CI")
            .env(variable, "true")
            .env("GITHUB_STEP_SUMMARY", self.job_file("summary"))
            .env("GITHUB_OUTPUT", self.job_file("outputs"))
            .stdin(Stdio::null())
            .output()
            .unwrap();
        let log = [output.stdout, output.stderr].map(|text| String::from_utf8(text).unwrap());
        self.ended(output.status.code(), log.concat())
    }

    fn ended(self, code: Option<i32>, log: String) -> Flooded {
        assert_eq!(code, Some(1), "{log}");
        assert!(log.contains("forbidden-line"), "{log}");
        let peak_kib = getrusage(UsageWho::RUSAGE_CHILDREN).unwrap().max_rss();
        assert!(peak_kib <= PEAK_KIB_MAX, "{peak_kib} KiB");
        let run = self.bench.path().join("runs/last").canonicalize().unwrap();
        Flooded { run, log, _flood: self }
    }
}

impl Flooded {
    /// A file of the run, which must not be larger.
    #[track_caller]
    fn file(&self, name: &str, bytes_max: usize) -> String {
        let text = fs::read_to_string(self.run.join(name)).unwrap();
        assert!(text.len() <= bytes_max, "{name}: {} bytes", text.len());
        text
    }

    /// What a command says of the run.
    #[track_caller]
    fn told(&self, arguments: &[&str]) -> String {
        let mut command = Command::new(env!("CARGO_BIN_EXE_bootgate"));
        let output = command.args(arguments).arg(&self.run).output().unwrap();
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).unwrap()
    }
}

/// A job's log of lines that have an end.
#[track_caller]
fn assert_bounded(log: &str) {
    assert!(log.len() <= LOG_BYTES_MAX, "{} bytes", log.len());
    let longest = log.lines().map(|line| line.chars().count()).max();
    assert!(longest <= Some(LINE_CHARS_MAX), "{longest:?} characters");
}

fn schema(name: &str) -> Value {
    serde_json::from_slice(&fs::read(fixture(name)).unwrap()).unwrap()
}

fn harm() -> impl Strategy<Value = Harm> {
    prop::sample::select(Harm::ALL.to_vec())
}

proptest! {
    // A run takes seconds: which harm, and how it looks, changes from time to time.
    #![proptest_config(ProptestConfig { failure_persistence: None, max_shrink_iters: 0, ..ProptestConfig::with_cases(1) })]

    #[test]
    fn the_terminal_and_the_recording_of_the_console(harm in harm(), seed: [u8; 32]) {
        let flood = Flood::new(harm, seed);
        let (began, mut window) = (Instant::now(), Window::open(flood.bench.at_a_terminal(&[]), None));
        window.resize(COLUMNS, ROWS);
        let written = wait_for_end(&mut window);
        let limit = (began.elapsed().as_secs() + 1) * TERMINAL_BYTES_MAX_PER_S;
        prop_assert!(written.len() as u64 <= limit, "{} bytes", written.len());
        let screen = shown(&written);
        prop_assert!(screen.contains("Verdict:  failed") && screen.contains("Next:     "), "{}", screen);
        let run = flood.ended(Some(window.ends()), written);
        assert_cast(&run.file("serial.cast", usize::try_from(CAST_BYTES_MAX).unwrap()));
    }

    #[test]
    fn the_job_of_github_and_what_is_shown_of_it(harm in harm(), seed: [u8; 32]) {
        let flood = Flood::new(harm, seed);
        let [summary, outputs] = ["summary", "outputs"].map(|name| flood.job_file(name));
        let run = flood.in_job("GITHUB_ACTIONS");
        assert_bounded(&run.log);
        prop_assert_eq!(acts(&run.log), None);
        let commands: Vec<_> = github(&run.log).into_iter().map(|command| command.name).collect();
        prop_assert_eq!(commands, ["group", "endgroup", "error"]);
        prop_assert!(gitlab(&run.log).is_empty());
        assert_markdown(&run.file("summary.md", SUMMARY_BYTES_MAX));
        prop_assert_eq!(run.file("summary.md", SUMMARY_BYTES_MAX), fs::read_to_string(summary).unwrap());
        prop_assert_eq!(fs::read_to_string(outputs).unwrap().lines().count(), 3 * 8);
        assert_junit(&run.file("junit.xml", JUNIT_BYTES_MAX), run.run.to_str().unwrap());
    }

    #[test]
    fn the_job_of_gitlab_and_the_page(harm in harm(), seed: [u8; 32]) {
        let run = Flood::new(harm, seed).in_job("GITLAB_CI");
        assert_bounded(&run.log);
        prop_assert_eq!(gitlab(&run.log), ["start boot-live", "end boot-live"]);
        let marker = regex::Regex::new("(?m)^section_(start|end):[0-9]+:boot-live(\\[collapsed=true\\])?\r\x1b\\[0K").unwrap();
        assert_harmless("gitlab", &marker.replace_all(&run.log, ""));
        let page = run.file("report.html", PAGE_BYTES_MAX);
        assert_page(&page);
        prop_assert!(page.contains("the end\\n"), "what decided is at the end of the console");
        let names = fs::read_dir(&run.run).unwrap().map(|entry| entry.unwrap().path());
        let logs: Vec<_> = names.filter(|path| path.to_string_lossy().contains("/serial.log")).collect();
        prop_assert!(logs.len() > 1, "the console goes on in other files");
        for log in logs {
            let link = format!("href=\"./{}\"", log.file_name().unwrap().to_str().unwrap());
            prop_assert_eq!(page.matches(&link).count(), 2, "{}", link);
            fs::remove_file(log).unwrap();
        }
        fs::write(run.run.join("serial.log"), "quiet\n").unwrap();
        run.told(&["report"]);
        let quiet = run.file("report.html", MIB);
        prop_assert_eq!(shape(&page), shape(&quiet));
    }

    #[test]
    fn a_plain_log_and_what_programs_read(harm in harm(), seed: [u8; 32]) {
        let run = Flood::new(harm, seed).in_job("CI");
        assert_bounded(&run.log);
        assert_harmless("plain", &run.log);
        let fits = |schema: &Value, text: &str| misfits(schema, &serde_json::from_str(text).unwrap());
        prop_assert_eq!(fits(&schema("result.schema.json"), &run.file("result.json", RESULT_BYTES_MAX)), [""; 0]);
        let (trace, form) = (run.file("trace.jsonl", TRACE_BYTES_MAX), schema("trace.schema.json"));
        prop_assert!(trace.lines().count() > 5);
        for line in trace.lines() {
            prop_assert!(line.len() <= RECORD_BYTES_MAX);
            prop_assert_eq!(fits(&form, line), [""; 0]);
        }
        assert_chrome(&run.told(&["trace", "--format", "chrome"]));
        for format in ["jsonl", "mermaid", "table"] {
            assert_harmless(format, &run.told(&["trace", "--notes", "--format", format]));
        }
        assert_harmless("inspect", &run.told(&["inspect"]));
    }
}
