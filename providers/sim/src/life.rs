//! What goes on inside a simulated machine: how long it works, and what it writes.

use std::time::Duration;

use vcycle_api::{LateRefusal, Timestamp};

use crate::Span;

/// What a machine does once it has power.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Script {
    /// How long it works; it never passes the deadline in its tags.
    pub life: Span,
    /// What it writes as its `shutdown_message` when it has finished; `None`: it ends silently.
    pub message: Option<String>,
    /// The heartbeats that it gives; `None`: none.
    pub heartbeats: Option<Heartbeats>,
}

/// Heartbeats: the first when it gets power, then at equal distances.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Heartbeats {
    /// Distance.
    pub every: Duration,
    /// It falls silent this long after it got power, but goes on running; `None`: never.
    pub silent_after: Option<Duration>,
}

impl Script {
    /// Works, beats every minute, and ends with `200 Success`.
    pub fn works_for(life: Span) -> Self {
        let heartbeats = Heartbeats { every: Duration::from_secs(60), silent_after: None };
        Self { life, message: Some("200 Success".to_owned()), heartbeats: Some(heartbeats) }
    }

    /// Finds nothing to do, and says so after a minute: the machinetype should back off.
    pub fn finds_no_work() -> Self {
        let life = Span::exactly(Duration::from_secs(60));
        Self { message: Some("300 Nothing to do".to_owned()), ..Self::works_for(life) }
    }

    /// Ends after a minute without a word: a fizzle.
    pub fn dies_silently() -> Self {
        let life = Span::exactly(Duration::from_secs(60));
        Self { life, message: None, heartbeats: None }
    }

    /// Works until it is ended from outside.
    pub fn never_ends() -> Self {
        Self::works_for(Span::exactly(Duration::from_secs(u64::from(u32::MAX))))
    }
}

impl Heartbeats {
    /// The last one until `now`, of a machine that had power from `started` to `ended`.
    pub(crate) fn last(
        self,
        started: Timestamp,
        ended: Option<Timestamp>,
        now: Timestamp,
    ) -> Timestamp {
        let mut until = ended.map_or(now, |ended| ended.min(now));
        if let Some(silent_after) = self.silent_after {
            until = until.min(started + silent_after);
        }
        let every = self.every.as_millis().max(1);
        let beats = until.since(started).as_millis() / every;
        let millis = u64::try_from(beats * every).unwrap_or(u64::MAX);
        started + Duration::from_millis(millis)
    }
}

/// Why a machine lost its power.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EndCause {
    /// Its script was at its end.
    Finished,
    /// It passed the deadline in its tags, and ended itself (invariant 9).
    Deadline,
    /// A test ended it.
    Ended,
    /// The provider took it back.
    Preempted,
    /// It never came up.
    FailedBoot,
    /// It was refused after its create had been accepted.
    RefusedLate(LateRefusal),
    /// It was deleted with power on.
    Deleted,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn heartbeats_stop_at_the_silence_at_the_end_and_now() {
        let at = Timestamp::from_secs;
        let every = Duration::from_secs(10);
        let beats = Heartbeats { every, silent_after: None };
        assert_eq!(beats.last(at(100), None, at(100)), at(100));
        assert_eq!(beats.last(at(100), None, at(139)), at(130));
        assert_eq!(beats.last(at(100), Some(at(125)), at(139)), at(120));
        let silent = Heartbeats { every, silent_after: Some(Duration::from_secs(15)) };
        assert_eq!(silent.last(at(100), None, at(139)), at(110));
    }
}
