//! What nobody has said wrong and is not meant so: caps that limit nothing today, files that nobody reads, prices that are
//! too old, files that are not in force. It is said before a machine is made.

use vcycle::model::ManagerName;
use vcycle_money::{Author, Currency, Event, Window};

use super::Site;
use super::plans::{budget, good, site, today};
use super::spend::{cap, write_ledger};

const LHCB: &str = "backfill = [\"LHCb\"]\n";

fn check(site: &Site) -> String {
    good(site.call(&["check"])).stdout
}

#[test]
fn check_tells_of_caps_that_limit_nothing_now_and_of_files_that_nobody_reads() {
    let grant = |name: &str, from, to| {
        format!("[cap.{name}]\nlimit = \"5 GBP\"\nwindow = \"grant\"\nfrom = {from}\nto = {to}\n")
    };
    let tomorrow = today().next().unwrap();
    let after = tomorrow.next().unwrap();
    let caps = grant("over", today().before(9), today().before(2))
        + &grant("later", tomorrow, after)
        + &grant("now", today().before(2), after);
    let site = site(&caps);
    std::fs::write(site.path("shared/caps.d/more.txt"), "[cap.x]\n").unwrap();
    let said = check(&site);
    for words in ["the cap over has ended", "the cap later begins", "more.txt", "nobody reads this"]
    {
        assert!(said.contains(words), "{words}: {said}");
    }
    assert!(!said.contains("the cap now") && said.contains("no problems"), "{said}");
    std::fs::write(site.path("shared/caps.d/iris.toml"), "").unwrap();
    assert!(check(&site).contains("there is no cap"), "{}", check(&site));
}

#[test]
fn check_tells_of_budgets_whose_time_it_is_not_unless_another_is_in_their_place() {
    let period = |name: &str, from, to| {
        format!("[budget.{name}]\namount = \"5 GBP\"\nfrom = {from}\nto = {to}\n{LHCB}")
    };
    let tomorrow = today().next().unwrap();
    let after = tomorrow.next().unwrap().next().unwrap();
    let caps =
        period("over", today().before(9), today().before(2)) + &period("later", tomorrow, after);
    let site = site(&caps);
    let said = check(&site);
    for words in ["the budget over has ended at", "the budget later begins at", "nothing is made"] {
        assert!(said.contains(words), "{words}: {said}");
    }
    assert!(!said.contains("limits nothing"), "{said}");
    let now = caps + &period("now", today().before(2), tomorrow.next().unwrap());
    std::fs::write(site.path("shared/caps.d/iris.toml"), now).unwrap();
    let said = check(&site);
    assert!(!said.contains("the budget"), "periods that follow each other: {said}");
}

#[test]
fn check_tells_of_prices_that_are_not_believed_or_soon_will_not_be() {
    let site = site("[cap.x]\nlimit = \"5 GBP\"\nwindow = \"day\"\n");
    let told = |age: u16| {
        let config = std::fs::read_to_string(site.path("prices/sim.toml")).unwrap();
        let line = format!("confirmed = {}\nprice_age = \"10d\"", today().before(age));
        let list = config
            .lines()
            .map(|own| if own.starts_with("confirmed") { line.clone() } else { own.to_owned() });
        let list: Vec<String> = list.filter(|own| !own.starts_with("price_age")).collect();
        std::fs::write(site.path("prices/sim.toml"), list.join("\n")).unwrap();
        check(&site)
    };
    assert!(!told(1).contains("confirmed"), "{}", told(1));
    let soon = told(6);
    assert!(soon.contains("more than 10 days ago a week from now"), "{soon}");
    assert_eq!(soon.matches("warning").count(), 1, "once for a list: {soon}");
    let dead = told(20);
    assert!(dead.contains("more than 10 days ago: nothing is made of it where a cap is"), "{dead}");
}

#[test]
fn caps_that_are_not_in_force_are_told_and_a_plan_obeys_them() {
    let site = site("[cap.x]\nlimit = \"0.01 GBP\"\nwindow = \"day\"\n");
    let caps = || good(site.call(&["spend", "caps"])).stdout;
    assert!(caps().contains("caps.d says otherwise than what is in force"), "{}", caps());
    let plan = good(site.call(&["plan", "sim.example"])).stdout;
    assert!(plan.contains("the cap x") && plan.contains("would do nothing"), "{plan}");
    std::fs::write(site.path("shared/caps.d/iris.toml"), "[cap.x]\nlimit = 5\n").unwrap();
    assert!(caps().contains("not taken up: ") && caps().contains("iris.toml"), "{}", caps());
    let plan = good(site.call(&["plan", "sim.example"])).stdout;
    assert!(
        plan.contains("the caps cannot be read") && plan.contains("would do nothing"),
        "{plan}"
    );
}

fn leave_out_spending(site: &Site) {
    let config = std::fs::read_to_string(site.path("vcycle.toml")).unwrap();
    let (before, spending) = config.split_once("[spending]").unwrap();
    let (_, after) = spending.split_once("\n[").unwrap_or_default();
    std::fs::write(site.path("vcycle.toml"), format!("{before}[{after}")).unwrap();
}

/// As managers do: whatever happens to the files, a cap that is in force holds until they say otherwise.
#[test]
fn a_plan_obeys_the_caps_in_force_when_the_files_are_gone_or_wrong() {
    let site = site("[cap.x]\nlimit = \"100 GBP\"\nwindow = \"day\"\n");
    let caps = vec![cap("x", "0.01", Window::Day { utc_offset_hours: 0 })];
    let by = Author::Manager { manager: ManagerName::parse("vm12").unwrap() };
    let currency = Event::CurrencySet { currency: Currency::GBP };
    let set = Event::CapsSet { caps, source: "caps.d/iris.toml".to_owned() };
    write_ledger(&site, vec![(by, vec![currency, set])]);
    let plan = || good(site.call(&["plan", "sim.example"])).stdout;
    let caps = || good(site.call(&["spend", "caps"])).stdout;
    assert!(!plan().contains("would do nothing"), "{}", plan());
    std::fs::write(site.path("shared/caps.d/iris.toml"), "[cap.x]\nlimit = 5\n").unwrap();
    for why in ["iris.toml", "no file in caps.d any more", "has no [spending]"] {
        match why {
            "no file in caps.d any more" => {
                std::fs::remove_file(site.path("shared/caps.d/iris.toml")).unwrap();
            }
            "has no [spending]" => leave_out_spending(&site),
            _ => {}
        }
        for said in [plan(), caps()] {
            assert!(said.contains(why), "{why}: {said}");
        }
        assert!(plan().contains("would do nothing"), "{why}: {}", plan());
    }
}

#[test]
fn where_a_budget_lands_does_not_depend_on_how_many_days_are_looked_at() {
    let site = site(&budget("iris", "300", LHCB));
    let lands = |days: &str| {
        let all = good(site.call(&["spend", "plan", "--json", "--days", days])).json();
        all["budgets"][0]["plan"]["lands"].as_str().unwrap().parse::<f64>().unwrap()
    };
    let (one, thirty) = (lands("1"), lands("30"));
    assert!((one - thirty).abs() < 1.0, "{one} and {thirty}");
}
