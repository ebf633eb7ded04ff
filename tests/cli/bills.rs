//! `vcycle spend import`: bills against the ledger that `spend` makes, where 10.00 were spent by one machine and 1.00 by another
//! ten days ago.

use serde_json::{Value, json};
use vcycle_money::{Amount, Event};

use super::Site;
use super::spend::{amount, ask, days_ago, entry_path, good, ledger, site, write_ledger};

/// Tags as the map of them stands in CSV.
pub(super) const DUNE: &str =
    "{\"\"user_vcycle_space\"\":\"\"ska.aws\"\",\"\"user_vcycle_machinetype\"\":\"\"dune\"\"}";

/// A bill of some lines, each for an hour of a day at noon.
pub(super) fn bill_of(site: &Site, name: &str, lines: &[(u16, &str, &str)]) -> String {
    let line = |(ago, cost, tags): &(u16, &str, &str)| {
        let day = days_ago(*ago);
        format!("{day}T12:00:00Z,{day}T13:00:00Z,Usage,AmazonEC2,i-1,USD,{cost},\"{tags}\"\n")
    };
    let title = "line_item_usage_start_date,line_item_usage_end_date,line_item_line_item_type,line_item_product_code,\
                 line_item_resource_id,line_item_currency_code,line_item_unblended_cost,resource_tags\n";
    let lines: String = lines.iter().map(line).collect();
    let path = site.path(name);
    std::fs::write(&path, title.to_owned() + &lines).unwrap();
    path.display().to_string()
}

/// A bill of the day in the past with those beside it, and of yesterday.
pub(super) fn bill(site: &Site) -> String {
    let lsst = DUNE.replace("dune", "lsst");
    let lines = [
        (11, "0", ""),
        (10, "8.75", DUNE),
        (10, "1.25", &lsst),
        (10, "100.0000000001", ""),
        (9, "0", ""),
        (1, "3", DUNE),
    ];
    bill_of(site, "export.csv", &lines)
}

/// What is typed for a bill in dollars.
pub(super) fn import<'a>(bill: &'a str, more: &[&'a str]) -> Vec<&'a str> {
    [&["import", bill, "--from", "aws", "--rate", "USD=0.8"], more].concat()
}

#[test]
fn a_bill_is_compared_booked_once_and_exported() {
    let site = site();
    let bill = bill(&site);
    let args = import(&bill, &["--currency", "GBP"]);
    let answer = good(ask(&site, &[&args[..], &["--json"]].concat())).json();
    let past = &answer["days"][1];
    assert_eq!((&past["billed"], &past["ledger"]), (&json!("8.00"), &json!("11.00")));
    assert_eq!((&past["factor"], &past["others"]), (&json!("0.727"), &json!("80.00")));
    assert_eq!(answer["corrections"].as_array().unwrap().len(), 1, "lsst is as billed: {answer}");
    assert_eq!(answer["corrections"][0]["amount"], "-3.00");
    assert!(answer["held_back"][0]["why"].as_str().unwrap().contains("may not be complete"));
    assert_eq!(answer["booked"], Value::Null);

    // Under its headings, the line of all days too.
    let text = good(ask(&site, &args)).stdout;
    let ends = |line: &str| line.trim_end().len();
    let lines: Vec<&str> = text.lines().collect();
    let all = lines.iter().find(|line| line.starts_with("all ")).unwrap();
    let heading = lines[0].split(" NOTE").next().unwrap();
    assert_eq!(ends(all), ends(heading), "{text}");

    let book = [&args[..], &["--book"]].concat();
    let unasked = ask(&site, &book);
    assert_eq!(unasked.code, Some(2), "nothing is booked without agreement: {unasked:?}");
    assert!(unasked.stderr.contains("3.00 less"), "{unasked:?}");
    let booked = good(ask(&site, &[&book[..], &["--yes"]].concat()));
    assert!(booked.stdout.contains("booked 1 corrections: -3.00 GBP"), "{booked:?}");
    let again = good(ask(&site, &[&book[..], &["--yes", "--json"]].concat())).json();
    assert_eq!((&again["corrections"], &again["booked"]), (&json!([]), &Value::Null));

    let (from, to) = (days_ago(12).to_string(), days_ago(8).to_string());
    let csv = good(ask(&site, &["export", "--from", &from, "--to", &to])).stdout;
    let lines: Vec<&str> = csv.lines().collect();
    assert_eq!(
        lines[0],
        "hour,provider,space,machinetype,community,market,purpose,amount,currency"
    );
    assert!(
        lines[1..].iter().any(|line| line.contains("dune,\"SKA, low\",on-demand,corrected,-3.00")),
        "{csv}"
    );
    let all =
        good(ask(&site, &["export", "--format", "json", "--from", &from, "--to", &to])).json();
    let sum: Amount = all["lines"]
        .as_array()
        .unwrap()
        .iter()
        .map(|line| line["amount"].as_str().unwrap().parse::<Amount>().unwrap())
        .sum();
    assert_eq!(sum, amount("8"), "as on the bill");
}

#[test]
fn a_bill_that_is_cut_off_is_shown_as_far_as_it_goes_and_never_booked() {
    let site = site();
    let bill = bill(&site);
    let text = std::fs::read_to_string(&bill).unwrap();
    std::fs::write(&bill, &text[..text.len() - 20]).unwrap();
    let args = import(&bill, &["--book", "--yes"]);
    let answer = ask(&site, &args);
    assert_eq!(answer.code, Some(1), "{answer:?}");
    assert!(answer.stdout.contains("0.727"), "{answer:?}");
    assert!(
        answer.stderr.contains("export.csv, line 7, column") && answer.stderr.contains("cut off"),
        "{answer:?}"
    );
    assert!(!entry_path(&site, 4).exists(), "nothing was booked");
}

#[test]
fn what_is_missing_is_said_with_what_to_type() {
    let site = site();
    let bill = bill(&site);
    let no_rate = ask(&site, &["import", &bill, "--from", "aws"]);
    assert_eq!(no_rate.code, Some(2), "{no_rate:?}");
    assert!(no_rate.stderr.contains("--rate USD="), "{no_rate:?}");
    let wrong_rate = ask(&site, &["import", &bill, "--from", "aws", "--rate", "USD=0"]);
    assert!(wrong_rate.stderr.contains("USD=0.79"), "{wrong_rate:?}");
    let no_currency = ask(&Site::new(), &["import", &bill, "--from", "aws"]);
    assert_eq!(no_currency.code, Some(2), "{no_currency:?}");
    assert!(no_currency.stderr.contains("--currency"), "{no_currency:?}");
}

/// Dollars taken for pounds would be booked as such.
#[test]
fn the_currency_of_the_ledger_cannot_be_said_otherwise() {
    let site = site();
    let bill = bill(&site);
    let args = ["import", &bill, "--from", "aws", "--currency", "USD", "--book", "--yes"];
    let refused = ask(&site, &args);
    assert_eq!(refused.code, Some(2), "{refused:?}");
    assert!(refused.stderr.contains("the ledger is in GBP, not in USD"), "{refused:?}");
    assert!(!entry_path(&site, 4).exists(), "nothing was booked");
}

/// What is booked before anybody has spent must not be counted in the currency of whoever spends first.
#[test]
fn a_bill_that_is_booked_into_a_new_ledger_says_its_currency() {
    let site = Site::new();
    let mut entries = ledger();
    entries.truncate(1);
    let (_, events) = &mut entries[0];
    events.retain(|event| matches!(event, Event::CapsSet { .. }));
    write_ledger(&site, entries);
    let bill = bill_of(&site, "a.csv", &[(12, "10", DUNE), (11, "10", DUNE), (10, "10", DUNE)]);
    good(ask(&site, &import(&bill, &["--currency", "GBP", "--book", "--yes"])));
    let entry = std::fs::read_to_string(entry_path(&site, 2)).unwrap();
    assert!(entry.contains("corrected") && entry.contains("GBP"), "{entry}");
    let refused = ask(&site, &["import", &bill, "--from", "aws", "--currency", "USD"]);
    assert!(refused.stderr.contains("the ledger is in GBP, not in USD"), "{refused:?}");
}

/// A dollar was worth 0.80 from 12 days ago on, and 0.60 from 10 days ago on.
pub(super) fn with_rates(site: &Site) {
    let spending = "[spending]\ncurrency = \"GBP\"\nprices = \"prices.toml\"\nrates = \"rates.toml\"\nrate_margin = \"10%\"\n";
    std::fs::write(site.path("vcycle.toml"), site.config_text() + spending).unwrap();
    std::fs::copy(super::root().join("etc/prices/aws-eu-west-2.toml"), site.path("prices.toml"))
        .unwrap();
    let rate = |ago: u16, worth: &str| {
        let day = days_ago(ago);
        format!(
            "[[rate]]\ncurrency = \"USD\"\nworth = \"{worth} GBP\"\non = {day}\nsource = \"bank\"\n"
        )
    };
    std::fs::write(site.path("rates.toml"), rate(12, "0.8") + &rate(10, "0.6")).unwrap();
}

#[test]
fn the_rates_of_the_configuration_convert_a_bill_day_by_day() {
    let site = site();
    with_rates(&site);
    let bill = bill_of(&site, "a.csv", &[(11, "10", DUNE), (10, "10", DUNE), (9, "10", DUNE)]);
    let billed = |more: &[&str]| -> Vec<String> {
        let args = [&["import", &bill, "--from", "aws", "--json"], more].concat();
        let answer = good(ask(&site, &args)).json();
        let days = answer["days"].as_array().unwrap().iter();
        days.map(|day| day["billed"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(billed(&[]), ["8.80", "6.60", "6.60"], "with the margin of the ledger");
    assert_eq!(billed(&["--rate", "USD=0.75"]), ["7.50", "7.50", "7.50"]);

    let old = bill_of(&site, "b.csv", &[(13, "10", DUNE)]);
    let no_rate = ask(&site, &["import", &old, "--from", "aws"]);
    assert_eq!(no_rate.code, Some(2), "{no_rate:?}");
    let oldest = format!("for {}: the oldest is of {};", days_ago(13), days_ago(12));
    for words in ["no rate of exchange", &oldest, "keep the older ones"] {
        assert!(no_rate.stderr.contains(words), "{words}: {no_rate:?}");
    }
}

/// A bill that begins or ends on the day in the past, and lowers it to what it has of it.
#[test]
fn a_day_that_a_bill_may_have_in_part_is_held_back_until_a_person_says_that_it_is_whole() {
    let site = site();
    let first = bill_of(&site, "first.csv", &[(10, "1.25", DUNE), (9, "0", "")]);
    let last = bill_of(&site, "last.csv", &[(11, "0", ""), (10, "1.25", DUNE)]);
    for part in [&first, &last] {
        let held = good(ask(&site, &import(part, &["--book", "--yes"])));
        assert!(held.stdout.contains("nothing is to be booked"), "{held:?}");
        assert!(held.stdout.contains("--whole-days"), "{held:?}");
        assert!(held.stdout.contains("may not be whole"), "{held:?}");
        let answer = good(ask(&site, &import(part, &["--json"]))).json();
        assert_eq!(answer["held_back"][0]["amount"], "-10.00");
    }
    assert!(!entry_path(&site, 4).exists(), "nothing was booked");
    let said = good(ask(&site, &import(&first, &["--whole-days", "--book", "--yes"])));
    assert!(said.stdout.contains("-10.00 GBP in all"), "{said:?}");
}

/// Lines of an export in several files are in no order of time: here each has half of the day.
#[test]
fn one_of_several_files_of_an_export_is_not_booked_alone() {
    let site = site();
    let days = |name: &str, cost: &str| {
        bill_of(&site, name, &[(11, "0", ""), (10, cost, DUNE), (9, "0", "")])
    };
    let (first, second) = (days("report-00001.csv", "4.5"), days("report-00002.csv", "3.5"));
    for one in [&first, &second] {
        let shown = good(ask(&site, &import(one, &[])));
        assert!(shown.stdout.contains("belongs to the same export"), "{shown:?}");
        let refused = ask(&site, &import(one, &["--book", "--yes"]));
        assert_eq!(refused.code, Some(2), "{refused:?}");
        assert!(refused.stderr.contains("--whole-days"), "{refused:?}");
    }
    assert!(!entry_path(&site, 4).exists(), "nothing was booked");
    let both = good(ask(&site, &import(&first, &[&second, "--book", "--yes"])));
    assert!(both.stdout.contains("-4.60 GBP in all"), "6.40 of 11.00: {both:?}");
}

#[test]
fn a_machine_that_costs_nothing_yet_has_its_tags() {
    let site = site();
    let warning = "nothing on the bill has the tag vcycle_space";
    let free = bill_of(&site, "free.csv", &[(10, "0", DUNE), (9, "3", "")]);
    let told = good(ask(&site, &import(&free, &[])));
    assert!(!told.stdout.contains(warning), "{told:?}");
    let others = bill_of(&site, "others.csv", &[(10, "0", ""), (9, "3", "")]);
    let told = good(ask(&site, &import(&others, &[])));
    assert!(told.stdout.contains(warning), "{told:?}");
}

/// The three pages of one answer, a day each.
fn pages(site: &Site) -> Vec<String> {
    let page = |number: u16| {
        let (day, next) = (days_ago(11 - number), days_ago(10 - number));
        let text = format!(
            "{{\"total\": 3, \"columns\": [\"begin\", \"end\", \"qty\", \"rate\", \"type\"],\n\"results\": \
             [[\"{day}T00:00:00+00:00\", \"{next}T00:00:00+00:00\", 24.0, 10.0, \"instance\"]]}}\n"
        );
        let path = site.path(&format!("page{number}.json"));
        std::fs::write(&path, text).unwrap();
        path.display().to_string()
    };
    (0..3).map(page).collect()
}

#[test]
fn the_pages_of_an_answer_of_cloudkitty_are_one_bill_in_the_currency_that_is_said() {
    let site = site();
    let pages = pages(&site);
    let [first, second, third] = &pages[..] else { panic!("three") };
    let ours = ["--from", "cloudkitty", "--space", "iris.example", "--json"];
    let ask_for =
        |files: &[&str], more: &[&str]| ask(&site, &[&["import"], files, &ours[..], more].concat());
    let no_currency = ask_for(&[first, second, third], &[]);
    assert_eq!(no_currency.code, Some(2), "{no_currency:?}");
    assert!(no_currency.stderr.contains("--bill-currency EUR"), "{no_currency:?}");
    let euros = ["--bill-currency", "EUR", "--rate", "EUR=0.9"];
    let answer = good(ask_for(&[first, second, third], &euros)).json();
    assert_eq!((&answer["all"]["billed"], &answer["lines"]), (&json!("27.00"), &json!(3)));
    let missing = ask_for(&[first, second], &euros);
    assert_eq!(missing.code, Some(1), "{missing:?}");
    assert!(
        missing.stderr.contains("page1.json") && missing.stderr.contains("offset=2"),
        "{missing:?}"
    );
    let said_twice = ask(&site, &import(&bill(&site), &["--bill-currency", "EUR"]));
    assert_eq!(said_twice.code, Some(2), "{said_twice:?}");
}
