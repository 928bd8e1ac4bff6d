//! Why an image is published or not.

use std::fmt;

/// What a reason means for the decision, the weakest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Answer {
    /// Nothing is against it.
    Publish,
    /// Something fails that is tracked, and the image may be published all the same.
    KnownPublishable,
    /// A run has no answer for a reason that may be gone when it is repeated.
    Retry,
    /// No run has an answer, and repeating them brings none.
    Untested,
    /// A tracked failure of an image that must not be published.
    Known,
    /// The image is at fault.
    Failed,
    /// The runs are not of one gate and one image.
    Mismatch,
}

impl Answer {
    /// True if the image may be published.
    pub fn publishes(self) -> bool {
        matches!(self, Self::Publish | Self::KnownPublishable)
    }

    /// The exit code: as a run's, so that a known failure stays red.
    pub fn exit_code(self) -> u8 {
        match self {
            Self::Publish => 0,
            Self::Failed => 1,
            Self::Mismatch => 2,
            Self::KnownPublishable | Self::Known => 3,
            Self::Retry => 4,
            Self::Untested => 5,
        }
    }

    /// What it means, as a sentence.
    pub fn meaning(self) -> &'static str {
        match self {
            Self::Publish => "Every required stage has passed.",
            Self::KnownPublishable => "What fails is tracked, and the image may be published in spite of it.",
            Self::Retry => "There is no answer yet: repeat what is missing.",
            Self::Untested => "There is no answer: not every required stage was tested.",
            Self::Known => "The image fails in a way that is tracked, and must not be published.",
            Self::Failed => "The image is at fault.",
            Self::Mismatch => "The runs do not belong together.",
        }
    }
}

/// One reason.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Reason {
    /// What it means.
    pub answer: Answer,
    /// The stage that it is about.
    pub stage: Option<String>,
    /// The run that it comes from.
    pub run: Option<String>,
    /// It, as a sentence without an end.
    pub text: String,
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(stage) = &self.stage {
            write!(f, "stage `{stage}`: ")?;
        }
        f.write_str(&self.text)?;
        match &self.run {
            Some(run) => write!(f, " (run {run})"),
            None => Ok(()),
        }
    }
}
