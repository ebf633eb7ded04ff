//! Bills about which something is wrong: given twice, of another form, at a rate that nobody knows, for a space that nobody has,
//! of less than nothing.

use serde_json::{Value, json};

use super::bills::{DUNE, bill, bill_of, import, with_rates};
use super::spend::{ask, days_ago, entry_path, good, site};
use super::support::Answer;
use super::{SPACE, Site};

#[track_caller]
fn refused(answer: &Answer, code: i32, words: &[&str]) {
    assert_eq!(answer.code, Some(code), "{answer:?}");
    for word in words {
        assert!(answer.stderr.contains(word), "{word}: {answer:?}");
    }
}

#[track_caller]
fn nothing_is_booked(site: &Site) {
    assert!(!entry_path(site, 4).exists(), "something was booked");
}

/// A refund for a machine of another month would be room for one that nobody pays for.
#[test]
fn a_bill_of_less_than_nothing_makes_no_room() {
    let site = site();
    let days = [(16, "0", ""), (15, "-50", DUNE), (14, "0", "")];
    let refund = bill_of(&site, "refund.csv", &days);
    let answer = good(ask(&site, &import(&refund, &["--book", "--yes"])));
    assert!(answer.stdout.contains("nothing is to be booked"), "{answer:?}");
    assert!(answer.stdout.contains("not booked: -40.00"), "{answer:?}");
    assert!(answer.stdout.contains("a refund makes no room"), "{answer:?}");
    nothing_is_booked(&site);
}

#[test]
fn a_bill_that_is_given_twice_is_refused() {
    let site = site();
    let good_one = bill(&site);
    let same = ask(&site, &import(&good_one, &[&good_one, "--book", "--yes"]));
    refused(&same, 2, &["export.csv", "given twice"]);
    let beside = site.path("./shared/../export.csv").display().to_string();
    refused(&ask(&site, &import(&good_one, &[&beside])), 2, &["given twice"]);
    let copy = site.path("export (1).csv").display().to_string();
    std::fs::copy(&good_one, &copy).unwrap();
    let copied = ask(&site, &import(&good_one, &[&copy, "--book", "--yes"]));
    refused(&copied, 2, &["export.csv and ", "export (1).csv", "the same content"]);
    nothing_is_booked(&site);
    // An export in parts may have several without a line.
    let [first, second] = ["a.csv", "b.csv"].map(|name| bill_of(&site, name, &[]));
    good(ask(&site, &import(&good_one, &[&first, &second])));
}

#[test]
fn a_rate_that_is_far_from_the_known_one_is_doubted_and_a_mistake_by_a_hundred_not_booked() {
    let site = site();
    with_rates(&site);
    let days = [(11, "0", ""), (10, "10", DUNE), (9, "0", "")];
    let bill = bill_of(&site, "a.csv", &days);
    let at = |rate: &str, more: &[&str]| {
        ask(&site, &[&["import", &bill, "--from", "aws", "--rate", rate], more].concat())
    };
    for pence in ["USD=79", "USD=0.0079"] {
        let answer = at(pence, &["--book", "--yes"]);
        refused(&answer, 2, &[pence, "by the rates of [spending]", "leave --rate out"]);
        let shown = good(at(pence, &[]));
        assert!(shown.stdout.contains("warning:"), "{shown:?}");
    }
    nothing_is_booked(&site);
    let upside_down = good(at("USD=1.3", &["--json"])).json();
    let rate = json!({ "said": true, "lowest": "1.30", "highest": "1.30", "known": "0.60", "doubtful": true });
    assert_eq!(upside_down["rates"], json!({ "USD": rate }));
    let near = good(at("USD=0.75", &[]));
    assert!(near.stdout.contains("USD=0.75") && !near.stdout.contains("warning:"), "{near:?}");
    let dated = good(ask(&site, &["import", &bill, "--from", "aws"]));
    assert!(dated.stdout.contains("USD=0.66"), "with the margin: {dated:?}");
    good(at("USD=0.75", &["--book", "--yes"]));
    let entry = std::fs::read_to_string(entry_path(&site, 4)).unwrap();
    assert!(entry.contains("aws bill: a.csv at USD=0.75"), "{entry}");
}

#[test]
fn a_space_that_nobody_has_is_told() {
    let site = site();
    let mistyped = DUNE.replace("ska.aws", "cloud.exmaple");
    let days = [(11, "0", ""), (10, "10", &mistyped), (9, "1", DUNE)];
    let bill = bill_of(&site, "a.csv", &days);
    let told = good(ask(&site, &import(&bill, &[])));
    assert!(told.stdout.contains("has a space cloud.exmaple"), "{told:?}");
    assert!(!told.stdout.contains("has a space ska.aws"), "the ledger has it: {told:?}");
    let answer = good(ask(&site, &import(&bill, &["--json"]))).json();
    assert_eq!(answer["unknown_spaces"], json!(["cloud.exmaple"]));
    let ours = bill_of(
        &site,
        "b.csv",
        &[(10, "1", &DUNE.replace("ska.aws", SPACE)), (9, "0", ""), (11, "0", "")],
    );
    let answer = good(ask(&site, &import(&ours, &["--json"]))).json();
    assert_eq!(answer["unknown_spaces"], json!([]), "the configuration has it");
}

/// Else no cap on the community would see it.
#[test]
fn what_the_ledger_does_not_know_yet_is_booked_for_its_community() {
    let site = site();
    let config = site.config_text();
    let config = config.replacen("entry = \"batch\"", "entry = \"batch\"\ncommunity = \"DUNE\"", 1);
    std::fs::write(site.path("vcycle.toml"), config).unwrap();
    let account = |machinetype: &str| -> Value {
        let tags = DUNE.replace("ska.aws", SPACE).replace("dune", machinetype);
        let bill = bill_of(&site, "a.csv", &[(11, "0", ""), (10, "10", &tags), (9, "0", "")]);
        let answer = good(ask(&site, &import(&bill, &["--json"]))).json();
        answer["corrections"][0]["account"].clone()
    };
    assert_eq!(account("batch")["community"], "DUNE");
    assert_eq!(account("idle")["machinetype"], "idle");
    assert_eq!(account("idle")["community"], Value::Null);
}

#[test]
fn what_is_no_bill_of_that_form_is_told_without_a_summary() {
    let site = site();
    let csv = bill(&site);
    let json = site.path("export.json").display().to_string();
    std::fs::write(&json, "{\"cost\": 1,\n \"currency\": \"GBP\"}\n").unwrap();
    let kitty = ["--bill-currency", "GBP"];
    for (file, from, more, words) in [
        (&csv, "google", &[][..], ["looks like CSV", "newline-delimited JSON", "--from aws?"]),
        (&csv, "cloudkitty", &kitty[..], ["looks like CSV", "are JSON", "--from aws?"]),
        (&json, "aws", &[], ["looks like JSON", "is CSV", "--from google"]),
    ] {
        let answer = ask(&site, &[&["import", file, "--from", from], more].concat());
        refused(&answer, 1, &words);
        assert_eq!(answer.stdout, "", "nothing was read");
        assert!(answer.stderr.ends_with("? (no line could be read, and nothing is booked)\n"));
    }
    let folder = site.path("shared").display().to_string();
    refused(&ask(&site, &import(&folder, &[])), 2, &["shared is a directory"]);
}

#[test]
fn a_bill_of_days_that_have_not_come_is_refused() {
    let site = site();
    let day = |ahead: u16| (0..ahead).fold(days_ago(0), |day, _| day.next().unwrap()).to_string();
    let of = |name: &str, ahead: u16| {
        let bill = bill_of(&site, name, &[(0, "1", DUNE)]);
        let text = std::fs::read_to_string(&bill).unwrap().replace(&day(0), &day(ahead));
        std::fs::write(&bill, text).unwrap();
        bill
    };
    let answer = ask(&site, &import(&of("a.csv", 5), &["--book", "--yes"]));
    refused(&answer, 2, &[&day(5), "has not come yet"]);
    good(ask(&site, &import(&of("b.csv", 1), &[])));
}

#[test]
fn what_makes_room_is_said_before_it_is_booked() {
    let site = site();
    let less = good(ask(&site, &import(&bill(&site), &[])));
    let words = "1 corrections, -3.00 GBP in all, would be booked with --book; what is less (3.00) makes room below caps";
    assert!(less.stdout.contains(words), "{less:?}");
    let lsst = DUNE.replace("dune", "lsst");
    let days = [(11, "0", ""), (10, "20", DUNE), (10, "1.25", &lsst), (9, "0", "")];
    let more = good(ask(&site, &import(&bill_of(&site, "more.csv", &days), &[])));
    assert!(more.stdout.contains("would be booked with --book\n"), "{more:?}");
}
