//! Which part of a gate a run is: all of it, or one stage that goes on where another run has left off.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::plan::{Evidence, Plan, VmUse};

/// Which part of a gate a run is.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Part {
    /// All stages.
    #[default]
    Whole,
    /// One stage.
    Stage(Box<Step>),
}

/// One stage of a gate as a run of its own.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Step {
    /// Which stage.
    pub stage: usize,
    /// What the run of the stage before it has left. `None`: it is the first stage.
    pub left: Option<Left>,
}

/// What is known of a guest that a run has left for the next one.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Left {
    /// The run that has left it.
    pub run: String,
    /// The level of evidence that its stage has reached.
    pub reached: Option<Evidence>,
    /// True if a marker was seen.
    pub marker_seen: bool,
    /// True if logins were stable.
    pub ssh_stable: bool,
    /// The boot that the guest was in.
    pub boot_id: Option<Uuid>,
    /// Algorithm and fingerprint of the live system's host key.
    pub host_key: Option<(String, String)>,
}

/// What the stage after this run's goes on with, where that is a run of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Handed {
    /// The machine itself, saved while it ran.
    Machine,
    /// The disks and the firmware's variables of the machine, which was powered down.
    Disks,
}

impl Handed {
    /// What the stages of this plan hand on behind this one. `None`: it is the last.
    pub fn behind(plan: &Plan, stage: usize) -> Option<Self> {
        plan.stages.get(stage + 1).map(|next| match next.vm {
            VmUse::Same => Self::Machine,
            VmUse::Fresh => Self::Disks,
        })
    }

    /// The name in results.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Machine => "machine",
            Self::Disks => "disks",
        }
    }
}

impl Part {
    /// The stages of the plan that belong to it.
    pub fn stages(&self, plan: &Plan) -> std::ops::Range<usize> {
        match self {
            Self::Whole => 0..plan.stages.len(),
            Self::Stage(step) => step.stage..step.stage + 1,
        }
    }

    /// The stage that runs by itself.
    pub fn only_stage(&self) -> Option<usize> {
        match self {
            Self::Whole => None,
            Self::Stage(step) => Some(step.stage),
        }
    }

    /// What it goes on with.
    pub fn left(&self) -> Option<&Left> {
        match self {
            Self::Whole => None,
            Self::Stage(step) => step.left.as_ref(),
        }
    }

    /// What is left for the next run when this stage has passed.
    pub fn hands_on(&self, plan: &Plan, stage: usize) -> Option<Handed> {
        let ends_here = self.only_stage() == Some(stage);
        Handed::behind(plan, stage).filter(|_| ends_here)
    }
}
