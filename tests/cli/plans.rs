//! `vcycle spend plan`: what budgets will do, and what another plan would.

use serde_json::{Value, json};
use vcycle_money::Amount;
use vcycle_money::bills::Day;

use super::Site;
use super::prices::complete;
use super::support::Answer;

pub(super) fn today() -> Day {
    Day::of(vcycle_api::Clock::now(&vcycle_api::SystemClock::new()))
}

/// From ten days ago for 41 days, the last of which is the stop margin.
pub(super) fn budget(name: &str, amount: &str, rest: &str) -> String {
    let (from, to) = (today().before(10), (0..31).try_fold(today(), |day, _| day.next()).unwrap());
    format!("[budget.{name}]\namount = \"{amount} GBP\"\nfrom = {from}\nto = {to}\n{rest}")
}

/// A site whose only machinetype works for LHCb, with a machine for 1.9 pence an hour at the least.
pub(super) fn site(caps: &str) -> Site {
    let site = complete();
    let config = std::fs::read_to_string(site.path("vcycle.toml")).unwrap();
    let last = "start_timeout = \"1h\"\n";
    assert!(config.ends_with(last), "{config}");
    std::fs::write(site.path("vcycle.toml"), config + "community = \"LHCb\"\n").unwrap();
    std::fs::create_dir_all(site.path("shared/caps.d")).unwrap();
    std::fs::write(site.path("shared/caps.d/iris.toml"), caps).unwrap();
    site
}

const LHCB: &str = "backfill = [\"LHCb\"]\nreserve = \"0%\"\n";

fn plan(site: &Site, args: &[&str]) -> Answer {
    site.call(&[&["spend", "plan"], args].concat())
}

#[track_caller]
pub(super) fn good(answer: Answer) -> Answer {
    assert_eq!(answer.code, Some(0), "{answer:?}");
    answer
}

fn amount(value: &Value) -> Amount {
    value.as_str().unwrap().parse().unwrap()
}

#[test]
fn the_plan_of_the_week_is_told_day_by_day_with_where_it_lands() {
    let site = site(&budget("iris", "300", LHCB));
    let all = good(plan(&site, &["--json"])).json();
    let iris = &all["budgets"][0];
    assert_eq!((&iris["budget"], &iris["with"]), (&json!("iris"), &Value::Null));
    let ahead = &iris["plan"];
    assert_eq!((&ahead["spent"], &ahead["unit"]), (&json!("0.00"), &json!("0.0187")));
    let days = ahead["days"].as_array().unwrap();
    assert_eq!(days.len(), 7);
    // Nothing was spent in ten days: 300 are left for 30 days and what is left of today.
    // It climbs to its line step by step.
    for day in &days[3..] {
        let spent = amount(&day["spent"]);
        assert!(spent > "9.3".parse().unwrap() && spent < "10.6".parse().unwrap(), "{day}");
        assert_eq!(day["communities"], json!([day["spent"]]));
        assert!(amount(&day["total"]) < amount(&day["line"]), "ten days are lost: {day}");
    }
    let lands = amount(&ahead["lands"]);
    assert!(lands > "294".parse().unwrap() && lands <= "300".parse().unwrap(), "{lands}");
    assert_eq!(ahead["communities"][0]["work"], "not-tried");

    let text = good(plan(&site, &["--days", "2"])).stdout;
    let day = today().next().unwrap().to_string();
    let pace = "would land as in the last 6 h at 0.00, as in the last 24 h at 0.00: ";
    for words in [
        "lands at 2",
        "LHCb",
        "backfill",
        "not tried yet",
        "may grow by",
        "Taken to be so",
        pace,
        "below its line",
        &day,
    ] {
        assert!(text.contains(words), "{words}: {text}");
    }
}

#[test]
fn another_plan_is_shown_beside_and_changes_nothing() {
    let cap = "\n[cap.a-day]\nlimit = \"5 GBP\"\nwindow = \"day\"\n";
    let site = site(&(budget("iris", "300", LHCB) + cap));
    std::fs::write(
        site.path("next.toml"),
        budget("iris", "600", LHCB)
            + &budget("dune", "30", &format!("{LHCB}providers = [\"aws\"]\n"))
            + &cap.replace("5 GBP", "7 GBP"),
    )
    .unwrap();
    let next = site.path("next.toml").display().to_string();
    let all = good(plan(&site, &["--with", &next, "--json"])).json();
    let budgets = all["budgets"].as_array().unwrap();
    let (dune, iris) = (&budgets[0], &budgets[1]);
    assert_eq!((&dune["budget"], &dune["plan"]), (&json!("dune"), &Value::Null));
    assert!(amount(&iris["with"]["lands"]) > amount(&iris["plan"]["lands"]));
    let narrower = &iris["plan"]["narrower"][0];
    assert_eq!((&narrower["cap"], &narrower["is_obeyed"]), (&json!("a-day"), &json!(true)));
    assert!(amount(&narrower["left"]) < "5".parse().unwrap(), "{narrower}");
    let a_day = &iris["plan"]["days"][1]["spent"];
    assert!(amount(a_day) <= "5.001".parse().unwrap(), "{a_day}");

    let text = good(plan(&site, &["--with", &next, "--budget", "iris"])).stdout;
    for words in ["iris, as ", "next.toml", " more", "WITH", "the cap a-day holds it back: "] {
        assert!(text.contains(words), "{words}: {text}");
    }
    assert!(!text.contains("dune"), "{text}");
    let wider =
        budget("iris", "600", LHCB) + "\n[cap.a-day]\nlimit = \"500 GBP\"\nwindow = \"day\"\n";
    std::fs::write(site.path("next.toml"), wider).unwrap();
    let all = good(plan(&site, &["--with", &next, "--json"])).json();
    assert_eq!(all["budgets"][0]["with"]["narrower"], json!([]), "by its own caps");
    assert!(!site.path("shared/ledger").exists(), "it only reads");
}

#[test]
fn what_keeps_a_plan_from_being_told_is_said() {
    let site = site(&budget("iris", "300", LHCB));
    let unknown = plan(&site, &["--budget", "irsi"]);
    assert_eq!(unknown.code, Some(2), "{unknown:?}");
    assert!(unknown.stderr.contains("there is no budget irsi; there is: iris"), "{unknown:?}");
    std::fs::write(site.path("none.toml"), "").unwrap();
    let none = plan(&site, &["--with", &site.path("none.toml").display().to_string()]);
    assert_eq!(none.code, Some(2), "{none:?}");
    assert!(none.stderr.contains("has no [budget.NAME] and no [cap.NAME]"), "{none:?}");
    let unwatched = Site::new().call(&["spend", "plan"]);
    assert_eq!(unwatched.code, Some(2), "{unwatched:?}");
    assert!(unwatched.stderr.contains("no [spending]"), "{unwatched:?}");
    std::fs::write(site.path("shared/caps.d/iris.toml"), budget("iris", "300 EUR and", LHCB))
        .unwrap();
    let broken = plan(&site, &[]);
    assert_eq!(broken.code, Some(2), "{broken:?}");
    assert!(broken.stderr.contains("iris.toml") && broken.stderr.contains("amount"), "{broken:?}");
}

#[test]
fn a_new_site_is_planned_before_its_first_manager_and_an_empty_folder_never() {
    let site = site(&budget("iris", "300", LHCB));
    std::fs::remove_file(site.path("shared/deployment.json")).unwrap();
    let new = good(plan(&site, &["--json"])).json();
    assert_eq!((&new["is_new"], &new["budgets"][0]["budget"]), (&json!(true), &json!("iris")));
    let text = good(plan(&site, &[])).stdout;
    assert!(text.contains("no manager has run here yet: nothing is spent"), "{text}");
    std::fs::remove_dir_all(site.path("shared/caps.d")).unwrap();
    let empty = plan(&site, &[]);
    assert_eq!((empty.code, empty.stdout.as_str()), (Some(1), ""), "{empty:?}");
    assert!(empty.stderr.contains("is it mounted?"), "{empty:?}");
}

#[test]
fn no_plan_is_told_from_a_part_of_the_ledger() {
    let site = site(&budget("iris", "300", LHCB));
    super::spend::write_ledger(&site, super::spend::ledger());
    std::fs::write(super::spend::entry_path(&site, 2), "{}\n").unwrap();
    let answer = plan(&site, &[]);
    assert_eq!((answer.code, answer.stdout.as_str()), (Some(1), ""), "{answer:?}");
    assert!(
        answer.stderr.contains("no plan is told: the ledger is damaged at entry 2"),
        "{answer:?}"
    );
}

/// A cap for once, as long as the budget, and one on something.
fn caps(limit: &str, scope: &str) -> String {
    let (from, to) = (today().before(10), (0..31).try_fold(today(), |day, _| day.next()).unwrap());
    format!(
        "\n[cap.tiny]\nlimit = \"{limit} GBP\"\nwindow = \"grant\"\nfrom = {from}\nto = {to}\n{scope}"
    )
}

#[test]
fn a_plan_lands_nowhere_where_a_cap_lets_nothing_be_made() {
    // A machine for three hours costs four times 1.9 pence.
    let site = site(&(budget("iris", "300", LHCB) + &caps("0.07", "")));
    let all = good(plan(&site, &["--json"])).json();
    let ahead = &all["budgets"][0]["plan"];
    assert!(amount(&ahead["lands"]) <= "0.0701".parse().unwrap(), "{}", ahead["lands"]);
    let check = good(site.call(&["check"])).stdout;
    let words =
        "the budget iris is to spend 300.00, and the cap tiny lets no more than 0.07 be spent";
    assert!(check.contains(words), "{check}");
    let text = good(plan(&site, &[])).stdout;
    assert!(text.contains("the cap tiny holds it back: now 0.07 is left below it until"), "{text}");
    assert!(text.contains("lands at 0.0") && !text.contains("lands at 29"), "{text}");

    // On the community alone, and on a space or a market of it.
    let limit = caps("2", "communities = [\"LHCb\"]\n");
    std::fs::write(site.path("shared/caps.d/iris.toml"), budget("iris", "300", LHCB) + &limit)
        .unwrap();
    let text = good(plan(&site, &[])).stdout;
    assert!(text.contains("the cap tiny holds it back: at "), "{text}");
    assert!(text.contains("lands at 2.00: 0.6 %") || text.contains("lands at 1.9"), "{text}");
    let limit = caps("2", "markets = [\"preemptible\"]\n");
    std::fs::write(site.path("shared/caps.d/iris.toml"), budget("iris", "300", LHCB) + &limit)
        .unwrap();
    let text = good(plan(&site, &[])).stdout;
    assert!(text.contains("the cap tiny may hold it back: now 2.00 is left"), "{text}");
    assert!(text.contains("lands at 2"), "{text}");
}

#[test]
fn a_cap_of_another_file_is_tried_and_other_budgets_are_told() {
    let site = site(&budget("iris", "300", LHCB));
    std::fs::write(site.path("next.toml"), caps("2", "")).unwrap();
    let next = site.path("next.toml").display().to_string();
    let all = good(plan(&site, &["--with", &next, "--json"])).json();
    let iris = &all["budgets"][0];
    assert!(amount(&iris["plan"]["lands"]) > "290".parse().unwrap(), "{iris}");
    assert!(amount(&iris["with"]["lands"]) <= "2.001".parse().unwrap(), "{iris}");
    std::fs::write(site.path("next.toml"), budget("dune", "30", LHCB)).unwrap();
    let all = good(plan(&site, &["--with", &next, "--json"])).json();
    let dune = &all["budgets"][0];
    assert_eq!((&dune["budget"], &dune["with"]["beside"]), (&json!("dune"), &json!(["iris"])));
    let text = good(plan(&site, &["--with", &next])).stdout;
    assert!(text.contains("the budget iris pays for some of the same"), "{text}");
}
