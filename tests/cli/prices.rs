//! `vcycle prices`, and `vcycle check` with `[spending]`: on a simulated cloud with a price list of its own.

use super::{Answer, Site, golden, golden_form, root};

const SPACE: &str = "sim.example";

/// Prices of the day on which this was written; they may be ten years old.
const PRICES: &str = r#"[list]
provider = "sim"
currency = "EUR"
valid_from = 2026-01-01
confirmed = 2026-01-01
source = "made up"
minimum = "60s"
granularity = "1s"

[[machine]]
type = "sim.1"
per_hour = "0.02"

[[machine]]
type = "sim.2"
per_hour = "0.04 GBP"
"#;

const RATES: &str = r#"[[rate]]
currency = "EUR"
worth = "0.85 GBP"
on = 2026-01-01
source = "made up"
"#;

fn site(prices: &str) -> Site {
    let site = Site::new();
    let spending = r#"
[spending]
currency = "GBP"
prices = "prices/*.toml"
price_age = "3650d"
rates = "rates.toml"
rate_age = "3650d"
rate_margin = "10%"

[space."sim.example".sim]
processors = 12
[space."sim.example".machinetype.short]
entry = "example"
target_share = 1
max_processors = 4
max_wallclock = "2h"
start_timeout = "1h"
"#;
    std::fs::write(site.path("vcycle.toml"), site.config_text() + spending).unwrap();
    std::fs::create_dir(site.path("prices")).unwrap();
    std::fs::write(site.path("prices/sim.toml"), prices).unwrap();
    std::fs::write(site.path("rates.toml"), RATES).unwrap();
    site
}

pub(super) fn complete() -> Site {
    site(&format!("{PRICES}\n[[machine]]\ntype = \"sim.4\"\nper_hour = \"0.09\"\n"))
}

fn offering<'a>(answer: &'a serde_json::Value, flavour: &str) -> &'a serde_json::Value {
    let offerings = answer["spaces"][0]["offerings"].as_array().unwrap();
    offerings.iter().find(|it| it["flavour"] == flavour).unwrap()
}

#[test]
fn prices_are_listed_in_the_currency_of_the_ledger() {
    let site = complete();
    let answer = site.call(&["prices", "list"]);
    assert_eq!(answer.code, Some(0), "{answer:?}");
    golden("prices-list.txt", site.steady(&answer.stdout));
    let answer = site.call(&["prices", "list", SPACE, "--json"]);
    golden_form("prices-list.json", &answer);
    let all = answer.json();
    let price = &offering(&all, "sim.1")["price"];
    assert_eq!((&price["per_hour"], &price["quoted"]), (&"0.0187".into(), &"0.02 EUR".into()));
    // To the hard end, at most an hour to start and two to work, and an hour of overstay.
    assert_eq!(price["reserved"], "0.0748");
    assert_eq!(offering(&all, "sim.2")["price"]["per_hour"], "0.04");
    let check = site.call(&["prices", "check"]);
    let said = "everything that could be made has a price\n";
    assert_eq!((check.code, check.stdout.as_str()), (Some(0), said));
}

#[test]
fn what_has_no_price_is_told_with_what_to_write_where() {
    let site = site(&PRICES.replace("per_hour = \"0.02\"", "per_hour = \"0\""));
    let answer = site.call(&["prices", "check"]);
    assert_eq!(answer.code, Some(1), "{answer:?}");
    golden("prices-check.txt", site.steady(&answer.stdout));
    let answer = site.call(&["prices", "check", "--json"]);
    assert_eq!(answer.code, Some(1), "{answer:?}");
    let all = answer.json();
    let spaces = all["spaces"].as_array().unwrap();
    let own = spaces.iter().find(|space| space["provider"] == "local").unwrap();
    assert_eq!((&own["unmetered"], &own["offerings"]), (&true.into(), &serde_json::json!([])));
    // Listing them is no failure.
    assert_eq!(site.call(&["prices", "list"]).code, Some(0));
}

#[test]
fn without_spending_there_is_nothing_to_list() {
    let answer = Site::new().call(&["prices", "list"]);
    assert_eq!(answer.code, Some(2), "{answer:?}");
    assert!(answer.stderr.contains("no [spending]"), "{answer:?}");
    let answer: Answer = complete().call(&["prices", "check", "nowhere.example"]);
    assert_eq!(answer.code, Some(2), "{answer:?}");
}

#[test]
fn caps_are_checked_with_the_configuration_and_a_mistake_in_them_is_exit_code_2() {
    let site = complete();
    let caps = site.path("shared/caps.d");
    std::fs::create_dir(&caps).unwrap();
    std::fs::copy(root().join("etc/examples/caps.d/grant.toml"), caps.join("grant.toml")).unwrap();
    let answer = site.call(&["check"]);
    assert_eq!(answer.code, Some(0), "{answer:?}");
    assert!(answer.stdout.contains("3 machinetypes, 4 caps in GBP"), "{answer:?}");
    std::fs::write(caps.join("slip.toml"), "[cap.slip]\nlimit = \"1 USD\"\nwindw = \"hour\"\n")
        .unwrap();
    let answer = site.call(&["check"]);
    assert_eq!((answer.code, answer.stdout.contains("caps in")), (Some(2), false), "{answer:?}");
    for said in ["cap.slip.limit: not in GBP", "did you mean `window`?", "slip.toml:3:1"] {
        assert!(answer.stderr.contains(said), "{said}: {answer:?}");
    }
    assert_eq!(site.call(&["check", "--json"]).json()["valid"], false);
}

/// Whoever takes the examples over without a look gets no price, not a wrong one.
#[test]
fn the_price_lists_that_come_with_vcycle_are_complete_and_too_old_to_be_believed() {
    let site = Site::new();
    let etc = root().join("etc");
    let spending = format!(
        "[spending]\ncurrency = \"GBP\"\nprices = \"{0}/prices/*.toml\"\nrates = \"{0}/rates.toml\"\n",
        etc.display()
    );
    std::fs::write(site.path("vcycle.toml"), site.config_text() + &spending).unwrap();
    let (config, _) = vcycle::config::load(&site.path("vcycle.toml")).unwrap();
    let spending = config.spending.unwrap();
    let lists = spending.book.lists();
    let providers: Vec<&str> = lists.iter().map(|list| list.provider.as_str()).collect();
    assert_eq!(providers, ["aws", "gcp", "openstack"]);
    let limit = std::time::Duration::from_secs(90 * 86_400);
    // The day on which this was written.
    let today = vcycle::model::Timestamp::from_secs(1_795_219_200);
    for row in lists.iter().flat_map(|list| &list.rows) {
        assert!(!row.price.amount.is_nothing() && today.since(row.confirmed) > limit, "{row:?}");
    }
}

/// A refreshed list stands beside the one that somebody signed off, and changes nothing that is reserved.
#[tokio::test(flavor = "multi_thread")]
async fn prices_of_spot_are_asked_of_ec2_and_are_for_choosing_alone() {
    use vcycle_aws::testing::{FakeCloud, Site as Account};

    let clock = std::sync::Arc::new(vcycle_api::SystemClock::new());
    let fake = FakeCloud::start(Account::small(), clock).await.unwrap();
    let site = complete();
    let credentials = fake.write_credentials(site.dir.path()).unwrap();
    let space = format!(
        "[space.\"aws.example\"]\nmarkets = [\"spot\", \"on-demand\"]\n[space.\"aws.example\".aws]\n\
         region = \"eu-west-2\"\ninstance_types = [\"m5.large\"]\npublic_address = false\nroot_volume_gb = 10\n\
         endpoint = \"{}\"\ncredentials_file = \"{}\"\n\
         [space.\"aws.example\".machinetype.any]\nentry = \"example\"\ntarget_share = 1\n",
        fake.endpoint(),
        credentials.display()
    );
    let main = std::fs::read_to_string(site.path("vcycle.toml")).unwrap();
    std::fs::write(site.path("vcycle.toml"), main + &space).unwrap();
    let signed = PRICES
        .replace("\"sim\"", "\"aws\"")
        .replace("\"EUR\"", "\"GBP\"")
        .replace("sim.1", "m5.large")
        .replace("\"0.02\"", "\"0.1\"");
    let disk = "\n[[disk]]\nper_gb_month = \"0.0672\"\n";
    std::fs::write(site.path("prices/aws.toml"), signed + disk).unwrap();
    let rate = RATES.replace("EUR", "USD");
    std::fs::write(site.path("rates.toml"), format!("{RATES}\n{rate}")).unwrap();
    let of_spot = |site: &Site| {
        let answer = site.call(&["prices", "list", "aws.example", "--json"]).json();
        let offerings = answer["spaces"][0]["offerings"].as_array().unwrap().clone();
        let spot = offerings.into_iter().find(|it| it["market"] == "preemptible").unwrap();
        (spot["price"]["per_hour"].clone(), spot["price"]["expected"].clone())
    };
    // A tenth for the machine, and a thousandth for its disk.
    assert_eq!(of_spot(&site), ("0.101".into(), "0.101".into()));
    let into = site.path("prices/aws-spot.toml").display().to_string();
    let answer = site.call(&["prices", "refresh", "aws.example", "--into", &into]);
    assert_eq!((answer.code, answer.stdout.as_str()), (Some(0), ""), "{answer:?}");
    let list = std::fs::read_to_string(&into).unwrap();
    // Two cents for each of two processors, and a tenth of a cent for each zone before the third.
    assert!(list.contains("# In eu-west-2c, the dearest zone."), "{list}");
    assert!(list.contains("per_hour = \"0.042\""), "{list}");
    // 0.042 at 0.85 and a margin of a tenth, with the disk.
    assert_eq!(of_spot(&site), ("0.101".into(), "0.04027".into()));
    assert_eq!(site.call(&["prices", "refresh", SPACE]).code, Some(1), "it has none to tell");
    let pounds = site.call(&["prices", "refresh", "aws.example", "--currency", "GBP"]);
    assert_eq!(pounds.code, Some(1), "{pounds:?}");
    assert!(pounds.stderr.contains("tells prices in USD, not in GBP"), "{pounds:?}");
}
