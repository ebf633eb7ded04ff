//! What came out of a run of the suite, for people and for the test that ran it.

use std::fmt;

use super::{Case, Halt, Outcome};

/// How a case ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// The provider keeps this rule.
    Passed,
    /// Could not be tried.
    Skipped {
        /// Why.
        why: String,
    },
    /// The provider breaks this rule.
    Failed {
        /// What was seen.
        why: String,
    },
}

/// One case and how it ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CaseReport {
    /// Name of the case.
    pub case: &'static str,
    /// How it ended.
    pub verdict: Verdict,
}

/// All cases of a run.
#[derive(Debug, Clone)]
pub struct Report {
    /// [`super::Subject::name`].
    pub subject: String,
    /// In the order in which they ran.
    pub cases: Vec<CaseReport>,
}

impl Report {
    pub(super) fn new(subject: String) -> Self {
        Self { subject, cases: Vec::new() }
    }

    pub(super) fn add(&mut self, case: &Case, outcome: Outcome) {
        let verdict = match outcome {
            Ok(()) => Verdict::Passed,
            Err(Halt::Skipped(why)) => Verdict::Skipped { why },
            Err(Halt::Failed(why)) => Verdict::Failed { why },
        };
        self.cases.push(CaseReport { case: case.name, verdict });
    }

    /// The cases that could not be tried, with the reasons.
    pub fn skipped(&self) -> impl Iterator<Item = (&'static str, &str)> {
        self.cases.iter().filter_map(|report| match &report.verdict {
            Verdict::Skipped { why } => Some((report.case, why.as_str())),
            Verdict::Passed | Verdict::Failed { why: _ } => None,
        })
    }

    /// The rules that were broken.
    pub fn failures(&self) -> impl Iterator<Item = (&'static str, &str)> {
        self.cases.iter().filter_map(|report| match &report.verdict {
            Verdict::Failed { why } => Some((report.case, why.as_str())),
            Verdict::Passed | Verdict::Skipped { why: _ } => None,
        })
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let failed = self.failures().count();
        let skipped = self.skipped().count();
        let passed = self.cases.len() - failed - skipped;
        writeln!(
            f,
            "conformance of {}: {passed} passed, {failed} failed, {skipped} skipped",
            self.subject
        )?;
        for CaseReport { case, verdict } in &self.cases {
            match verdict {
                Verdict::Passed => writeln!(f, "  passed   {case}")?,
                Verdict::Skipped { why } => writeln!(f, "  skipped: {why}  {case}")?,
                Verdict::Failed { why } => writeln!(f, "  FAILED   {case}: {why}")?,
            }
        }
        Ok(())
    }
}
