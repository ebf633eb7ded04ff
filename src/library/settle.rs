//! Rules between the settings of one machinetype: each pair that can contradict is checked where
//! the values were written. Pure.

use super::entry::Entry;
use crate::config::settings::Settings;
use crate::config::values::show_duration;
use crate::config::{
    Collector, Finding, MachinetypeConfig, Metering, Place, Placed, Problem, SpaceConfig,
    SpendingSettings, Wrong,
};
use crate::model::{MachinetypePolicy, Ranking};

/// A machinetype with everything that its settings must agree with.
pub(super) struct Settle<'a> {
    /// What came of the settings.
    pub(super) policy: &'a MachinetypePolicy,
    /// The settings, with their places.
    pub(super) settings: &'a Settings,
    /// The section of the configuration.
    pub(super) machinetype: &'a MachinetypeConfig,
    /// The entry.
    pub(super) entry: &'a Entry,
    /// The space.
    pub(super) space: &'a SpaceConfig,
    /// `[spending]`, with which prices are known.
    pub(super) spending: Option<&'a SpendingSettings>,
    /// Where problems go.
    pub(super) problems: &'a Collector,
}

/// Where a setting was written, if it was.
type Spot<'a> = Option<(&'a Place, &'a str)>;

fn spot<T>(written: Option<&Placed<T>>) -> Spot<'_> {
    written.map(|written| (&written.place, written.key.as_str()))
}

impl Settle<'_> {
    pub(super) fn check(&self) {
        self.check_processors();
        self.check_limits();
        self.check_times();
        self.check_heartbeat();
        self.check_lists();
        self.check_ranking();
    }

    /// A problem of two settings: at the first that is written, naming the other.
    fn problem(&self, first: Spot<'_>, second: Spot<'_>, wrong: Wrong) -> Problem {
        let section = &self.machinetype.section;
        let (place, key) = first.or(second).unwrap_or((&section.place, section.key.as_str()));
        let problem = Problem::at_place(place, key, wrong);
        match (first, second) {
            (Some(_), Some((other, _))) => problem.and_at(other, "the other setting"),
            (Some(_), None) | (None, Some(_) | None) => problem,
        }
    }

    fn check_processors(&self) {
        let (policy, s) = (self.policy, self.settings);
        let (min, max) = (spot(s.min_processors.as_ref()), spot(s.max_processors.as_ref()));
        let accepted = self.entry.processors;
        if policy.max_processors.is_some_and(|max| max < policy.min_processors) {
            let wrong = Wrong::new(
                "`max_processors` is below `min_processors`",
                format!("`max_processors` of {} or more", policy.min_processors),
            );
            self.problems.add(self.problem(max, min, wrong));
        }
        if policy.min_processors < accepted.min {
            let wrong = Wrong::new(
                format!("machines of the entry `{}` need more processors", self.entry.name),
                format!("{} or more", accepted.min),
            );
            self.problems.add(self.problem(min, None, wrong));
        }
        if let (Some(most), Some(max_processors)) = (accepted.max, policy.max_processors)
            && max_processors > most
        {
            let wrong = Wrong::new(
                format!(
                    "machines of the entry `{}` cannot use so many processors",
                    self.entry.name
                ),
                format!("{most} or fewer"),
            );
            self.problems.add(self.problem(max, None, wrong));
        }
    }

    /// A limit below one machine's processors makes nothing: legal, but worth a word.
    fn check_limits(&self) {
        let (policy, s) = (self.policy, self.settings);
        let limits = [
            ("processors_limit", policy.processors_limit, spot(s.processors_limit.as_ref())),
            (
                "max_starting_processors",
                policy.max_starting_processors,
                spot(s.max_starting_processors.as_ref()),
            ),
            ("the space's processors_limit", self.space.processors_limit, None),
        ];
        for (name, limit, place) in limits {
            if limit.is_some_and(|limit| limit < policy.min_processors) {
                let wrong = Wrong::new(
                    format!("{name} is below `min_processors`, so nothing is made"),
                    format!("{} or more", policy.min_processors),
                );
                let min = spot(s.min_processors.as_ref());
                self.problems.add(self.problem(place, min, wrong).as_warning());
            }
        }
        if s.target_share.is_none() {
            let wrong = Wrong::new("`target_share` is missing, so nothing is made", "a share");
            let problem = self.problem(None, None, wrong).found_by(Finding::Absence);
            self.problems.add(problem.as_warning());
        }
    }

    fn check_times(&self) {
        let (policy, s) = (self.policy, self.settings);
        let wall = spot(s.max_wallclock.as_ref());
        let longest = show_duration(policy.max_wallclock);
        if policy.fizzle >= policy.max_wallclock {
            let wrong = Wrong::new(
                "`fizzle` is not below `max_wallclock`, so every machine would count as failed",
                format!("`fizzle` shorter than {longest}"),
            );
            self.problems.add(self.problem(spot(s.fizzle.as_ref()), wall, wrong));
        }
        if policy.min_wallclock > policy.max_wallclock {
            let wrong = Wrong::new(
                "`min_wallclock` is above `max_wallclock`",
                format!("`min_wallclock` of {longest} or less"),
            );
            self.problems.add(self.problem(spot(s.min_wallclock.as_ref()), wall, wrong));
        }
        if policy.breaker.pause > policy.breaker.pause_max {
            let wrong = Wrong::new(
                "`breaker.pause` is above `breaker.pause_max`",
                format!("{} or less", show_duration(policy.breaker.pause_max)),
            );
            let (pause, max) = (s.breaker_pause.as_ref(), s.breaker_pause_max.as_ref());
            self.problems.add(self.problem(spot(pause), spot(max), wrong));
        }
    }

    fn check_heartbeat(&self) {
        let s = self.settings;
        if let (Some(heartbeat), None) = (&s.heartbeat, &s.heartbeat_file) {
            let wrong = Wrong::new(
                "`heartbeat` without `heartbeat_file`",
                "`heartbeat_file`: the output file that machines renew",
            );
            let problem = self.problem(spot(Some(heartbeat)), None, wrong);
            self.problems.add(problem.found_by(Finding::Absence));
        }
        let rule = self.policy.heartbeat.as_ref().and_then(|rule| rule.every);
        if rule.is_some_and(|every| every >= self.policy.max_wallclock) {
            let wrong = Wrong::new(
                "`heartbeat` is not below `max_wallclock`, so silence is never noticed",
                format!("shorter than {}", show_duration(self.policy.max_wallclock)),
            );
            let wall = spot(s.max_wallclock.as_ref());
            let problem = self.problem(spot(s.heartbeat.as_ref()), wall, wrong);
            self.problems.add(problem.as_warning());
        }
    }

    /// An order by price where no price is known would be an order by nothing.
    fn check_ranking(&self) {
        let s = self.settings;
        let (rank, spreading) = (spot(s.rank.as_ref()), spot(s.spreading.as_ref()));
        let wrong = match (self.policy.ranking, self.spending) {
            (Ranking::Listed, _) => spreading.map(|_| {
                Wrong::new("`spreading` without an order by price", "`rank = \"price\"` as well")
            }),
            (Ranking::Price { spreading: _ }, None) => Some(Wrong::new(
                "no price is known: there is no [spending] that can be used",
                "[spending] with price lists, or `rank = \"listed\"`",
            )),
            (Ranking::Price { spreading: _ }, Some(_)) => match self.space.metering() {
                Metering::Priced => None,
                Metering::Unmetered => Some(Wrong::new(
                    "machines of this space cost nothing by the hour, so no price tells them apart",
                    "`rank = \"listed\"`, or prices for this space in place of `price = \"unmetered\"`",
                )),
            },
        };
        if let Some(wrong) = wrong {
            let (first, second) = match self.policy.ranking {
                Ranking::Listed => (spreading, rank),
                Ranking::Price { spreading: _ } => (rank, None),
            };
            self.problems.add(self.problem(first, second, wrong));
        }
    }

    fn check_lists(&self) {
        let s = self.settings;
        let slashless = s
            .https_x509dn
            .iter()
            .filter(|dns| dns.value.iter().any(|dn| !dn.starts_with('/') || !dn.contains('=')));
        for dns in slashless {
            let wrong = Wrong::new(
                "not a distinguished name in slash form",
                "for example \"/C=UK/O=eScience/CN=host.example\"",
            );
            self.problems.add(Problem::at_value(dns, wrong));
        }
        for (what, list) in [("flavor", &s.flavors), ("zone", &s.zones)] {
            let is_repeated = |list: &&Placed<Vec<String>>| {
                list.value.iter().enumerate().any(|(i, name)| list.value[..i].contains(name))
            };
            for list in list.iter().filter(is_repeated) {
                let right = format!("each {what} once, the best first");
                let wrong = Wrong::new(format!("the same {what} twice"), right);
                self.problems.add(Problem::at_value(list, wrong));
            }
        }
    }
}
