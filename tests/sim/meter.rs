//! The law of money: whatever happens, what machines have cost and can still cost to their hard ends stays below every cap.
//!
//! What they cost is read off the logs of the clouds, and reckoned by the bill's rules (`purse`), by nothing of ours. A
//! machine costs from its creation to its removal. While it is there it counts to its hard end and the overstay: its guest
//! may ignore its timer, and deletes may be refused.

use std::collections::BTreeMap;

use vcycle::model::{InstanceId, IntentToken, Tags};

use super::paid::Paid;
use super::purse::{CapsFile, Prices, Purse, Rule, windows};
use super::site::MACHINETYPES;
use super::weather::Clocks;

/// How far a manager's clock may be off while it is believed, in milliseconds. A machine may be booked so much later than it
/// was made, which the overstay covers; and at a boundary in the window after the true one.
const CLOCK: i64 = 60_000;

/// How much earlier than it was made a machine may be booked: by a clock that is slow, at the beginning of the cycle that
/// makes it, by a process that is stopped before it asks. At a boundary that is the window before the true one.
const EARLIER: i64 = 180_000;

/// Boundaries are tried at these steps of time.
const STEP: usize = 15_000;

/// For how long another process may still obey caps that were replaced, in milliseconds: it looks each five seconds, at files
/// that may be 55 seconds old, and may be stopped for a minute between its reservation and its create. The settle
/// time comes on top.
const CAPS_GRACE: u64 = 150_000;

/// For how long after a process was told of other prices it may create by those before.
const PRICES_GRACE: u64 = 120_000;

/// Meters everything.
#[derive(Debug)]
pub struct Meter {
    purse: Purse,
    settle: u64,
    /// By how much a clock may be set back without anybody seeing it, in milliseconds.
    pub unseen_step: i64,
    /// What the spend manager has meant, each from a time on. None: nobody could read caps yet.
    files: Vec<(u64, Option<Vec<Rule>>)>,
    /// The price lists of processes, each from a time on.
    held: BTreeMap<u32, Vec<(u64, Prices)>>,
    asked: BTreeMap<IntentToken, Asked>,
    machines: BTreeMap<(usize, InstanceId), Metered>,
    /// What a window of a cap came to when it was last looked at: after a cap was lowered it may not become more.
    accepted: BTreeMap<(&'static str, i64), i64>,
    /// What stands in the ledger.
    pub paid: Paid,
    pub tight: u64,
}

/// By which prices a machine was asked for.
#[derive(Debug, Clone)]
struct Asked {
    /// Those that its maker had lately.
    prices: Vec<Prices>,
    at: u64,
}

/// A machine. Times are in milliseconds of the true clock since 1970.
#[derive(Debug, Clone)]
pub struct Metered {
    pub intent: IntentToken,
    pub space: usize,
    pub machinetype: usize,
    pub processors: u32,
    /// Of the whole machine; `None`: nobody knows.
    pub hourly: Option<i64>,
    pub begin: i64,
    pub hard_end: i64,
    pub removed: Option<i64>,
    /// It came when nobody could know of it any more.
    pub late: bool,
}

impl Metered {
    /// From when to when it costs, at the worst.
    fn life(&self, now: i64) -> (i64, i64) {
        (self.begin, self.removed.unwrap_or(self.hard_end.max(now)))
    }
}

impl Meter {
    pub fn new(purse: &Purse, (settle, clocks): (u64, Clocks)) -> Self {
        let first = match &purse.file {
            CapsFile::Holds(rules) => Some(rules.clone()),
            CapsFile::Broken | CapsFile::Deleted => None,
        };
        Self {
            purse: purse.clone(),
            settle,
            unseen_step: if clocks == Clocks::Wild { CLOCK } else { 0 },
            files: vec![(0, first)],
            held: BTreeMap::new(),
            asked: BTreeMap::new(),
            machines: BTreeMap::new(),
            accepted: BTreeMap::new(),
            paid: Paid::default(),
            tight: 0,
        }
    }

    /// The file of the spend manager is another. One that cannot be read, or is not there, changes nothing once caps were
    /// read.
    pub fn file(&mut self, now: u64, file: &CapsFile) {
        match file {
            CapsFile::Holds(rules) => self.files.push((now, Some(rules.clone()))),
            CapsFile::Broken => {}
            CapsFile::Deleted if self.paid.caps_were_set => {}
            CapsFile::Deleted => self.files.push((now, Some(Vec::new()))),
        }
    }

    /// The caps as they are meant now.
    pub fn meant(&self) -> Vec<Rule> {
        self.files.iter().rev().find_map(|(_, rules)| rules.clone()).unwrap_or_default()
    }

    /// A process has these price lists from now on.
    pub fn has_prices(&mut self, now: u64, process: u32, prices: Prices) {
        self.held.entry(process).or_default().push((now, prices));
    }

    /// A process asks for a machine.
    pub fn asks(&mut self, now: u64, process: u32, tags: &Tags) {
        let held = self.held.get(&process).map_or(&[][..], Vec::as_slice);
        let since = now.saturating_sub(PRICES_GRACE);
        let first = held.iter().rposition(|(at, _)| *at <= since).unwrap_or(0);
        let prices = held[first..].iter().map(|(_, prices)| *prices).collect();
        self.asked.insert(tags.intent, Asked { prices, at: now });
    }

    /// There is a machine.
    pub fn created(
        &mut self,
        (space, at): (usize, i64),
        (instance, tags, processors): (&InstanceId, &Tags, u32),
        late: bool,
    ) -> Result<(), String> {
        let asked = self.asked.get(&tags.intent).cloned();
        let asked = asked.ok_or(format!("nobody has asked for {}", tags.machine))?;
        let machinetype = MACHINETYPES.iter().position(|name| tags.machinetype.as_str() == *name);
        let overstay = i64::try_from(self.purse.overstay.as_millis()).unwrap();
        let machine = Metered {
            intent: tags.intent,
            space,
            machinetype: machinetype.expect("there are two"),
            processors,
            hourly: asked.prices.iter().filter_map(|prices| prices.of(processors)).min(),
            begin: at,
            hard_end: tags.deadline.as_millis() + overstay - CLOCK,
            removed: None,
            late,
        };
        self.machines.insert((space, instance.clone()), machine.clone());
        if late {
            return Ok(());
        }
        self.was_allowed(&machine, &asked).map_err(|why| format!("{} was made {why}", tags.machine))
    }

    /// A machine is no more.
    pub fn removed(&mut self, (space, at): (usize, i64), instance: &InstanceId) {
        if let Some(machine) = self.machines.get_mut(&(space, instance.clone())) {
            machine.removed.get_or_insert(at);
        }
    }

    /// What must be so before a machine is made, whatever it costs.
    fn was_allowed(&mut self, machine: &Metered, asked: &Asked) -> Result<(), String> {
        let now = self.since_begin(machine.begin);
        if self.files.iter().take_while(|(at, _)| *at <= now).all(|(_, rules)| rules.is_none()) {
            return Err("before anybody could read the caps".to_owned());
        }
        let covering: Vec<Rule> = self.rules_on(machine);
        let in_force = covering.iter().find(|rule| self.limit(rule.name, asked.at).is_some());
        match (machine.hourly, in_force) {
            (None, Some(rule)) => {
                return Err(format!("at an unknown price under {}", rule.name));
            }
            (None, None) => return Ok(()),
            (Some(_), _) => {}
        }
        self.paid.must_be_open(&machine.intent)?;
        self.would_be_allowed_at_new_prices(machine, asked)?;
        for rule in covering {
            let Some(limit) = self.limit(rule.name, now) else { continue };
            for window in windows(rule.each, machine.life(0)) {
                let sum = self.sum(&rule, window, machine.begin);
                let one_more = self.cost(machine, window, machine.begin);
                self.tight += u64::from(sum + one_more > limit);
            }
        }
        Ok(())
    }

    /// After a rise its maker knows what its other machines cost from now on.
    fn would_be_allowed_at_new_prices(
        &self,
        machine: &Metered,
        asked: &Asked,
    ) -> Result<(), String> {
        let [prices] = asked.prices[..] else { return Ok(()) };
        let now = machine.begin;
        for rule in self.rules_on(machine) {
            let Some(limit) = self.limit(rule.name, self.since_begin(now)) else { continue };
            for window in windows(rule.each, machine.life(now)) {
                let all = self.machines.values().filter(|other| self.is_on(&rule, other));
                let sum: i64 = all
                    .map(|other| match prices.of(other.processors) {
                        Some(new) if other.space == machine.space && other.removed.is_none() => {
                            self.repriced(other, window, (now, new))
                        }
                        Some(_) | None => self.cost(other, window, now),
                    })
                    .sum();
                if sum > limit {
                    return Err(format!(
                        "after prices had risen: {sum} of {limit} are taken by {} from {}",
                        rule.name, window.0
                    ));
                }
            }
        }
        Ok(())
    }

    /// The law, for every cap in each of its windows.
    pub fn law(&mut self, now: u64) -> Result<(), String> {
        let at = self.purse.begin.as_millis() + i64::try_from(now).unwrap();
        for rule in self.all_rules() {
            let limit = self.limit(rule.name, now);
            let own = self.machines.values().filter(|machine| self.is_on(&rule, machine));
            let lives: Vec<(i64, i64)> = own.map(|machine| machine.life(at)).collect();
            let first = lives.iter().map(|(begin, _)| *begin).min().unwrap_or(at);
            let last = lives.iter().map(|(_, end)| *end).max().unwrap_or(at);
            for window in windows(rule.each, (first - EARLIER, last + CLOCK)) {
                let sum = self.sum(&rule, window, at);
                let before = self.accepted.insert((rule.name, window.0), sum).unwrap_or(0);
                if limit.is_some_and(|limit| sum > limit.max(before)) {
                    return Err(format!(
                        "{} is passed in its window from {}: {sum} of {limit:?}, {before} before: {}",
                        rule.name,
                        window.0 - self.purse.begin.as_millis(),
                        self.told(&rule, window, at)
                    ));
                }
            }
        }
        Ok(())
    }

    fn told(&self, rule: &Rule, window: (i64, i64), at: i64) -> String {
        let own = self.machines.iter().filter(|(_, machine)| self.is_on(rule, machine));
        let mut text = format!("{rule:?}");
        for ((_, instance), machine) in own {
            let cost = self.cost(machine, window, at);
            let since = |at: i64| at - self.purse.begin.as_millis();
            let end = machine.removed.map(since);
            text += &format!(
                "\n  {instance} of {} in {}: {cost}, from {} to {} ({end:?})",
                machine.intent,
                machine.space,
                since(machine.begin),
                since(machine.hard_end)
            );
        }
        text
    }

    /// All machines.
    pub fn machines(&self) -> impl Iterator<Item = &Metered> {
        self.machines.values()
    }

    /// How bills are made.
    pub fn purse(&self) -> &Purse {
        &self.purse
    }

    fn since_begin(&self, at: i64) -> u64 {
        u64::try_from(at - self.purse.begin.as_millis()).unwrap()
    }

    fn all_rules(&self) -> Vec<Rule> {
        let mut rules: BTreeMap<&str, Rule> = BTreeMap::new();
        for rule in self.files.iter().flat_map(|(_, rules)| rules).flatten() {
            rules.insert(rule.name, *rule);
        }
        rules.into_values().collect()
    }

    fn rules_on(&self, machine: &Metered) -> Vec<Rule> {
        let rules = self.all_rules().into_iter();
        rules.filter(|rule| rule.covers(machine.space, machine.machinetype)).collect()
    }

    /// The highest limit of a cap that anybody may still obey; `None`: there may be none.
    fn limit(&self, name: &str, now: u64) -> Option<i64> {
        let since = now.saturating_sub(CAPS_GRACE + self.settle);
        let standing = self.files.iter().rposition(|(from, _)| *from <= since).unwrap_or(0);
        // What nobody could read has no caps, and makes nothing.
        let files = self.files[standing..].iter().filter_map(|(_, rules)| rules.as_ref());
        let limits = files.map(|rules| {
            let own = rules.iter().find(|rule| rule.name == name);
            own.map_or(i64::MAX, |rule| rule.limit)
        });
        limits.max().filter(|limit| *limit < i64::MAX)
    }

    fn sum(&self, rule: &Rule, window: (i64, i64), now: i64) -> i64 {
        let own = self.machines.values().filter(|machine| self.is_on(rule, machine));
        own.map(|machine| self.cost(machine, window, now)).sum()
    }

    /// Not what nobody of ours could ever know of: what came late.
    fn is_on(&self, rule: &Rule, machine: &Metered) -> bool {
        !machine.late && rule.covers(machine.space, machine.machinetype)
    }

    /// What a machine costs at least within a window, wherever its boundaries are on the clock of whoever booked it.
    fn cost(&self, machine: &Metered, window: (i64, i64), now: i64) -> i64 {
        let Some(hourly) = machine.hourly else { return 0 };
        let life = machine.life(now);
        least(life, window, |life| self.purse.charging.within(hourly, life, window))
    }

    /// The same, if it costs another price from now on.
    fn repriced(&self, machine: &Metered, window: (i64, i64), (now, new): (i64, i64)) -> i64 {
        let Some(hourly) = machine.hourly else { return 0 };
        let (charging, (from, to)) = (self.purse.charging, window);
        let turn = now.clamp(from, to);
        least(machine.life(now), window, |life| {
            charging.within(hourly, life, (from, turn))
                + charging.within(new.max(hourly), life, (turn, to))
        })
    }
}

/// The least of what a life costs in a window, when all of it may be booked a little earlier or later than it was.
fn least((begin, end): (i64, i64), window: (i64, i64), cost: impl Fn((i64, i64)) -> i64) -> i64 {
    if window.0 <= begin - EARLIER && end + CLOCK <= window.1 {
        return cost((begin, end));
    }
    let moves = (-EARLIER..=CLOCK).step_by(STEP);
    moves.map(|by| cost((begin + by, end + by))).min().expect("there are some")
}
