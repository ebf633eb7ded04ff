//! The request budget of a space: how fast, and in which order, calls may go to its cloud.
//!
//! A token bucket with priorities and a limit on calls in flight. Deletes go first and may use all
//! of it; creates, reads for observation and reads for people each leave a part of it untouched, so
//! that a delete never finds it empty because of reads. A cloud that says `Throttled` makes it
//! slower by half, again and again; quiet makes it faster again, step by step.
//!
//! Pure: time is an argument, measured from any fixed start, and nothing here waits or calls.
//! [`crate::budgeted::Budgeted`] does both.

use std::collections::VecDeque;
use std::time::Duration;

/// Who goes first, and who gives way when the cloud is short of patience.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Priority {
    /// Deletes: a machine that should be gone costs money and quota.
    Delete,
    /// Creates, and finding out what became of them.
    Create,
    /// Reads that a cycle needs.
    Observe,
    /// Reads for people: refused at once when the budget is short.
    People,
}

impl Priority {
    const ALL: [Self; 4] = [Self::Delete, Self::Create, Self::Observe, Self::People];

    fn index(self) -> usize {
        match self {
            Self::Delete => 0,
            Self::Create => 1,
            Self::Observe => 2,
            Self::People => 3,
        }
    }

    /// How much of `whole` this priority leaves to those above it: something, if there is anything.
    fn reserve(self, whole: u32) -> u32 {
        match self {
            Self::Delete => 0,
            Self::Create => whole.div_ceil(8),
            Self::Observe => whole.div_ceil(4),
            Self::People => whole.div_ceil(2),
        }
    }
}

/// How fast a cloud may be asked when it does not complain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BudgetSettings {
    /// Time between two calls in the long run; at least a microsecond.
    pub interval: Duration,
    /// Calls that may be made at once after a quiet time; at least one.
    pub burst: u32,
    /// Calls in flight at the same time; at least one.
    pub concurrency: u32,
    /// How long without a complaint until it becomes faster by one step.
    pub recovery: Duration,
    /// How long nobody calls after a complaint that names no time.
    pub pause: Duration,
    /// The longest pause that the cloud may ask for; a longer one is taken for a mistake.
    pub pause_max: Duration,
    /// The longest that a call waits for its turn; then it is refused as `Throttled`, and nothing is
    /// sent. Must be shorter than the margin of an ownership (a fifth of the TTL): who was the owner
    /// when the call was made must still be it when the call goes out.
    pub patience: Duration,
}

impl BudgetSettings {
    /// Ten calls a second, twenty at once, eight in flight: less than what the public clouds give to
    /// one account (EC2 gives 5 terminations and 20 reads a second).
    pub const DEFAULT: Self = Self {
        interval: Duration::from_millis(100),
        burst: 20,
        concurrency: 8,
        recovery: Duration::from_secs(30),
        pause: Duration::from_secs(2),
        pause_max: Duration::from_secs(3600),
        patience: Duration::from_secs(2),
    };

    /// The most calls at this priority that can be in flight at once.
    pub fn slots(&self, priority: Priority) -> u32 {
        self.concurrency - priority.reserve(self.concurrency - 1)
    }
}

impl Default for BudgetSettings {
    fn default() -> Self {
        Self::DEFAULT
    }
}

/// Each complaint doubles the interval, up to this many times (64 times as slow).
const SLOWEST: u32 = 6;

/// A place in the queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Ticket {
    priority: Priority,
    number: u64,
}

/// The budget is short, and this call is not made: it is for people, or its patience is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shed {
    /// When it may be worth another try.
    pub after: Duration,
}

/// Whether it is a ticket's turn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Turn {
    /// Call now, and say [`Budget::done`] afterwards.
    Go,
    /// Ask again at this time.
    At(Duration),
    /// Ask again when another call is done or has left the queue.
    AfterAnother,
}

/// How a call went, as far as the budget cares.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Feedback {
    /// The cloud did not complain.
    Calm,
    /// It did.
    Throttled {
        /// When to come again, if it said so.
        after: Option<Duration>,
    },
}

/// For status and metrics.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BudgetState {
    /// How many times slower than the settings say: 1, 2, 4, ... 64.
    pub slowed: u32,
    /// Nobody calls for this long.
    pub paused_for: Duration,
    /// Calls in flight.
    pub in_flight: u32,
    /// Calls that wait.
    pub waiting: usize,
    /// Complaints so far.
    pub throttled: u64,
    /// Calls for people that were refused so far.
    pub shed: u64,
}

/// The request budget of one space.
#[derive(Debug)]
pub struct Budget {
    settings: BudgetSettings,
    /// In nanoseconds of the unslowed rate: one call costs one interval.
    tokens: u128,
    seen: Duration,
    /// The interval is doubled this many times.
    level: u32,
    /// When the level last changed, or the cloud last complained.
    level_since: Duration,
    paused_until: Duration,
    in_flight: u32,
    waiting: [VecDeque<u64>; 4],
    tickets: u64,
    throttled: u64,
    shed: u64,
}

impl Budget {
    /// A full budget. Settings of zero are taken for the least that makes sense.
    pub fn new(settings: BudgetSettings, now: Duration) -> Self {
        let settings = BudgetSettings {
            interval: settings.interval.max(Duration::from_micros(1)),
            burst: settings.burst.max(1),
            concurrency: settings.concurrency.max(1),
            recovery: settings.recovery.max(Duration::from_millis(1)),
            ..settings
        };
        Self {
            settings,
            tokens: u128::from(settings.burst) * settings.interval.as_nanos(),
            seen: now,
            level: 0,
            level_since: now,
            paused_until: now,
            in_flight: 0,
            waiting: Default::default(),
            tickets: 0,
            throttled: 0,
            shed: 0,
        }
    }

    /// Takes a place in the queue.
    ///
    /// # Errors
    /// [`Shed`], for people only: when others wait, the cloud has complained, or the bucket is low.
    pub fn enter(&mut self, now: Duration, priority: Priority) -> Result<Ticket, Shed> {
        self.refill(now);
        if priority == Priority::People && self.is_short() {
            self.shed += 1;
            let pause = self.paused_until.saturating_sub(now);
            return Err(Shed { after: pause.max(self.settings.recovery) });
        }
        self.tickets += 1;
        self.waiting[priority.index()].push_back(self.tickets);
        Ok(Ticket { priority, number: self.tickets })
    }

    fn is_short(&self) -> bool {
        let waiting = self.waiting.iter().any(|queue| !queue.is_empty());
        let room = self.has_slot(Priority::People);
        waiting || self.level > 0 || self.missing(Priority::People) > 0 || !room
    }

    /// Whether it is this ticket's turn. After `Go` the ticket is spent.
    pub fn turn(&mut self, now: Duration, ticket: Ticket) -> Turn {
        self.refill(now);
        let first = Priority::ALL.into_iter().find(|p| !self.waiting[p.index()].is_empty());
        let queue = &self.waiting[ticket.priority.index()];
        if first != Some(ticket.priority) || queue.front() != Some(&ticket.number) {
            return Turn::AfterAnother;
        }
        if now < self.paused_until {
            return Turn::At(self.paused_until);
        }
        if !self.has_slot(ticket.priority) {
            return Turn::AfterAnother;
        }
        let missing = self.missing(ticket.priority);
        if missing > 0 {
            let nanos = missing << self.level;
            return Turn::At(now + Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX)));
        }
        self.tokens -= self.settings.interval.as_nanos();
        self.waiting[ticket.priority.index()].pop_front();
        self.in_flight += 1;
        Turn::Go
    }

    /// Gives up a place in the queue: the caller waits no longer. Harmless after `Go`.
    pub fn leave(&mut self, ticket: Ticket) {
        self.waiting[ticket.priority.index()].retain(|number| *number != ticket.number);
    }

    /// Gives up a place in the queue because the patience is over, with a guess when it is worth
    /// another try: the pause left, or the time until there are tokens for it.
    pub fn give_up(&mut self, now: Duration, ticket: Ticket) -> Shed {
        self.refill(now);
        self.leave(ticket);
        let nanos = self.missing(ticket.priority).max(self.settings.interval.as_nanos());
        let tokens = Duration::from_nanos(u64::try_from(nanos << self.level).unwrap_or(u64::MAX));
        Shed { after: self.paused_until.saturating_sub(now).max(tokens) }
    }

    /// A call that was told to go has ended. One that ended without an answer is `Calm`.
    pub fn done(&mut self, now: Duration, feedback: Feedback) {
        self.refill(now);
        self.in_flight = self.in_flight.saturating_sub(1);
        match feedback {
            Feedback::Calm => {}
            Feedback::Throttled { after } => self.slow_down(now, after),
        }
    }

    fn slow_down(&mut self, now: Duration, after: Option<Duration>) {
        self.throttled += 1;
        // What was in flight when the first complaint came says nothing new about the new pace.
        if now >= self.paused_until {
            self.level = (self.level + 1).min(SLOWEST);
        }
        self.level_since = now;
        self.tokens = 0;
        let pause = after.unwrap_or(self.settings.pause).min(self.settings.pause_max);
        self.paused_until = self.paused_until.max(now + pause);
    }

    /// For status and metrics.
    pub fn state(&mut self, now: Duration) -> BudgetState {
        self.refill(now);
        BudgetState {
            slowed: 1 << self.level,
            paused_for: self.paused_until.saturating_sub(now),
            in_flight: self.in_flight,
            waiting: self.waiting.iter().map(VecDeque::len).sum(),
            throttled: self.throttled,
            shed: self.shed,
        }
    }

    /// What this priority lacks before it may take a token.
    fn missing(&self, priority: Priority) -> u128 {
        let tokens = u128::from(1 + priority.reserve(self.settings.burst - 1));
        (tokens * self.settings.interval.as_nanos()).saturating_sub(self.tokens)
    }

    fn has_slot(&self, priority: Priority) -> bool {
        self.in_flight < self.settings.slots(priority)
    }

    /// Adds what has come in since it was last looked at, at the pace of each stretch of that time.
    /// A time before that adds nothing.
    fn refill(&mut self, now: Duration) {
        let full = u128::from(self.settings.burst) * self.settings.interval.as_nanos();
        while self.level > 0 {
            let faster_at = self.level_since.max(self.paused_until) + self.settings.recovery;
            if faster_at > now {
                break;
            }
            self.earn(faster_at, full);
            self.level -= 1;
            self.level_since = faster_at;
        }
        self.earn(now, full);
    }

    fn earn(&mut self, until: Duration, full: u128) {
        let elapsed = until.saturating_sub(self.seen).as_nanos();
        self.tokens = full.min(self.tokens + (elapsed >> self.level));
        self.seen = self.seen.max(until);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const SETTINGS: BudgetSettings = BudgetSettings {
        interval: Duration::from_millis(100),
        burst: 8,
        concurrency: 4,
        recovery: Duration::from_secs(10),
        pause: Duration::from_secs(1),
        pause_max: Duration::from_secs(60),
        patience: Duration::from_secs(2),
    };

    fn at(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    /// Something that callers or the cloud do.
    #[derive(Debug, Clone)]
    enum Event {
        Enter(Priority),
        Done(Feedback),
        Leave(usize),
    }

    fn priority() -> impl Strategy<Value = Priority> {
        prop::sample::select(Priority::ALL.to_vec())
    }

    fn event() -> impl Strategy<Value = Event> {
        prop_oneof![
            6 => priority().prop_map(Event::Enter),
            5 => Just(Event::Done(Feedback::Calm)),
            1 => prop::option::of(0u64..5000)
                .prop_map(|after| Event::Done(Feedback::Throttled { after: after.map(at) })),
            1 => (0usize..4).prop_map(Event::Leave),
        ]
    }

    /// A call that was let through, with what waited at that time.
    #[derive(Debug)]
    struct Granted {
        at: Duration,
        priority: Priority,
        waiting: Vec<Priority>,
    }

    /// Plays the events, each so many milliseconds after the one before, asking for everybody's turn
    /// in the given order after each.
    fn play(events: &[(u64, Event)]) -> Vec<Granted> {
        let mut budget = Budget::new(SETTINGS, at(0));
        let (mut now, mut granted, mut waiting) = (at(0), Vec::new(), Vec::new());
        let mut in_flight = 0u32;
        for (pause, event) in events {
            now += at(*pause);
            match event {
                Event::Enter(priority) => waiting.extend(budget.enter(now, *priority)),
                Event::Done(feedback) if in_flight > 0 => {
                    in_flight -= 1;
                    budget.done(now, *feedback);
                }
                Event::Leave(which) if *which < waiting.len() => {
                    budget.leave(waiting.remove(*which));
                }
                Event::Done(_) | Event::Leave(_) => {}
            }
            let mut index = 0;
            while index < waiting.len() {
                let ticket: Ticket = waiting[index];
                if budget.turn(now, ticket) == Turn::Go {
                    let before: Vec<_> = waiting.iter().map(|t| t.priority).collect();
                    granted.push(Granted { at: now, priority: ticket.priority, waiting: before });
                    waiting.remove(index);
                    in_flight += 1;
                    assert!(in_flight <= SETTINGS.concurrency);
                    index = 0;
                } else {
                    index += 1;
                }
            }
        }
        granted
    }

    proptest! {
        #[test]
        fn the_rate_is_never_exceeded_over_any_window(
            events in prop::collection::vec((0u64..400, event()), 1..300),
        ) {
            let granted = play(&events);
            for (i, first) in granted.iter().enumerate() {
                for (more, last) in granted[i..].iter().enumerate() {
                    let window = (last.at - first.at).as_millis() / SETTINGS.interval.as_millis();
                    prop_assert!((more as u128) < u128::from(SETTINGS.burst) + window);
                }
            }
        }

        #[test]
        fn nothing_goes_before_a_delete_that_waits(
            events in prop::collection::vec((0u64..400, event()), 1..300),
        ) {
            for call in play(&events) {
                let best = call.waiting.iter().min();
                prop_assert_eq!(best, Some(&call.priority));
            }
        }

        #[test]
        fn a_delete_goes_at_once_however_many_reads_came_before(
            reads in 0usize..200, gap in 0u64..50,
        ) {
            // Without complaints, and as long as reads end.
            let mut budget = Budget::new(SETTINGS, at(0));
            let mut now = at(0);
            for _ in 0..reads {
                now += at(gap);
                if let Ok(ticket) = budget.enter(now, Priority::Observe)
                    && budget.turn(now, ticket) == Turn::Go
                {
                    budget.done(now, Feedback::Calm);
                }
            }
            let delete = budget.enter(now, Priority::Delete).unwrap();
            prop_assert_eq!(budget.turn(now, delete), Turn::Go);
        }

        #[test]
        fn it_recovers_from_any_storm(
            events in prop::collection::vec((0u64..400, event()), 1..300),
        ) {
            let mut budget = Budget::new(SETTINGS, at(0));
            let mut now = at(0);
            for (pause, event) in &events {
                now += at(*pause);
                if let Event::Done(feedback) = event {
                    budget.done(now, *feedback);
                }
            }
            let longest = SETTINGS.pause_max + SETTINGS.recovery * (SLOWEST + 1);
            let state = budget.state(now + longest);
            prop_assert_eq!((state.slowed, state.paused_for), (1, Duration::ZERO));
            prop_assert!(budget.enter(now + longest, Priority::People).is_ok());
        }

        #[test]
        fn whoever_is_told_a_time_can_go_then(
            events in prop::collection::vec((0u64..400, event()), 1..100),
        ) {
            let mut budget = Budget::new(SETTINGS, at(0));
            let mut now = at(0);
            for (pause, event) in &events {
                now += at(*pause);
                if let Event::Done(feedback) = event {
                    budget.done(now, *feedback);
                }
            }
            let ticket = budget.enter(now, Priority::Delete).unwrap();
            for _ in 0..=(SLOWEST + 2) {
                match budget.turn(now, ticket) {
                    Turn::Go => return Ok(()),
                    Turn::At(time) => {
                        prop_assert!(time > now);
                        now = time;
                    }
                    Turn::AfterAnother => prop_assert!(false, "there is no other"),
                }
            }
            prop_assert!(false, "it was never its turn");
        }
    }

    #[test]
    fn a_complaint_halves_the_pace_once_for_all_calls_in_flight() {
        let mut budget = Budget::new(SETTINGS, at(0));
        for _ in 0..3 {
            let ticket = budget.enter(at(0), Priority::Create).unwrap();
            assert_eq!(budget.turn(at(0), ticket), Turn::Go);
        }
        for _ in 0..3 {
            budget.done(at(10), Feedback::Throttled { after: Some(at(500)) });
        }
        let state = budget.state(at(10));
        assert_eq!((state.slowed, state.throttled), (2, 3));
        assert_eq!(state.paused_for, at(500));
        let ticket = budget.enter(at(20), Priority::Delete).unwrap();
        assert_eq!(budget.turn(at(20), ticket), Turn::At(at(510)));
        assert_eq!(budget.turn(at(510), ticket), Turn::Go);
    }

    #[test]
    fn people_are_refused_while_the_cloud_complains() {
        let mut budget = Budget::new(SETTINGS, at(0));
        let ticket = budget.enter(at(0), Priority::Observe).unwrap();
        assert_eq!(budget.turn(at(0), ticket), Turn::Go);
        budget.done(at(0), Feedback::Throttled { after: None });
        assert!(budget.enter(at(0), Priority::People).is_err());
        assert!(budget.enter(at(0), Priority::Observe).is_ok());
        assert_eq!(budget.state(at(0)).shed, 1);
    }

    #[test]
    fn reads_leave_a_slot_and_tokens_to_deletes() {
        let mut budget = Budget::new(SETTINGS, at(0));
        let mut reads = 0;
        loop {
            let ticket = budget.enter(at(0), Priority::Observe).unwrap();
            if budget.turn(at(0), ticket) != Turn::Go {
                break;
            }
            reads += 1;
        }
        assert!(reads < SETTINGS.concurrency, "{reads} reads took every slot");
        let delete = budget.enter(at(0), Priority::Delete).unwrap();
        assert_eq!(budget.turn(at(0), delete), Turn::Go);
    }

    #[test]
    fn a_pause_of_a_year_is_taken_for_a_mistake() {
        let mut budget = Budget::new(SETTINGS, at(0));
        let year = Duration::from_secs(365 * 86_400);
        budget.done(at(0), Feedback::Throttled { after: Some(year) });
        assert_eq!(budget.state(at(0)).paused_for, SETTINGS.pause_max);
    }

    #[test]
    fn a_budget_of_nothing_still_lets_one_call_go_at_a_time() {
        let none = Duration::ZERO;
        let settings = BudgetSettings {
            interval: none,
            burst: 0,
            concurrency: 0,
            recovery: none,
            pause: none,
            pause_max: none,
            patience: none,
        };
        let mut budget = Budget::new(settings, none);
        for millis in 0..3 {
            let ticket = budget.enter(at(millis), Priority::Observe).unwrap();
            assert_eq!(budget.turn(at(millis), ticket), Turn::Go);
            budget.done(at(millis), Feedback::Calm);
        }
    }
}
