//! What becomes of a machine that fails: who decides, and for how long it is kept.

use std::io::{IsTerminal as _, stderr, stdin};
use std::time::Duration;

use clap::{Args, ValueEnum};

use crate::plan::FailurePolicy;
use crate::units::parse_span;

/// How long a failed machine is kept on a terminal unless somebody says otherwise.
const HOLD_DEFAULT: Duration = Duration::from_secs(30 * 60);

/// What to do when the gate fails.
#[derive(Debug, Args)]
pub(super) struct FailureArgs {
    /// What becomes of the machine when the gate fails: `hold` keeps it paused for a person, `bundle` makes one file of it
    /// that can be opened again elsewhere, `discard` keeps the evidence only. [default: the gate file's, else hold on a
    /// terminal and bundle otherwise]
    #[arg(long, value_enum, value_name = "POLICY")]
    on_failure: Option<Policy>,
    /// Keep a failed machine paused for this long, in the background: the terminal may be closed. Refused under CI=true.
    #[arg(long, value_name = "DURATION", value_parser = |text: &str| parse_span(text).map_err(|error| error.to_string()))]
    hold: Option<Duration>,
    /// This is the process in the background.
    #[arg(long, hide = true)]
    background: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Policy {
    Hold,
    Bundle,
    Discard,
}

impl From<Policy> for FailurePolicy {
    fn from(policy: Policy) -> Self {
        match policy {
            Policy::Hold => Self::Hold,
            Policy::Bundle => Self::Bundle,
            Policy::Discard => Self::Discard,
        }
    }
}

/// Where bootgate runs, as far as the decision depends on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Surroundings {
    /// A person watches.
    pub(super) terminal: bool,
    /// A CI runner does (`CI` is set and not `false`).
    pub(super) ci: bool,
}

impl Surroundings {
    /// Where this process runs. A result for a program is for no person.
    pub(super) fn look(json: bool) -> Self {
        let ci = std::env::var("CI").unwrap_or_default();
        Self {
            terminal: !json && stdin().is_terminal() && stderr().is_terminal(),
            ci: !matches!(ci.to_ascii_lowercase().as_str(), "" | "0" | "false" | "no"),
        }
    }
}

/// What was decided.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Decided {
    pub(super) policy: FailurePolicy,
    pub(super) hold: Duration,
    /// The hold outlives the terminal.
    pub(super) background: bool,
    /// Why it is not what the gate file asks for.
    pub(super) note: Option<&'static str>,
}

/// Why a hold is refused.
pub(super) const HOLD_IN_CI: &str = "error: a machine can't be held under CI=true: nobody could attach to it, and it would \
    outlive its job\n  help: use `--on-failure bundle`: its file can be downloaded and opened with `bootgate reopen`";

impl FailureArgs {
    /// The defaults of a command that has no such arguments.
    pub(super) const NONE: Self = Self {
        on_failure: None,
        hold: None,
        background: false,
    };

    /// True if this process is the one in the background.
    pub(super) fn is_background(&self) -> bool {
        self.background
    }

    /// The decision; `None`: a hold is asked for where there can be none.
    pub(super) fn decide(&self, gate: Option<FailurePolicy>, place: Surroundings) -> Option<Decided> {
        let asked = self.on_failure.map(FailurePolicy::from);
        let asks_hold = self.hold.is_some() || asked == Some(FailurePolicy::Hold);
        if place.ci && asks_hold {
            return None;
        }
        let (policy, note) = match (asked, gate) {
            _ if self.hold.is_some() => (FailurePolicy::Hold, None),
            (Some(asked), _) => (asked, None),
            (None, Some(FailurePolicy::Hold)) if place.ci => (
                FailurePolicy::Bundle,
                Some("the gate file asks for a hold; under CI=true a failed machine becomes a bundle"),
            ),
            (None, Some(gate)) => (gate, None),
            (None, None) if place.terminal && !place.ci => (FailurePolicy::Hold, None),
            (None, None) => (FailurePolicy::Bundle, None),
        };
        Some(Decided {
            policy,
            hold: self.hold.unwrap_or(HOLD_DEFAULT),
            background: self.hold.is_some(),
            note,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PERSON: Surroundings = Surroundings {
        terminal: true,
        ci: false,
    };
    const SCRIPT: Surroundings = Surroundings {
        terminal: false,
        ci: false,
    };
    const CI: Surroundings = Surroundings {
        terminal: true,
        ci: true,
    };

    fn args(on_failure: Option<Policy>, hold: Option<u64>) -> FailureArgs {
        FailureArgs {
            on_failure,
            hold: hold.map(Duration::from_secs),
            background: false,
        }
    }

    #[test]
    fn a_person_gets_a_hold_and_everybody_else_a_bundle() {
        let none = args(None, None);
        let policy = |gate, place| none.decide(gate, place).unwrap().policy;
        assert_eq!(policy(None, PERSON), FailurePolicy::Hold);
        assert_eq!(policy(None, SCRIPT), FailurePolicy::Bundle);
        assert_eq!(policy(None, CI), FailurePolicy::Bundle);
        assert_eq!(policy(Some(FailurePolicy::Discard), PERSON), FailurePolicy::Discard);
        assert_eq!(policy(Some(FailurePolicy::Hold), CI), FailurePolicy::Bundle);
        assert!(none.decide(Some(FailurePolicy::Hold), CI).unwrap().note.is_some());
    }

    #[test]
    fn the_command_line_overrules_the_gate_file_but_not_ci() {
        let discard = args(Some(Policy::Discard), None);
        let decided = discard.decide(Some(FailurePolicy::Hold), PERSON).unwrap();
        assert_eq!(decided.policy, FailurePolicy::Discard);
        let long = args(None, Some(7200)).decide(None, SCRIPT).unwrap();
        assert_eq!(
            (long.policy, long.hold.as_secs(), long.background),
            (FailurePolicy::Hold, 7200, true)
        );
        assert_eq!(args(None, Some(7200)).decide(None, CI), None);
        assert_eq!(args(Some(Policy::Hold), None).decide(None, CI), None);
        let short = args(Some(Policy::Hold), None).decide(None, PERSON).unwrap();
        assert_eq!((short.hold, short.background), (HOLD_DEFAULT, false));
    }
}
