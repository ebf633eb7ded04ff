//! Scenarios of `vcycle simulate`: `[simulation]`, `[community.NAME]`, `[offering.NAME]`, with `[budget.NAME]` and
//! `[cap.NAME]` as the spend manager writes them.

use std::collections::BTreeSet;
use std::time::Duration;

use vcycle_api::OfferingId;
use vcycle_money::plan::Budget;
use vcycle_money::simulate::{
    CommunityModel, Demand, InvalidScenario, OfferingModel, Scenario, Stock, Storms, Wave,
};
use vcycle_money::{Community, Currency, Permille, ProviderName, Tariff};

use super::budgets::{own_money, read_budgets};
use super::caps::read_plain_caps;
use super::sums;
use super::world::SiteWorld;
use crate::config::load::TextFile;
use crate::config::problem::{Collector, Finding, Problem, Wrong};
use crate::config::reader::Reader;
use crate::config::tree::{self, Table, Value};
use crate::config::values::{self, Read};
use crate::model::Timestamp;

const HOUR: Duration = Duration::from_secs(3600);

/// Makes a scenario of its files, which may share its tables among them: pure. Problems go to the collector; `None` only
/// when there was one. With several budgets the one of this name is simulated. What the files do not say is as at the site.
pub fn validate_scenario(
    files: &[TextFile],
    (budget, site): (Option<&str>, Option<&SiteWorld<'_>>),
    problems: &Collector,
) -> Option<Scenario> {
    let mut together: Option<Table> = None;
    for file in files {
        let table = tree::parse(&file.name, &file.folder, &file.text, problems);
        match &mut together {
            None => together = Some(table),
            Some(below) => tree::add_to_layer(below, table, "", problems),
        }
    }
    let root = together?;
    let root = Reader::new(&root, "", problems);
    let General { currency, seed, cycle, overstay } = read_general(&root, site)?;
    let budgets =
        read_budgets(&root, currency, None).into_iter().map(|(budget, _)| budget).collect();
    let caps = read_plain_caps(&root, currency);
    let communities = read_communities(&root, site);
    let offerings = read_offerings(&root, (currency, site));
    let chosen = choose(&root, budgets, budget);
    let (place, has_offerings) = (root.place().clone(), root.has("offering").is_some());
    root.finish();
    let scenario =
        Scenario { currency, budget: chosen?, caps, cycle, overstay, seed, communities, offerings };
    match scenario.check() {
        // Said at the budget.
        Ok(()) | Err(InvalidScenario::Budget(_)) => {}
        // One with a mistake has its problem already.
        Err(InvalidScenario::NoOffering) if has_offerings => {}
        Err(wrong) => {
            let problem = Problem::at_place(&place, "", what_is_wrong(&wrong));
            problems.add(problem.found_by(Finding::Absence));
        }
    }
    Some(scenario)
}

/// `[simulation]`.
struct General {
    currency: Currency,
    seed: u64,
    cycle: Duration,
    overstay: Duration,
}

fn read_general(root: &Reader<'_>, site: Option<&SiteWorld<'_>>) -> Option<General> {
    let standard = General {
        currency: site.map_or(Currency::GBP, |site| site.spending.currency),
        seed: 1,
        cycle: HOUR / 12,
        overstay: site.map_or(HOUR, |site| site.spending.overstay),
    };
    let Some(general) = root.table("simulation") else {
        if root.has("simulation").is_some() {
            return None;
        }
        if site.is_none() {
            let right = "[simulation] with `currency`: this is no scenario; or --site, with a configuration that has [spending]";
            root.absence(Wrong::new("`[simulation]` is missing", right));
        }
        return site.map(|_| standard);
    };
    let currency = match site {
        Some(_) => Some(general.get_or("currency", sums::currency, standard.currency).value),
        None => general
            .required("currency", sums::currency, "in what is reckoned")
            .map(|currency| currency.value),
    };
    let seed = general.get_or("seed", values::seed, standard.seed).value;
    let cycle = general.get_or("cycle", values::duration_above_zero, standard.cycle).value;
    let overstay = general.get_or("overstay", values::duration, standard.overstay).value;
    general.finish();
    Some(General { currency: currency?, seed, cycle, overstay })
}

fn choose(root: &Reader<'_>, mut budgets: Vec<Budget>, name: Option<&str>) -> Option<Budget> {
    let names: Vec<String> = budgets.iter().map(|budget| budget.name.to_string()).collect();
    let chosen = match name {
        Some(name) => names.iter().position(|own| own == name),
        None => (names.len() == 1).then_some(0),
    };
    let wrong = match (chosen, name, names.as_slice()) {
        (Some(place), ..) => return Some(budgets.swap_remove(place)),
        // A budget with a mistake has its problem already.
        (None, None, []) if root.has("budget").is_some() => return None,
        (None, None, []) => Wrong::new("no budget", "[budget.NAME] with amount, from and to"),
        (None, None, many) => {
            Wrong::new("several budgets", format!("--budget with one of {}", many.join(", ")))
        }
        (None, Some(name), many) => {
            Wrong::new(format!("no budget {name}"), format!("one of {}", many.join(", ")))
        }
    };
    root.absence(wrong);
    None
}

fn read_communities(root: &Reader<'_>, site: Option<&SiteWorld<'_>>) -> Vec<CommunityModel> {
    let mut models = Vec::new();
    for (written, reader) in root.tables_of("community") {
        let name = sums::label::<Community>(&Value::Text(written));
        let name = name.map_err(|wrong| reader.problem(wrong)).ok();
        let time = |key, standard| reader.get_or(key, values::duration, standard).value;
        let at_site = name.as_ref().and_then(|name| site?.lives.get(name)).copied();
        let lives = at_site.unwrap_or_default();
        let model = CommunityModel {
            community: name.clone().unwrap_or_else(|| "unknown".parse().expect("a valid name")),
            demand: read_demand(&reader),
            life: time("life", (10 * HOUR).min(lives.max_wallclock)),
            max_wallclock: time("max_wallclock", lives.max_wallclock),
            min_wallclock: time("min_wallclock", lives.min_wallclock),
            guaranteed: time("guaranteed", HOUR),
            grace: time("grace", lives.grace),
            fizzle: time("fizzle", lives.fizzle),
            backoff: time("backoff", lives.backoff),
            fizzles: reader.get_or("fizzles", sums::permille, Permille(0)).value,
            providers: reader
                .get("providers", |v| sums::set(v, sums::label::<ProviderName>))
                .map_or_else(BTreeSet::new, |set| set.value),
        };
        reader.finish();
        models.extend(name.map(|_| model));
    }
    models
}

/// `demand = [{ from = 2019-12-01, machines = 20 }, ...]`, in the order of time.
fn read_demand(community: &Reader<'_>) -> Demand {
    let mut steps: Vec<(Timestamp, u32)> = Vec::new();
    for step in community.tables_in("demand") {
        let from = step.required("from", sums::day_or_time, "from when");
        let machines = step.required("machines", values::count, "how many would find work");
        step.finish();
        let (Some(from), Some(machines)) = (from, machines) else { continue };
        if steps.last().is_some_and(|(before, _)| *before >= from.value) {
            let wrong = Wrong::new("not after the step before it", "steps in the order of time");
            community.problems().add(Problem::at_value(&from, wrong));
        }
        steps.push((from.value, machines.value));
    }
    let jitter = community.get_or("jitter", sums::permille, Permille(0)).value;
    Demand { steps, jitter }
}

/// In what is reckoned, and where prices are known besides.
type Prices<'a> = (Currency, Option<&'a SiteWorld<'a>>);

fn read_offerings(root: &Reader<'_>, prices: Prices<'_>) -> Vec<OfferingModel> {
    let mut models = Vec::new();
    for (_, reader) in root.tables_of("offering") {
        let model = read_offering(&reader, prices);
        reader.finish();
        models.extend(model);
    }
    models
}

fn read_offering(own: &Reader<'_>, (currency, site): Prices<'_>) -> Option<OfferingModel> {
    let provider = own.required("provider", sums::label::<ProviderName>, "who sends the bill");
    let space = own.get("space", values::name);
    let flavour = own.required("flavour", values::line, "flavour, instance type or machine type");
    let zone = own.get("zone", values::line).map(|zone| zone.value).unwrap_or_default();
    let market = own.required("market", values::market, "\"on-demand\" or \"spot\"");
    let id = flavour.zip(market).map(|(flavour, market)| OfferingId {
        flavour: flavour.value,
        zone,
        market: market.value,
    });
    let from = provider.as_ref().map(|own| &own.value).zip(id.as_ref());
    let listed = site.zip(from).map(|(site, (provider, id))| {
        site.price((provider, space.as_ref().map(|space| &space.value)), id)
    });
    let tariff = read_tariff(own, currency, listed);
    let processors = own.required("processors", values::positive, "how many it has");
    let most = own.required("most", values::positive, "how many there may be");
    let hs23 = own.get("hs23", values::above_zero).map(|hs23| hs23.value);
    let boot = own.get_or("boot", values::duration, Duration::from_secs(180)).value;
    let never_start = own.get_or("never_start", sums::permille, Permille(0)).value;
    let reclaimed = per_hour(own);
    let waves = own.tables_in("wave").into_iter().filter_map(read_wave).collect();
    let storms = own.table("storms").and_then(read_storms);
    let provider = provider?.value;
    let space = match space {
        Some(space) => space.value,
        None => provider.as_str().parse().ok()?,
    };
    Some(OfferingModel {
        provider,
        space,
        offering: id?,
        tariff: tariff?,
        processors: processors?.value,
        hs23,
        most: most?.value,
        boot,
        never_start,
        reclaimed_per_hour: reclaimed,
        waves,
        storms,
    })
}

/// What is written of the price, else as it is listed.
fn read_tariff(
    own: &Reader<'_>,
    currency: Currency,
    listed: Option<Result<Tariff, String>>,
) -> Option<Tariff> {
    let money = |value: &Value| own_money(value, currency);
    let is_listed = own.has("price").is_none();
    let charge = match &listed {
        Some(Ok(listed)) => Some(own.get_or("price", money, listed.charge()).value),
        Some(Err(why)) if is_listed => {
            let wrong = Wrong::new(format!("its price is not known: {why}"), "`price`");
            own.problem(wrong);
            None
        }
        Some(Err(_)) | None => {
            let right = format!("for an hour, such as \"0.31 {currency}\"");
            own.required("price", money, &right).map(|price| price.value)
        }
    };
    let standard = listed.and_then(Result::ok);
    let time = |key, listed: Option<Duration>, secs| {
        own.get_or(key, sums::seconds, listed.unwrap_or(Duration::from_secs(secs))).value
    };
    let minimum = time("minimum", standard.map(|tariff| tariff.minimum), 60);
    let granularity = time("granularity", standard.map(|tariff| tariff.granularity), 1);
    let dearest = standard.filter(|_| is_listed).map(|tariff| tariff.hourly);
    let reserved = own.get("reserved", money);
    let charge = charge?;
    if let Some(reserved) = reserved.as_ref().filter(|reserved| reserved.value < charge) {
        let right = format!("what an hour can cost at the most: {charge} {currency} or more");
        own.problems().add(Problem::at_value(reserved, Wrong::new("less than its price", right)));
    }
    let hourly = reserved.map(|reserved| reserved.value).or(dearest).unwrap_or(charge).max(charge);
    let charged = (charge < hourly).then_some(charge);
    Some(Tariff { hourly, charged, minimum, granularity })
}

fn read_wave(wave: Reader<'_>) -> Option<Wave> {
    let from = wave.required("from", sums::day_or_time, "when it begins");
    let to = wave.required("to", sums::day_or_time, "when it ends");
    let (reclaimed_per_hour, price, stock) = weather(&wave);
    let problems = wave.problems();
    wave.finish();
    let (from, to) = (from?, to?);
    if to.value <= from.value {
        let wrong = Wrong::new("not after `from`", "a later time");
        problems.add(Problem::at_value(&to, wrong));
    }
    Some(Wave { from: from.value, to: to.value, reclaimed_per_hour, price, stock })
}

fn read_storms(storms: Reader<'_>) -> Option<Storms> {
    let time = values::duration_above_zero;
    let every = storms.required("every", time, "from one to the next, on the mean");
    let lasts = storms.required("lasts", time, "how long one lasts, on the mean");
    let (reclaimed_per_hour, price, stock) = weather(&storms);
    storms.finish();
    let (every, lasts) = (every?.value, lasts?.value);
    Some(Storms { every, lasts, reclaimed_per_hour, price, stock })
}

fn weather(own: &Reader<'_>) -> (f64, Permille, Stock) {
    let price = own.get_or("price_factor", factor, Permille(1000)).value;
    (per_hour(own), price, own.get_or("stock", stock, Stock::Available).value)
}

/// `reclaimed = "0.5%"`: of all machines, in each hour.
fn per_hour(own: &Reader<'_>) -> f64 {
    f64::from(own.get_or("reclaimed", sums::permille, Permille(0)).value.0) / 1000.0
}

fn factor(value: &Value) -> Read<Permille> {
    const RIGHT: &str = "a number above 0 and at most 60, without quotes: 1.3 is 30 % dearer";
    let number =
        values::above_zero(value).map_err(|Wrong { wrong, .. }| Wrong::new(wrong, RIGHT))?;
    let permille = (number * 1000.0).round();
    if (1.0..=60_000.0).contains(&permille) {
        Ok(Permille(permille as u16))
    } else {
        Err(Wrong::new("out of range", RIGHT))
    }
}

fn stock(value: &Value) -> Read<Stock> {
    match values::text(value)?.as_str() {
        "available" => Ok(Stock::Available),
        "out" => Ok(Stock::Out),
        other => Err(Wrong::new(format!("{other:?} is no stock"), "\"available\" or \"out\"")),
    }
}

fn what_is_wrong(wrong: &InvalidScenario) -> Wrong {
    let right = match wrong {
        InvalidScenario::Budget(_) => "a budget as in docs/MONEY.md",
        InvalidScenario::NoOffering => {
            "[offering.NAME] with provider, flavour, market, price, processors and most"
        }
        InvalidScenario::Cycle => "`cycle` such as \"5m\"",
        InvalidScenario::NoDemand(_) => "[community.NAME] with `demand`",
        InvalidScenario::NotInBudget(_) => {
            "the community in `priorities` or `backfill` of the budget"
        }
        InvalidScenario::Free(_) => "a `price` above zero",
        InvalidScenario::Book(_) => "what the ledger takes, too",
        InvalidScenario::NoLife(_) => "durations above zero",
    };
    Wrong::new(wrong.to_string(), right)
}
