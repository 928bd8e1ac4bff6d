//! `disk`: the files on a machine's disks, read-only and without the guest.

use std::fmt::Write as _;
use std::io::{self, IsTerminal as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use serde_json::{Value, json};

use crate::cli::say;
use crate::control::{HoldStatus, Request};
use crate::diskfs::{Disk, DiskFsError, ExportLimits, Place, PrintableWriter};
use crate::driver::CHECKPOINT;
use crate::evidence::RunRecord;
use crate::machine::Verdict;
use crate::plan::DiskFormat;
use crate::qemu::disk::{Layer, flatten};
use crate::text::{printable_json, terminal_line};
use crate::units::{ByteSize, GIB};

use super::live::advise;
use super::verb::DiskVerb;
use super::{client, show};

/// The exit code if a disk can't be read.
const EXIT_UNREAD: u8 = 4;
/// How much of one file is printed.
const CAT_BYTES_MAX: u64 = 16 * GIB;
const NAME_CHARS_MAX: usize = 512;

/// What went wrong, for a person.
struct Trouble {
    problem: String,
    help: String,
    code: u8,
}

impl From<DiskFsError> for Trouble {
    fn from(error: DiskFsError) -> Self {
        Self {
            problem: error.to_string(),
            help: error.mend(),
            code: EXIT_UNREAD,
        }
    }
}

fn usage(problem: impl Into<String>, help: impl Into<String>) -> Trouble {
    Trouble {
        problem: problem.into(),
        help: help.into(),
        code: Verdict::EXIT_USAGE,
    }
}

/// A disk of a run: its name and the files that it is made of, the newest first.
struct Chain {
    name: String,
    layers: Vec<Layer>,
}

/// Carries out a verb.
pub(super) fn perform(record: &RunRecord, verb: DiskVerb, as_json: bool) -> ExitCode {
    if let Some(status) = status(record).filter(|status| status.guest == "running") {
        let guest = terminal_line(&status.guest, NAME_CHARS_MAX);
        say::tell(format_args!(
            "warning: the guest is {guest}: what it writes at this moment may look torn; `pause` it first"
        ));
    }
    let done = match verb {
        DiskVerb::Ls { path: None, disk } => overview(record, disk.as_deref(), as_json),
        DiskVerb::Ls { path: Some(path), disk } => list(record, &path, disk.as_deref(), as_json),
        DiskVerb::Cat { path, disk } => cat(record, &path, disk.as_deref()),
        DiskVerb::Export { path, into, disk } => export(record, &path, &into, disk.as_deref(), as_json),
    };
    match done {
        Ok((said, next)) => {
            let code = say::answer(said);
            if !as_json {
                advise(record, next);
            }
            code
        }
        Err(Trouble { problem, help, code }) => {
            say::tell(format_args!(
                "error: {}\n  help: {}",
                terminal_line(problem, 4 * NAME_CHARS_MAX),
                terminal_line(help, 4 * NAME_CHARS_MAX)
            ));
            ExitCode::from(code)
        }
    }
}

fn status(record: &RunRecord) -> Option<HoldStatus> {
    serde_json::from_value(client::ask(&record.path, &Request::Status).ok()?).ok()
}

type Said = Result<(String, &'static str), Trouble>;

fn overview(record: &RunRecord, name: Option<&str>, as_json: bool) -> Said {
    let mut text = String::new();
    let mut all = Vec::new();
    for chain in chains(record)?
        .into_iter()
        .filter(|chain| name.is_none_or(|name| name == chain.name))
    {
        let opened = Opened::new(record, &chain)?;
        let volumes = opened.disk.volumes();
        let _ = writeln!(text, "disk {}", terminal_line(&chain.name, NAME_CHARS_MAX));
        if volumes.is_empty() {
            text += "  nothing: no partition table and no file system\n";
        }
        for volume in volumes {
            let _ = writeln!(text, "{}", volume.line());
        }
        let volumes: Vec<_> = volumes.iter().map(crate::diskfs::Volume::json).collect();
        all.push(json!({ "disk": chain.name, "volumes": volumes }));
    }
    if as_json {
        text = printable_json(&Value::from(all), true) + "\n";
    }
    Ok((text, "disk ls 1:/"))
}

fn list(record: &RunRecord, path: &str, name: Option<&str>, as_json: bool) -> Said {
    let opened = Opened::named(record, name)?;
    let listing = opened.disk.list(&path.parse::<Place>()?)?;
    let text = if as_json {
        printable_json(&listing.json(), true) + "\n"
    } else {
        listing.text()
    };
    Ok((text, "disk cat PATH"))
}

/// Bytes as they are into a file or a pipe, printable text onto a terminal.
fn cat(record: &RunRecord, path: &str, name: Option<&str>) -> Said {
    let opened = Opened::named(record, name)?;
    let place = path.parse::<Place>()?;
    let mut stdout = io::stdout().lock();
    let done = if stdout.is_terminal() {
        let mut printable = PrintableWriter::new(&mut stdout);
        let done = opened.disk.read(&place, CAT_BYTES_MAX, &mut printable)?;
        // Onto a terminal that is gone nothing can be told either.
        let _ = printable.finish();
        done
    } else {
        opened.disk.read(&place, CAT_BYTES_MAX, &mut stdout)?
    };
    let _ = stdout.flush();
    if done.cut {
        say::tell(format_args!(
            "note: the file is longer; only {} of it are shown",
            ByteSize(done.bytes)
        ));
    }
    Ok((String::new(), "disk export PATH DIRECTORY"))
}

fn export(record: &RunRecord, path: &str, into: &Path, name: Option<&str>, as_json: bool) -> Said {
    let opened = Opened::named(record, name)?;
    let done = opened
        .disk
        .export(&path.parse::<Place>()?, into, ExportLimits::default())?;
    let text = if as_json {
        let counts = json!({
            "into": into,
            "files": done.files,
            "directories": done.directories,
            "bytes": done.bytes,
            "links_skipped": done.links_skipped,
            "special_skipped": done.special_skipped,
            "names_skipped": done.names_skipped,
        });
        printable_json(&counts, true) + "\n"
    } else {
        format!(
            "{} files and {} directories ({}) are in {}; left out: {} links, {} devices and sockets, {} names\n",
            done.files,
            done.directories,
            ByteSize(done.bytes),
            into.display(),
            done.links_skipped,
            done.special_skipped,
            done.names_skipped
        )
    };
    Ok((text, "quit"))
}

/// A disk that is open, and the flat copy that it is read from, if it needed one.
struct Opened {
    disk: Disk,
    _copy: Option<Copy>,
}

/// A temporary file. Removed when this is dropped.
struct Copy(PathBuf);

impl Drop for Copy {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

impl Opened {
    fn named(record: &RunRecord, name: Option<&str>) -> Result<Self, Trouble> {
        let mut chains = chains(record)?;
        let names: Vec<_> = chains.iter().map(|chain| chain.name.clone()).collect();
        if let Some(name) = name {
            chains.retain(|chain| chain.name == name);
        }
        match (&chains[..], name) {
            ([chain], _) => Self::new(record, chain),
            ([], Some(name)) => Err(usage(
                format!("the machine has no disk `{name}`"),
                format!("it has: {}", names.join(", ")),
            )),
            ([], None) => Err(usage("the machine has no disk", "`show` tells what there is")),
            (_, _) => Err(usage(
                format!("the machine has {} disks", names.len()),
                format!("choose one with --disk: {}", names.join(", ")),
            )),
        }
    }

    fn new(record: &RunRecord, chain: &Chain) -> Result<Self, Trouble> {
        if let [only] = &chain.layers[..]
            && only.format == DiskFormat::Raw
        {
            return Ok(Self {
                disk: Disk::open(&only.path)?,
                _copy: None,
            });
        }
        let copy = Copy(
            record
                .path
                .join(format!("flat-{}-{}.raw", chain.name, std::process::id())),
        );
        let qemu = PathBuf::from("qemu-system-x86_64");
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(|error| usage(error.to_string(), "run it again"))?;
        let qemu = crate::qemu::binary::locate(&qemu).unwrap_or(qemu);
        runtime
            .block_on(flatten(&qemu, &chain.layers, &copy.0))
            .map_err(|error| Trouble {
                problem: error.to_string(),
                help: error.mend().to_owned(),
                code: EXIT_UNREAD,
            })?;
        Ok(Self {
            disk: Disk::open(&copy.0)?,
            _copy: Some(copy),
        })
    }
}

/// The disks of a run: as its checkpoint describes them, or as they lie in its directory.
fn chains(record: &RunRecord) -> Result<Vec<Chain>, Trouble> {
    let evidence = show::evidence_of(record);
    if let Ok(checkpoint) = crate::checkpoint::Checkpoint::open(&evidence.join(CHECKPOINT)) {
        let root = checkpoint.root().to_owned();
        let layer = |record: &crate::checkpoint::LayerRecord| Layer {
            path: root.join(&record.file.path),
            format: record.format,
        };
        let disks = checkpoint.record().disks.iter();
        return Ok(disks
            .map(|disk| Chain {
                name: disk.name.clone(),
                layers: disk.layers.iter().map(layer).collect(),
            })
            .collect());
    }
    let directory = evidence.join("disks");
    let entries = std::fs::read_dir(&directory).map_err(|error| {
        usage(
            format!("the run keeps no disks in `{}`: {error}", directory.display()),
            "a run keeps them when it fails; a bundle of it is opened with `bootgate reopen BUNDLE disk ls`",
        )
    })?;
    let mut chains: Vec<_> = entries.flatten().filter_map(|entry| chain_of(&entry.path())).collect();
    chains.sort_by(|one, other| one.name.cmp(&other.name));
    Ok(chains)
}

/// A disk that is one file. The overlay of a disk image is not: what lies below it is not in the directory.
fn chain_of(path: &Path) -> Option<Chain> {
    let name = path.file_stem()?.to_str()?.to_owned();
    let format = DiskFormat::ALL
        .into_iter()
        .find(|format| path.extension().is_some_and(|extension| extension == format.as_str()))?;
    (name != "image").then(|| Chain {
        name,
        layers: vec![Layer {
            path: path.to_owned(),
            format,
        }],
    })
}
