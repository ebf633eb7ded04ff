//! What holds for every price book.

use std::collections::BTreeSet;
use std::time::Duration;

use proptest::prelude::*;
use vcycle_api::{Attached, Disk, Market, OfferingId, SpaceName, Timestamp};

use super::list::{Charged, Granularity, InForce, Item, PriceList, PriceRow, SpotCharge};
use super::*;
use crate::{Amount, Currency, Money, Permille, ProviderName};

const DAY: i64 = 86_400;
const AGE: Duration = Duration::from_secs(90 * 86_400);

fn day(number: i64) -> Timestamp {
    Timestamp::from_secs(number * DAY)
}

fn nanos(nanos: i64, currency: Currency) -> Money {
    Money { amount: Amount::from_nanos(nanos), currency }
}

fn money(text: &str) -> Money {
    text.parse().unwrap()
}

fn row(item: Item, price: Money, (from, until): (i64, Option<i64>)) -> PriceRow {
    let in_force = InForce { from: day(from), until: until.map(day) };
    let written = format!("p.toml:{from}").into();
    PriceRow { item, price, in_force, confirmed: day(0), written }
}

fn machine(price: Money, force: (i64, Option<i64>)) -> PriceRow {
    row(Item::OnDemand("m".into()), price, force)
}

fn list(rows: Vec<PriceRow>) -> PriceList {
    PriceList {
        file: "p.toml".into(),
        provider: ProviderName::parse("aws").unwrap(),
        region: Some("eu-west-2".into()),
        spaces: BTreeSet::new(),
        minimum: Duration::from_secs(60),
        granularity: Granularity::Second,
        disks: Charged::Apart,
        addresses: Charged::Apart,
        age: None,
        spot: SpotCharge::default(),
        rows,
    }
}

fn rates(rows: &[(Currency, &str, i64)]) -> ExchangeRates {
    let rate = |&(currency, worth, on): &(Currency, &str, i64)| Rate {
        currency,
        worth: worth.parse().unwrap(),
        on: day(on),
        written: format!("rates.toml:{on}").into(),
    };
    let rates = rows.iter().map(rate).collect();
    ExchangeRates::new(Currency::GBP, rates, Permille(30), Duration::from_secs(10 * 86_400))
}

/// One machine of type `m`, from day 1 to a day, with so many GiB and addresses.
struct Asked {
    market: Market,
    attached: Attached,
    until: i64,
}

fn asked(until: i64) -> Asked {
    Asked { market: Market::OnDemand, attached: Attached::default(), until }
}

fn answer(
    lists: Vec<PriceList>,
    rates: &ExchangeRates,
    asked: &Asked,
) -> Result<PricedOffering, Unpriced> {
    let offering =
        OfferingId { flavour: "m".into(), zone: "eu-west-2a".into(), market: asked.market };
    let question = PriceQuestion {
        provider: &ProviderName::parse("aws").unwrap(),
        region: "eu-west-2",
        space: &SpaceName::parse("a.example").unwrap(),
        offering: &offering,
        attached: &asked.attached,
        at: day(1),
        until: day(asked.until),
    };
    PriceBook::new(lists, AGE).unwrap().tariff(&question, rates)
}

fn disk(gb: Option<u64>, kind: Option<&str>) -> Attached {
    let disks = vec![Disk { gb, kind: kind.map(str::to_owned) }];
    Attached { disks, public_addresses: 0 }
}

fn lacks(rows: Vec<PriceRow>, asked: &Asked) -> String {
    let rates = rates(&[(Currency::USD, "0.8", 0)]);
    answer(vec![list(rows)], &rates, asked).unwrap_err().to_string()
}

/// Prices with their beginnings, on different days.
fn histories() -> impl Strategy<Value = Vec<(i64, i64)>> {
    let later = prop::collection::btree_map(-5_i64..40, 1_i64..1_000_000_000_000, 0..6);
    (1_i64..1_000_000_000_000, later).prop_map(|(first, later)| {
        let mut all = vec![(-100, first)];
        all.extend(later);
        all
    })
}

fn of_history(history: &[(i64, i64)]) -> Vec<PriceList> {
    let rows = history.iter().map(|&(from, price)| {
        machine(
            nanos(price, if from % 2 == 0 { Currency::USD } else { Currency::GBP }),
            (from, None),
        )
    });
    vec![list(rows.collect())]
}

proptest! {
    #[test]
    fn the_tariff_is_never_below_the_exact_sum_and_hardly_above(
        per_hour in 1_i64..1_000_000_000_000, per_month in 1_i64..1_000_000_000, address in 1_i64..1_000_000_000,
        gb in 1_u64..10_000, addresses in 1_u32..4, worth in 1_i64..3_000_000_000,
    ) {
        let rows = vec![
            machine(nanos(per_hour, Currency::USD), (0, None)),
            row(Item::Disk(None), nanos(per_month, Currency::GBP), (0, None)),
            row(Item::Address, nanos(address, Currency::GBP), (0, None)),
        ];
        let rates = rates(&[(Currency::USD, &Amount::from_nanos(worth).to_string(), 0)]);
        let attached = Attached { public_addresses: addresses, ..disk(Some(gb), Some("gp3")) };
        let priced = answer(vec![list(rows)], &rates, &Asked { attached, ..asked(2) }).unwrap();
        // In parts of 1e-12 x 1e-9 x 1/672.
        let exact = i128::from(per_hour) * i128::from(worth) * 1030 * 672
            + (i128::from(per_month) * i128::from(gb) + i128::from(address) * i128::from(addresses) * 672)
                * 1_000_000_000_000;
        let hourly = i128::from(priced.tariff.hourly.nanos()) * 1_000_000_000_000 * 672;
        prop_assert!(hourly >= exact);
        prop_assert!(hourly - exact < 6 * 1_000_000_000_000 * 672, "six roundings at most");
        prop_assert_eq!(priced.parts.iter().map(|part| part.hourly).sum::<Amount>(), priced.tariff.hourly);
    }

    #[test]
    fn a_longer_life_is_never_cheaper(history in histories(), short in 1_i64..40, more in 0_i64..40) {
        let rates = rates(&[(Currency::USD, "0.8", 0)]);
        let price = |until| answer(of_history(&history), &rates, &asked(until)).unwrap().tariff;
        prop_assert!(price(short).hourly <= price(short + more).hourly);
    }

    #[test]
    fn a_dearer_price_never_gives_a_cheaper_tariff(
        history in histories(), which in any::<prop::sample::Index>(), more in 1_i64..1_000_000_000, until in 1_i64..40,
    ) {
        let rates = rates(&[(Currency::USD, "0.8", 0)]);
        let price = |history: &[(i64, i64)]| answer(of_history(history), &rates, &asked(until)).unwrap().tariff;
        let mut dearer = history.clone();
        let changed = which.index(dearer.len());
        dearer[changed].1 += more;
        prop_assert!(price(&history).hourly <= price(&dearer).hourly);
    }

    #[test]
    fn what_is_reserved_is_never_below_any_price_of_the_life(history in histories(), until in 1_i64..40) {
        let rates = rates(&[(Currency::USD, "0.8", 0)]);
        let priced = answer(of_history(&history), &rates, &asked(until)).unwrap();
        for at in 1..=until {
            let (from, price) = history.iter().rfind(|(from, _)| *from <= at).unwrap();
            let in_gbp = if from % 2 == 0 { i128::from(*price) * 824 / 1000 } else { i128::from(*price) };
            prop_assert!(i128::from(priced.tariff.hourly.nanos()) >= in_gbp);
        }
    }
}

#[test]
fn spot_is_reserved_at_the_price_on_demand_unless_there_is_a_ceiling() {
    let spot = Asked { market: Market::Preemptible, ..asked(2) };
    let mut rows = vec![
        machine(money("1 GBP"), (0, None)),
        row(Item::Spot("m".into()), money("0.2 GBP"), (0, None)),
    ];
    let priced = answer(vec![list(rows.clone())], &rates(&[]), &spot).unwrap();
    assert_eq!(
        (priced.tariff.hourly, priced.expected),
        ("1".parse().unwrap(), "0.2".parse().unwrap())
    );
    assert_eq!((priced.spot_ceiling, priced.tariff.charged), (None, None));
    rows.push(row(Item::SpotCeiling("m".into()), money("0.5 GBP"), (0, None)));
    let priced = answer(vec![list(rows)], &rates(&[]), &spot).unwrap();
    assert_eq!(priced.tariff.hourly, "0.5".parse().unwrap());
    assert_eq!(priced.spot_ceiling, Some(money("0.5 GBP")));
}

#[test]
fn spot_is_charged_by_its_price_where_its_list_says_so_and_as_reserved_when_that_cannot_be_used() {
    let spot = Asked { market: Market::Preemptible, ..asked(2) };
    let on_demand = machine(money("1 GBP"), (0, None));
    let listed = |confirmed: i64, price: &str| PriceList {
        spot: SpotCharge::Listed,
        rows: vec![PriceRow {
            confirmed: day(confirmed),
            ..row(Item::Spot("m".into()), money(price), (-500, None))
        }],
        ..list(Vec::new())
    };
    let tariff = |confirmed, price, asked: &Asked| {
        let lists = vec![list(vec![on_demand.clone()]), listed(confirmed, price)];
        answer(lists, &rates(&[]), asked).unwrap().tariff
    };
    let by_list = tariff(0, "0.2 GBP", &spot);
    assert_eq!((by_list.hourly, by_list.charge()), ("1".parse().unwrap(), "0.2".parse().unwrap()));
    assert_eq!(tariff(-90, "0.2 GBP", &spot).charge(), by_list.hourly, "too old");
    assert_eq!(tariff(0, "0 GBP", &spot).charge(), by_list.hourly, "unknown");
    assert_eq!(tariff(0, "3 GBP", &spot).charge(), by_list.hourly, "never more than is reserved");
    assert_eq!(tariff(0, "0.2 GBP", &asked(2)).charge(), by_list.hourly, "on demand");
    // Spot by the hour beside on demand by the second.
    let hourly = PriceList { granularity: Granularity::Hour, ..listed(0, "0.2 GBP") };
    let lists = vec![list(vec![on_demand.clone()]), hourly];
    let tariff = answer(lists, &rates(&[]), &spot).unwrap().tariff;
    assert_eq!(tariff.granularity.as_secs(), 3600);
}

#[test]
fn everything_that_is_missing_is_said_at_once() {
    let attached = Attached { public_addresses: 1, ..disk(None, Some("gp3")) };
    let said = lacks(Vec::new(), &Asked { attached, ..asked(2) });
    let wanted = [
        "the on-demand price of m at aws in eu-west-2 is not in the price lists",
        "the price of gp3 disks at aws in eu-west-2 is not in the price lists",
        "the size of a disk is as the image says, and not known",
        "the price of a public address at aws in eu-west-2 is not in the price lists",
    ];
    assert_eq!(said, wanted.join("; "));
}

#[test]
fn no_price_is_better_than_a_wrong_one() {
    for (price, said) in
        [("0 GBP", "not above zero"), ("-1 GBP", "not above zero"), ("1 EUR", "no rate")]
    {
        let all = lacks(vec![machine(money(price), (0, None))], &asked(2));
        assert!(all.contains(said), "{price}: {all}");
    }
    let ends = lacks(vec![machine(money("1 GBP"), (0, Some(3)))], &asked(4));
    assert_eq!(ends, "the on-demand price of m is not known at 1970-01-04T00:00:00.000Z");
    let not_yet = lacks(vec![machine(money("1 GBP"), (2, None))], &asked(4));
    assert!(not_yet.contains("not known at 1970-01-02"), "{not_yet}");
}

#[test]
fn a_price_and_a_rate_grow_too_old_and_none_is_of_the_future() {
    let confirmed = |at| PriceRow { confirmed: day(at), ..machine(money("1 GBP"), (-500, None)) };
    assert!(lacks(vec![confirmed(-90)], &asked(2)).contains("more than 90 days ago"));
    assert!(lacks(vec![confirmed(4)], &asked(2)).contains("still to come"));
    let in_dollars = || vec![list(vec![machine(money("1 USD"), (0, None))])];
    for (on, said) in [(-10, "more than 10 days ago"), (2, "there is no rate")] {
        let rates = rates(&[(Currency::USD, "0.8", on)]);
        let lack = answer(in_dollars(), &rates, &asked(2)).unwrap_err().to_string();
        assert!(lack.contains(said), "{lack}");
    }
    let newest =
        rates(&[(Currency::USD, "0.9", -1), (Currency::USD, "0.5", 1), (Currency::USD, "7", 2)]);
    let priced = answer(in_dollars(), &newest, &asked(2)).unwrap();
    assert_eq!(priced.tariff.hourly, "0.515".parse().unwrap(), "0.5 and 3 % of it");
    assert_eq!(priced.quoted, money("1 USD"));
}

#[test]
fn a_list_that_names_the_space_is_before_that_of_the_region_and_of_the_provider() {
    let named = |price: &str, region: Option<&str>, spaces: &[&str]| PriceList {
        region: region.map(str::to_owned),
        spaces: spaces.iter().map(|name| SpaceName::parse(name).unwrap()).collect(),
        ..list(vec![machine(money(price), (0, None))])
    };
    let hourly = |lists| answer(lists, &rates(&[]), &asked(2)).unwrap().quoted;
    let mut lists = vec![named("3 GBP", None, &[]), named("9 GBP", Some("us-east-1"), &[])];
    assert_eq!(hourly(lists.clone()), money("3 GBP"));
    lists.push(named("2 GBP", Some("eu-west-2"), &[]));
    assert_eq!(hourly(lists.clone()), money("2 GBP"));
    lists.push(named("1 GBP", None, &["a.example"]));
    lists.push(named("9 GBP", None, &["b.example"]));
    assert_eq!(hourly(lists), money("1 GBP"));
}

#[test]
fn a_price_that_is_there_twice_is_refused() {
    let rows = vec![machine(money("1 GBP"), (3, None)), machine(money("2 GBP"), (3, None))];
    let twice = PriceBook::new(vec![list(rows)], AGE).unwrap_err();
    assert_eq!((twice.len(), &*twice[0].second), (1, "p.toml:3"));
}

#[test]
fn what_is_included_needs_no_price_and_the_coarsest_billing_counts() {
    let attached = Attached { public_addresses: 1, ..disk(None, None) };
    let rows = vec![machine(money("1 GBP"), (0, None))];
    let included =
        PriceList { disks: Charged::Included, addresses: Charged::Included, ..list(rows.clone()) };
    let all = Asked { attached, ..asked(2) };
    assert_eq!(
        answer(vec![included], &rates(&[]), &all).unwrap().tariff.hourly,
        "1".parse().unwrap()
    );
    let address = PriceList {
        region: None,
        minimum: Duration::from_secs(600),
        granularity: Granularity::Hour,
        ..list(vec![row(Item::Address, money("0.005 GBP"), (0, None))])
    };
    let attached = Attached { public_addresses: 1, disks: Vec::new() };
    let both = answer(vec![list(rows), address], &rates(&[]), &Asked { attached, ..asked(2) });
    let tariff = both.unwrap().tariff;
    assert_eq!(tariff.hourly, "1.005".parse().unwrap());
    assert_eq!((tariff.minimum.as_secs(), tariff.granularity.as_secs()), (600, 3600));
}

#[test]
fn the_remedy_names_the_file_and_what_to_write() {
    let rates = rates(&[]);
    let unpriced = answer(vec![list(Vec::new())], &rates, &asked(2)).unwrap_err();
    let remedy = unpriced.lacks()[0].remedy();
    let wanted =
        "[[machine]] with `type = \"m\"` and `per_hour` in p.toml (provider aws, region eu-west-2)";
    assert_eq!(remedy, wanted);
}

#[test]
fn a_price_that_another_list_of_the_same_reach_has_since_then_is_not_doubted() {
    let price = || money("1 GBP");
    let of = |file: &str, spaces: &[&str], rows| {
        let spaces = spaces.iter().map(|space| SpaceName::parse(space).unwrap()).collect();
        PriceList { file: file.into(), spaces, ..list(rows) }
    };
    let doubted = |lists: Vec<PriceList>, at| {
        let doubts = PriceBook::new(lists, AGE).unwrap().doubts(day(at));
        doubts.into_iter().map(|(file, _)| file.to_string()).collect::<Vec<_>>()
    };
    for ends in [Some(1), None] {
        let old = || of("old.toml", &[], vec![machine(price(), (-100, ends))]);
        let new = || of("new.toml", &[], vec![machine(price(), (1, None))]);
        let own = || of("own.toml", &["a.example"], vec![machine(price(), (1, None))]);
        for at in [0, 1, 90] {
            assert!(doubted(vec![old(), new()], at).is_empty(), "{ends:?} on day {at}");
        }
        assert_eq!(doubted(vec![old(), new()], 91), ["new.toml"]);
        assert_eq!(doubted(vec![new()], 0), ["new.toml"], "there is none yet");
        // The price of one space says nothing of others.
        assert_eq!(doubted(vec![old(), own()], 91), ["old.toml", "own.toml"]);
    }
}
