//! The log of a CI job: its stages as groups that fold.

use super::github;
use crate::machine::Record;
use crate::plan::Plan;

/// Whose log it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ci {
    /// GitHub Actions.
    Github,
    /// GitLab CI.
    Gitlab,
    /// Anybody's: lines and nothing else.
    Plain,
}

/// The groups of a log, one a stage.
#[derive(Debug)]
pub struct Groups {
    ci: Ci,
    open: Option<String>,
}

impl Groups {
    /// No group is open.
    pub fn new(ci: Ci) -> Self {
        Self { ci, open: None }
    }

    /// What to print in front of a record's own line. `unix_s`: the time of day, which GitLab shows as a duration.
    pub fn before(&mut self, plan: &Plan, record: &Record, unix_s: i64) -> Option<String> {
        let Record::StageBegan { stage } = record else {
            return None;
        };
        let name = plan.stages[*stage].name.clone();
        let title = format!("stage {name}");
        let ended = self.end(unix_s).map(|line| line + "\n").unwrap_or_default();
        let begun = match self.ci {
            Ci::Github => github::group(&title),
            // Told, `section_start:…` up to the escape sequence is taken off the line (GitLab, "Custom collapsible sections").
            Ci::Gitlab => format!("section_start:{unix_s}:{name}[collapsed=true]\r\x1b[0K{title}"),
            Ci::Plain => return None,
        };
        self.open = Some(name);
        Some(ended + &begun)
    }

    /// What to print behind a record's own line. Who is told of the verdict wants to see it.
    pub fn after(&mut self, record: &Record, unix_s: i64) -> Option<String> {
        matches!(record, Record::StageEnded { .. } | Record::Decided(_))
            .then(|| self.end(unix_s))
            .flatten()
    }

    fn end(&mut self, unix_s: i64) -> Option<String> {
        let name = self.open.take()?;
        match self.ci {
            Ci::Github => Some(github::END_GROUP.to_owned()),
            Ci::Gitlab => Some(format!("section_end:{unix_s}:{name}\r\x1b[0K")),
            Ci::Plain => None,
        }
    }
}
