//! `bootgate check`: reads a gate file and shows what it would do; starts no machine and creates nothing.

use std::fmt::Write as _;
use std::os::fd::RawFd;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;
use serde_json::json;
use uuid::Uuid;

use crate::driver::{self, HostParts, RunPlace, Sockets};
use crate::machine::{BootFrom, Verdict};
use crate::plan::{self, Plan, VmUse};
use crate::qemu::accelerator;
use crate::qemu::argv;

use super::gate;
use super::host::{self, Lack};
use super::{args, preflight, rules, say};

/// What stands for the run's directory and for its id.
const RUN: &str = "RUN";
/// What stands for the sockets that QEMU inherits: of QMP, of the serial console and of the firmware's console.
const SOCKETS: [RawFd; 3] = [3, 4, 5];

/// Read a gate file, print its plan and QEMU's command lines; start nothing.
///
/// Nothing is created either. The QEMU binary is asked what it can do (`--version`, `-help`), because its command line
/// depends on it; no machine is started. What this host lacks is a warning: the exit code is 0 if the gate file is
/// right, else 2.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  bootgate check gate.toml\n  bootgate check gate.toml --json | jq .machines")]
pub(super) struct Check {
    /// The gate file.
    #[arg(default_value = "gate.toml")]
    gate: PathBuf,
    /// The directory that would keep the run: looked at for its space.
    #[arg(long, value_name = "DIR", env = "BOOTGATE_RUNS", default_value = args::RUNS)]
    runs: PathBuf,
    /// Print the plan and the command lines, or the mistakes, as JSON.
    #[arg(long)]
    json: bool,
}

impl Check {
    pub(super) fn execute(self) -> ExitCode {
        let read = gate::read(&self.gate).and_then(|plan| Ok((rules::of_plan(&plan)?.1, plan)));
        let (problems, plan) = match read {
            Ok(read) => read,
            Err(error) => {
                gate::tell(&error, self.json);
                return ExitCode::from(Verdict::EXIT_USAGE);
            }
        };
        let (machines, mut lacks) = look(&plan);
        lacks.extend(preflight::lacks(&plan, &self.runs));
        lacks.extend(problems.into_iter().map(|problem| Lack {
            problem: format!("the rule `{}` {}", problem.rule, problem.problem),
            mend: problem.help,
        }));
        if self.json {
            return say::answer(format_args!("{:#}\n", to_json(&plan, &machines, &lacks)));
        }
        let said = say::answer(describe(&plan, &machines));
        for lack in &lacks {
            say::tell(format_args!("warning: {}\n  help: {}", lack.problem, lack.mend));
        }
        said
    }
}

/// A machine that the gate would start.
struct Machine {
    stage: usize,
    boot: BootFrom,
    /// The command line, the binary first.
    argv: Vec<String>,
}

/// The machines, as far as this host has what they need, and what it lacks.
fn look(plan: &Plan) -> (Vec<Machine>, Vec<Lack>) {
    let mut lacks: Vec<Lack> = match driver::resolve(plan, None) {
        Ok(_) => Vec::new(),
        Err(missing) => missing.into_iter().map(Lack::from).collect(),
    };
    let machines = host::find(&plan.machine).and_then(|parts| {
        driver::machines(plan)
            .map(|(stage, boot)| machine(plan, stage, boot, &parts))
            .collect::<Result<Vec<_>, Lack>>()
    });
    let machines = machines.unwrap_or_else(|lack| {
        lacks.push(lack);
        Vec::new()
    });
    (machines, lacks)
}

fn machine(plan: &Plan, stage: usize, boot: BootFrom, parts: &HostParts) -> Result<Machine, Lack> {
    let place = RunPlace {
        directory: Path::new(RUN),
        id: RUN,
        uuid: Uuid::nil(),
    };
    let [qmp, serial, firmware] = SOCKETS;
    let firmware = driver::has_firmware_console(plan).then_some(firmware);
    let sockets = Sockets { qmp, serial, firmware };
    let spec = driver::machine_spec(plan, (stage, boot), parts, &place, sockets);
    let arguments = argv::build(&spec).map_err(|error| Lack {
        problem: format!(
            "QEMU has no command line for stage `{}`: {error}",
            plan.stages[stage].name
        ),
        mend: format!("change {}", plan.file.display()),
    })?;
    let mut argv = vec![parts.qemu.binary.display().to_string()];
    argv.extend(arguments);
    Ok(Machine { stage, boot, argv })
}

/// The stages that a machine serves: the one that it is started for, and those that keep it.
fn stages<'a>(plan: &'a Plan, machine: &Machine) -> Vec<&'a str> {
    let later = plan.stages[machine.stage + 1..].iter();
    let kept = later.take_while(|stage| stage.vm == VmUse::Same);
    let all = std::iter::once(&plan.stages[machine.stage]).chain(kept);
    all.map(|stage| stage.name.as_str()).collect()
}

fn boots(machine: &Machine) -> &'static str {
    match machine.boot {
        BootFrom::Image => "the image",
        BootFrom::TargetDisk => "the target disk",
        BootFrom::Checkpoint => "nothing: it goes on",
    }
}

/// What in the command lines is not as it will be, as one line.
fn caveat(plan: &Plan) -> String {
    let machine = &plan.machine;
    let accelerator = accelerator::expected(machine.accelerator, machine.cpu_model.as_deref());
    let why = accelerator.why;
    format!("{RUN}: the run's id and directory; fd=…: sockets that QEMU inherits; -uuid: the run's own; {why}")
}

fn describe(plan: &Plan, machines: &[Machine]) -> String {
    let mut page = plan::describe(plan);
    for (index, machine) in machines.iter().enumerate() {
        let number = index + 1;
        let stages = stages(plan, machine).join(", ");
        let command = argv::shell_quoted(&machine.argv);
        let _ = writeln!(
            page,
            "\n# machine {number}, for {stages}; boots {}\n{command}",
            boots(machine)
        );
    }
    if !machines.is_empty() {
        let _ = writeln!(page, "\n# {}", caveat(plan));
    }
    page
}

fn to_json(plan: &Plan, machines: &[Machine], lacks: &[Lack]) -> serde_json::Value {
    let machine = |machine: &Machine| {
        json!({
            "stage": plan.stages[machine.stage].name,
            "stages": stages(plan, machine),
            "boots": boots(machine),
            "argv": machine.argv,
        })
    };
    json!({
        "plan": plan::to_json(plan),
        "machines": machines.iter().map(machine).collect::<Vec<_>>(),
        "placeholders": caveat(plan),
        "warnings": lacks.iter().map(|lack| json!({"problem": lack.problem, "mend": lack.mend})).collect::<Vec<_>>(),
    })
}
