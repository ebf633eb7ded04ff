//! `vcycle prices list|check|refresh`: what the clouds offer that a machinetype could be made of, and what it costs by the price
//! lists. Given providers that can only observe: it changes nothing.

pub(crate) mod args;
mod refresh;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use futures::future::join_all;
use serde::Serialize;
use vcycle_api::{Clock, Observe, SystemClock};
use vcycle_money::prices::PricePart;
use vcycle_money::{Amount, Currency, Lack, Money, PricedOffering, Unpriced};

use args::{PricesArgs, PricesCommand};

use super::error::CliError;
use super::output::{
    BAD, BOLD, FAINT, Screen, hide_empty_columns, json, number, print, styled, table, table_text,
};
use super::providers;
use crate::config::{Metering, OfferingPrice, SpaceConfig, SpendingSettings};
use crate::library::{Setup, SpaceSetup, load_setup};
use crate::model::{MachinetypeName, Market, Offering, SpaceName, Timestamp};
use crate::plan::fits;

/// The longest that one space is asked.
const LONGEST: Duration = Duration::from_secs(60);

/// Carries the command out.
pub(crate) async fn run(config: &Path, command: &PricesCommand) -> Result<ExitCode, CliError> {
    let setup = load_setup(config).map_err(|problems| CliError::Problems(problems.to_string()))?;
    match command {
        PricesCommand::List(args) => shown(&setup, args, Show::All).await,
        PricesCommand::Check(args) => shown(&setup, args, Show::Missing).await,
        PricesCommand::Refresh(args) => {
            refresh::run(&setup, args).await?;
            Ok(ExitCode::SUCCESS)
        }
    }
}

/// Which offerings are shown.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Show {
    All,
    /// Those without a price; any is a failure.
    Missing,
}

async fn shown(setup: &Setup, args: &PricesArgs, show: Show) -> Result<ExitCode, CliError> {
    let Some(spending) = &setup.config.spending else {
        let why =
            "the configuration has no [spending]: nothing is watched, and nothing has a price";
        return Err(CliError::Usage(why.to_owned()));
    };
    let seen = look(setup, spending, args).await?;
    let works = seen.spaces.iter().all(Space::works);
    let text = match show {
        Show::All | Show::Missing if args.read.json => json(&seen)?,
        Show::All => list_text(&seen, Screen::of_stdout()),
        Show::Missing => check_text(&seen, Screen::of_stdout()),
    };
    print(&text)?;
    let fails = show == Show::Missing && !works;
    Ok(if fails { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

/// The documented JSON of both commands.
#[derive(Serialize)]
struct Seen {
    format: u32,
    now: Timestamp,
    currency: Currency,
    spaces: Vec<Space>,
}

#[derive(Serialize)]
struct Space {
    space: SpaceName,
    provider: &'static str,
    /// Whether its machines have prices at all.
    unmetered: bool,
    /// Why its cloud could not be asked.
    error: Option<String>,
    offerings: Vec<Row>,
}

impl Space {
    /// Whether everything is known that could be made there.
    fn works(&self) -> bool {
        self.error.is_none() && self.offerings.iter().all(|row| row.missing.is_empty())
    }
}

/// A type in a market: zones have the same prices.
#[derive(Serialize)]
struct Row {
    flavour: String,
    market: Market,
    zones: Vec<String>,
    processors: u32,
    /// The machinetypes that could be made of it.
    machinetypes: BTreeSet<MachinetypeName>,
    /// The hard end of the longest of them, if it were made now, and the overstay.
    until: Timestamp,
    /// `null`: it has none that can be used, or needs none.
    price: Option<PriceJson>,
    /// What its price lacks.
    missing: Vec<Missing>,
}

#[derive(Serialize)]
struct PriceJson {
    /// What is reserved for an hour.
    per_hour: Amount,
    /// What an hour will probably cost.
    expected: Amount,
    /// What is settled for an hour that has passed.
    charged: Amount,
    /// The machine alone, as the price list has it.
    quoted: Money,
    minimum_seconds: u64,
    granularity_seconds: u64,
    spot_ceiling: Option<Money>,
    /// What is reserved until `until`.
    reserved: Amount,
    parts: Vec<PartJson>,
}

#[derive(Serialize)]
struct PartJson {
    what: String,
    count: u64,
    quoted: Money,
    per_hour: Amount,
}

#[derive(Serialize)]
struct Missing {
    why: String,
    write: String,
}

async fn look(
    setup: &Setup,
    spending: &SpendingSettings,
    args: &PricesArgs,
) -> Result<Seen, CliError> {
    if let Some(unknown) = args.spaces.iter().find(|name| !setup.spaces.contains_key(*name)) {
        return Err(CliError::Usage(format!("the configuration has no space {unknown}")));
    }
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
    let now = clock.now();
    let wanted = |name: &SpaceName| args.spaces.is_empty() || args.spaces.contains(name);
    let spaces = setup.config.spaces.values().filter(|space| wanted(&space.name));
    let spaces = spaces.filter_map(|config| Some((config, setup.spaces.get(&config.name)?)));
    let asked = spaces.map(|(config, space)| {
        let clock = &clock;
        async move {
            let offerings = match config.metering() {
                Metering::Unmetered => Ok(Vec::new()),
                Metering::Priced => ask(config, clock).await,
            };
            let (offerings, error) = match offerings {
                Ok(offerings) => (rows((spending, config, space), &offerings, now), None),
                Err(why) => (Vec::new(), Some(why)),
            };
            Space {
                space: config.name.clone(),
                provider: config.provider.name(),
                unmetered: config.metering() == Metering::Unmetered,
                error,
                offerings,
            }
        }
    });
    Ok(Seen { format: 1, now, currency: spending.currency, spaces: join_all(asked).await })
}

async fn ask(space: &SpaceConfig, clock: &Arc<dyn Clock>) -> Result<Vec<Offering>, String> {
    let provider: Arc<dyn Observe> =
        providers::observer(space, clock).map_err(|problem| format!("{problem:#}"))?;
    match tokio::time::timeout(LONGEST, provider.offerings()).await {
        Ok(answer) => answer.map_err(|error| error.to_string()),
        Err(_) => Err(format!("it did not tell within {} s", LONGEST.as_secs())),
    }
}

/// All that a machinetype could be made of, by type and market, in the cloud's order. Pure.
fn rows(
    (spending, config, space): (&SpendingSettings, &SpaceConfig, &SpaceSetup),
    offerings: &[Offering],
    now: Timestamp,
) -> Vec<Row> {
    let mut rows: Vec<Row> = Vec::new();
    for offering in offerings {
        let policies = space.policy.machinetypes.values();
        let suited: Vec<_> = policies.filter(|it| fits(&space.policy, it, offering)).collect();
        let Some(end) = suited.iter().map(|policy| policy.deadline(now)).max() else { continue };
        let (id, zone) = (&offering.id, offering.id.zone.clone());
        let same = |row: &&mut Row| row.flavour == id.flavour && row.market == id.market;
        if let Some(row) = rows.iter_mut().find(same) {
            row.zones.push(zone);
            continue;
        }
        let until = end + spending.overstay(config);
        let (price, missing) = match spending.price(config, offering, (now, until)) {
            OfferingPrice::Unmetered => (None, Vec::new()),
            OfferingPrice::Priced(priced) => (Some(price_json(&priced, (now, until))), Vec::new()),
            OfferingPrice::Unpriced(unpriced) => (None, missing(&unpriced)),
        };
        rows.push(Row {
            flavour: id.flavour.clone(),
            market: id.market,
            zones: vec![zone],
            processors: offering.processors.0,
            machinetypes: suited.iter().map(|policy| policy.name.clone()).collect(),
            until,
            price,
            missing,
        });
    }
    rows
}

fn price_json(priced: &PricedOffering, (now, until): (Timestamp, Timestamp)) -> PriceJson {
    let PricedOffering { tariff, quoted, expected, spot_ceiling, parts } = priced;
    let part = |PricePart { item, count, quoted, hourly }: &PricePart| PartJson {
        what: item.to_string(),
        count: *count,
        quoted: *quoted,
        per_hour: *hourly,
    };
    PriceJson {
        per_hour: tariff.hourly,
        expected: *expected,
        charged: tariff.charge(),
        quoted: *quoted,
        minimum_seconds: tariff.minimum.as_secs(),
        granularity_seconds: tariff.granularity.as_secs(),
        spot_ceiling: *spot_ceiling,
        reserved: tariff.worst_of(until.since(now)),
        parts: parts.iter().map(part).collect(),
    }
}

fn missing(unpriced: &Unpriced) -> Vec<Missing> {
    let missing = |lack: &Lack| Missing { why: lack.to_string(), write: lack.remedy() };
    unpriced.lacks().iter().map(missing).collect()
}

fn list_text(seen: &Seen, screen: Screen) -> String {
    let texts: Vec<String> =
        seen.spaces.iter().map(|space| space_text(space, seen, screen)).collect();
    texts.join("\n")
}

fn heading(space: &Space) -> String {
    let Space { space: name, provider, unmetered, error, offerings } = space;
    let mut text = format!("{} {}\n", styled(BOLD, name), styled(FAINT, provider));
    if *unmetered {
        text.push_str("unmetered: nothing is paid by the hour\n");
    } else if let Some(why) = error {
        text.push_str(&styled(BAD, format!("cannot be asked: {why}\n")));
    } else if offerings.is_empty() {
        text.push_str("nothing is offered that a machinetype could be made of\n");
    }
    text
}

fn space_text(space: &Space, seen: &Seen, screen: Screen) -> String {
    let mut text = heading(space);
    if space.offerings.is_empty() {
        return text;
    }
    let money = seen.currency.to_string();
    let headings = [
        "OFFERING",
        "MARKET",
        "CPUS",
        "RESERVED/H",
        "USUAL/H",
        "CHARGED/H",
        "QUOTED",
        "TO ITS END",
        "WHY",
    ];
    let mut table = table(screen, &headings);
    for row in &space.offerings {
        let why: Vec<&str> = row.missing.iter().map(|missing| missing.why.as_str()).collect();
        let cell =
            |of: fn(&PriceJson) -> String| number(row.price.as_ref().map_or("-".to_owned(), of));
        table.add_row([
            row.flavour.clone().into(),
            row.market.to_string().into(),
            number(row.processors),
            cell(|price| format!("{:.4}", price.per_hour)),
            cell(|price| format!("{:.4}", price.expected)),
            // Where it is not as much as is reserved.
            cell(|price| {
                let differs = price.charged < price.per_hour;
                if differs { format!("{:.4}", price.charged) } else { String::new() }
            }),
            cell(|price| price.quoted.to_string()),
            cell(|price| format!("{:.2}", price.reserved)),
            why.join("; ").into(),
        ]);
    }
    hide_empty_columns(&mut table);
    text.push_str(&table_text(&table));
    text.push_str(&styled(FAINT, format!("amounts in {money}, disks and addresses included\n")));
    text
}

fn check_text(seen: &Seen, screen: Screen) -> String {
    let mut text = String::new();
    let mut unpriced = 0;
    for space in seen.spaces.iter().filter(|space| !space.works()) {
        text.push_str(&heading(space));
        // By what is missing: one price may be missed by many.
        let mut missed: BTreeMap<(&str, &str), Vec<String>> = BTreeMap::new();
        for row in space.offerings.iter().filter(|row| !row.missing.is_empty()) {
            unpriced += 1;
            for missing in &row.missing {
                let offering = format!("{} {}", row.flavour, row.market);
                missed.entry((&missing.why, &missing.write)).or_default().push(offering);
            }
        }
        if !missed.is_empty() {
            let mut table = table(screen, &["OFFERING", "WHY", "WHAT TO WRITE"]);
            for ((why, write), offerings) in missed {
                table.add_row([offerings.join("\n"), why.to_owned(), write.to_owned()]);
            }
            text.push_str(&table_text(&table));
        }
        text.push('\n');
    }
    let silent = seen.spaces.iter().filter(|space| space.error.is_some()).count();
    text.push_str(&match (unpriced, silent) {
        (0, 0) => "everything that could be made has a price\n".to_owned(),
        (0, _) => styled(BAD, "not every cloud could be asked\n"),
        (1, _) => styled(BAD, "1 offering has no price that can be used\n"),
        (many, _) => styled(BAD, format!("{many} offerings have no price that can be used\n")),
    });
    text
}
