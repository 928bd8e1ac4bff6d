//! What to do, parsed once: a [`Plan`] is a gate file that was read, checked and given its defaults.
//!
//! The types here hold no text that still needs parsing and no file that still needs checking for form;
//! whether a file exists is a question for the preflight, which may look at the disk.

mod access;
mod describe;
mod gate_file;
mod host;
mod image;
mod json;
mod login;
mod rule;
mod secret;
mod settings;
mod stage;

pub use access::{CredentialsPlan, OpenBy, SerialLogin};
pub use describe::describe;
pub use gate_file::{
    Diagnostic, GateFileErrors, KeyStep, Place, Related, nearest, parse, parse_rules, place_of, schema, without_secrets,
};
pub use host::HostPlan;
pub use image::{Attachment, DiskCache, DiskFormat, DiskPlan, ImagePlan, ImageSource};
pub use json::to_json;
pub use login::LoginPlan;
pub use rule::{Fixture, Look, LookNumber, Rule, RuleClass, Source, Step, Until, Without};
pub use secret::{Secret, SecretSource};
pub use settings::{
    Accelerator, Arch, ConsolePlan, FailurePolicy, Firmware, MachinePlan, MarkerPlan, Network, Plan, SshPlan,
};
pub use stage::{
    Condition, DiskUse, Evidence, Pattern, Prompt, PromptChannel, SCREEN_LOOK_EVERY, StageKind, StagePlan, Upload,
    VmUse,
};
