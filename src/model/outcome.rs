//! How machines end, and what their last words mean (HSF-TN-2016-04 section 4; FIELD.md 1.5).

use std::fmt;
use std::ops::RangeInclusive;

use serde::{Deserialize, Serialize};

use super::{DeleteReason, MachinetypeName, OfferingId, Timestamp};

/// The first line of a machine's `shutdown_message`: a code from 100 to 999, a blank, a text.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ShutdownMessage {
    /// The code; only it has an effect.
    pub code: u16,
    /// The text, for people: one line, at most 200 characters, printable.
    pub text: String,
}

impl ShutdownMessage {
    /// Reads the content of the file. `None` when it does not begin with a code from 100 to 999
    /// followed by a blank or the end. Never fails on strange bytes: a machine wrote them.
    pub fn parse(content: &str) -> Option<Self> {
        let line = content.lines().next()?.trim_end();
        let code: u16 = line.get(..3)?.parse().ok().filter(|code| (100..=999).contains(code))?;
        let rest = &line[3..];
        if !(rest.is_empty() || rest.starts_with(' ')) {
            return None;
        }
        let text = rest.trim().chars().filter(|c| !c.is_control()).take(200).collect();
        Some(Self { code, text })
    }

    /// The code with which a machine says that its provider takes it back. Codes may be extended by numbers between
    /// those of the technical note, and whoever does not know this one reads it as 100.
    pub const PREEMPTED: u16 = 110;

    /// Whether it ended because it was told to.
    pub fn is_by_request(&self) -> bool {
        (100..=199).contains(&self.code)
    }

    /// Whether it says that its provider takes it back.
    pub fn tells_of_preemption(&self) -> bool {
        self.code == Self::PREEMPTED
    }
}

impl fmt::Display for ShutdownMessage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.code, self.text)
    }
}

/// What an end does to its machinetype.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Effect {
    /// Starts the backoff clock.
    Abort,
    /// Does not.
    Normal,
}

/// The one table from shutdown codes to effects; entries may put rules before the default ones.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OutcomeRules(Vec<(RangeInclusive<u16>, Effect)>);

impl OutcomeRules {
    /// Codes that abort by default. 100s and 200s are good ends; 700s are transient, and the
    /// manager itself writes 700 for its own kills, so they do not back off.
    const ABORTS: RangeInclusive<u16> = 300..=699;

    /// Rules of an entry, first match wins, then the default table.
    pub fn with_overrides(rules: Vec<(RangeInclusive<u16>, Effect)>) -> Self {
        Self(rules)
    }

    /// What a code does.
    pub fn effect(&self, code: u16) -> Effect {
        let Self(rules) = self;
        match rules.iter().find(|(codes, _)| codes.contains(&code)) {
            Some((_, effect)) => *effect,
            None if Self::ABORTS.contains(&code) => Effect::Abort,
            None => Effect::Normal,
        }
    }
}

impl Default for OutcomeRules {
    fn default() -> Self {
        Self::with_overrides(Vec::new())
    }
}

/// How a machine, or the attempt to make one, ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "how")]
pub enum EndKind {
    /// Said its last words itself.
    Message {
        /// Them.
        message: ShutdownMessage,
    },
    /// Ended without a word sooner than `fizzle` after its start.
    Fizzled,
    /// Ended without a word, but had lived long enough.
    Silent,
    /// Never got to running within `start_timeout`, or the cloud could not make it.
    NeverStarted,
    /// The cloud lost it while it ran.
    CloudFault,
    /// The provider took it back: nobody's fault.
    Preempted,
    /// We ended it.
    Killed {
        /// Why.
        reason: DeleteReason,
    },
    /// The create call was refused and made nothing; at once, or after it had been accepted.
    Rejected {
        /// [`super::ErrorKind::word`] of the refusal.
        kind: String,
    },
    /// The intent became nothing (lost before it reached the cloud).
    NeverMade,
}

/// The end of one machine: what the planner remembers of the past.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ended {
    /// Its machinetype.
    pub machinetype: MachinetypeName,
    /// What it was made of.
    pub offering: OfferingId,
    /// When it had started, if it ever did.
    #[serde(default)]
    pub started: Option<Timestamp>,
    /// When it ended.
    pub at: Timestamp,
    /// How.
    pub kind: EndKind,
}

impl EndKind {
    /// What this end does to the machinetype, by the entry's rules.
    pub fn effect(&self, rules: &OutcomeRules) -> Effect {
        match self {
            Self::Message { message } => rules.effect(message.code),
            Self::Fizzled => Effect::Abort,
            // The ancestor's "700 Failed to start" did not back off: an empty queue is no reason why a
            // machine does not boot. The breaker counts it (docs/decisions/0007).
            Self::NeverStarted
            | Self::Silent
            | Self::CloudFault
            | Self::Preempted
            | Self::Killed { reason: _ }
            | Self::Rejected { kind: _ }
            | Self::NeverMade => Effect::Normal,
        }
    }
}

impl fmt::Display for EndKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Message { message } => message.fmt(f),
            Self::Fizzled => f.write_str("fizzled: ended soon after its start without a message"),
            Self::Silent => f.write_str("ended without a message"),
            Self::NeverStarted => f.write_str("never started"),
            Self::CloudFault => f.write_str("lost by the cloud"),
            Self::Preempted => f.write_str("preempted by the provider"),
            Self::Killed { reason } => write!(f, "deleted: {reason}"),
            Self::Rejected { kind } => write!(f, "create refused: {kind}"),
            Self::NeverMade => f.write_str("create never reached the cloud"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_have_the_effects_of_the_technical_note() {
        let rules = OutcomeRules::default();
        for (code, effect) in [
            (100, Effect::Normal),
            (200, Effect::Normal),
            (299, Effect::Normal),
            (300, Effect::Abort),
            (500, Effect::Abort),
            (699, Effect::Abort),
            (700, Effect::Normal),
            (999, Effect::Normal),
        ] {
            assert_eq!(rules.effect(code), effect, "{code}");
        }
        let own = OutcomeRules::with_overrides(vec![(300..=300, Effect::Normal)]);
        assert_eq!(own.effect(300), Effect::Normal);
        assert_eq!(own.effect(301), Effect::Abort);
    }

    #[test]
    fn only_last_words_and_fizzles_can_abort() {
        let rules = OutcomeRules::default();
        let message = ShutdownMessage { code: 300, text: String::new() };
        for kind in [EndKind::Fizzled, EndKind::Message { message }] {
            assert_eq!(kind.effect(&rules), Effect::Abort, "{kind}");
        }
        for kind in [
            EndKind::NeverStarted,
            EndKind::Silent,
            EndKind::CloudFault,
            EndKind::Preempted,
            EndKind::Killed { reason: DeleteReason::Heartbeat },
            EndKind::Rejected { kind: "invalid-spec".into() },
            EndKind::NeverMade,
        ] {
            assert_eq!(kind.effect(&rules), Effect::Normal, "{kind}");
        }
    }

    #[test]
    fn an_end_that_was_written_without_its_start_can_be_read() {
        let old = serde_json::json!({
            "machinetype": "dune",
            "offering": { "flavour": "m1", "zone": "", "market": "on-demand" },
            "at": Timestamp::from_secs(5),
            "kind": { "how": "silent" },
        });
        let end: Ended = serde_json::from_value(old).unwrap();
        assert_eq!((end.started, end.kind), (None, EndKind::Silent));
    }

    #[test]
    fn shutdown_messages_are_read_with_care() {
        let read = |text| ShutdownMessage::parse(text).map(|m| m.to_string());
        assert_eq!(read("300 Nothing to do"), Some("300 Nothing to do".into()));
        assert_eq!(read("200 Success\nmore"), Some("200 Success".into()));
        assert_eq!(read("200 a\u{7}b"), Some("200 ab".into()));
        for bad in ["", "20", "099 low", "1000 high", "abc", "200Success", "é00 x", "\n200 late"] {
            assert_eq!(read(bad), None, "{bad:?}");
        }
    }
}
