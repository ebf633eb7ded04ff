//! A day of two managers with a space on each cloud. In the end nothing may be left, and the doubles' own ledgers
//! must show no machine that we did not know of, none older than its hard end, none made twice.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use vcycle::model::{OperatorRequest, RequestId, RequestWhat, SpaceName, Timestamp};
use vcycle_api::Clock;

use super::books::{Books, Made, Why};
use super::daemon::Daemon;
use super::double::{Double, On, Woe};
use super::ec2::Ec2;
use super::gce::Gce;
use super::laws;
use super::site::{self, Pace, SpaceOf};
use super::time::Time;
use super::weather::{self, DAY, Event, NIGHT};
use super::world::World;
use crate::support::run;

const MANAGERS: [&str; 2] = ["one", "two"];
const MINUTE: Duration = Duration::from_secs(60);
const SPACES: [SpaceOf; 2] = [
    SpaceOf { name: "ec2.example", limit: 16, image: "ami-0aaaaaaaaaaaaaaa1" },
    SpaceOf { name: "gce.example", limit: 16, image: "family/lab-tiny" },
];

/// A manager's place: it runs, or is started again at a minute.
struct Seat {
    running: Option<Daemon>,
    again: u64,
}

struct Day {
    world: Arc<World>,
    seats: Vec<Seat>,
    processes: u64,
    deaths: u64,
    /// When the guest of a machine shuts it down; `None`: it would work for ever.
    ends: BTreeMap<String, Option<Timestamp>>,
    dice: ChaCha8Rng,
}

impl Day {
    async fn begin(seed: u64) -> Self {
        let time = Time::new();
        let pace = Pace { cycle: "2m", ttl: "30s", max_wallclock: "3h" };
        let doubles: [Arc<dyn Double>; 2] =
            [Arc::new(Ec2::start(time.clone()).await), Arc::new(Gce::start(time.clone()).await)];
        doubles.iter().for_each(|double| double.add_stranger());
        // A listing that lags does not show it at once, and nobody can count what he cannot see.
        tokio::time::sleep(5 * MINUTE).await;
        let names = SPACES.map(|space| site::name(space.name));
        let doubles = names.into_iter().zip(doubles).collect();
        let world = Arc::new(World::new(&time, site::setup(&SPACES, pace), doubles));
        let seats = MANAGERS.map(|_| Seat { running: None, again: 0 }).into();
        let dice = ChaCha8Rng::seed_from_u64(seed);
        Self { world, seats, processes: 0, deaths: 0, ends: BTreeMap::new(), dice }
    }

    /// Who has died is buried, and starts again after some minutes.
    async fn managers(&mut self, minute: u64) {
        let night = NIGHT.0 <= minute && minute < NIGHT.1;
        for (name, seat) in MANAGERS.iter().zip(&mut self.seats) {
            if seat.running.as_ref().is_some_and(|daemon| night || daemon.has_ended()) {
                let dead = seat.running.take().expect("it runs");
                dead.kill();
                self.deaths += 1;
                seat.again = minute + self.dice.random_range(1..12);
            }
            if seat.running.is_none() && !night && minute >= seat.again {
                self.processes += 1;
                seat.running = Some(Daemon::start(&self.world, name, self.processes).await);
            }
        }
    }

    /// Guests work for a while and then shut down; every tenth would work for ever.
    fn guests(&mut self) {
        let now = self.world.time.now();
        for place in self.world.places.values() {
            let books = place.double.books();
            for made in books.machines.iter().filter(|made| made.runs() && made.tags().is_some()) {
                let dice = &mut self.dice;
                let end = self.ends.entry(made.id.clone()).or_insert_with(|| {
                    (!dice.random_bool(0.1)).then(|| now + MINUTE * dice.random_range(10..120))
                });
                if end.is_some_and(|end| end <= now) {
                    *end = None;
                    place.double.guest_ends(&made.id);
                }
            }
        }
    }

    fn happens(&mut self, space: &SpaceName, event: Event) {
        let place = &self.world.places[space];
        let double = place.double.as_ref();
        match event {
            Event::Wave => self.wave(space),
            Event::RunsShort(number) => {
                double.restock();
                double.runs_short(Some(&double.offerings()[number]));
            }
            Event::AllShort => double.runs_short(None),
            Event::Restock => double.restock(),
            Event::Storm => double.befall(On::Any, (0, u32::MAX), Woe::Throttle),
            Event::Calm => double.calm(),
            Event::Woe(on, skip, woe) => double.befall(on, (skip, 1), woe),
            Event::Doom(death) => *place.doom.lock().unwrap() = Some(death),
            Event::Sluggish => double.sluggish(),
            Event::Brisk => double.brisk(),
            Event::ZoneFails => double.zone_fails(),
            Event::ZonesRecover => double.zones_recover(),
            Event::Refuse => double.refuse_everybody(),
            Event::Admit => double.refuse_nobody(),
            Event::Kill => {
                let seat = self.dice.random_range(0..self.seats.len());
                if let Some(daemon) = &self.seats[seat].running {
                    daemon.kill();
                }
            }
        }
    }

    fn wave(&self, space: &SpaceName) {
        let double = self.world.places[space].double.as_ref();
        let books = double.books();
        let spot = books.machines.iter().filter(|made| made.runs() && made.is_spot);
        for made in spot.step_by(2) {
            double.take_back(&made.id);
        }
    }

    async fn trouble(&mut self, seed: u64) {
        let mut events = Vec::new();
        for (number, (space, place)) in self.world.places.iter().enumerate() {
            let offerings = place.double.offerings().len();
            let own = weather::of(seed * 10 + number as u64, offerings);
            events.extend(own.into_iter().map(|(minute, event)| (minute, space.clone(), event)));
        }
        events.sort_by_key(|(minute, ..)| *minute);
        let mut events = events.into_iter().peekable();
        for minute in 0..DAY {
            while let Some((_, space, event)) = events.next_if(|(at, ..)| *at <= minute) {
                self.happens(&space, event);
            }
            if minute == NIGHT.1 {
                self.nothing_has_power();
            }
            self.minute(minute).await;
        }
    }

    /// After a night without any manager every machine has come to its hard end.
    fn nothing_has_power(&self) {
        for (space, place) in &self.world.places {
            let books = place.double.books();
            let run: Vec<_> =
                books.ours().filter(|(made, _)| made.runs()).map(|(m, _)| m.id.clone()).collect();
            laws::none(&format!("runs in {space} after the night"), &run);
        }
    }

    async fn minute(&mut self, minute: u64) {
        self.managers(minute).await;
        self.guests();
        if minute.is_multiple_of(10) {
            self.world.check().await;
        }
        tokio::time::sleep(MINUTE).await;
    }

    /// Nothing goes wrong any more: within two hours all is as it should be.
    async fn peace(&mut self) {
        for place in self.world.places.values() {
            let double = place.double.as_ref();
            double.calm();
            double.restock();
            double.brisk();
            double.zones_recover();
            double.refuse_nobody();
            *place.doom.lock().unwrap() = None;
        }
        let mut wrong = Vec::new();
        for minute in DAY..DAY + 120 {
            self.minute(minute).await;
            wrong.clear();
            for space in self.world.places.keys() {
                wrong.extend(self.world.is_full(space).await.err());
            }
            if wrong.is_empty() {
                return;
            }
        }
        panic!("no peace: {wrong:?}\n{}", self.reasons());
    }

    /// People ask for the end of everything.
    async fn end(mut self) -> Vec<Books> {
        let now = self.world.time.now();
        for space in self.world.places.keys() {
            let what = RequestWhat::DrainSpace { by: now };
            let (id, who) = (RequestId("r-1".into()), "admin@host".to_owned());
            let request = OperatorRequest { format: 1, id, who, at: now, what };
            self.world.store().put_request(space, &request).await.unwrap();
        }
        for minute in DAY..DAY + 60 {
            self.minute(minute).await;
        }
        let reasons = self.reasons();
        for seat in self.seats {
            if let Some(daemon) = seat.running {
                daemon.stop().await;
            }
        }
        let mut all = Vec::new();
        for (space, place) in &self.world.places {
            let books = place.double.books();
            laws::none(&format!("{space} in the end; {reasons}"), &laws::left_over(&books));
            let (records, _) = self.world.records(space).await;
            assert!(records.is_empty(), "records that nobody has archived: {records:#?}");
            all.push(books);
        }
        self.world.check().await;
        all
    }

    /// What the managers say, for whoever must find out why.
    fn reasons(&self) -> String {
        let mut text = String::new();
        for daemon in self.seats.iter().filter_map(|seat| seat.running.as_ref()) {
            let board = daemon.board.borrow();
            for snapshot in board.spaces.values() {
                text += &format!("{} {:?}\n", snapshot.space, snapshot.alarms);
                for row in &snapshot.machinetypes {
                    text += &format!("  {} {}\n", row.name, row.why);
                }
                for row in &snapshot.machines {
                    text += &format!("  {} {} {:?}\n", row.name, row.phase, row.note);
                }
            }
        }
        text
    }
}

fn count(books: &Books, of: impl Fn(&Made) -> bool) -> usize {
    books.machines.iter().filter(|made| of(made)).count()
}

/// The day of a seed.
fn live(seed: u64) {
    run(async {
        let mut day = Day::begin(seed).await;
        day.trouble(seed).await;
        day.peace().await;
        let (processes, deaths, world) = (day.processes, day.deaths, day.world.clone());
        let books = day.end().await;
        println!("seed {seed}: {processes} processes, {deaths} deaths");
        for ((space, place), books) in world.places.iter().zip(&books) {
            let ended = |why| count(books, |made| made.why == why);
            let (all, taken, requests) =
                (books.machines.len(), ended(Why::TakenBack), place.double.requests());
            let (asked, own, never) =
                (ended(Why::Asked), ended(Why::ByItself), ended(Why::NeverMade));
            println!(
                "{space}: {all} machines ({taken} taken back, {asked} deleted, {own} ended by themselves, \
                 {never} refused after acceptance), {requests} requests"
            );
            assert!(all > 100, "a day must be about machines");
            assert!(taken >= 10, "only {taken} were taken back");
        }
        assert!(deaths > 20, "a day must be about deaths: {deaths}");
    });
}

#[test]
fn a_day_on_both_clouds_leaks_nothing_makes_nothing_twice_and_lets_nothing_live_too_long() {
    live(1);
}

/// `VCYCLE_DAY_SEEDS=1..20 cargo test --test clouds -- explore --nocapture`
#[test]
fn explore_days() {
    let Ok(asked) = std::env::var("VCYCLE_DAY_SEEDS") else { return };
    let (from, to) = asked.split_once("..").unwrap_or((&asked, ""));
    let from: u64 = from.parse().expect("VCYCLE_DAY_SEEDS=FROM..TO");
    for seed in from..to.parse().unwrap_or(from + 1) {
        live(seed);
    }
}
