//! The files of the spend manager, `caps.d/*.toml` in the state directory: `[cap.NAME]`, and `[budget.NAME]`, each of which
//! is a cap, too.
//!
//! They are no part of the configuration: a mistake in them must not keep a site from changing its own, and a mistake
//! there must not keep a cap from being lowered. All files hold together: with one mistake none of them is taken up.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use vcycle_money::plan::Budget;
use vcycle_money::{
    Cap, CapName, Community, Currency, Permille, ProviderName, Scope, Stages, Window,
};

use super::budgets::read_budgets;
use super::known::Known;
use super::sums;
use crate::config::load::TextFile;
use crate::config::problem::{Collector, Problem, Problems, Wrong};
use crate::config::reader::Reader;
use crate::config::source::{Place, Placed};
use crate::config::tree::{self, Value};
use crate::config::types::Config;
use crate::config::values::{self, Read};
use crate::model::Timestamp;

/// The files, as they were read.
#[derive(Debug, Clone)]
pub struct CapTexts {
    /// Where they are, for people.
    pub folder: PathBuf,
    /// The files.
    pub files: Vec<CapFile>,
}

/// One file.
#[derive(Debug, Clone)]
pub struct CapFile {
    /// The file.
    pub text: TextFile,
    /// When it was changed.
    pub modified: Option<Timestamp>,
    /// The number of the user that owns it.
    pub owner: Option<u32>,
}

/// The caps that a configuration is to obey.
#[derive(Debug)]
pub struct LoadedCaps {
    /// All caps of all files, by name; or all that is wrong, and then none of them may be taken up.
    pub caps: Result<Vec<Cap>, Problems>,
    /// All budgets of all files, by name, each of which is among the caps, too; none when something is wrong.
    pub budgets: Vec<Budget>,
    /// What somebody should look at.
    pub warnings: Vec<Problem>,
    /// The files, with who wrote them and when.
    pub texts: CapTexts,
}

/// How the files of the spend manager stand to the caps in force.
#[derive(Debug, Clone, PartialEq)]
pub enum CapsStand {
    /// They say what is in force.
    InForce,
    /// They say this.
    Otherwise(Vec<Cap>),
    /// They are not taken up: what is in force stays.
    NotTakenUp {
        /// Why.
        why: String,
    },
}

/// Why caps in force stay when no file is left: perhaps another directory is mounted there, or none.
pub const NO_CAPS_FILE: &str = "there is no file in caps.d any more: is the state directory whole? To take all caps away, \
     leave an empty file there";

impl LoadedCaps {
    /// How they stand to the caps in force, as managers see it (`driver::treasury`).
    pub fn stand(&self, in_force: &[Cap]) -> CapsStand {
        match &self.caps {
            Err(problems) => CapsStand::NotTakenUp { why: problems.in_a_line() },
            Ok(_) if self.texts.files.is_empty() && !in_force.is_empty() => {
                CapsStand::NotTakenUp { why: NO_CAPS_FILE.to_owned() }
            }
            Ok(caps) if caps == in_force => CapsStand::InForce,
            Ok(caps) => CapsStand::Otherwise(caps.clone()),
        }
    }
}

/// What the files of the spend manager say.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct CapsAndBudgets {
    /// Caps, those of the budgets among them.
    pub caps: Vec<Cap>,
    /// Budgets.
    pub budgets: Vec<Budget>,
}

/// Makes caps of their texts: pure. Problems go to the collector: with an error none of the caps may be used. What a cap
/// names and the configuration does not have is a warning, because another manager's may have it.
pub fn validate_caps(
    texts: &CapTexts,
    currency: Currency,
    config: &Config,
    problems: &Collector,
) -> CapsAndBudgets {
    validate(texts, currency, Some(&Known::of(config)), problems)
}

/// The same for who has no configuration: the names are not looked up.
pub(crate) fn validate_caps_alone(
    texts: &CapTexts,
    currency: Currency,
    problems: &Collector,
) -> CapsAndBudgets {
    validate(texts, currency, None, problems)
}

fn validate(
    texts: &CapTexts,
    currency: Currency,
    known: Option<&Known>,
    problems: &Collector,
) -> CapsAndBudgets {
    let mut places: BTreeMap<CapName, Place> = BTreeMap::new();
    let mut caps = BTreeMap::new();
    let mut budgets = BTreeMap::new();
    for CapFile { text, .. } in &texts.files {
        let table = tree::parse(&text.name, &text.folder, &text.text, problems);
        let root = Reader::new(&table, "", problems);
        for (written, reader) in root.tables_of("cap") {
            let name = sums::label::<CapName>(&Value::Text(written));
            let name = name.map_err(|wrong| reader.problem(wrong)).ok();
            if let Some(name) = &name {
                refuse_twice(name, &reader, &mut places);
            }
            let cap = read_cap(name, &reader, currency, known);
            reader.finish();
            caps.extend(cap.map(|cap| (cap.name.clone(), cap)));
        }
        for (budget, place) in read_budgets(&root, currency, known) {
            let again = places.insert(budget.name.clone(), place.clone());
            if let Some(first) = again {
                let wrong = Wrong::new("a cap or a budget of this name", "each name once");
                let problem = Problem::at_place(&place, budget.name.to_string(), wrong);
                problems.add(problem.and_at(&first, "the other one"));
            }
            caps.insert(budget.name.clone(), budget.cap());
            budgets.insert(budget.name.clone(), budget);
        }
        root.finish();
    }
    CapsAndBudgets { caps: caps.into_values().collect(), budgets: budgets.into_values().collect() }
}

/// Whether a file has caps or budgets, for who has no currency to understand them by. What cannot be read may have some.
pub fn speaks_of_caps(text: &str) -> bool {
    let has = |file: &toml::Table, key| file.get(key).is_some_and(|it| !is_empty_table(it));
    text.parse().map_or(true, |file: toml::Table| has(&file, "cap") || has(&file, "budget"))
}

fn is_empty_table(value: &toml::Value) -> bool {
    value.as_table().is_some_and(toml::Table::is_empty)
}

/// The caps of a file that stands for itself, without a configuration whose names they could miss.
pub(super) fn read_plain_caps(root: &Reader<'_>, currency: Currency) -> Vec<Cap> {
    let mut caps = Vec::new();
    for (written, reader) in root.tables_of("cap") {
        let name = sums::label::<CapName>(&Value::Text(written));
        let name = name.map_err(|wrong| reader.problem(wrong)).ok();
        caps.extend(read_cap(name, &reader, currency, None));
        reader.finish();
    }
    caps
}

fn refuse_twice(name: &CapName, reader: &Reader<'_>, places: &mut BTreeMap<CapName, Place>) {
    if let Some(first) = places.get(name) {
        let wrong = Wrong::new("the same cap in another file", "each cap in one file");
        let problem = Problem::at_place(reader.place(), reader.path(), wrong);
        reader.problems().add(problem.and_at(first, "the other file"));
    }
    places.entry(name.clone()).or_insert_with(|| reader.place().clone());
}

fn read_cap(
    name: Option<CapName>,
    cap: &Reader<'_>,
    currency: Currency,
    known: Option<&Known>,
) -> Option<Cap> {
    let right = format!("how much, for example \"50000 {currency}\"");
    let limit = cap.required("limit", sums::money, &right);
    let limit = limit.filter(|limit| {
        let fits = limit.value.currency == currency;
        if !fits {
            let wrong = Wrong::new(
                format!("not in {currency}, the currency of [spending] and of all caps"),
                &*right,
            );
            cap.problems().add(Problem::at_value(limit, wrong));
        }
        fits
    });
    if let Some(limit) = limit.as_ref().filter(|limit| limit.value.amount.nanos() < 0) {
        cap.problems().add(Problem::at_value(limit, Wrong::new("negative", &*right)));
    } else if let Some(limit) = limit.as_ref().filter(|limit| limit.value.amount.is_nothing()) {
        let wrong =
            Wrong::new("zero, so nothing is made", "an amount, unless that is what you want");
        cap.problems().add(Problem::at_value(limit, wrong).as_warning());
    }
    let window = read_window(cap);
    let scope = read_scope(cap, known);
    let stages = read_stages(cap);
    Some(Cap { name: name?, limit: limit?.value.amount, scope, window: window?, stages })
}

/// What `window` can be.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Each {
    Grant,
    Hour,
    Day,
    Week,
    Month,
}

fn each(value: &Value) -> Read<Each> {
    const RIGHT: &str =
        "\"grant\" (once, with `from` and `to`), \"hour\", \"day\", \"week\" or \"month\"";
    match values::text(value)?.as_str() {
        "grant" => Ok(Each::Grant),
        "hour" => Ok(Each::Hour),
        "day" => Ok(Each::Day),
        "week" => Ok(Each::Week),
        "month" => Ok(Each::Month),
        other => Err(Wrong::new(format!("{other:?} is no such time"), RIGHT)),
    }
}

fn read_window(cap: &Reader<'_>) -> Option<Window> {
    let right = "over which time it counts: \"grant\", \"hour\", \"day\", \"week\" or \"month\"";
    let each = cap.required("window", each, right);
    let (from, to) = (cap.get("from", sums::hour), cap.get("to", sums::hour));
    let offset = cap.get("utc_offset_hours", offset);
    let each = each?.value;
    let is_grant = each == Each::Grant;
    let meaningless = |place: Option<(&Place, &str)>, why: &str, right: &str| {
        if let Some((place, key)) = place {
            cap.problems().add(Problem::at_place(place, key, Wrong::new(why, right)));
        }
    };
    fn spot<T>(written: Option<&Placed<T>>) -> Option<(&Place, &str)> {
        written.map(|written| (&written.place, written.key.as_str()))
    }
    if !is_grant {
        for time in [spot(from.as_ref()), spot(to.as_ref())] {
            meaningless(
                time,
                "a window that comes again has no beginning and no end",
                "`window = \"grant\"`",
            );
        }
    }
    if is_grant || each == Each::Hour {
        let right = "with \"day\", \"week\" and \"month\" alone";
        meaningless(spot(offset.as_ref()), "this window begins at the same time everywhere", right);
    }
    let utc_offset_hours = offset.map_or(0, |offset| offset.value);
    Some(match each {
        Each::Grant => read_grant(cap, from, to)?,
        Each::Hour => Window::Hour,
        Each::Day => Window::Day { utc_offset_hours },
        Each::Week => Window::Week { utc_offset_hours },
        Each::Month => Window::Month { utc_offset_hours },
    })
}

fn read_grant(
    cap: &Reader<'_>,
    from: Option<Placed<Timestamp>>,
    to: Option<Placed<Timestamp>>,
) -> Option<Window> {
    for (key, time) in [("from", &from), ("to", &to)] {
        if time.is_none() && cap.refused(key).is_none() {
            let right =
                "`from` and `to`: the first and the last hour of the grant, such as 2026-12-01";
            cap.absence(Wrong::new(format!("a grant without `{key}`"), right));
        }
    }
    let (from, to) = (from?, to?);
    if to.value <= from.value {
        let wrong = Wrong::new("not after `from`", "a later time");
        cap.problems().add(Problem::at_value(&to, wrong).and_at(&from.place, "its beginning"));
    }
    Some(Window::Grant { from: from.value, to: to.value })
}

fn offset(value: &Value) -> Read<i8> {
    const RIGHT: &str = "whole hours east of UTC, from -12 to 14, without quotes";
    let hours = values::integer(value).map_err(|Wrong { wrong, .. }| Wrong::new(wrong, RIGHT))?;
    i8::try_from(hours)
        .ok()
        .filter(|hours| (-12..=14).contains(hours))
        .ok_or_else(|| Wrong::new(format!("{hours} is no offset"), RIGHT))
}

fn read_stages(cap: &Reader<'_>) -> Stages {
    let standard = Stages::default();
    let part = |key, standard: Permille| cap.get_or(key, sums::permille, standard);
    let warn = part("warn_at", standard.warn);
    let stop = part("stop_growing_at", standard.stop_growing);
    let drain = part("drain_at", standard.drain);
    for (stage, name) in [(&stop, "stop_growing_at"), (&drain, "drain_at")] {
        if stage.value < warn.value {
            let wrong = Wrong::new(
                format!("people are warned (`warn_at`) only after `{name}`"),
                format!("`warn_at` not above `{name}`"),
            );
            cap.problems().add(Problem::at_value(&warn, wrong).as_warning());
        }
    }
    Stages { warn: warn.value, stop_growing: stop.value, drain: drain.value }
}

fn read_scope(cap: &Reader<'_>, known: Option<&Known>) -> Scope {
    let providers = cap.get("providers", |v| sums::set(v, sums::label::<ProviderName>));
    let spaces = cap.get("spaces", |v| sums::set(v, values::name));
    let machinetypes = cap.get("machinetypes", |v| sums::set(v, values::name));
    let communities = cap.get("communities", |v| sums::set(v, sums::label::<Community>));
    let markets = cap.get("markets", |v| sums::set(v, values::market));
    if let Some(known) = known {
        known.providers.warn(cap, providers.as_ref());
        known.spaces.warn(cap, spaces.as_ref());
        known.machinetypes.warn(cap, machinetypes.as_ref());
        known.communities.warn(cap, communities.as_ref());
    }
    fn all<T: Ord>(written: Option<Placed<BTreeSet<T>>>) -> BTreeSet<T> {
        written.map(|written| written.value).unwrap_or_default()
    }
    Scope {
        providers: all(providers),
        spaces: all(spaces),
        machinetypes: all(machinetypes),
        communities: all(communities),
        markets: all(markets),
    }
}
