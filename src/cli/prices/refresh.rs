//! `vcycle prices refresh`: what spot costs now, as a price list. It never touches what somebody signed off: no cap depends
//! on these prices, because what may be taken back is reserved at the price on demand.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::Write as _;
use std::path::Path;
use std::sync::Arc;

use vcycle_api::{Clock, SystemClock};
use vcycle_money::Amount;

use crate::cli::error::CliError;
use crate::cli::output::{clock_time, print};
use crate::cli::providers::{self, UsualPrice};
use crate::library::Setup;
use crate::model::{SpaceName, Timestamp};

/// Carries the command out.
pub(super) async fn run(
    setup: &Setup,
    space: &SpaceName,
    into: Option<&Path>,
) -> Result<(), CliError> {
    let Some(config) = setup.config.spaces.get(space) else {
        return Err(CliError::Usage(format!("the configuration has no space {space}")));
    };
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
    let told = providers::usual_prices(config, &clock).await;
    let told =
        told.map_err(|why| CliError::Failed(format!("cannot learn prices of {space}: {why:#}")))?;
    let dearest = dearest(&told).map_err(CliError::Failed)?;
    let list = list(config.provider.region(), &dearest, clock.now());
    match into {
        None => print(&list),
        Some(file) => replace(file, &list)
            .map_err(|error| CliError::failed(format!("cannot write {}", file.display()), &error)),
    }
}

/// The dearest zone of each type: a list has one price for all.
fn dearest(told: &[UsualPrice]) -> Result<BTreeMap<&str, (Amount, &str)>, String> {
    let mut dearest: BTreeMap<&str, (Amount, &str)> = BTreeMap::new();
    for UsualPrice { flavour, zone, dollars } in told {
        let price: Amount = dollars
            .parse()
            .map_err(|_| format!("{dollars:?} for {flavour} in {zone} is no price"))?;
        let known = dearest.entry(flavour).or_insert((price, zone));
        if known.0 < price {
            *known = (price, zone);
        }
    }
    if dearest.is_empty() {
        return Err("the cloud told no price of spot for the types of this space".to_owned());
    }
    Ok(dearest)
}

fn list(region: &str, dearest: &BTreeMap<&str, (Amount, &str)>, now: Timestamp) -> String {
    let now = clock_time(now);
    let mut text = format!(
        "# What spot cost at {now}, for choosing and forecasts. Made by `vcycle prices refresh`: edits are lost.\n\
         # What may be taken back is reserved at the price on demand, which belongs into a list that somebody signed off.\n\n\
         [list]\nprovider = \"aws\"\nregion = {region:?}\ncurrency = \"USD\"\nvalid_from = {now}\nconfirmed = {now}\n\
         source = \"EC2, DescribeSpotPriceHistory\"\nminimum = \"60s\"\ngranularity = \"1s\"\n"
    );
    for (flavour, (price, zone)) in dearest {
        let row = write!(
            text,
            "\n# In {zone}, the dearest zone.\n[[machine]]\ntype = {flavour:?}\nmarket = \"spot\"\nper_hour = \"{price}\"\n"
        );
        row.expect("a text takes everything");
    }
    text
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

    #[test]
    fn the_dearest_zone_of_a_type_is_its_price() {
        let told = [("c7i", "a", "0.100000"), ("c7i", "b", "0.120000"), ("m7i", "a", "0.3")];
        let told = told.map(|(flavour, zone, dollars)| UsualPrice {
            flavour: flavour.to_owned(),
            zone: zone.to_owned(),
            dollars: dollars.to_owned(),
        });
        let text = list("eu-west-2", &dearest(&told).unwrap(), Timestamp::from_secs(1_795_219_200));
        assert!(text.contains("# In b, the dearest zone.\n[[machine]]\ntype = \"c7i\""), "{text}");
        assert!(text.contains("per_hour = \"0.12\"\n"), "{text}");
        assert!(text.contains("valid_from = 2026-11-21T00:00:00Z\n"), "{text}");
        assert!(dearest(&[]).is_err());
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
