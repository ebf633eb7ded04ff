//! The law of money: whatever happens, what machines have cost and can still cost to their hard ends stays below every cap.
//!
//! What they cost is read off the logs of the clouds, and reckoned by the bill's rules (`purse`), by nothing of ours. A
//! machine costs from its creation to its removal. While it is there it counts to its hard end and the overstay: its guest
//! may ignore its timer, and deletes may be refused. One that is there even longer is no longer what was promised: it counts against
//! those who make more of its space, for they must know.

use std::collections::BTreeMap;

use vcycle::model::{InstanceId, IntentToken, Market, Tags};

use super::paid::Paid;
use super::purse::{Prices, Purse};
use super::rules::{CapsFile, Each, Place, Rule, windows};
use super::site::MACHINETYPES;
use super::weather::Clocks;

/// How far a manager's clock may be off while it is believed, in milliseconds. A machine may be booked so much later than it
/// was made, which the overstay covers; and at a boundary in the window after the true one.
pub const CLOCK: i64 = 60_000;

/// How much earlier than it was made a machine may be booked: by a clock that is slow, at the beginning of the cycle that
/// makes it, by a process that is stopped before it asks. At a boundary that is the window before the true one.
const EARLIER: i64 = 180_000;

/// Boundaries are tried at these steps of time.
const STEP: usize = 15_000;

/// For how long another process may still obey caps that were replaced, in milliseconds: it looks each five seconds, at files
/// that may be 55 seconds old, and may be stopped for a minute between its reservation and its create. The settle
/// time comes on top.
const CAPS_GRACE: u64 = 150_000;

/// For how long a file stands before a cap is raised or taken away, in milliseconds.
const STAND: u64 = 118_000;

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
    /// Since when nothing goes wrong any more.
    calm_since: Option<i64>,
    /// What stands in the ledger.
    pub paid: Paid,
    pub tight: u64,
    /// Machines that budgets have paid for.
    pub planned: u64,
}

/// By which prices a machine was asked for.
#[derive(Debug, Clone)]
struct Asked {
    /// Those that its maker had lately.
    prices: Vec<Prices>,
    at: u64,
}

impl Asked {
    /// Whether all lists that its maker had lately have the price of a machine.
    fn knew(&self, Metered { processors, place, .. }: &Metered) -> bool {
        self.prices.iter().all(|prices| prices.of(*processors, place.market).is_some())
    }
}

/// A machine. Times are in milliseconds of the true clock since 1970.
#[derive(Debug, Clone)]
pub struct Metered {
    pub intent: IntentToken,
    pub place: Place,
    pub processors: u32,
    /// Of the whole machine; `None`: nobody knows. That is the most: as long as it is there it may come to cost that.
    pub hourly: Option<i64>,
    /// What it is charged for the time that has passed.
    pub charged: Option<i64>,
    pub begin: i64,
    /// By when it is to end itself.
    pub deadline: i64,
    pub hard_end: i64,
    pub removed: Option<i64>,
    /// It came when nobody could know of it any more.
    pub late: bool,
}

impl Metered {
    /// From when to when it costs at the worst, if it keeps to its hard end and the overstay.
    fn promised(&self) -> (i64, i64) {
        self.until(self.hard_end)
    }

    /// The same, as its own manager knows now.
    fn known(&self, now: i64) -> (i64, i64) {
        self.until(self.hard_end.max(now - EARLIER - CLOCK))
    }

    /// By which price its whole life is paid for.
    fn price(&self) -> Option<i64> {
        if self.removed.is_some() { self.charged } else { self.hourly }
    }

    fn until(&self, end: i64) -> (i64, i64) {
        (self.begin, self.removed.map_or(end, |removed| removed.min(end)).max(self.begin))
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
            calm_since: None,
            paid: Paid::default(),
            tight: 0,
            planned: 0,
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

    /// The trouble is over.
    pub fn calm_down(&mut self, now: u64) {
        self.calm_since = Some(self.purse.begin.as_millis() + i64::try_from(now).unwrap());
    }

    /// The caps as they are meant now.
    pub fn meant(&self) -> Vec<Rule> {
        self.files.iter().rev().find_map(|(_, rules)| rules.clone()).unwrap_or_default()
    }

    /// Whether some file before [`STAND`] has said so of a cap; `None`: that there is none.
    pub fn has_stood(&self, now: u64, name: &str, limit: Option<i64>) -> bool {
        let old = self.files.iter().filter(|(at, _)| at + STAND <= now);
        old.filter_map(|(_, rules)| rules.as_ref()).any(|rules| {
            let own = rules.iter().find(|rule| rule.name == name);
            own.map(|rule| rule.limit) == limit
        })
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
        (instance, tags, (processors, market)): (&InstanceId, &Tags, (u32, Market)),
        late: bool,
    ) -> Result<(), String> {
        let asked = self.asked.get(&tags.intent).cloned();
        let asked = asked.ok_or(format!("nobody has asked for {}", tags.machine))?;
        let machinetype = MACHINETYPES.iter().position(|name| tags.machinetype.as_str() == *name);
        let overstay = i64::try_from(self.purse.overstay.as_millis()).unwrap();
        let machine = Metered {
            intent: tags.intent,
            place: Place { space, machinetype: machinetype.expect("there are two"), market },
            processors,
            hourly: asked.prices.iter().filter_map(|prices| prices.of(processors, market)).min(),
            charged: asked
                .prices
                .iter()
                .filter_map(|prices| prices.charged(processors, market, self.purse.spot_charge))
                .min(),
            begin: at,
            deadline: tags.deadline.as_millis(),
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
            // Its maker may have gone by lists that did not have its price yet.
            (Some(_), None) if !asked.knew(machine) => return Ok(()),
            (Some(_), _) => {}
        }
        self.paid.must_be_open(&machine.intent)?;
        self.is_in_its_plan(machine, asked.at)?;
        self.others_are_reserved(machine)?;
        self.is_within_what_its_maker_knows(machine, asked)?;
        self.is_within_what_the_ledger_knew(machine)?;
        for rule in covering {
            let Some(limit) = self.limit(rule.name, now) else { continue };
            for window in windows(rule.each, machine.promised()) {
                let sum = self.sum(&rule, window);
                let one_more = self.cost(machine, window);
                self.tight += u64::from(sum + one_more > limit);
            }
        }
        Ok(())
    }

    /// A machine that a budget pays for is for a community that it names, and ends in its time.
    fn is_in_its_plan(&mut self, machine: &Metered, asked: u64) -> Result<(), String> {
        for rule in self.rules_on(machine) {
            let (Some(plan), Each::Grant { from, to }) = (rule.plan, rule.each) else { continue };
            if !self.is_in_every_file(rule.name, asked) {
                continue;
            }
            self.planned += 1;
            let stop = to - plan.margin * 60_000;
            if !plan.names(machine.place.machinetype) {
                return Err("for a community that its budget does not name".to_owned());
            }
            let deadline = machine.deadline;
            if machine.begin < from - CLOCK || deadline > stop {
                return Err(format!(
                    "to end at {deadline}, and its budget is from {from} to {stop}"
                ));
            }
        }
        Ok(())
    }

    /// Whether all files that anybody may still obey have a rule of that name.
    fn is_in_every_file(&self, name: &str, now: u64) -> bool {
        self.standing(now).iter().all(|(_, rules)| {
            rules.as_ref().is_some_and(|rules| rules.iter().any(|rule| rule.name == name))
        })
    }

    /// Whoever makes a machine has booked before, in the same cycle, what has become of its others: none of them is there longer than
    /// it is reserved.
    fn others_are_reserved(&self, machine: &Metered) -> Result<(), String> {
        let since = machine.begin - self.longest_cycle(machine.begin);
        let own = self.machines.values().filter(|other| {
            let is_there = !other.late && other.hourly.is_some() && other.removed.is_none();
            is_there && other.place.space == machine.place.space && other.begin < since
        });
        let mut over = own.filter(|other| {
            self.paid.reserved_until(&other.intent).is_some_and(|until| until < since)
        });
        over.next().map_or(Ok(()), |other| {
            Err(format!("while {} is there longer than it is reserved", other.intent))
        })
    }

    /// From the beginning of a cycle, by its manager's clock, to a machine that it makes.
    fn longest_cycle(&self, now: i64) -> i64 {
        let is_calm = self.calm_since.is_some_and(|since| since + EARLIER + CLOCK < now);
        if is_calm { CLOCK } else { EARLIER + CLOCK }
    }

    /// Its maker knows what the other machines of its space cost from now on after a rise, and which of them are there longer than they
    /// were to be.
    fn is_within_what_its_maker_knows(
        &self,
        machine: &Metered,
        asked: &Asked,
    ) -> Result<(), String> {
        let prices = match asked.prices[..] {
            [prices] => Some(prices),
            _ => None,
        };
        let (now, space) = (machine.begin, machine.place.space);
        for rule in self.rules_on(machine) {
            let Some(limit) = self.limit(rule.name, self.since_begin(now)) else { continue };
            for window in self.windows_of(&rule, machine) {
                let all = self.machines.values().filter(|other| self.is_on(&rule, other));
                let sum: i64 = all
                    .map(|other| {
                        let known = prices.filter(|_| other.removed.is_none());
                        let new = known.and_then(|of| of.of(other.processors, other.place.market));
                        match new {
                            _ if other.place.space != space => self.cost(other, window),
                            Some(new) => self.repriced(other, window, (now, new)),
                            None => self.cost_of(other, other.known(now), window),
                        }
                    })
                    .sum();
                if sum > limit {
                    return Err(format!(
                        "although, by what its maker knows, {sum} of {limit} are taken by {} from {}",
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
            let lives: Vec<(i64, i64)> = own.map(Metered::promised).collect();
            let first = lives.iter().map(|(begin, _)| *begin).min().unwrap_or(at);
            let last = lives.iter().map(|(_, end)| *end).max().unwrap_or(at);
            for window in windows(rule.each, (first - EARLIER, last + CLOCK)) {
                let sum = self.sum(&rule, window);
                let before = self.accepted.insert((rule.name, window.0), sum).unwrap_or(0);
                if limit.is_some_and(|limit| sum > limit.max(before)) {
                    return Err(format!(
                        "{} is passed in its window from {}: {sum} of {limit:?}, {before} before: {}",
                        rule.name,
                        window.0 - self.purse.begin.as_millis(),
                        self.told(&rule, window)
                    ));
                }
            }
        }
        Ok(())
    }

    fn told(&self, rule: &Rule, window: (i64, i64)) -> String {
        let own = self.machines.iter().filter(|(_, machine)| self.is_on(rule, machine));
        let mut text = format!("{rule:?}");
        for ((_, instance), machine) in own {
            let cost = self.cost(machine, window);
            let since = |at: i64| at - self.purse.begin.as_millis();
            let end = machine.removed.map(since);
            text += &format!(
                "\n  {instance} of {} in {}: {cost}, from {} to {} ({end:?})",
                machine.intent,
                machine.place.space,
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

    pub fn since_begin(&self, at: i64) -> u64 {
        u64::try_from(at - self.purse.begin.as_millis()).unwrap()
    }

    fn all_rules(&self) -> Vec<Rule> {
        let mut rules: BTreeMap<&str, Rule> = BTreeMap::new();
        for rule in self.files.iter().flat_map(|(_, rules)| rules).flatten() {
            rules.insert(rule.name, *rule);
        }
        rules.into_values().collect()
    }

    pub fn rules_on(&self, machine: &Metered) -> Vec<Rule> {
        let rules = self.all_rules().into_iter();
        rules.filter(|rule| rule.covers(machine.place)).collect()
    }

    /// The files that anybody may still obey.
    fn standing(&self, now: u64) -> &[(u64, Option<Vec<Rule>>)] {
        let since = now.saturating_sub(CAPS_GRACE + self.settle);
        let standing = self.files.iter().rposition(|(from, _)| *from <= since).unwrap_or(0);
        &self.files[standing..]
    }

    /// The highest limit of a cap that anybody may still obey; `None`: there may be none.
    pub fn limit(&self, name: &str, now: u64) -> Option<i64> {
        // What nobody could read has no caps, and makes nothing.
        let files = self.standing(now).iter().filter_map(|(_, rules)| rules.as_ref());
        let limits = files.map(|rules| {
            let own = rules.iter().find(|rule| rule.name == name);
            own.map_or(i64::MAX, |rule| rule.limit)
        });
        limits.max().filter(|limit| *limit < i64::MAX)
    }

    fn sum(&self, rule: &Rule, window: (i64, i64)) -> i64 {
        let own = self.machines.values().filter(|machine| self.is_on(rule, machine));
        own.map(|machine| self.cost(machine, window)).sum()
    }

    /// Not what nobody of ours could ever know of: what came late.
    pub fn is_on(&self, rule: &Rule, machine: &Metered) -> bool {
        !machine.late && rule.covers(machine.place)
    }

    /// The windows that a new machine costs something in, wherever their boundaries are on the clock of its maker: seconds before the
    /// end of one it may have been made for the next.
    pub fn windows_of(&self, rule: &Rule, machine: &Metered) -> Vec<(i64, i64)> {
        let mut windows = windows(rule.each, machine.promised());
        windows.retain(|window| self.cost(machine, *window) > 0);
        windows
    }

    /// What a machine costs at least within a window, wherever its boundaries are on the clock of whoever booked it.
    fn cost(&self, machine: &Metered, window: (i64, i64)) -> i64 {
        self.cost_of(machine, machine.promised(), window)
    }

    pub fn cost_of(&self, machine: &Metered, life: (i64, i64), window: (i64, i64)) -> i64 {
        let Some(hourly) = machine.price() else { return 0 };
        least(life, window, |life| self.purse.charging.within(hourly, life, window))
    }

    /// The same, if it costs another price from now on.
    fn repriced(&self, machine: &Metered, window: (i64, i64), (now, new): (i64, i64)) -> i64 {
        let Some(hourly) = machine.price() else { return 0 };
        let (charging, (from, to)) = (self.purse.charging, window);
        let turn = now.clamp(from, to);
        least(machine.known(now), window, |life| {
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
