//! What works with a tenancy and what does not, for the people who set it up.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::{Need, Observe, ProviderError, Quota};

/// Whether something works.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// It was tried, or is there.
    Works,
    /// It was tried and does not work, or is not there.
    Fails,
    /// It could not be told.
    Unknown,
}

impl Verdict {
    /// The word for tables.
    pub fn word(self) -> &'static str {
        match self {
            Self::Works => "works",
            Self::Fails => "fails",
            Self::Unknown => "unknown",
        }
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.word())
    }
}

/// One thing that was looked at. Never holds secrets.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// What was looked at: `login`, `quota`, `image of dune`.
    pub subject: String,
    /// Whether it works.
    pub verdict: Verdict,
    /// What was found, or what is wrong and what to do.
    pub detail: String,
}

impl Finding {
    /// It works.
    pub fn works(subject: impl Into<String>, detail: impl Into<String>) -> Self {
        Self { subject: subject.into(), verdict: Verdict::Works, detail: detail.into() }
    }

    /// It does not.
    pub fn fails(subject: impl Into<String>, detail: impl Into<String>) -> Self {
        Self { subject: subject.into(), verdict: Verdict::Fails, detail: detail.into() }
    }

    /// It could not be told.
    pub fn unknown(subject: impl Into<String>, detail: impl Into<String>) -> Self {
        Self { subject: subject.into(), verdict: Verdict::Unknown, detail: detail.into() }
    }
}

/// What any provider can tell by its other reading methods: login, quota, and the flavours that machinetypes
/// name. The default of [`Observe::inspect`].
pub async fn by_reading<P: Observe + ?Sized>(provider: &P, needs: &[Need]) -> Vec<Finding> {
    let mut findings = Vec::new();
    match provider.quota().await {
        Ok(quota) => {
            findings.push(Finding::works("login", "the cloud answers"));
            findings.push(Finding::works("quota", quota_words(&quota)));
        }
        Err(error) => {
            findings.push(Finding::fails("login", error.to_string()));
            findings.push(Finding::unknown("quota", "the cloud did not tell"));
        }
    }
    match provider.offerings().await {
        Ok(offerings) => {
            let flavours: Vec<&str> =
                offerings.iter().map(|offering| offering.id.flavour.as_str()).collect();
            findings.extend(needs.iter().map(|need| flavours_of(need, &flavours)));
        }
        Err(error) => findings.extend(needs.iter().map(|need| flavours_unknown(need, &error))),
    }
    findings
}

fn flavours_of(need: &Need, offered: &[&str]) -> Finding {
    let subject = format!("flavours of {}", need.machinetype);
    let missing: Vec<&str> =
        need.flavors.iter().map(String::as_str).filter(|name| !offered.contains(name)).collect();
    match (offered, need.flavors.as_slice(), missing.as_slice()) {
        ([], _, _) => Finding::fails(subject, "the cloud offers none"),
        (_, [], _) => Finding::works(subject, "any that fits"),
        (_, named, []) => Finding::works(subject, named.join(", ")),
        (_, named, missing) if missing.len() < named.len() => {
            Finding::works(subject, format!("some are not offered: {}", missing.join(", ")))
        }
        (_, _, missing) => Finding::fails(subject, format!("not offered: {}", missing.join(", "))),
    }
}

fn flavours_unknown(need: &Need, error: &ProviderError) -> Finding {
    Finding::unknown(format!("flavours of {}", need.machinetype), error.to_string())
}

/// Use and limits of a tenancy in one line.
pub fn quota_words(quota: &Quota) -> String {
    let Quota { machines, processors, memory, machines_used, processors_used, memory_used } = quota;
    let parts = [
        part("machines", *machines_used, *machines),
        part("processors", processors_used.map(|used| used.0), processors.map(|most| most.0)),
        part("MiB of memory", memory_used.map(|used| used.0), memory.map(|most| most.0)),
    ];
    let told: Vec<String> = parts.into_iter().flatten().collect();
    if told.is_empty() { "the cloud tells of no limits".to_owned() } else { told.join(", ") }
}

fn part<N: fmt::Display>(what: &str, used: Option<N>, most: Option<N>) -> Option<String> {
    match (used, most) {
        (Some(used), Some(most)) => Some(format!("{used} of {most} {what}")),
        (Some(used), None) => Some(format!("{used} {what}, no limit")),
        (None, Some(most)) => Some(format!("at most {most} {what}")),
        (None, None) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{MachinetypeName, Megabytes, Processors};

    fn need(flavors: &[&str]) -> Need {
        Need {
            machinetype: MachinetypeName::parse("dune").unwrap(),
            image: None,
            public_key: None,
            flavors: flavors.iter().map(|&name| name.to_owned()).collect(),
        }
    }

    #[test]
    fn a_flavour_that_is_not_offered_fails_only_if_no_other_is() {
        let offered = ["m1.small", "m1.large"];
        let verdict = |flavors: &[&str]| flavours_of(&need(flavors), &offered).verdict;
        assert_eq!(verdict(&[]), Verdict::Works);
        assert_eq!(verdict(&["m1.large"]), Verdict::Works);
        assert_eq!(verdict(&["m9.huge", "m1.large"]), Verdict::Works);
        assert_eq!(verdict(&["m9.huge"]), Verdict::Fails);
        assert_eq!(flavours_of(&need(&[]), &[]).verdict, Verdict::Fails);
    }

    #[test]
    fn a_quota_is_told_as_far_as_it_is_known() {
        let quota = Quota {
            processors: Some(Processors(16)),
            processors_used: Some(Processors(4)),
            memory: Some(Megabytes(4096)),
            machines_used: Some(2),
            ..Quota::default()
        };
        let words = "2 machines, no limit, 4 of 16 processors, at most 4096 MiB of memory";
        assert_eq!(quota_words(&quota), words);
        assert_eq!(quota_words(&Quota::default()), "the cloud tells of no limits");
    }
}
