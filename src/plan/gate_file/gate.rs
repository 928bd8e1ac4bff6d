//! The whole gate file.

use std::path::Path;

use super::console::{self, CONSOLE};
use super::container::{Choice, ListOfTables, SubTable};
use super::context::Context;
use super::diagnostic::{GateFileErrors, Mistake};
use super::disk::{self, DISK};
use super::host::{self, HOST};
use super::image::{self, IMAGE};
use super::key::{Group, Key, Table};
use super::machine::{self, MACHINE};
use super::number::Factor;
use super::publish::{self, PUBLISH};
use super::reader::TableReader;
use super::ssh::{self, SSH};
use super::stage::{self, STAGE, Surroundings};
use super::syntax;
use super::triage::{self, TRIAGE};
use super::word::Name;
use crate::plan::{FailurePolicy, Plan};

static GATE: Key<Name> = Key::required(
    "gate",
    Name { max_bytes: 40 },
    "The gate's name; part of the name of each run's directory.",
);
static ON_FAILURE: Key<Choice<FailurePolicy>> = Key::optional(
    "on-failure",
    Choice {
        all: &FailurePolicy::ALL,
        name: FailurePolicy::as_str,
    },
    "What to do with the machine when the gate fails: keep it paused (`hold`), save it with its evidence in one file \
     (`bundle`), or keep the evidence only (`discard`). Default: `hold` on a terminal, else `bundle`.",
);
static TIMEOUT_SCALE: Key<Factor> = Key::optional(
    "timeout-scale",
    Factor { min: 0.1, max: 100.0 },
    "Factor on every deadline that waits for the guest. Default: by accelerator.",
);
static IMAGE_TABLE: Key<SubTable> = Key::required("image", SubTable(&IMAGE), "The image under test.");
static MACHINE_TABLE: Key<SubTable> = Key::optional("machine", SubTable(&MACHINE), "The machine that QEMU plays.");
static DISKS: Key<ListOfTables> = Key::optional("disk", ListOfTables(&DISK), "The disks created for the run.");
static CONSOLE_TABLE: Key<SubTable> =
    Key::optional("console", SubTable(&CONSOLE), "What to look for on the serial console.");
static SSH_TABLE: Key<SubTable> = Key::optional(
    "ssh",
    SubTable(&SSH),
    "How to log in. Without it, the image is not reached over SSH.",
);
static HOST_TABLE: Key<SubTable> = Key::optional("host", SubTable(&HOST), "What the gate asks of the host.");
static TRIAGE_TABLE: Key<SubTable> = Key::optional("triage", SubTable(&TRIAGE), "What failures look like.");
static PUBLISH_TABLE: Key<SubTable> = Key::optional("publish", SubTable(&PUBLISH), "What `bootgate decide` asks for.");
static STAGES: Key<ListOfTables> = Key::required("stage", ListOfTables(&STAGE), "The stages, in order.");

/// The gate file itself.
pub(super) static ROOT: Table = Table {
    title: "the gate file",
    doc: "A gate: one whole check of one image.",
    keys: &[
        &GATE,
        &ON_FAILURE,
        &TIMEOUT_SCALE,
        &IMAGE_TABLE,
        &MACHINE_TABLE,
        &HOST_TABLE,
        &DISKS,
        &CONSOLE_TABLE,
        &SSH_TABLE,
        &TRIAGE_TABLE,
        &PUBLISH_TABLE,
        &STAGES,
    ],
    group: Group::None,
};

/// Reads the text of a gate file. Looks at nothing but the text: relative paths are seen from the directory of
/// `file_name`, and whether a file exists is a question for the preflight.
///
/// # Errors
/// Every mistake in the text at once, except that a mistake in the TOML itself hides what comes after it.
pub fn parse(file_name: &Path, text: &str) -> Result<Plan, GateFileErrors> {
    let document = match syntax::read(text) {
        Ok(document) => document,
        Err(mistake) => return Err(GateFileErrors::new(file_name, text, vec![*mistake])),
    };
    let cx = Context::new(file_name, text, document.mistakes);
    let root = TableReader::of(document.root.get_ref(), 0..0, &ROOT, &cx);
    let plan = read(&root, file_name);
    let mistakes = cx.into_mistakes();
    match plan {
        Some(plan) if mistakes.is_empty() => Ok(plan),
        None if mistakes.is_empty() => unreachable!("a value that could not be read has left a mistake"),
        _ => Err(GateFileErrors::new(file_name, text, mistakes)),
    }
}

fn read(root: &TableReader<'_>, file_name: &Path) -> Option<Plan> {
    let gate = root.take(&GATE);
    let on_failure = root.take(&ON_FAILURE);
    let timeout_scale = root.take(&TIMEOUT_SCALE);
    let image = root.table(&IMAGE_TABLE).and_then(|table| image::read(&table));
    let machine = root.table(&MACHINE_TABLE).and_then(|table| machine::read(&table));
    let host = root.table(&HOST_TABLE).map(|table| host::read(&table));
    let disk_tables = root.tables(&DISKS);
    let disks = disk::read(&disk_tables);
    let console = root.table(&CONSOLE_TABLE);
    let markers_written = console.as_ref().is_none_or(console::has_markers);
    let console = console.and_then(|table| console::read(&table));
    let ssh_written = root.has(&SSH_TABLE);
    let ssh = if ssh_written { root.table(&SSH_TABLE) } else { None };
    let ssh = ssh.and_then(|table| ssh::read(&table));
    let surroundings = Surroundings {
        markers_written,
        ssh_written,
        login: ssh.as_ref().map(crate::plan::SshPlan::login),
        targets: disk::count_targets(&disk_tables),
    };
    let stages = read_stages(root, &surroundings);
    let require = root.table(&PUBLISH_TABLE).and_then(|table| publish::read(&table));
    if let Some(stages) = &stages {
        publish::check(root, &PUBLISH_TABLE, require.as_ref(), stages);
    }
    let rules = root.table(&TRIAGE_TABLE).and_then(|table| triage::read(&table));
    if ssh_written && ssh.is_none() {
        return None;
    }
    Some(Plan {
        gate: gate?,
        file: file_name.to_owned(),
        image: image?,
        machine: machine?,
        host: host?,
        disks: disks?,
        console: console?,
        ssh,
        stages: stages?,
        rules: rules?,
        require,
        on_failure,
        timeout_scale,
    })
}

fn read_stages(root: &TableReader<'_>, surroundings: &Surroundings) -> Option<Vec<crate::plan::StagePlan>> {
    let mut tables = root.tables(&STAGES);
    let written_empty = root.has(&STAGES) && tables.is_empty();
    if !root.has(&STAGES) || written_empty {
        let message = "the gate has no stage";
        root.report(Mistake::new(
            root.span(&STAGES),
            message,
            "add a `[[stage]]`: it says what to do with the image",
        ));
        return None;
    }
    stage::read(&mut tables, surroundings)
}
