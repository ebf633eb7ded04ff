//! How fast a life goes. Most are lived within minutes; in a few a day is simulated, with the cycle that sites have and machines
//! that work for half an hour, so that a day has no more cycles than can be afforded.

use std::sync::Arc;
use std::sync::OnceLock;
use std::time::Duration;

use vcycle::library::Setup;
use vcycle_sim::{Heartbeats, Script, Span};

use crate::support::site::Site;

const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);

/// How fast.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pace {
    /// Everything within minutes.
    Minutes,
    /// A day and more.
    Day,
}

impl Pace {
    /// Cycle of all managers.
    pub fn cycle(self) -> Duration {
        match self {
            Self::Minutes => 10 * SECOND,
            Self::Day => MINUTE,
        }
    }

    /// Life of an ownership without renewal.
    pub fn ttl(self) -> Duration {
        match self {
            Self::Minutes => 15 * SECOND,
            Self::Day => MINUTE,
        }
    }

    /// `max_wallclock` of all machinetypes.
    pub fn max_wallclock(self) -> Duration {
        match self {
            Self::Minutes => 6 * MINUTE,
            Self::Day => 60 * MINUTE,
        }
    }

    /// `heartbeat` of all machinetypes.
    pub fn heartbeat(self) -> Duration {
        match self {
            Self::Minutes => MINUTE,
            Self::Day => 10 * MINUTE,
        }
    }

    /// The longest that a machine is given: `start_timeout` and `max_wallclock`.
    pub fn longest_life(self) -> Duration {
        2 * MINUTE + self.max_wallclock()
    }

    /// Between two ticks.
    pub fn tick(self) -> Duration {
        match self {
            Self::Minutes => 5 * SECOND,
            Self::Day => MINUTE,
        }
    }

    /// Ticks from one look at everything to the next.
    pub fn ticks_of_a_look(self) -> u64 {
        match self {
            Self::Minutes => 12,
            Self::Day => 10,
        }
    }

    /// What machines do while there is trouble.
    pub fn scripts(self) -> Vec<(u32, Script)> {
        let (life, silent) = match self {
            Self::Minutes => (Span::between(40 * SECOND, 240 * SECOND), 50 * SECOND),
            Self::Day => (Span::between(10 * MINUTE, 50 * MINUTE), 15 * MINUTE),
        };
        let every = self.beat();
        let beats = Some(Heartbeats { every, silent_after: None });
        let falls_silent = Some(Heartbeats { every, silent_after: Some(silent) });
        let works = Script::works_for(life);
        let long = Script::never_ends();
        vec![
            (6, Script { heartbeats: beats, ..works.clone() }),
            (3, Script { heartbeats: beats, ..long.clone() }),
            (1, Script { heartbeats: falls_silent, ..long }),
            (1, Script { heartbeats: beats, ..Script::finds_no_work() }),
            (1, Script::dies_silently()),
        ]
    }

    /// And when it is over.
    pub fn peaceful(self) -> Vec<(u32, Script)> {
        let beats = Some(Heartbeats { every: self.beat(), silent_after: None });
        vec![(1, Script { heartbeats: beats, ..Script::never_ends() })]
    }

    fn beat(self) -> Duration {
        match self {
            Self::Minutes => 20 * SECOND,
            Self::Day => 3 * MINUTE,
        }
    }

    /// The instructions, of one space: read once from real files, so that they are as valid as in production.
    pub fn base(self) -> Arc<Setup> {
        static MINUTES: OnceLock<Arc<Setup>> = OnceLock::new();
        static DAY: OnceLock<Arc<Setup>> = OnceLock::new();
        let base = match self {
            Self::Minutes => &MINUTES,
            Self::Day => &DAY,
        };
        base.get_or_init(|| self.read()).clone()
    }

    fn read(self) -> Arc<Setup> {
        let minutes = |time: Duration| time.as_secs() / 60;
        let (longest, heartbeat) = (minutes(self.max_wallclock()), minutes(self.heartbeat()));
        Site::new(4)
            .machinetypes(&[("batch", 2), ("other", 1)])
            .with("creations_per_cycle = 6")
            .with("delete_pause = \"20s\"")
            .with("delete_pause_max = \"1m\"")
            .each("fizzle = \"30s\"\nbackoff = \"40s\"\nstart_timeout = \"2m\"")
            .each(&format!("max_wallclock = \"{longest}m\"\nheartbeat = \"{heartbeat}m\""))
            .each("breaker.pause = \"1m\"\nbreaker.pause_max = \"2m\"")
            .setup()
    }
}
