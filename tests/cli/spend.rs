//! `vcycle spend` on a ledger that was made for the test: what is reserved and settled in it is known to the penny.

use std::path::PathBuf;
use std::time::Duration;

use serde_json::json;
use vcycle::model::{
    Generation, IntentToken, MachineName, MachinetypeName, ManagerName, Market, OfferingId,
    SpaceName, Timestamp,
};
use vcycle_money::bills::Day;
use vcycle_money::book::Head;
use vcycle_money::{
    Account, Amount, Author, Cap, CapName, Community, Currency, Entry, Event, Money, ProviderName,
    Reservation, Scope, SettleReason, Stages, Tariff, Window,
};

use super::Site;
use super::support::Answer;

const AN_HOUR: Duration = Duration::from_secs(3600);
const A_DAY: Duration = Duration::from_secs(86_400);

/// The middle of a day whose bill is complete.
fn past() -> Timestamp {
    days_ago(10).begin() + AN_HOUR * 12
}

pub(super) fn days_ago(days: u16) -> Day {
    Day::of(now()).before(days)
}

fn now() -> Timestamp {
    vcycle_api::Clock::now(&vcycle_api::SystemClock::new())
}

pub(super) fn amount(text: &str) -> Amount {
    text.parse().unwrap()
}

fn account(machinetype: &str) -> Account {
    Account {
        provider: ProviderName::parse("aws").unwrap(),
        space: SpaceName::parse("ska.aws").unwrap(),
        machinetype: MachinetypeName::parse(machinetype).unwrap(),
        community: Some(Community::parse("SKA, low").unwrap()),
        market: Market::OnDemand,
    }
}

/// 2.00 an hour.
fn reservation(number: u8, machinetype: &str, from: Timestamp, until: Timestamp) -> Reservation {
    let account = account(machinetype);
    Reservation {
        intent: IntentToken::compose(number.into()),
        machine: MachineName::compose(&account.machinetype, number.into()),
        generation: Generation(1),
        account,
        offering: OfferingId {
            flavour: "c7i.2xlarge".to_owned(),
            zone: "eu-west-2a".to_owned(),
            market: Market::OnDemand,
        },
        tariff: Tariff {
            hourly: amount("2"),
            charged: None,
            minimum: Duration::from_secs(60),
            granularity: Duration::from_secs(1),
        },
        quoted: Money { amount: amount("2.5"), currency: Currency::USD },
        from,
        until,
    }
}

pub(super) fn cap(name: &str, limit: &str, window: Window) -> Cap {
    Cap {
        name: CapName::parse(name).unwrap(),
        limit: amount(limit),
        scope: Scope::default(),
        window,
        stages: Stages::default(),
    }
}

/// What one author writes.
fn events_of_the_owner(events: Vec<Event>) -> (Author, Vec<Event>) {
    let author = Author::Owner {
        manager: ManagerName::parse("vm12").unwrap(),
        space: SpaceName::parse("ska.aws").unwrap(),
        generation: Generation(1),
    };
    (author, events)
}

/// Two lives ten days ago: one worked for 5 h (10.00), one fizzled after 30 min (1.00). One machine runs since two
/// hours ago for 10 h (20.00). Caps: 100 each day, and a grant of 40 that has 9.00 left.
pub(super) fn ledger() -> Vec<(Author, Vec<Event>)> {
    let midnight = days_ago(0).begin();
    let grant = Window::Grant { from: midnight - A_DAY * 30, to: midnight + A_DAY * 30 };
    let caps = vec![
        cap("each-day", "100", Window::Day { utc_offset_hours: 0 }),
        cap("the-grant", "40", grant),
    ];
    let manager = Author::Manager { manager: ManagerName::parse("vm12").unwrap() };
    let (begin, now) = (past(), now());
    let settled = |number: u8, end, reason| Event::Settled {
        intent: IntentToken::compose(number.into()),
        begin,
        end,
        reason,
    };
    let running = reservation(3, "dune", now - AN_HOUR * 2, now + AN_HOUR * 8);
    vec![
        (
            manager,
            vec![
                Event::CurrencySet { currency: Currency::GBP },
                Event::CapsSet { caps, source: "caps.d/ska.toml of alice".to_owned() },
            ],
        ),
        events_of_the_owner(vec![
            Event::Reserved(reservation(1, "dune", begin, begin + AN_HOUR * 8)),
            Event::Reserved(reservation(2, "lsst", begin, begin + AN_HOUR * 2)),
        ]),
        events_of_the_owner(vec![
            settled(1, begin + AN_HOUR * 5, SettleReason::Worked),
            settled(2, begin + AN_HOUR / 2, SettleReason::Fizzled),
            Event::Reserved(running),
        ]),
    ]
}

/// A site with this ledger.
pub(super) fn site() -> Site {
    let site = Site::new();
    write_ledger(&site, ledger());
    site
}

/// Writes entries as `docs/STATE-DIR.md` says where they lie. All of them are in the first block.
pub(super) fn write_ledger(site: &Site, ledger: Vec<(Author, Vec<Event>)>) {
    let log = site.path("shared/ledger/log");
    std::fs::create_dir_all(log.join("000000-a1")).unwrap();
    let mut head = Head::default();
    for (by, events) in ledger {
        let entry = Entry {
            format: 1,
            number: 0,
            previous: String::new(),
            at: now() - AN_HOUR,
            by,
            attempt: "a1".to_owned(),
            events,
        };
        let (sealed, bytes) = head.seal(entry);
        head = sealed.head().clone();
        std::fs::write(entry_path(site, head.number), bytes).unwrap();
    }
}

pub(super) fn entry_path(site: &Site, number: u64) -> PathBuf {
    let name = format!("{number:010}.json");
    let log = site.path("shared/ledger/log");
    if number == 1 { log.join(name) } else { log.join("000000-a1").join(name) }
}

pub(super) fn ask(site: &Site, args: &[&str]) -> Answer {
    let mut all = vec!["spend"];
    all.extend(args);
    site.call(&all)
}

#[track_caller]
pub(super) fn good(answer: Answer) -> Answer {
    assert_eq!(answer.code, Some(0), "{answer:?}");
    answer
}

#[test]
fn what_was_spent_is_told_to_the_penny_from_every_side() {
    let site = site();
    let from = days_ago(20).to_string();
    let answer = good(ask(&site, &["--json", "--from", &from])).json();
    assert_eq!((&answer["settled"], &answer["waste"]), (&json!("11.00"), &json!("1.00")));
    let wasted = json!({ "fizzled": "1.00", "never_started": "0.00", "preempted": "0.00" });
    assert_eq!((&answer["wasted"], &answer["wasted_by_community"]["SKA, low"]), (&wasted, &wasted));
    assert_eq!(answer["providers"]["aws"]["reserved"], "20.00");
    assert_eq!(answer["reserved"]["machines"], 1);
    assert_eq!(answer["reserved"]["amount"], "20.00");
    assert_eq!(answer["communities"]["SKA, low"]["reserved"], "20.00");
    let dune: Amount =
        answer["machinetypes"]["ska.aws/dune"]["spent"].as_str().unwrap().parse().unwrap();
    assert!(dune > amount("13.99") && dune < amount("14.50"), "10 settled and 2 an hour: {dune}");
    let rate: Amount = answer["rates"]["one_hour"].as_str().unwrap().parse().unwrap();
    assert!(rate > amount("1.98") && rate <= amount("2"), "one machine of 2.00 an hour: {rate}");
    let grant = &answer["grants"][0];
    assert_eq!((&grant["cap"], &grant["limit"]), (&json!("the-grant"), &json!("40.00")));
    // 4.00 in 24 hours go on for 30 days: 120 and what was spent.
    let lands: Amount = grant["day"]["lands"].as_str().unwrap().parse().unwrap();
    assert!(lands > amount("120") && lands < amount("150"), "{lands}");
    assert!(grant["day"]["exhausted"].is_string(), "{grant}");

    let text = good(ask(&site, &["--from", &from])).stdout;
    for words in [
        "11.00 settled",
        "for 1 machines",
        "1.00 GBP (9.0% of what is settled): 1.00 fizzled, 0.00 never started, 0.00 taken back",
        "PROVIDER",
        "the-grant",
        "all spent",
    ] {
        assert!(text.contains(words), "{words}: {text}");
    }
}

#[test]
fn caps_show_what_is_left_and_their_stage() {
    let site = site();
    let answer = good(ask(&site, &["caps", "--json"])).json();
    let grant = &answer["caps"][1];
    assert_eq!((&grant["settled"], &grant["reserved"]), (&json!("11.00"), &json!("20.00")));
    assert_eq!((&grant["left"], &grant["stage"]), (&json!("9.00"), &json!("open")));
    assert_eq!(answer["source"], "caps.d/ska.toml of alice");
    let text = good(ask(&site, &["caps"])).stdout;
    for words in
        ["each-day", "the-grant", "9.00", "open", "caps as set from caps.d/ska.toml of alice"]
    {
        assert!(text.contains(words), "{words}: {text}");
    }
}

#[test]
fn who_changed_which_cap_is_told() {
    let site = site();
    let answer = good(ask(&site, &["caps", "--history", "--json"])).json();
    let changes = answer["changes"].as_array().unwrap();
    assert_eq!(changes.len(), 2);
    let first = &changes[0];
    assert_eq!((&first["cap"], &first["change"]), (&json!("each-day"), &json!("set")));
    assert_eq!((&first["limit"], &first["by"]["manager"]), (&json!("100.00"), &json!("vm12")));
    let text = good(ask(&site, &["caps", "--history"])).stdout;
    for words in ["the-grant", "set to 40.00", "vm12", "caps.d/ska.toml of alice"] {
        assert!(text.contains(words), "{words}: {text}");
    }
}

#[test]
fn a_cap_is_explained_by_its_reservations_and_by_what_the_next_machine_needs() {
    let site = site();
    let answer = good(ask(&site, &["explain", "the-grant", "--json"])).json();
    assert_eq!(answer["reservations"].as_array().unwrap().len(), 1);
    assert_eq!(answer["reservations"][0]["whole"], "20.00");
    let next = &answer["next"][0];
    assert_eq!((&next["needed"], &next["fits"]), (&json!("20.00"), &json!(false)));
    assert_eq!(
        (&next["refusal"]["cap"], &next["refusal"]["left"]),
        (&json!("the-grant"), &json!("9.00"))
    );
    let text = good(ask(&site, &["explain", "the-grant"])).stdout;
    assert!(text.contains("the-grant has 9.00 left, and it needs 20.00 there"), "{text}");

    let unknown = ask(&site, &["explain", "the-grand"]);
    assert_eq!(unknown.code, Some(2));
    assert!(unknown.stderr.contains("there are each-day, the-grant"), "{unknown:?}");
}

/// Answered with code 1: what is shown on standard output is not the whole.
#[track_caller]
fn cut_short(answer: Answer) -> Answer {
    assert_eq!(answer.code, Some(1), "{answer:?}");
    answer
}

#[test]
fn a_damaged_ledger_is_shown_up_to_the_damage_and_never_exported() {
    let site = site();
    std::fs::write(entry_path(&site, 3), "{}\n").unwrap();
    let caps = cut_short(ask(&site, &["caps"]));
    assert!(caps.stdout.contains("alarm: the ledger is damaged at entry 3"), "{caps:?}");
    assert!(caps.stdout.contains("the-grant"), "what stands before is shown: {caps:?}");
    assert!(caps.stderr.contains("what is shown is what stands before that"), "{caps:?}");
    let spend = cut_short(ask(&site, &["--json"])).json();
    assert!(spend["damage"].as_str().unwrap().contains("entry 3"), "{spend}");
    let export = cut_short(ask(&site, &["export"]));
    assert_eq!(export.stdout, "");
    assert!(export.stderr.contains("damaged at entry 3"), "{export:?}");
}

#[test]
fn a_cap_behind_a_damage_is_not_called_missing() {
    let site = Site::new();
    let mut entries = ledger();
    let (by, mut events) = entries.remove(0);
    let caps = events.remove(1);
    write_ledger(&site, vec![(by.clone(), events), (by, vec![caps])]);
    let entry = std::fs::read_to_string(entry_path(&site, 2)).unwrap();
    std::fs::write(entry_path(&site, 2), &entry[..50]).unwrap();
    std::fs::create_dir_all(site.path("shared/caps.d")).unwrap();
    let limit = "[cap.the-grant]\nlimit = \"50 GBP\"\nwindow = \"day\"\n";
    std::fs::write(site.path("shared/caps.d/a.toml"), limit).unwrap();
    let shared = site.path("shared").display().to_string();
    let spend = cut_short(ask(&site, &["--state-dir", &shared]));
    assert!(!spend.stdout.contains("nothing was spent yet"), "{spend:?}");
    let explain = cut_short(ask(&site, &["explain", "the-grant", "--state-dir", &shared]));
    assert_eq!(explain.stdout, "");
    let words = "nobody can tell how the cap the-grant stands: the ledger is damaged at entry 2";
    assert!(explain.stderr.contains(words), "{explain:?}");
    for (args, words) in [
        (&["caps"][..], "nobody can tell which caps are in force"),
        (&["caps", "--history"], "no change of a cap stands before the damage"),
    ] {
        let answer = cut_short(ask(&site, &[args, &["--state-dir", &shared]].concat()));
        assert!(answer.stdout.contains("alarm: the ledger is damaged at entry 2"), "{answer:?}");
        assert!(answer.stdout.ends_with(&format!("{words}\n")), "{answer:?}");
        assert!(!answer.stdout.contains("says otherwise"), "{answer:?}");
    }
}

#[test]
fn without_a_ledger_nothing_was_spent() {
    let site = Site::new();
    let answer = good(ask(&site, &["--json"])).json();
    assert_eq!((&answer["spent"], &answer["grants"]), (&json!("0.00"), &json!([])));
    let caps = good(ask(&site, &["caps"]));
    assert!(caps.stdout.contains("no cap is in force"), "{caps:?}");
}

#[test]
fn an_empty_folder_is_no_ledger_in_which_nothing_was_spent() {
    let site = Site::new();
    let shared = site.path("shared");
    std::fs::remove_dir_all(&shared).unwrap();
    std::fs::create_dir(&shared).unwrap();
    let dir = shared.display().to_string();
    for words in [&[][..], &["caps"], &["caps", "--history"], &["explain", "x"], &["export"]] {
        // Named on the command line, and by the configuration.
        let mut typed = vec!["spend"];
        typed.extend(words);
        typed.extend(["--state-dir", &dir]);
        for answer in [super::call(&typed), ask(&site, words)] {
            assert_eq!((answer.code, answer.stdout.as_str()), (Some(1), ""), "{answer:?}");
            let said = format!("no manager has ever run here ({dir}): is it mounted?");
            assert!(answer.stderr.contains(&said), "{answer:?}");
        }
    }
}

const RAISED: &str = "[cap.each-day]\nlimit = \"200 GBP\"\nwindow = \"day\"\n";

/// Who may not read the configuration sees the same of her files as the site's admin.
#[test]
fn a_mistake_in_caps_and_a_change_that_waits_are_told_without_a_configuration() {
    let site = site();
    let folder = site.path("shared/caps.d");
    std::fs::create_dir_all(&folder).unwrap();
    let dir = site.path("shared").display().to_string();
    let typed = |words: &[&str]| super::call(&[&["spend"], words, &["--state-dir", &dir]].concat());
    std::fs::write(folder.join("a.toml"), RAISED.replace("200 GBP", "200 pounds")).unwrap();
    let caps = good(typed(&["caps"])).stdout;
    assert!(caps.contains("alarm: not taken up: "), "{caps}");
    assert!(
        caps.contains("a.toml:2: cap.each-day.limit: \"200 pounds\" is no such amount"),
        "{caps}"
    );
    let explain = good(typed(&["explain", "each-day"])).stdout;
    assert!(explain.contains("alarm: not taken up: "), "{explain}");

    std::fs::write(folder.join("a.toml"), RAISED).unwrap();
    let caps = good(typed(&["caps"])).stdout;
    assert!(caps.contains("alarm: caps.d says otherwise than what is in force"), "{caps}");
    assert!(caps.contains("were not looked up, since no configuration was read"), "{caps}");
    for (cap, words) in [
        ("each-day", "alarm: caps.d has a limit of 200.00 in place of 100.00: what is tighter"),
        ("the-grant", "alarm: caps.d does not have it any more: what is tighter"),
    ] {
        let explain = good(typed(&["explain", cap])).stdout;
        assert!(explain.contains(words), "{explain}");
    }
    let new = RAISED.replace("each-day", "new");
    std::fs::write(folder.join("b.toml"), new).unwrap();
    let new = typed(&["explain", "new"]);
    assert_eq!(new.code, Some(2), "{new:?}");
    let words = "the cap new is not in force yet: caps.d has it with a limit of 200.00";
    assert!(new.stderr.contains(words), "{new:?}");
}

#[test]
fn what_is_no_day_is_called_so() {
    for text in ["yesterday", "2026-11-01T00:00:00Z"] {
        let answer = super::call(&["spend", "--from", text]);
        assert_eq!(answer.code, Some(2), "{answer:?}");
        let words = format!("{text:?} is no day: write one such as 2026-11-01");
        assert!(answer.stderr.contains(&words), "{answer:?}");
    }
}

#[test]
fn a_bill_that_says_less_is_told_as_less() {
    let site = Site::new();
    let mut entries = ledger();
    let person = Author::Person { who: "alice".to_owned() };
    let correction = |amount_text: &str| Event::Corrected {
        account: account("dune"),
        at: past(),
        amount: amount(amount_text),
        source: "a bill".to_owned(),
    };
    entries.push((person.clone(), vec![correction("-3")]));
    write_ledger(&site, entries);
    let from = days_ago(20).to_string();
    let text = good(ask(&site, &["--from", &from])).stdout;
    assert!(text.contains("3.00 GBP less than was settled before they came"), "{text}");
}

/// One machine of 2.00 an hour, since so long.
fn young(age: Duration) -> Site {
    let site = Site::new();
    let mut entries = ledger();
    entries.truncate(1);
    let running = reservation(3, "dune", now() - age, now() + AN_HOUR * 8);
    entries.push(events_of_the_owner(vec![Event::Reserved(running)]));
    write_ledger(&site, entries);
    site
}

#[test]
fn in_the_first_hours_a_rate_is_that_of_the_time_since_the_first_spending() {
    let site = young(AN_HOUR / 12);
    let answer = good(ask(&site, &["--json"])).json();
    for rate in ["one_hour", "six_hours", "day"] {
        assert!(answer["rates"][rate].is_null(), "{answer}");
    }
    assert!(answer["rates"]["first_spent"].is_string() && answer["grants"][0]["day"].is_null());
    let text = good(ask(&site, &[])).stdout;
    for words in ["too early to say: something was first spent 5m", "-  too early to say"] {
        assert!(text.contains(words), "{words}: {text}");
    }
    let site = young(AN_HOUR * 3);
    let answer = good(ask(&site, &["--json"])).json();
    for rate in ["one_hour", "six_hours", "day"] {
        let rate: Amount = answer["rates"][rate].as_str().unwrap().parse().unwrap();
        assert!(rate > amount("1.98") && rate < amount("2.02"), "2.00 an hour: {answer}");
    }
    let text = good(ask(&site, &[])).stdout;
    assert!(text.contains(" in the 3h00m since something was first spent"), "{text}");
}

#[test]
fn a_grant_that_a_plan_leads_points_to_it() {
    let site = site();
    let midnight = days_ago(0).begin();
    let (from, to) = (Day::of(midnight - A_DAY * 30), Day::of(midnight + A_DAY * 30));
    std::fs::create_dir_all(site.path("shared/caps.d")).unwrap();
    let budget = format!(
        "[budget.the-grant]\namount = \"40 GBP\"\nfrom = {from}\nto = {to}\nbackfill = [\"LHCb\"]\n"
    );
    std::fs::write(site.path("shared/caps.d/a.toml"), budget).unwrap();
    let dir = site.path("shared").display().to_string();
    let text = good(ask(&site, &["--state-dir", &dir])).stdout;
    assert!(text.contains("-  by its plan: vcycle spend plan"), "{text}");
    let answer = good(ask(&site, &["--state-dir", &dir, "--json"])).json();
    assert_eq!(answer["grants"][0]["is_budget"], true);
}
