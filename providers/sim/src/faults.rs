//! What goes wrong: by chance, by plan, or because a test says so. All of it is data.

use std::collections::VecDeque;
use std::time::Duration;

use rand::RngExt;
use rand_chacha::ChaCha8Rng;
use vcycle_api::{ErrorKind, InstanceId, LateRefusal, OfferingId, ProviderError, Timestamp};

/// What goes wrong by itself.
#[derive(Debug, Clone, Default)]
pub struct FaultPlan {
    /// By chance, at any time.
    pub rates: Rates,
    /// At planned times.
    pub windows: Vec<Window>,
}

/// Chances between 0 (never) and 1 (always).
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Rates {
    /// Of a call to be refused as too many.
    pub throttled: f64,
    /// Of a call not to be answered, without having arrived.
    pub unavailable: f64,
    /// Of a changing call to get lost on its way to the cloud.
    pub lost_before: f64,
    /// Of the reply to a changing call to get lost.
    pub lost_after: f64,
    /// Of each page of a listing to get lost.
    pub lost_page: f64,
    /// Of a create to find its offering out of stock.
    pub out_of_stock: f64,
    /// Of an accepted machine to fail while it boots.
    pub failed_boot: f64,
    /// Of an accepted machine to stay in its boot for ever.
    pub stuck_boot: f64,
    /// Of a preemptible machine to be taken back in the course of its life.
    pub preempted: f64,
    /// Of a machine to need more than one delete.
    pub stuck_delete: f64,
    /// Of a removed machine to stay in listings although nobody can get or delete it.
    pub ghost: f64,
}

/// A spell of trouble.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Window {
    /// Begins.
    pub from: Timestamp,
    /// Is over.
    pub until: Timestamp,
    /// What.
    pub spell: Spell,
}

/// A kind of trouble that lasts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Spell {
    /// No call arrives.
    Outage,
    /// Every call is refused as too many.
    Throttling,
    /// All credentials are refused.
    AuthRevoked,
    /// Every listing lacks a page.
    PartialListings,
    /// This offering is out of stock.
    StockOut(OfferingId),
}

impl FaultPlan {
    pub(crate) fn is_in(&self, spell: &Spell, now: Timestamp) -> bool {
        self.windows.iter().any(|w| w.spell == *spell && w.from <= now && now < w.until)
    }
}

/// What a test does to the next calls of one client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CallFault {
    /// The next create is carried out (perhaps later), and its reply lost.
    LoseCreateReply,
    /// The next create gets lost on its way.
    LoseCreate,
    /// The next delete is carried out, and its reply lost.
    LoseDeleteReply,
    /// The next listing loses a page in the middle.
    LosePage,
    /// The next calls are refused as too many.
    Throttle {
        /// How many.
        calls: u32,
        /// What the cloud says of when to come again.
        after: Option<Duration>,
    },
    /// The next calls do not arrive.
    Outage {
        /// How many.
        calls: u32,
    },
    /// All calls are refused from now on.
    RevokeCredentials,
    /// No longer.
    RestoreCredentials,
    /// From now on the credentials lead to another, empty project: nothing of ours is there to be listed,
    /// got or deleted.
    WrongProject,
    /// No longer.
    RightProject,
}

/// What a test does to the cloud itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum WorldFault {
    /// The offering is out of stock from now on.
    StockOut(OfferingId),
    /// It is back.
    Restock(OfferingId),
    /// The offering is sold no more, and not listed any more; machines of it go on.
    Withdraw(OfferingId),
    /// The quotas shrink to what is in use.
    QuotaFull,
    /// The quotas are as the settings say again.
    QuotaRestored,
    /// The machine is taken back now.
    Preempt(InstanceId),
    /// The cloud announces that it will take the machine back, and does so after its notice.
    AnnouncePreemption(InstanceId),
    /// The machine loses its power as if it had ended by itself, without a last word.
    End(InstanceId),
    /// The machine is removed by somebody else, without a trace.
    Vanish(InstanceId),
    /// The next accepted machine fails in its boot.
    FailNextBoot,
    /// The next accepted machine is refused after all, when it should have booted.
    RefuseNextLate(LateRefusal),
    /// The machine stays in listings, but nobody can get or delete it any more.
    TurnIntoGhost(InstanceId),
    /// The cloud itself does not know the machine's state, until [`WorldFault::Recognise`].
    LoseSight(InstanceId),
    /// It knows it again.
    Recognise(InstanceId),
    /// The guest has lost its timer: it does not end itself at its hard end.
    StopTimer(InstanceId),
    /// The machine needs at least so many more deletes than one. Several such faults of one machine do not add up.
    HoldOn {
        /// The machine.
        instance: InstanceId,
        /// How many more.
        deletes: u32,
    },
}

/// The trouble between one client and the cloud.
#[derive(Debug)]
pub(crate) struct Line {
    rng: ChaCha8Rng,
    rates: Rates,
    queue: VecDeque<CallFault>,
    revoked: bool,
    elsewhere: bool,
}

/// What becomes of a changing call that arrives at all.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fate {
    /// It is carried out and answered.
    Answered,
    /// It is carried out; the reply gets lost.
    ReplyLost,
    /// It gets lost.
    Lost,
}

/// Which of the calls that change something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Call {
    Create,
    Delete,
}

impl Line {
    pub(crate) fn new(rng: ChaCha8Rng, rates: Rates) -> Self {
        Self { rng, rates, queue: VecDeque::new(), revoked: false, elsewhere: false }
    }

    pub(crate) fn push(&mut self, fault: CallFault) {
        match fault {
            CallFault::RevokeCredentials => self.revoked = true,
            CallFault::RestoreCredentials => self.revoked = false,
            CallFault::WrongProject => self.elsewhere = true,
            CallFault::RightProject => self.elsewhere = false,
            CallFault::LoseCreateReply
            | CallFault::LoseCreate
            | CallFault::LoseDeleteReply
            | CallFault::LosePage
            | CallFault::Throttle { calls: _, after: _ }
            | CallFault::Outage { calls: _ } => self.queue.push_back(fault),
        }
    }

    pub(crate) fn set_rates(&mut self, rates: Rates) {
        self.rates = rates;
    }

    pub(crate) fn rng(&mut self) -> &mut ChaCha8Rng {
        &mut self.rng
    }

    /// Whether the line leads to another project.
    pub(crate) fn leads_elsewhere(&self) -> bool {
        self.elsewhere
    }

    fn chance(&mut self, rate: f64) -> bool {
        chance(&mut self.rng, rate)
    }

    /// Whether a call gets through to the cloud at all.
    pub(crate) fn admit(
        &mut self,
        operation: &'static str,
        plan: &FaultPlan,
        now: Timestamp,
    ) -> Result<(), ProviderError> {
        let refuse = |kind, message: &str| Err(ProviderError::new(kind, operation, message));
        let away = "the cloud does not answer";
        let many = "too many requests";
        match self.queue.front_mut() {
            Some(CallFault::Outage { calls }) if *calls > 0 => {
                *calls -= 1;
                if *calls == 0 {
                    self.queue.pop_front();
                }
                return refuse(ErrorKind::Unavailable, away);
            }
            Some(CallFault::Throttle { calls, after }) if *calls > 0 => {
                let after = *after;
                *calls -= 1;
                if *calls == 0 {
                    self.queue.pop_front();
                }
                return refuse(ErrorKind::Throttled { after }, many);
            }
            Some(_) | None => {}
        }
        if plan.is_in(&Spell::Outage, now) || self.chance(self.rates.unavailable) {
            return refuse(ErrorKind::Unavailable, away);
        }
        if self.revoked || plan.is_in(&Spell::AuthRevoked, now) {
            return refuse(ErrorKind::AuthFailed, "the credentials are refused");
        }
        if plan.is_in(&Spell::Throttling, now) || self.chance(self.rates.throttled) {
            return refuse(ErrorKind::Throttled { after: None }, many);
        }
        Ok(())
    }

    /// What becomes of an admitted call that changes something.
    pub(crate) fn fate(&mut self, call: Call) -> Fate {
        let planned = match (self.queue.front(), call) {
            (Some(CallFault::LoseCreateReply), Call::Create)
            | (Some(CallFault::LoseDeleteReply), Call::Delete) => Some(Fate::ReplyLost),
            (Some(CallFault::LoseCreate), Call::Create) => Some(Fate::Lost),
            (_, Call::Create | Call::Delete) => None,
        };
        if let Some(fate) = planned {
            self.queue.pop_front();
            return fate;
        }
        if self.chance(self.rates.lost_before) {
            Fate::Lost
        } else if self.chance(self.rates.lost_after) {
            Fate::ReplyLost
        } else {
            Fate::Answered
        }
    }

    /// Which of the pages of a listing get lost.
    pub(crate) fn lost_pages(
        &mut self,
        pages: usize,
        plan: &FaultPlan,
        now: Timestamp,
    ) -> Vec<usize> {
        let forced = if self.queue.front() == Some(&CallFault::LosePage) {
            self.queue.pop_front();
            true
        } else {
            plan.is_in(&Spell::PartialListings, now)
        };
        let rate = self.rates.lost_page;
        (0..pages).filter(|page| (forced && *page == pages / 2) || self.chance(rate)).collect()
    }
}

pub(crate) fn chance(rng: &mut ChaCha8Rng, rate: f64) -> bool {
    // Nothing is drawn for what never happens: a new kind of fault leaves old seeds as they were.
    rate > 0.0 && rng.random_bool(rate.min(1.0))
}
