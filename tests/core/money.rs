//! Prices and caps for tests: a machine of one processor costs a pound an hour.

use std::sync::Arc;
use std::time::Duration;

use vcycle::config::SpendingSettings;
use vcycle::library::Setup;
use vcycle_money::prices::{Charged, Granularity, InForce, Item, PriceRow, SpotCharge};
use vcycle_money::{
    Amount, Cap, Currency, ExchangeRates, Money, Permille, PriceBook, PriceList, ProviderName,
    Scope, Stages, Window,
};

use super::world::START;

/// How much longer than its hard end a machine is reserved.
pub const OVERSTAY: Duration = Duration::from_secs(50 * 60);

fn gbp() -> Currency {
    "GBP".parse().unwrap()
}

fn row(item: Item, price: &str) -> PriceRow {
    PriceRow {
        item,
        price: Money { amount: price.parse().unwrap(), currency: gbp() },
        in_force: InForce { from: START, until: None },
        confirmed: START,
        written: "prices.toml:1".into(),
    }
}

/// Flavours with their prices of an hour; others have none.
pub fn prices(rows: &[(&str, &str)]) -> PriceBook {
    let rows = rows.iter().map(|(flavour, price)| row(Item::OnDemand((*flavour).into()), price));
    PriceBook::new(vec![list(rows.collect())], Duration::from_secs(90 * 86_400)).unwrap()
}

fn list(rows: Vec<PriceRow>) -> PriceList {
    PriceList {
        file: "prices.toml".into(),
        provider: ProviderName::parse("sim").unwrap(),
        region: None,
        spaces: std::collections::BTreeSet::new(),
        minimum: Duration::from_secs(60),
        granularity: Granularity::Second,
        disks: Charged::Included,
        addresses: Charged::Included,
        age: None,
        spot: SpotCharge::default(),
        rows,
    }
}

/// Prices on demand as above and of spot, by which it is charged; nobody has looked at them since that many days.
pub fn spot(flavour: &str, (on_demand, spot): (&str, &str), days: u32) -> PriceBook {
    let confirmed = START - Duration::from_secs(86_400) * days;
    let old = |item: Item, price: &str| PriceRow { confirmed, ..row(item, price) };
    let list = PriceList {
        spot: SpotCharge::Listed,
        rows: vec![
            old(Item::OnDemand(flavour.into()), on_demand),
            old(Item::Spot(flavour.into()), spot),
        ],
        ..list(Vec::new())
    };
    PriceBook::new(vec![list], Duration::from_secs(90 * 86_400)).unwrap()
}

/// The same site, with its spending watched at these prices.
pub fn watched(setup: &Setup, book: PriceBook) -> Arc<Setup> {
    let mut setup = setup.clone();
    let mut config = (*setup.config).clone();
    config.spending = Some(SpendingSettings {
        currency: gbp(),
        book: Arc::new(book),
        rates: Arc::new(ExchangeRates::new(gbp(), Vec::new(), Permille(0), OVERSTAY)),
        hook: None,
        overstay: OVERSTAY,
    });
    setup.config = Arc::new(config);
    Arc::new(setup)
}

/// A cap on everything for a hundred hours.
pub fn grant(limit: i64) -> Cap {
    Cap {
        name: "grant".parse().unwrap(),
        limit: Amount::from_units(limit),
        scope: Scope::default(),
        window: Window::Grant { from: START, to: START + Duration::from_secs(100 * 3600) },
        stages: Stages::default(),
    }
}
