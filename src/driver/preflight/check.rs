//! One thing that was looked at.

use crate::machine::Class;

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Level {
    /// Nothing is to be done.
    Ok,
    /// The run begins, and may not come to its end.
    Warn,
    /// Nothing is started.
    Refuse {
        /// Who is at fault: [`Class::Infrastructure`] for the host; else what was asked for makes no sense, as a gate file
        /// that is wrong.
        class: Option<Class>,
    },
}

/// What was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Check {
    /// What was looked at, as one word for a program.
    pub id: &'static str,
    /// How bad it is.
    pub level: Level,
    /// What was found, as a sentence without an end.
    pub found: String,
    /// What to do about it.
    pub mend: Option<String>,
}

impl Check {
    /// Nothing is to be done.
    pub fn ok(id: &'static str, found: impl Into<String>) -> Self {
        Self {
            id,
            level: Level::Ok,
            found: found.into(),
            mend: None,
        }
    }

    /// The run begins, and may not come to its end.
    pub fn warn(id: &'static str, found: impl Into<String>, mend: impl Into<String>) -> Self {
        Self {
            level: Level::Warn,
            mend: Some(mend.into()),
            ..Self::ok(id, found)
        }
    }

    /// The host can't do it.
    pub fn host(id: &'static str, found: impl Into<String>, mend: impl Into<String>) -> Self {
        let class = Some(Class::Infrastructure);
        Self {
            level: Level::Refuse { class },
            ..Self::warn(id, found, mend)
        }
    }

    /// What was asked for is wrong.
    pub fn usage(id: &'static str, found: impl Into<String>, mend: impl Into<String>) -> Self {
        Self {
            level: Level::Refuse { class: None },
            ..Self::warn(id, found, mend)
        }
    }

    /// True if nothing may be started.
    pub fn refuses(&self) -> bool {
        matches!(self.level, Level::Refuse { .. })
    }

    /// The exit code of a run that is refused for it: 4 for the host, else 2.
    pub fn exit_code(&self) -> u8 {
        match self.level {
            Level::Refuse { class: Some(_) } => 4,
            _ => crate::machine::Verdict::EXIT_USAGE,
        }
    }
}
