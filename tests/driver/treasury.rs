//! Caps on paused time: from the files of the spend manager into force, by every manager and only once.

use std::path::PathBuf;
use std::time::Duration;

use tokio::time::sleep;
use vcycle::store::{Ledger, Store};
use vcycle_money::book::Stage;
use vcycle_money::{Amount, Author, Book, Event};

use super::support::money::{prices, watched};
use super::support::run;
use super::support::site::space;
use super::*;

/// A machine may cost six hours of a pound: five of work, ten minutes of start, fifty of overstay.
const SITE: &str = "max_wallclock = \"5h\"\nmin_wallclock = \"1h\"";

/// Long enough for a look at the files and a cycle after it.
const SOON: Duration = Duration::from_secs(70);

fn spending() -> Arc<Setup> {
    watched(&site().each(SITE).setup(), prices(&[("sim.1", "1")]))
}

fn file() -> PathBuf {
    PathBuf::from("caps.d/year.toml")
}

impl World {
    /// The spend manager writes the file.
    fn cap(&self, text: &str) {
        self.disk.plant(file(), text.as_bytes().to_vec());
    }

    fn limit(&self, limit: u32) {
        self.cap(&format!(
            "[cap.year]\nlimit = \"{limit} GBP\"\nwindow = \"grant\"\nfrom = 2026-01-01T00:00:00Z\nto = 2027-01-01T00:00:00Z\n"
        ));
    }

    async fn book(&self) -> Arc<Book> {
        let store = Store::new(Arc::new(self.disk.clone()), self.clock.clone());
        Ledger::new(&store).replay().await.unwrap()
    }

    async fn limit_in_force(&self) -> Option<Amount> {
        self.book().await.caps().first().map(|cap| cap.limit)
    }
}

fn alarms(daemon: &Daemon) -> Vec<String> {
    let board = daemon.board.borrow();
    board.spaces.values().flat_map(|snapshot| snapshot.alarms.clone()).collect()
}

fn pounds(pounds: i64) -> Option<Amount> {
    Some(Amount::from_units(pounds))
}

#[test]
fn a_cap_of_a_file_is_in_force_before_the_first_machine_is_made() {
    run(async {
        let world = World::new();
        world.limit(13);
        let daemon = world.start("m1", spending()).await;
        sleep(SOON).await;
        assert_eq!(world.machines(&space()), 2, "{:?}", alarms(&daemon));
        let book = world.book().await;
        assert!(
            book.caps_source().starts_with("year.toml (changed at 2026-01-01"),
            "{}",
            book.caps_source()
        );
    });
}

#[test]
fn a_lowered_cap_counts_at_once_and_a_raised_one_when_it_has_stood_for_two_minutes() {
    run(async {
        let world = World::new();
        world.limit(100);
        let _daemons = [world.start("m1", spending()).await, world.start("m2", spending()).await];
        sleep(SOON).await;
        assert_eq!(world.limit_in_force().await, pounds(100));
        world.limit(20);
        sleep(Duration::from_secs(10)).await;
        assert_eq!(world.limit_in_force().await, pounds(20));
        world.limit(50);
        sleep(Duration::from_secs(110)).await;
        assert_eq!(world.limit_in_force().await, pounds(20), "an older file may still be seen");
        sleep(Duration::from_secs(30)).await;
        assert_eq!(world.limit_in_force().await, pounds(50));
        let set = world.entries(|event| matches!(event, Event::CapsSet { .. })).await;
        assert_eq!(set, 3, "each change is written once, whoever saw it first");
    });
}

#[test]
fn files_that_cannot_be_understood_or_are_gone_change_no_cap() {
    run(async {
        let world = World::new();
        world.limit(100);
        let daemon = world.start("m1", spending()).await;
        sleep(SOON).await;
        world.cap("[cap.year]\nlimt = \"5 GBP\"\n");
        sleep(Duration::from_secs(300)).await;
        assert_eq!(world.limit_in_force().await, pounds(100));
        let told = alarms(&daemon).join("\n");
        assert!(told.contains("the caps in force stay as they are"), "{told}");
        assert!(told.contains("`limit` is missing"), "{told}");
        let lines: Vec<&str> = told.lines().collect();
        assert!(
            lines.len() == 1 && lines[0].contains("year.toml:") && lines[0].contains("more"),
            "{told}"
        );
        world.disk.uproot("caps.d");
        sleep(Duration::from_secs(300)).await;
        assert_eq!(world.limit_in_force().await, pounds(100));
        let told = alarms(&daemon).join("\n");
        assert!(told.contains("there is no file in caps.d any more"), "{told}");
        // An empty file says that it is meant.
        world.cap("");
        sleep(Duration::from_secs(300)).await;
        assert_eq!(world.limit_in_force().await, None);
        assert_eq!(alarms(&daemon), Vec::<String>::new());
    });
}

#[test]
fn a_manager_that_cannot_read_the_caps_makes_nothing() {
    run(async {
        let world = World::new();
        world.cap("[cap.year\n");
        let daemon = world.start("m1", spending()).await;
        sleep(SOON).await;
        assert_eq!(world.machines(&space()), 0);
        let told = alarms(&daemon).join("\n");
        assert!(told.contains("nothing may be spent") && told.contains("year.toml"), "{told}");
        world.limit(100);
        sleep(SOON).await;
        assert_eq!(world.machines(&space()), 4);
    });
}

#[test]
fn a_manager_that_reckons_in_another_currency_than_the_ledger_spends_nothing() {
    run(async {
        let world = World::new();
        world.limit(100);
        let first = world.start("m1", spending()).await;
        sleep(SOON).await;
        assert_eq!(world.machines(&space()), 4);
        assert_eq!(world.book().await.currency(), Some("GBP".parse().unwrap()));
        drop(first);
        // By its prices what runs has become dearer, and machines that it finds cost something.
        let mut setup = (*watched(&site().each(SITE).setup(), prices(&[("sim.1", "2")]))).clone();
        let mut config = (*setup.config).clone();
        config.spending.as_mut().unwrap().currency = "EUR".parse().unwrap();
        setup.config = Arc::new(config);
        let second = world.start("m2", Arc::new(setup)).await;
        sleep(Duration::from_secs(300)).await;
        let board = second.board.borrow().clone();
        let problem = board.spending.as_ref().unwrap().problem.clone().unwrap();
        assert!(problem.contains("the ledger is in GBP"), "{problem}");
        let is_priced =
            |event: &Event| matches!(event, Event::Repriced { .. } | Event::Found { .. });
        assert_eq!(world.all_entries(is_priced), 0, "its prices say nothing in the ledger");
    });
}

#[test]
fn a_manager_whose_clock_is_not_believed_writes_no_stage_of_a_cap() {
    run(async {
        let world = World::new();
        world.cap("[cap.month]\nlimit = \"13 GBP\"\nwindow = \"month\"\n");
        let setup =
            || watched(&with_twin(&site().each(SITE).setup(), &other()), prices(&[("sim.1", "1")]));
        let _right = world.start("m1", setup()).await;
        sleep(SOON).await;
        let ahead = World { clock: RuntimeClock::right(), ..world.beside(50) };
        // In the next month nothing is used yet.
        ahead.clock.set_hours_ahead(24 * 32);
        let _wrong = ahead.start("m2", setup()).await;
        sleep(Duration::from_secs(300)).await;
        let changes = world.all_entries(|event| matches!(event, Event::StageChanged { .. }));
        assert_eq!(changes, 1, "the cap is nearly used, in this month");
    });
}

#[test]
fn two_spaces_of_two_managers_spend_from_one_cap_and_do_not_pass_it() {
    run(async {
        let world = World::new();
        world.limit(6 * 5);
        let setup =
            watched(&with_twin(&site().each(SITE).setup(), &other()), prices(&[("sim.1", "1")]));
        let _daemons = [world.start("m1", setup.clone()).await, world.start("m2", setup).await];
        sleep(Duration::from_secs(300)).await;
        let made: usize = {
            let clouds = world.clouds.lock().unwrap();
            clouds.values().map(|cloud| cloud.machines().len()).sum()
        };
        assert_eq!(made, 5, "of eight that the spaces have room for");
        assert_eq!(world.book().await.reservations_len(), 5);
    });
}

#[test]
fn who_does_not_watch_spending_makes_nothing_where_caps_are() {
    run(async {
        let world = World::new();
        let unwatched = || site().each(SITE).setup();
        // Nobody has ever watched, and somebody believes that a cap holds.
        world.limit(100);
        let careless = world.start("m1", unwatched()).await;
        sleep(SOON).await;
        assert_eq!(world.machines(&space()), 0);
        assert!(
            alarms(&careless).iter().any(|told| told.contains("has no [spending]")),
            "{:?}",
            alarms(&careless)
        );
        // Without caps nobody wants anything to be watched.
        world.cap("");
        sleep(SOON).await;
        assert_eq!(world.machines(&space()), 4);
        drop(careless);

        let world = World::new();
        world.limit(6);
        let careful = world.start("m1", spending()).await;
        sleep(SOON).await;
        assert_eq!(world.machines(&space()), 1, "the cap has room for one");
        drop(careful);
        // The caps in force hold although their file is gone.
        world.cap("");
        let careless = world.start("m2", unwatched()).await;
        sleep(Duration::from_secs(300)).await;
        assert_eq!(world.machines(&space()), 1);
        assert!(
            alarms(&careless).iter().any(|told| told.contains("has no [spending]")),
            "{:?}",
            alarms(&careless)
        );
    });
}

#[test]
fn a_stage_of_a_cap_is_recorded_once_with_who_and_when() {
    run(async {
        let world = World::new();
        world.limit(25);
        let daemons = [world.start("m1", spending()).await, world.start("m2", spending()).await];
        sleep(Duration::from_secs(120)).await;
        let standings = world.book().await.standings(world.clock.now());
        assert_eq!(standings[0].stage, Stage::Warned, "24 of 25");
        assert_eq!(standings[0].recorded.map(|recorded| recorded.stage), Some(Stage::Warned));
        assert_eq!(world.entries(|event| matches!(event, Event::StageChanged { .. })).await, 1);
        for daemon in &daemons {
            let board = daemon.board.borrow().clone();
            let spending = board.spending.as_ref().unwrap();
            let row = &spending.caps[0];
            assert_eq!(
                (row.stage, row.reserved, row.left),
                (Stage::Warned, pounds(24).unwrap(), pounds(1).unwrap())
            );
            assert_eq!((spending.reservations, &spending.problem), (4, &None));
        }
    });
}

impl World {
    /// How many events of a kind managers have written in no space's name.
    async fn entries(&self, wanted: impl Fn(&Event) -> bool) -> usize {
        self.count(|author| matches!(author, Author::Manager { .. }), wanted)
    }

    /// How many events of a kind there are.
    fn all_entries(&self, wanted: impl Fn(&Event) -> bool) -> usize {
        self.count(|_| true, wanted)
    }

    fn count(&self, by: impl Fn(&Author) -> bool, wanted: impl Fn(&Event) -> bool) -> usize {
        self.disk
            .files()
            .into_iter()
            .filter(|(path, _)| path.starts_with("ledger/log"))
            .filter_map(|(_, content)| {
                let line: serde_json::Value = serde_json::from_slice(&content).ok()?;
                serde_json::from_value::<vcycle_money::Entry>(line["entry"].clone()).ok()
            })
            .filter(|entry| by(&entry.by))
            .flat_map(|entry| entry.events)
            .filter(wanted)
            .count()
    }
}
