//! `vcycle simulate`: the case of IRIS from its file, a small one for what is printed, and what is said of files that are no
//! scenario.

use std::path::Path;

use serde_json::Value;
use vcycle_money::Amount;

use super::support::{Answer, call, root};
use super::{Site, form, golden};

/// Two days of one priority and backfill. Whatever is by chance in it has no chance.
const SMALL: &str = r#"
[simulation]
currency = "EUR"
cycle = "10m"

[budget.two-days]
amount = "100 EUR"
from = 2026-12-01
to = 2026-12-03
priorities = { SKA = 1 }
backfill = ["LHCb"]
stop_margin = "6h"

[community.SKA]
demand = [{ from = 2026-12-01T12:00:00Z, machines = 5 }]
life = "5h"

[community.LHCb]
demand = [{ from = 2026-12-01, machines = 100 }]
life = "5h"

[offering.only]
provider = "gcp"
flavour = "n2-standard-8"
market = "spot"
price = "0.10 EUR"
processors = 8
most = 50
"#;

fn simulate(args: &[&str]) -> Answer {
    let mut all = vec!["simulate"];
    all.extend(args);
    call(&all)
}

fn good(answer: Answer) -> Answer {
    assert_eq!((answer.code, answer.stderr.as_str()), (Some(0), ""), "{answer:?}");
    answer
}

/// A file of a folder that is removed at the end.
struct Folder(tempfile::TempDir);

impl Folder {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn file(&self, name: &str, text: &str) -> String {
        let path = self.path(name);
        std::fs::write(&path, text).unwrap();
        path
    }

    fn path(&self, name: &str) -> String {
        self.0.path().join(name).display().to_string()
    }
}

fn amount(value: &Value) -> Amount {
    value.as_str().unwrap_or_else(|| panic!("{value} is no amount")).parse().unwrap()
}

fn number(value: &Value) -> f64 {
    value.as_f64().unwrap_or_else(|| panic!("{value} is no number"))
}

/// The case of IRIS, from the file that people are told to try. Four months in cycles of five minutes take ten seconds
/// without optimization.
///
/// Priorities are honoured when
/// - each got the part of the priorities' money that it was due by its share and its work, within 3 points of a hundred,
/// - what went to backfill in the place of their work, known or not, is less than 3 % of the budget,
/// - and backfill had no more than what is left then: while it waits, it is served with less than 5 % of its work.
#[test]
fn the_iris_case_of_the_examples_lands_below_its_budget_with_its_priorities_honoured() {
    let folder = Folder::new();
    let (file, svg) = (root().join("etc/examples/iris-2020.toml"), folder.path("iris.svg"));
    let answer = good(simulate(&[&file.display().to_string(), "--json", "--svg", &svg])).json();
    let budget = Amount::from_units(50_000);
    assert_eq!(amount(&answer["amount"]), budget);

    // It lands.
    let landing = answer["landing_permille"].as_u64().unwrap();
    assert!((980..=1000).contains(&landing), "{landing}");
    // Never over: by the book, by a meter that knows nothing of it, and by what could still come of all that ran.
    let spent = amount(&answer["spent"]);
    assert_eq!(spent, amount(&answer["metered"]), "the book and the meter differ");
    assert!(spent <= amount(&answer["spendable"]), "{spent}: into the reserve");
    let committed = amount(&answer["most_committed"]);
    assert!(spent <= committed && committed <= budget, "{committed} was committed");
    // It did not live from being refused: the plan keeps clear of caps by itself, also of that of a day.
    assert_eq!(answer["refused"], 0);
    // No hour cost a tenth more than the highest target rate and what is made and ends within the hour.
    let targets = answer["samples"].as_array().unwrap().iter().map(|sample| &sample["target"]);
    let (highest, dearest) = (targets.map(amount).max().unwrap(), amount(&answer["dearest_hour"]));
    assert!(
        dearest.nanos() < highest.nanos() / 100 * 115,
        "{dearest} in an hour, {highest} at most"
    );
    // Nothing ran in the stop margin.
    let time = |name: &str| answer[name].as_str().unwrap().to_owned();
    assert!(time("last_end") <= time("stop"), "{} is after {}", time("last_end"), time("stop"));
    assert!(answer["largest_step_permille"].as_u64().unwrap() <= 100, "{answer}");

    let communities = answer["communities"].as_array().unwrap();
    let of_role = |role| communities.iter().filter(move |own| own["role"] == role);
    assert_eq!((of_role("priority").count(), of_role("backfill").count()), (3, 1));
    for own in of_role("priority") {
        let (due, got) = (number(&own["share_due"]), number(&own["share_got"]));
        assert!((due - got).abs() < 0.03, "was due {due}, and got {got}: {own}");
    }
    let before = amount(&answer["backfill_before_priorities"]);
    assert!(before < Amount::from_units(1_500), "{before} went to backfill first");
    for own in of_role("backfill") {
        assert!(number(&own["served"]) < 0.05, "{own}");
        assert!(amount(&own["spent"]) > Amount::from_units(5_000), "it held the rate: {own}");
    }
    let samples = answer["samples"].as_array().unwrap();
    assert!(samples.iter().all(|sample| amount(&sample["spent"]) <= spent), "never back");
    shows_all(Path::new(&svg), communities);
}

/// The picture names every community, and its parts are where one can see them.
fn shows_all(svg: &Path, communities: &[Value]) {
    let picture = std::fs::read_to_string(svg).unwrap();
    assert!(picture.starts_with("<svg ") && picture.ends_with("</svg>\n"), "{picture:.60}");
    for own in communities {
        let name = own["community"].as_str().unwrap();
        assert!(picture.contains(&format!(">{name}</text>")), "{name} is not in the picture");
    }
    for word in ["budget", "line to land on", "spent", "target rate"] {
        assert!(picture.contains(&format!(">{word}</text>")), "{word} is not in the picture");
    }
    assert!(!picture.contains("NaN") && !picture.contains("inf"), "a place that is none");
}

#[test]
fn what_came_of_a_budget_is_a_table_for_people_and_a_steady_form_for_programs() {
    let folder = Folder::new();
    let file = folder.file("small.toml", SMALL);
    let text = good(simulate(&[&file])).stdout;
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines[0], "two-days: 100.00 EUR from 2026-12-01 to 2026-12-03, seed 1");
    for words in [
        vec!["COMMUNITY", "ROLE", "SPENT", "SHARE", "DUE", "GOT", "MACHINES", "WASTE"],
        vec!["SKA", "priority", "100.0%"],
        vec!["LHCb", "backfill", " - "],
        vec!["PROVIDER", "TAKEN BACK"],
        vec!["lands at 9", " of 100.00 EUR"],
        vec!["committed at most", "the dearest hour"],
        vec!["reservations refused by a cap: 0"],
    ] {
        let all = |line: &&&str| words.iter().all(|word| line.contains(word));
        assert!(lines.iter().any(|line| all(&line)), "{words:?} are in no line of\n{text}");
    }
    let answer = good(simulate(&[&file, "--json"])).json();
    let mut json = serde_json::to_string_pretty(&form(&answer)).unwrap();
    json.push('\n');
    golden("simulate.json", json);
    assert_eq!(good(simulate(&[&file, "--json"])).json(), answer, "the same seed, the same course");
    let other = good(simulate(&[&file, "--json", "--seed", "2"])).json();
    assert_eq!(other["seed"], 2);
    assert_ne!(other["samples"], answer["samples"]);
}

#[test]
fn a_plan_of_caps_d_is_tried_with_a_world_from_another_file() {
    let folder = Folder::new();
    let (_, rest) = SMALL.split_once("[budget.two-days]").unwrap();
    let (budget, world) = rest.split_once("[community.SKA]").unwrap();
    let plan = folder.file("plan.toml", &format!("[budget.two-days]{budget}"));
    let general = "[simulation]\ncurrency = \"EUR\"\n";
    let world = folder.file("world.toml", &format!("{general}[community.SKA]{world}"));
    let svg = folder.path("out.svg");
    let text = good(simulate(&[&plan, &world, "--svg", &svg])).stdout;
    assert!(text.starts_with("two-days: "), "{text}");
    assert!(Path::new(&svg).exists());
    let answer = simulate(&[&plan, &world, "--svg", &folder.path("nowhere/out.svg")]);
    assert_eq!(answer.code, Some(1), "{answer:?}");
    assert!(answer.stderr.contains("cannot write"), "{answer:?}");
}

#[test]
fn files_that_are_no_scenario_are_exit_code_2_with_file_line_and_key() {
    let folder = Folder::new();
    let said = |name: &str, text: &str, args: &[&str]| {
        let file = folder.file(name, text);
        let mut all = vec![file.as_str()];
        all.extend(args);
        let answer = simulate(&all);
        assert_eq!((answer.code, answer.stdout.as_str()), (Some(2), ""), "{answer:?}");
        answer.stderr
    };
    let slip = said("slip.toml", &SMALL.replace("most = 50", "moost = 50"), &[]);
    assert!(slip.contains("did you mean `most`?") && slip.contains("slip.toml:28:1"), "{slip}");
    let free = said("free.toml", &SMALL.replace("0.10 EUR", "0 EUR"), &[]);
    assert!(free.contains("n2-standard-8") && free.contains("costs nothing"), "{free}");
    let dollars = said("dollars.toml", &SMALL.replace("100 EUR", "100 USD"), &[]);
    assert!(dollars.contains("budget.two-days.amount: not in EUR"), "{dollars}");
    let idle = said("idle.toml", &SMALL.replace("[\"LHCb\"]", "[\"LHCb\", \"CMS\"]"), &[]);
    assert!(idle.contains("CMS of the budget has no demand"), "{idle}");
    let back = "machines = 5 }, { from = 2026-12-01, machines = 1 }";
    let back = said("back.toml", &SMALL.replace("machines = 5 }", back), &[]);
    assert!(back.contains("not after the step before it"), "{back}");
    let two = SMALL.replace("[community.SKA]", &format!("{SECOND}[community.SKA]"));
    let two = said("two.toml", &two, &[]);
    assert!(two.contains("--budget with one of other, two-days"), "{two}");
    let none = said("none.toml", SMALL, &["--budget", "three-days"]);
    assert!(none.contains("no budget three-days") && none.contains("one of two-days"), "{none}");
    let caps = said("caps.toml", "[budget.x]\n", &[]);
    assert!(caps.contains("`[simulation]` is missing"), "{caps}");
    let missing = simulate(&[&folder.path("nothing.toml")]);
    assert_eq!(missing.code, Some(2), "{missing:?}");
    assert!(missing.stderr.contains("nothing.toml cannot be read"), "{missing:?}");
}

const SECOND: &str = r#"[budget.other]
amount = "1 EUR"
from = 2026-12-01
to = 2026-12-03
backfill = ["LHCb"]

"#;

/// The configuration has the prices, how long machines live, and the plan; the file has the demand.
#[test]
fn a_site_tries_its_own_plan_on_a_demand() {
    let site = super::prices::complete();
    let config = std::fs::read_to_string(site.path("vcycle.toml")).unwrap();
    std::fs::write(site.path("vcycle.toml"), config + "community = \"LHCb\"\n").unwrap();
    std::fs::create_dir_all(site.path("shared/caps.d")).unwrap();
    let budget = "[budget.iris]\namount = \"20 GBP\"\nfrom = 2026-12-01\nto = 2026-12-09\nbackfill = [\"LHCb\"]\n";
    std::fs::write(site.path("shared/caps.d/iris.toml"), budget).unwrap();
    let world = |rest: &str| {
        let text = format!(
            "[community.LHCb]\ndemand = [{{ from = 2026-11-01, machines = 100 }}]\n\n[offering.a]\nprovider = \"sim\"\nflavour = \"sim.1\"\nmarket = \"on-demand\"\nprocessors = 1\nmost = 100\n{rest}"
        );
        std::fs::write(site.path("world.toml"), text).unwrap();
        site.path("world.toml").display().to_string()
    };
    let file = world("");
    let answer = site.call(&["simulate", &file, "--site", "--json"]);
    assert_eq!(answer.code, Some(0), "{answer:?}");
    let all = answer.json();
    assert_eq!((&all["budget"], &all["currency"]), (&"iris".into(), &"GBP".into()));
    let landing = all["landing_permille"].as_u64().unwrap();
    assert!((980..=1000).contains(&landing), "{landing}");
    // 20 pounds in a week are 0.12 an hour: six machines of 1.87 pence at a time, of two hours each at the most.
    let machines = all["communities"][0]["machines"].as_u64().unwrap();
    assert!(machines > 500, "{machines}: they live for two hours at the most");

    let other =
        ["simulate", &file, "--site", "--json", "--from", "2026-12-05", "--to", "2026-12-10"];
    let shorter = site.call(&other).json();
    assert_eq!(shorter["from"], "2026-12-05T00:00:00.000Z");
    assert_eq!(shorter["to"], "2026-12-11T00:00:00.000Z");

    let unknown = world(
        "[offering.b]\nprovider = \"sim\"\nflavour = \"sim.9\"\nmarket = \"spot\"\nprocessors = 1\nmost = 1\n",
    );
    let answer = site.call(&["simulate", &unknown, "--site"]);
    assert_eq!(answer.code, Some(2), "{answer:?}");
    assert!(answer.stderr.contains("sim.9") && answer.stderr.contains("world.toml"), "{answer:?}");
    let answer = Site::new().call(&["simulate", &file, "--site"]);
    assert_eq!(answer.code, Some(2), "{answer:?}");
    assert!(answer.stderr.contains("no [spending]"), "{answer:?}");
}

/// The whole year is for a release build; the file is right all the same.
#[test]
fn the_example_of_a_year_can_be_lived() {
    let file = root().join("etc/examples/year.toml");
    let args = ["simulate", file.to_str().unwrap(), "--to", "2019-12-02", "--json"];
    let answer = good(Site::new().call(&args)).json();
    assert_eq!(answer["budget"], "year");
    assert!(answer["largest_step_permille"].as_u64().unwrap() > 0, "{answer}");
}
