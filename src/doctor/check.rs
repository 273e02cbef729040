//! A finding.

use serde::Serialize;

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// As it should be.
    Pass,
    /// It works, or could not be looked at.
    Warning,
    /// It does not work, or will not.
    Failure,
}

/// One thing that was looked at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Check {
    /// What, for example `redis-version`.
    pub name: &'static str,
    /// How bad it is.
    pub verdict: Verdict,
    /// What was found.
    pub finding: String,
    /// The command that mends it, or what to do where no command can.
    pub remedy: Option<String>,
}

impl Check {
    pub(super) fn pass(name: &'static str, finding: impl Into<String>) -> Self {
        Self::new(name, Verdict::Pass, finding, None)
    }

    pub(super) fn warning(
        name: &'static str,
        finding: impl Into<String>,
        remedy: impl Into<String>,
    ) -> Self {
        Self::new(name, Verdict::Warning, finding, Some(remedy.into()))
    }

    pub(super) fn failure(
        name: &'static str,
        finding: impl Into<String>,
        remedy: impl Into<String>,
    ) -> Self {
        Self::new(name, Verdict::Failure, finding, Some(remedy.into()))
    }

    fn new(
        name: &'static str,
        verdict: Verdict,
        finding: impl Into<String>,
        remedy: Option<String>,
    ) -> Self {
        Self {
            name,
            verdict,
            finding: finding.into(),
            remedy,
        }
    }
}
