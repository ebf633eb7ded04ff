//! What people and their monitoring see: golden files of the metrics and of every JSON answer.

use std::collections::BTreeMap;
use std::sync::Arc;

use reqwest::header;
use serde_json::Value;
use vcycle::model::{
    Board, Decision, Generation, MachineName, MachineRow, MachinetypeRow, Market, OfferingId,
    PhaseCounts, Processors, ReasonSince, SpaceSnapshot, Timestamp,
};

use crate::site::{
    Choices, SPACE, Site, StillClock, answer, empty_board, eventually, status, writing_methods,
};

const NOW: i64 = 1_800_000_000;

fn machine(machinetype: &str, number: u64, phase: &str, age: i64) -> MachineRow {
    let name = MachineName::compose(&machinetype.parse().unwrap(), number);
    MachineRow {
        machinetype: machinetype.parse().unwrap(),
        phase: phase.to_owned(),
        since: Timestamp::from_secs(NOW - age),
        intended: Timestamp::from_secs(NOW - 5000),
        deadline: Timestamp::from_secs(NOW + 90_000),
        end_by: Some(Timestamp::from_secs(NOW + 80_000)),
        instance: Some(format!("i-{number}")),
        offering: OfferingId {
            flavour: "large".to_owned(),
            zone: "a".to_owned(),
            market: Market::Preemptible,
        },
        processors: Processors(8),
        heartbeat: Some(Timestamp::from_secs(NOW - 30)),
        drain_by: None,
        address: Some("192.0.2.7".to_owned()),
        note: None,
        name,
    }
}

fn machinetype(name: &str, running: u32, deleting: u32, reason: (&str, &str)) -> MachinetypeRow {
    MachinetypeRow {
        name: name.parse().unwrap(),
        entry: format!("{name} 1.2"),
        target: 0.5,
        share: 0.625,
        phases: PhaseCounts { running, deleting, ..PhaseCounts::default() },
        processors: Processors(8 * (running + deleting)),
        reason: reason.0.to_owned(),
        why: reason.1.to_owned(),
        last_abort: (name == "lhcb").then(|| Timestamp::from_secs(NOW - 100)),
        last_end: (name == "lhcb").then(|| "300 Nothing to do".to_owned()),
        heartbeat_file: Some("heartbeat".to_owned()),
        history: vec![ReasonSince {
            since: Timestamp::from_secs(NOW - 900),
            reason: reason.0.to_owned(),
            why: reason.1.to_owned(),
        }],
    }
}

fn board() -> Board {
    let decision = |text: &str, outcome: &str| Decision {
        at: Timestamp::from_secs(NOW - 20),
        text: text.to_owned(),
        outcome: outcome.to_owned(),
    };
    let snapshot = SpaceSnapshot {
        format: 1,
        space: SPACE.parse().unwrap(),
        provider: "sim".to_owned(),
        manager: "m1".parse().unwrap(),
        generation: Generation(7),
        at: Timestamp::from_secs(NOW - 20),
        processors_limit: Some(Processors(400)),
        processors: Processors(40),
        foreign_machines: 3,
        foreign_processors: Processors(12),
        credential_expires: Some(Timestamp::from_secs(NOW + 86_400)),
        side_resources_left: 2,
        listing: "complete".to_owned(),
        alarms: vec!["a delete is not proven for 2 h: vcycle-dune-baaaaaaaaa".to_owned()],
        machinetypes: vec![
            machinetype("dune", 2, 1, ("created", "created 2 machines with 16 processors")),
            machinetype("lhcb", 2, 0, ("backoff", "backing off after an abort")),
        ],
        machines: vec![
            machine("dune", 1, "deleting", 7200),
            machine("dune", 2, "running", 4000),
            machine("lhcb", 3, "running", 4000),
        ],
        decisions: vec![
            decision("create 2 machines of dune: furthest below its share", "done"),
            decision("delete vcycle-lhcb-daaaaaaaaa: it has ended", "throttled"),
        ],
    };
    Board {
        store_problem: None,
        spaces: BTreeMap::from([(SPACE.parse().unwrap(), Arc::new(snapshot))]),
        idle_spaces: BTreeMap::from([(
            "b.example".parse().unwrap(),
            "owned by manager m2, generation 4".to_owned(),
        )]),
        ..empty_board()
    }
}

/// A site whose clock stands still and whose board is full.
async fn site() -> Site {
    Site::with(Choices {
        clock: Arc::new(StillClock),
        still: true,
        board: board(),
        ..Choices::default()
    })
    .await
}

async fn json(site: &Site, path: &str) -> Value {
    let response = reqwest::get(site.admin(path)).await.unwrap();
    assert_eq!(response.status(), 200, "{path}");
    assert_eq!(response.headers()[header::CONTENT_TYPE], "application/json");
    response.json().await.unwrap()
}

#[tokio::test]
async fn the_json_of_every_path_is_stable() {
    let site = site().await;
    for (path, golden) in [
        ("/api/v1/status", "status"),
        ("/api/v1/spaces", "spaces"),
        ("/api/v1/spaces/a.example", "space"),
        ("/api/v1/machines", "machines"),
        ("/api/v1/explain/a.example", "explain_space"),
        ("/api/v1/explain/a.example/lhcb", "explain_machinetype"),
    ] {
        let text = serde_json::to_string_pretty(&json(&site, path).await).unwrap() + "\n";
        let file = std::path::Path::new(env!("CARGO_MANIFEST_DIR"))
            .join(format!("tests/server/golden/{golden}.json"));
        snapbox::assert_data_eq!(text, snapbox::Data::read_from(&file, None).raw());
    }
}

#[tokio::test]
async fn the_metrics_are_those_of_the_golden_file() {
    let site = site().await;
    site.running_requests().await;
    let response = reqwest::get(site.admin("/metrics")).await.unwrap();
    assert_eq!(
        response.headers()[header::CONTENT_TYPE],
        "application/openmetrics-text; version=1.0.0; charset=utf-8"
    );
    let text = sorted(&response.text().await.unwrap());
    let file =
        std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/server/golden/metrics.txt");
    snapbox::assert_data_eq!(text, snapbox::Data::read_from(&file, None).raw());
}

impl Site {
    /// Some requests of each kind, so that the counters have something to show.
    async fn running_requests(&self) {
        let vm = self.machine("dune").await;
        assert_eq!(status(self.put(&vm, "log", &vm.token).body("12345")).await, 200);
        assert_eq!(status(self.put(&vm, "log", "wrong").body("12345")).await, 403);
        for path in [vm.path("machinefeatures/hs06"), vm.path("machinefeatures/x"), "/x".into()] {
            status(self.client().get(self.https(&path))).await;
        }
        status(self.client().head(self.http(&vm.path("jobfeatures/")))).await;
    }
}

/// The order of series within a metric is that of a hash map; sorted, the text can be compared.
/// Connections close when the other side's task gets its turn, so their number is not compared.
fn sorted(text: &str) -> String {
    let mut lines: Vec<String> = Vec::new();
    let mut series: Vec<String> = Vec::new();
    for line in text.lines() {
        if line.starts_with('#') {
            series.sort();
            lines.append(&mut series);
            lines.push(line.to_owned());
        } else if line.starts_with("vcycle_http_connections{") {
            series.push(line.rsplit_once(' ').unwrap().0.to_owned() + " [..]");
        } else {
            series.push(line.to_owned());
        }
    }
    lines.append(&mut series);
    lines.join("\n") + "\n"
}

/// The OpenMetrics text as a scraper reads it: every line is a comment of a known kind, or a series
/// of a metric that was described before; names and labels are well-formed; it ends with `# EOF`.
#[tokio::test]
async fn the_metrics_can_be_parsed() {
    let site = site().await;
    site.running_requests().await;
    let text = answer(reqwest::Client::new().get(site.admin("/metrics"))).await.1;
    let mut described: Vec<String> = Vec::new();
    let mut ended = false;
    for line in text.lines() {
        assert!(!ended, "after the end: {line}");
        if line == "# EOF" {
            ended = true;
        } else if let Some(rest) = line.strip_prefix("# TYPE ") {
            let (name, kind) = rest.split_once(' ').unwrap();
            assert!(["counter", "gauge", "histogram", "info"].contains(&kind), "{line}");
            assert!(!described.contains(&name.to_owned()), "described twice: {name}");
            assert!(name.starts_with("vcycle_"), "{name}");
            described.push(name.to_owned());
        } else if line.starts_with("# HELP ") {
            assert!(line.ends_with('.'), "{line}");
        } else {
            let (series, value) = line.rsplit_once(' ').unwrap();
            assert!(value.parse::<f64>().is_ok(), "{line}");
            let name = series.split('{').next().unwrap();
            assert!(described.iter().any(|known| name.starts_with(known.as_str())), "{line}");
            assert!(!line.contains("token-of-machine"), "a secret: {line}");
        }
    }
    assert!(ended, "{text}");
}

#[tokio::test]
async fn the_number_of_series_does_not_grow_with_what_clients_ask_for() {
    let site = site().await;
    let series = || async {
        let text = answer(reqwest::Client::new().get(site.admin("/metrics"))).await.1;
        text.lines().filter(|line| line.starts_with("vcycle_http_requests")).count()
    };
    let vm = site.machine("dune").await;
    let client = site.client();
    for round in 0..2 {
        let before = series().await;
        for number in 0..20 {
            for path in [format!("/x{number}"), vm.path(&format!("machinefeatures/x{number}"))] {
                status(client.get(site.https(&path))).await;
            }
            let odd = reqwest::Method::from_bytes(format!("ODD{number}").as_bytes()).unwrap();
            status(client.request(odd, site.https("/"))).await;
        }
        if round == 1 {
            assert_eq!(series().await, before);
        }
    }
}

#[tokio::test]
async fn pain_25_a_space_that_is_no_longer_ours_leaves_no_stale_metric() {
    let site = site().await;
    let metrics = || async { answer(reqwest::Client::new().get(site.admin("/metrics"))).await.1 };
    assert!(metrics().await.contains("vcycle_space_generation{space=\"a.example\"} 7"));
    site.board.send_replace(Arc::new(empty_board()));
    assert!(!metrics().await.contains("a.example"));
}

#[tokio::test]
async fn pain_6_the_age_of_a_delete_that_is_not_proven_is_shown() {
    let site = site().await;
    let text = answer(reqwest::Client::new().get(site.admin("/metrics"))).await.1;
    let expected = "vcycle_space_delete_pending_seconds{space=\"a.example\"} 7200.0";
    assert!(text.contains(expected), "{text}");
}

#[tokio::test]
async fn machines_can_be_chosen() {
    let site = site().await;
    for (query, expected) in [
        ("?machinetype=dune", 2),
        ("?phase=running", 2),
        ("?machinetype=dune&phase=running", 1),
        ("?space=a.example", 3),
        ("?space=b.example", 0),
    ] {
        let answer = json(&site, &format!("/api/v1/machines{query}")).await;
        assert_eq!(answer["machines"].as_array().unwrap().len(), expected, "{query}");
    }
}

const NO_SUCH_PATH: &str = "there is no such path; there are: /metrics, /healthz, /api/v1/status, \
                            /api/v1/spaces, /api/v1/spaces/SPACE, /api/v1/machines, /api/v1/spending, \
                            /api/v1/explain/SPACE, /api/v1/explain/SPACE/MACHINETYPE";

#[tokio::test]
async fn what_is_not_there_is_404_and_says_what_is() {
    let site = site().await;
    for (path, expected) in [
        (
            "/api/v1/spaces/c.example",
            "there is no space \"c.example\"; there are: a.example, b.example",
        ),
        (
            "/api/v1/explain/b.example",
            "manager m1 does not work on space b.example now: owned by manager m2, generation 4",
        ),
        (
            "/api/v1/explain/a.example/cms",
            "space a.example has no machinetype \"cms\"; it has: dune, lhcb",
        ),
        ("/", NO_SUCH_PATH),
        ("/api/v2/status", NO_SUCH_PATH),
        ("/api/v1/status/", NO_SUCH_PATH),
        ("/machines/a.example/vcycle-dune-baaaaaaaaa/machinefeatures/hs06", NO_SUCH_PATH),
    ] {
        let response = reqwest::get(site.admin(path)).await.unwrap();
        assert_eq!(response.status(), 404, "{path}");
        assert_eq!(response.json::<Value>().await.unwrap()["error"], expected);
    }
}

#[tokio::test]
async fn nothing_can_be_changed_there_and_nothing_of_vms_is_offered() {
    let site = site().await;
    let vm = site.machine("dune").await;
    let client = reqwest::Client::new();
    for path in ["/metrics", "/healthz", "/api/v1/status", "/api/v1/machines"] {
        for method in writing_methods() {
            let response = client.request(method, site.admin(path)).send().await.unwrap();
            assert_eq!(response.status(), 405, "{path}");
            assert_eq!(response.headers()[header::ALLOW], "GET,HEAD");
        }
    }
    assert_eq!(status(client.get(site.admin(&vm.path("machinefeatures/hs06")))).await, 404);
    let put = client.put(site.admin(&vm.path("joboutputs/log"))).bearer_auth(&vm.token);
    assert_eq!(status(put.body("x")).await, 404);
}

#[tokio::test]
async fn health_is_503_with_the_reason_when_the_manager_cannot_work() {
    let site = site().await;
    let health = || async { answer(reqwest::Client::new().get(site.admin("/healthz"))).await };
    assert_eq!(health().await, (reqwest::StatusCode::OK, "ok\n".to_owned()));

    let mut refused = board();
    refused.config.refused = Some("line 3: unknown key".to_owned());
    site.board.send_replace(Arc::new(refused));
    assert_eq!(health().await.0, 200, "the last good configuration is in use");

    let mut broken = board();
    broken.store_problem = Some("no space left on device".to_owned());
    site.board.send_replace(Arc::new(broken));
    let expected = "the state directory cannot be used: no space left on device\n";
    assert_eq!(health().await, (reqwest::StatusCode::SERVICE_UNAVAILABLE, expected.to_owned()));

    let mut stuck = board();
    let name = SPACE.parse().unwrap();
    let mut snapshot = (*stuck.spaces[&name]).clone();
    snapshot.at = Timestamp::from_secs(NOW - 601);
    stuck.spaces.insert(name, Arc::new(snapshot));
    site.board.send_replace(Arc::new(stuck));
    let expected = "space a.example had no cycle for 601 s\n";
    assert_eq!(health().await, (reqwest::StatusCode::SERVICE_UNAVAILABLE, expected.to_owned()));

    let mut waiting = board();
    waiting.started = Timestamp::from_secs(NOW - 86_400);
    waiting.idle_spaces.clear();
    waiting.idle_spaces.insert("c.example".parse().unwrap(), "owned by b (generation 2)".into());
    site.board.send_replace(Arc::new(waiting.clone()));
    assert_eq!(health().await.0, 200, "another manager works on it");
    waiting.idle_spaces.insert("d.example".parse().unwrap(), "no provider".into());
    site.board.send_replace(Arc::new(waiting.clone()));
    let expected = "space d.example is not worked on: no provider\n";
    assert_eq!(health().await, (reqwest::StatusCode::SERVICE_UNAVAILABLE, expected.to_owned()));
    let since = |secs| Timestamp::from_secs(NOW - secs);
    waiting.idle_since.insert("d.example".parse().unwrap(), since(599));
    site.board.send_replace(Arc::new(waiting.clone()));
    assert_eq!(health().await.0, 200, "a space that was just added has a grace of its own");
    waiting.idle_since.insert("d.example".parse().unwrap(), since(601));
    site.board.send_replace(Arc::new(waiting.clone()));
    assert_eq!(health().await.0, 503, "but not for ever");

    waiting.idle_spaces.clear();
    waiting.idle_spaces.insert("e.example".parse().unwrap(), Board::abandoned_words(3));
    site.board.send_replace(Arc::new(waiting));
    assert_eq!(health().await.0, 200, "the manager works; an alarm is in status and metrics");
}

#[tokio::test]
async fn a_space_that_no_configuration_names_is_in_status_and_metrics() {
    let site = site().await;
    let mut abandoned = board();
    let name: vcycle::model::SpaceName = "e.example".parse().unwrap();
    abandoned.abandoned.insert(name.clone(), 3);
    abandoned.idle_spaces.insert(name, Board::abandoned_words(3));
    site.board.send_replace(Arc::new(abandoned));
    let status = json(&site, "/api/v1/status").await;
    assert_eq!(status["abandoned"]["e.example"], 3);
    let why = status["idle_spaces"]["e.example"].as_str().unwrap();
    assert!(why.contains("3 machines") && why.contains("put the space back"), "{why}");
    let metrics = answer(reqwest::Client::new().get(site.admin("/metrics"))).await.1;
    assert!(metrics.contains("vcycle_space_abandoned_machines{space=\"e.example\"} 3\n"));
    assert!(metrics.contains("vcycle_space_owned{space=\"e.example\"} 0\n"));
}

#[tokio::test]
async fn a_refused_configuration_is_visible_in_status_and_metrics() {
    let site = site().await;
    let mut refused = board();
    refused.config.refused = Some("line 3: unknown key".to_owned());
    refused.store_problem = Some("read-only".to_owned());
    site.board.send_replace(Arc::new(refused));
    let status = json(&site, "/api/v1/status").await;
    assert_eq!(status["config"]["refused"], "line 3: unknown key");
    assert_eq!(status["store_problem"], "read-only");
    let metrics = answer(reqwest::Client::new().get(site.admin("/metrics"))).await.1;
    assert!(metrics.contains("vcycle_config_refused 1\n"));
    assert!(metrics.contains("vcycle_store_problem 1\n"));
}

#[tokio::test]
async fn a_cycle_that_appears_on_the_board_is_counted_with_its_duration() {
    let site = site().await;
    let metrics = || async { answer(reqwest::Client::new().get(site.admin("/metrics"))).await.1 };
    assert!(!metrics().await.contains("vcycle_cycle_seconds_count"), "nobody knows when it ended");
    let mut next = board();
    let name = SPACE.parse().unwrap();
    let mut snapshot = (*next.spaces[&name]).clone();
    snapshot.at = Timestamp::from_secs(NOW - 2);
    next.spaces.insert(name, Arc::new(snapshot));
    site.board.send_replace(Arc::new(next));
    eventually("it is counted", || async {
        metrics().await.contains("vcycle_cycle_seconds_count{space=\"a.example\"} 1\n")
    })
    .await;
    assert!(metrics().await.contains("vcycle_cycle_seconds_sum{space=\"a.example\"} 2.0\n"));
    site.board.send_replace(Arc::new(empty_board()));
    eventually("it is forgotten with the space", || async {
        !metrics().await.contains("a.example")
    })
    .await;
}

fn of_a_budget() -> vcycle::model::BudgetRow {
    let pounds = vcycle_money::Amount::from_units;
    vcycle::model::BudgetRow {
        budget: "year".parse().unwrap(),
        term: vcycle_money::plan::Term::Open,
        amount: pounds(100),
        spent: pounds(60),
        committed: pounds(25),
        target: pounds(3),
        rate: pounds(2),
        lands: pounds(98),
        lands_6h: Some(pounds(97)),
        lands_24h: None,
        exhausted: None,
        pace: vcycle_money::plan::Pace::OnLine,
        stop: Timestamp::from_secs(NOW),
        days_left: 12.5,
    }
}

/// As a manager shows it.
fn of_the_money(row: vcycle::model::CapRow) -> vcycle::model::SpendingBoard {
    let pounds = vcycle_money::Amount::from_units;
    vcycle::model::SpendingBoard {
        format: 1,
        at: Timestamp::from_secs(NOW),
        currency: "GBP".parse().unwrap(),
        problem: None,
        entry: 77,
        reservations: 4,
        since: Timestamp::from_secs(NOW - 86_400),
        spent: pounds(60),
        waste: pounds(6),
        committed: pounds(35),
        sides: vcycle::model::Sides {
            communities: [(
                "SKA".to_owned(),
                vcycle::model::Sums { spent: pounds(40), last_day: pounds(9), reserved: pounds(5) },
            )]
            .into(),
            ..vcycle::model::Sides::default()
        },
        rate_1h: pounds(3),
        rate_6h: pounds(2),
        rate_24h: pounds(1),
        caps: vec![row],
        budgets: vec![of_a_budget()],
    }
}

#[tokio::test]
async fn money_is_shown_as_json_and_as_metrics() {
    let site = site().await;
    let response = reqwest::get(site.admin("/api/v1/spending")).await.unwrap();
    assert_eq!(response.status(), 404, "spending is not watched there");
    let pounds = vcycle_money::Amount::from_units;
    let row = vcycle::model::CapRow {
        cap: "year".parse().unwrap(),
        window: None,
        limit: pounds(100),
        settled: pounds(50),
        reserved: pounds(35),
        running: pounds(10),
        left: pounds(15),
        stage: vcycle_money::book::Stage::Warned,
        forecast: Some(vcycle_money::plan::Forecast {
            rate: vcycle_money::plan::Rate::hourly(pounds(2)),
            lands: pounds(70),
            exhausted: None,
        }),
    };
    let board = Board { spending: Some(Arc::new(of_the_money(row))), ..board() };
    site.board.send_replace(Arc::new(board));
    let answer = json(&site, "/api/v1/spending").await;
    assert_eq!(
        (&answer["currency"], &answer["caps"][0]["stage"]),
        (&"GBP".into(), &"warned".into())
    );
    assert_eq!(answer["caps"][0]["left"], "15.00");
    assert_eq!(answer["caps"][0]["forecast"]["lands"], "70.00");
    assert_eq!(
        (&answer["waste"], &answer["communities"]["SKA"]["spent"]),
        (&"6.00".into(), &"40.00".into())
    );
    let budget = &answer["budgets"][0];
    assert_eq!((&budget["lands"], &budget["term"]), (&"98.00".into(), &"open".into()));
    assert_eq!((&budget["lands_24h"], &budget["pace"]["pace"]), (&().into(), &"on-line".into()));
    let metrics = reqwest::get(site.admin("/metrics")).await.unwrap().text().await.unwrap();
    for line in [
        "vcycle_cap_limit{cap=\"year\",currency=\"GBP\"} 100.0",
        "vcycle_cap_left{cap=\"year\",currency=\"GBP\"} 15.0",
        "vcycle_cap_lands{cap=\"year\",currency=\"GBP\"} 70.0",
        "vcycle_cap_stage{cap=\"year\",stage=\"warned\"} 1",
        "vcycle_spending_rate{over=\"6h\",currency=\"GBP\"} 2.0",
        "vcycle_budget_amount{budget=\"year\",currency=\"GBP\"} 100.0",
        "vcycle_budget_spent{budget=\"year\",currency=\"GBP\"} 60.0",
        "vcycle_budget_committed{budget=\"year\",currency=\"GBP\"} 25.0",
        "vcycle_budget_target_rate{budget=\"year\",currency=\"GBP\"} 3.0",
        "vcycle_budget_rate{budget=\"year\",currency=\"GBP\"} 2.0",
        "vcycle_budget_lands{budget=\"year\",over=\"now\",currency=\"GBP\"} 98.0",
        "vcycle_budget_lands{budget=\"year\",over=\"6h\",currency=\"GBP\"} 97.0",
        "vcycle_budget_days_left{budget=\"year\"} 12.5",
        "vcycle_spending_month{side=\"community\",name=\"SKA\",currency=\"GBP\"} 40.0",
        "vcycle_spending_last_day{side=\"community\",name=\"SKA\",currency=\"GBP\"} 9.0",
        "vcycle_spending_reserved{side=\"community\",name=\"SKA\",currency=\"GBP\"} 5.0",
        "vcycle_spending_waste_month{currency=\"GBP\"} 6.0",
        "vcycle_ledger_entry 77",
        "vcycle_spending_problem 0",
    ] {
        assert!(metrics.contains(&format!("{line}\n")), "{line} in {metrics}");
    }
}
