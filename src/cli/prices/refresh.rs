//! `vcycle prices refresh`: what a cloud itself says of its prices, as a price list. What is not certain is not in it, and is
//! told. Whether the list is believed is decided by whoever names it in `[spending]`.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::io::Write as _;
use std::path::Path;
use std::sync::Arc;

use vcycle_api::{Clock, SystemClock};

use super::args::PricesRefreshArgs;
use crate::cli::error::CliError;
use crate::cli::output::{clock_time, print};
use crate::cli::providers::{self, Reach, ToldPrice, ToldPrices, Wanted};
use crate::config::SpaceConfig;
use crate::library::Setup;
use crate::model::{Market, Timestamp};

/// Carries the command out.
pub(super) async fn run(setup: &Setup, args: &PricesRefreshArgs) -> Result<(), CliError> {
    let PricesRefreshArgs { space, into, currency, period, .. } = args;
    let Some(config) = setup.config.spaces.get(space) else {
        return Err(CliError::Usage(format!("the configuration has no space {space}")));
    };
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
    let wanted = Wanted { currency: *currency, period: *period };
    let told = providers::told_prices(config, &clock, &wanted).await;
    let mut told =
        told.map_err(|why| CliError::Failed(format!("cannot learn prices of {space}: {why:#}")))?;
    drop_nothing(&mut told);
    if told.prices.is_empty() {
        let left_out = told.left_out.join("\n");
        let why = format!("the cloud told no certain price for the types of {space}\n{left_out}");
        return Err(CliError::Failed(why.trim_end().to_owned()));
    }
    let list = list(config, &told, args, clock.now());
    match into {
        None => print(&list),
        Some(file) => {
            replace(file, &list).map_err(|error| {
                CliError::failed(format!("cannot write {}", file.display()), &error)
            })?;
            for left_out in &told.left_out {
                anstream::eprintln!("left out: {left_out}");
            }
            Ok(())
        }
    }
}

/// A price of nothing is one that is not known.
fn drop_nothing(told: &mut ToldPrices) {
    let (prices, nothing): (Vec<_>, Vec<_>) =
        std::mem::take(&mut told.prices).into_iter().partition(|it| !it.per_hour.is_nothing());
    told.prices = prices;
    let words = nothing
        .iter()
        .map(|it| format!("{} {}: its price is not above zero", it.flavour, it.market));
    told.left_out.extend(words);
}

/// The dearest of the prices of each type in each market: a list has one for all zones.
fn dearest(prices: &[ToldPrice]) -> BTreeMap<(&str, Market), &ToldPrice> {
    let mut dearest: BTreeMap<(&str, Market), &ToldPrice> = BTreeMap::new();
    for price in prices {
        let known = dearest.entry((&price.flavour, price.market)).or_insert(price);
        if known.per_hour < price.per_hour {
            *known = price;
        }
    }
    dearest
}

fn list(
    space: &SpaceConfig,
    told: &ToldPrices,
    args: &PricesRefreshArgs,
    now: Timestamp,
) -> String {
    let ToldPrices { source, currency, minimum, granularity, .. } = told;
    let (now, provider) = (clock_time(now), space.provider.name());
    let reach = match told.reach {
        Reach::Region => format!("region = {:?}", space.provider.region()),
        Reach::Space => format!("spaces = [{:?}]", space.name.to_string()),
    };
    let mut text =
        format!("# As told at {now}. Made by `vcycle prices refresh`: edits are lost.\n");
    for remark in &told.remarks {
        text.push_str(&comment(remark));
    }
    text.push_str(&format!(
        "\n[list]\nprovider = {provider:?}\n{reach}\ncurrency = \"{currency}\"\nvalid_from = {now}\nconfirmed = {now}\n\
         source = {source:?}\nminimum = \"{minimum}s\"\ngranularity = {granularity:?}\n"
    ));
    for included in args.included.iter().map(|included| included.key()).collect::<BTreeSet<_>>() {
        text.push_str(&format!("{included} = \"included\"\n"));
    }
    if let Some(age) = args.price_age {
        text.push_str(&format!("price_age = \"{}s\"\n", age.as_secs()));
    }
    if let Some(how) = args.charge_spot {
        text.push_str(&format!("charge_spot = \"{}\"\n", how.word()));
    }
    for ((flavour, market), ToldPrice { per_hour, remark, .. }) in dearest(&told.prices) {
        let market = match market {
            Market::OnDemand => "",
            Market::Preemptible => "market = \"spot\"\n",
        };
        let remark = comment(remark);
        let row = write!(
            text,
            "\n{remark}[[machine]]\ntype = {flavour:?}\n{market}per_hour = \"{per_hour}\"\n"
        );
        row.expect("a text takes everything");
    }
    if !told.left_out.is_empty() {
        text.push_str("\n# Left out, because it is not certain:\n");
        told.left_out.iter().for_each(|left_out| text.push_str(&comment(left_out)));
    }
    text
}

/// A comment of one line, whatever a cloud has put into it.
fn comment(text: &str) -> String {
    let plain: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    format!("# {plain}\n")
}

/// At once: a manager that reads it meanwhile sees the old one or the new one.
fn replace(file: &Path, text: &str) -> std::io::Result<()> {
    let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty());
    let mut new = tempfile::Builder::new()
        .prefix(".prices-")
        .tempfile_in(folder.unwrap_or(Path::new(".")))?;
    new.write_all(text.as_bytes())?;
    // Not as secret as temporary files are: prices are read by others.
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o644);
    new.as_file().set_permissions(mode)?;
    new.as_file().sync_all()?;
    new.persist(file).map_err(|error| error.error)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn price(flavour: &str, market: Market, zone: &str, per_hour: &str) -> ToldPrice {
        let (flavour, remark) = (flavour.to_owned(), format!("In {zone}."));
        ToldPrice { flavour, market, per_hour: per_hour.parse().unwrap(), remark }
    }

    #[test]
    fn the_dearest_zone_of_a_type_in_a_market_is_its_price() {
        let told = [
            price("c7i", Market::Preemptible, "a", "0.100000"),
            price("c7i", Market::Preemptible, "b", "0.120000"),
            price("c7i", Market::OnDemand, "c", "0.3"),
        ];
        let dearest: Vec<&str> = dearest(&told).values().map(|it| it.remark.as_str()).collect();
        assert_eq!(dearest, ["In c.", "In b."]);
    }

    #[test]
    fn nothing_that_a_cloud_says_leaves_its_comment() {
        assert_eq!(comment("a\n[[machine]]\r\u{1b}b"), "# a [[machine]]  b\n");
    }

    #[test]
    fn a_list_replaces_the_old_one_whole() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("aws-spot.toml");
        for text in ["old", "new"] {
            replace(&file, text).unwrap();
            assert_eq!(std::fs::read_to_string(&file).unwrap(), text);
        }
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
    }
}
