//! `bootgate report`, and the page that every run ends with.

use std::fs::File;
use std::io::{Read as _, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use crate::driver::SCREENS;
use crate::evidence::{self, EvidenceError, KEPT_GATE, RunRecord, read_journal, write_atomically};
use crate::machine::Verdict;
use crate::report::{
    PAGE_LOG_BYTES_MAX, PAGE_PICTURES_BYTES_MAX, PageInputs, PageLog, PageLogFile, PagePicture, report_page,
};
use crate::serial::log_end::{log_files, read_log_end};
use crate::units::MIB;
use clap::Args;

use super::{args, say};

/// The page of a run, in its directory.
pub(super) const PAGE: &str = "report.html";
/// The most bytes of a small text that a page holds.
const TEXT_BYTES_MAX: u64 = MIB;
/// The most bytes of all logs of a page.
const LOGS_BYTES_MAX: u64 = 32 * MIB;
/// The most files that a page leads to.
const FILES_MAX: usize = 100;
/// The most logs of a page.
const LOGS_MAX: usize = 40;
/// The most pictures of a page.
const PICTURES_MAX: usize = 40;
const EXIT_NOT_WRITTEN: u8 = 4;

/// Write the page of a run again: `report.html` in its directory, or elsewhere.
///
/// Each run writes it at its end; this is for one that was interrupted, or that another bootgate made.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  bootgate report last\n  bootgate report last -o page.html")]
pub(super) struct Report {
    /// The run: `last`, its id or a part of it, or its directory.
    #[arg(default_value = "last")]
    run: String,
    #[command(flatten)]
    runs: args::RunsDir,
    /// The page's file. [default: report.html in the run's directory]
    #[arg(long, short, value_name = "FILE")]
    output: Option<PathBuf>,
}

impl Report {
    pub(super) fn execute(self) -> ExitCode {
        let record = match evidence::open(&self.runs.dir, &self.run) {
            Ok(record) => record,
            Err(error) => {
                say::tell(format_args!("error: {error}"));
                return ExitCode::from(Verdict::EXIT_USAGE);
            }
        };
        let to = self.output.unwrap_or_else(|| record.path.join(PAGE));
        let is_beside = to.parent() == Some(&record.path);
        let page = match page_of(&record, PAGE_LOG_BYTES_MAX, is_beside) {
            Ok(page) => page,
            Err(error) => {
                say::tell(format_args!("error: {error}"));
                return ExitCode::from(EXIT_NOT_WRITTEN);
            }
        };
        match write_atomically(&to, page.as_bytes()) {
            Ok(()) => say::answer(format_args!("Page:     {}\n", to.display())),
            Err(error) => {
                say::tell(format_args!("error: `{}` can't be written: {error}", to.display()));
                ExitCode::from(EXIT_NOT_WRITTEN)
            }
        }
    }
}

/// The page of a run, from its files. Of each log it holds the last `log_bytes_max`. One that lies in the run's directory
/// leads to the files there.
pub(super) fn page_of(run: &RunRecord, log_bytes_max: u64, is_beside: bool) -> Result<String, EvidenceError> {
    let result = run.result()?.unwrap_or_else(|| serde_json::json!({
        "run": run.info.id, "gate": run.info.gate,
        "verdict": { "class": "interrupted", "title": "The run has no verdict: its bootgate was killed, or it still goes on." },
    }));
    let trace = run.trace()?;
    let qmp = read_journal(&run.path.join("qmp.jsonl"))
        .map(|read| read.records)
        .unwrap_or_default();
    Ok(report_page(&PageInputs {
        files: if is_beside { files(&run.path) } else { Vec::new() },
        logs: logs(&run.path, log_bytes_max),
        pictures: pictures(&run.path),
        argv: text(&run.path.join("argv.txt")),
        gate: text(&run.path.join(KEPT_GATE)),
        result,
        records: &trace.records,
        qmp: &qmp,
    }))
}

/// The output of the stages' commands, and the consoles, as they lie in the run: an interrupted one has no list of them.
fn logs(run: &Path, log_bytes_max: u64) -> Vec<PageLog> {
    let of_kind = |prefix: &'static str, title: &'static str| {
        let names = names(run, prefix, "log").into_iter();
        names.map(move |name| (format!("{title}{}", of_machine(&name)), name, prefix == "firmware"))
    };
    let outputs = names(&run.join("ssh"), "", "log").into_iter().map(|name| {
        let title = format!("Output of {}", name.trim_end_matches(".log"));
        (title, format!("ssh/{name}"), false)
    });
    let logs = of_kind("serial", "Console")
        .chain(outputs)
        .chain(of_kind("screen-text", "Text on the screen"))
        .chain(of_kind("firmware", "Firmware"));
    let mut left_bytes = LOGS_BYTES_MAX;
    let logs = logs.take(LOGS_MAX).filter_map(|(title, name, is_minor)| {
        let (bytes, offset_bytes) = read_log_end(&run.join(&name), log_bytes_max.min(left_bytes)).ok()?;
        left_bytes -= bytes.len() as u64;
        Some(PageLog {
            files: files_of(run, &name),
            name,
            title,
            bytes,
            offset_bytes,
            is_minor,
        })
    });
    logs.filter(|log| !log.bytes.is_empty()).collect()
}

/// The files that a log's stream is kept in, if they are several.
fn files_of(run: &Path, name: &str) -> Vec<PageLogFile> {
    let files = log_files(&run.join(name));
    let is_continued = files.len() > 1;
    let files = files.into_iter().filter_map(|(start, path)| {
        let length = path.metadata().ok()?.len();
        let name = path.strip_prefix(run).ok()?.to_str()?.to_owned();
        let bytes = start..start + length;
        Some(PageLogFile { name, bytes })
    });
    if is_continued { files.collect() } else { Vec::new() }
}

/// ` of machine 2`, of `serial-2.log`.
fn of_machine(name: &str) -> String {
    let number = name.trim_end_matches(".log").rsplit('-').next().unwrap_or_default();
    match number.parse::<u32>() {
        Ok(number) => format!(" of machine {number}"),
        Err(_) => String::new(),
    }
}

/// The files that a viewer of test results may show, the page included.
pub(super) fn attachments(run: &Path) -> Vec<String> {
    let captured = names(run, "screen-", "png");
    let taken = names(&run.join(SCREENS), "", "png")
        .into_iter()
        .map(|name| format!("{SCREENS}/{name}"));
    let files = captured.into_iter().chain(taken).chain(files(run));
    files.chain([PAGE.to_owned()]).collect()
}

/// The files that a reader of the page may want, as they lie beside it.
fn files(run: &Path) -> Vec<String> {
    let known = [
        "result.json",
        "summary.md",
        "junit.xml",
        "trace.jsonl",
        "qmp.jsonl",
        "inputs.jsonl",
        "argv.txt",
        "qemu.stderr",
    ];
    let known = known
        .into_iter()
        .filter(|name| run.join(name).is_file())
        .map(str::to_owned);
    let logs = ["serial", "firmware", "screen-text"]
        .into_iter()
        .flat_map(|prefix| names(run, prefix, "log"))
        .flat_map(|name| {
            let more = files_of(run, &name).into_iter().skip(1).map(|file| file.name);
            std::iter::once(name).chain(more).collect::<Vec<_>>()
        });
    let casts = names(run, "serial", "cast");
    let outputs = names(&run.join("ssh"), "", "log")
        .into_iter()
        .map(|name| format!("ssh/{name}"));
    known.chain(logs).chain(casts).chain(outputs).take(FILES_MAX).collect()
}

/// The names of a directory's files that begin and end so, in order.
fn names(directory: &Path, prefix: &str, kind: &str) -> Vec<String> {
    let entries = std::fs::read_dir(directory).into_iter().flatten().flatten();
    let names = entries.filter_map(|entry| entry.file_name().into_string().ok());
    let is_one = |name: &String| name.starts_with(prefix) && Path::new(name).extension().is_some_and(|is| is == kind);
    let mut names: Vec<_> = names.filter(is_one).collect();
    names.sort_by_key(|name| (name.len(), name.clone()));
    names
}

/// The last bytes of a regular file, and where they begin in it.
fn end_of(path: &Path, bytes_max: u64) -> Option<(Vec<u8>, u64)> {
    let mut file = File::open(path).ok()?;
    let metadata = file.metadata().ok().filter(std::fs::Metadata::is_file)?;
    let offset = metadata.len().saturating_sub(bytes_max);
    file.seek(SeekFrom::Start(offset)).ok()?;
    let mut bytes = Vec::new();
    file.take(bytes_max).read_to_end(&mut bytes).ok()?;
    Some((bytes, offset))
}

fn text(path: &Path) -> String {
    let bytes = end_of(path, TEXT_BYTES_MAX).unwrap_or_default().0;
    String::from_utf8_lossy(&bytes).into_owned()
}

/// The pictures of the guest's screen: those taken as the run went on, and those of a machine that was stopped, with the text
/// of the console's last screen.
fn pictures(run: &Path) -> Vec<PagePicture> {
    let captured = names(run, "screen-", "png").into_iter();
    let taken = names(&run.join(SCREENS), "", "png")
        .into_iter()
        .map(|name| format!("{SCREENS}/{name}"));
    let pictures = captured.chain(taken).take(PICTURES_MAX).filter_map(|name| {
        let (png, _) = end_of(&run.join(&name), PAGE_PICTURES_BYTES_MAX).filter(|(_, offset)| *offset == 0)?;
        let text = Some(text(&run.join(Path::new(&name).with_extension("txt")))).filter(|text| !text.is_empty());
        let record = name
            .strip_prefix(SCREENS)
            .and_then(|name| name.strip_prefix('/')?.split('-').next()?.parse().ok());
        Some(PagePicture {
            name,
            png,
            text,
            record,
        })
    });
    pictures.collect()
}
