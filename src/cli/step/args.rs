//! Which stage, from where, and where to.

use std::path::PathBuf;

use clap::Args;

use crate::plan::{OpenBy, Plan, SshPlan, VmUse};

use super::begin::Refused;

/// One stage as a run of its own.
#[derive(Debug, Args)]
pub(in crate::cli) struct StepArgs {
    /// Run only this stage; it goes on where the run of the stage before it has left off.
    #[arg(long, value_name = "NAME")]
    stage: Option<String>,
    /// What the stage goes on with: a run, the directory of one or of several, or a bundle. [default: the newest run of the
    /// stage before it in --runs]
    #[arg(long, value_name = "RUN|BUNDLE|DIR", requires = "stage")]
    from: Option<String>,
    /// The bundle that the next stage goes on with, here or on another machine; it must not be there yet. There is one
    /// however the stage ends. [default: beside the run's directory, when the stage has passed and is not the last]
    #[arg(long, short, value_name = "FILE", requires = "stage")]
    output: Option<PathBuf>,
    /// Make no bundle when the stage has passed: the next one runs on this machine.
    #[arg(long, requires = "stage", conflicts_with = "output")]
    no_bundle: bool,
}

/// A stage that is to run by itself.
#[derive(Debug)]
pub(in crate::cli) struct Wanted {
    /// Its place in the gate.
    pub(in crate::cli) index: usize,
    pub(super) from: Option<String>,
    pub(super) output: Option<PathBuf>,
    pub(super) no_bundle: bool,
}

impl StepArgs {
    /// The stage that is asked for; `None`: all of them.
    pub(in crate::cli) fn wanted(self, plan: &Plan) -> Result<Option<Wanted>, Refused> {
        let Some(name) = self.stage else { return Ok(None) };
        let Some(index) = plan.stages.iter().position(|stage| stage.name == name) else {
            let names: Vec<_> = plan.stages.iter().map(|stage| format!("`{}`", stage.name)).collect();
            return Err(Refused::usage(
                format!("the gate has no stage `{name}`"),
                format!("its stages are {}", names.join(", ")),
            ));
        };
        if index == 0 && self.from.is_some() {
            return Err(Refused::usage(
                format!("`{name}` is the first stage of the gate: it goes on with nothing"),
                "leave --from out",
            ));
        }
        let by_credentials = |ssh: &SshPlan| matches!(ssh.open_by, Some(OpenBy::Credentials(_)));
        if index > 0 && plan.stages[index].vm == VmUse::Same && plan.ssh.as_ref().is_some_and(by_credentials) {
            return Err(Refused::usage(
                format!("`{name}` goes on in a machine that knows only the key of the run that started it"),
                "give the stage `vm = \"fresh\"`, open the image by a serial login, or run the gate as a whole",
            ));
        }
        if let Some(output) = self.output.as_ref().filter(|output| output.symlink_metadata().is_ok()) {
            return Err(Refused::usage(
                format!("the bundle `{}` is there already", output.display()),
                "remove it, or name another by --output",
            ));
        }
        Ok(Some(Wanted {
            index,
            from: self.from,
            output: self.output,
            no_bundle: self.no_bundle,
        }))
    }
}
