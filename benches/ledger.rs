//! A ledger of a year with a million machines: 400,000 entries, 20 caps, some 5,000 open reservations. To open it, with and
//! without a checkpoint, to append to it, to ask whether a wave fits; its size on disk and in memory.
//!
//! The year itself takes some minutes to be made, and so does reading it from its first entry.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::hint::black_box;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use criterion::{Criterion, criterion_group, criterion_main};
use vcycle::model::{Generation, MachinetypeName, ManagerName, SpaceName, Timestamp};
use vcycle::store::{Acquire, Ledger, Look, Ownership, RealFs, Store, Terms};
use vcycle_api::{Clock, IntentToken, MachineName, ManualClock, Market, OfferingId, SystemClock};
use vcycle_money::{
    Account, Amount, Author, Book, Cap, CapName, Community, Currency, Entry, Event, Money,
    ProviderName, Reservation, Scope, SettleReason, Stages, Tariff, Window,
};

const BLOCK: u64 = 1000;
const ENTRIES: u64 = 400_500;
const MACHINES: u64 = 1_000_000;
const START: i64 = 1_767_225_600;
const YEAR: u64 = 365 * 86_400;
const HOUR: u64 = 3600;
/// Names the directory in which a process of its own makes the year.
const MAKER: &str = "LEDGER_BENCH_MAKE";

fn time(secs: u64) -> Timestamp {
    Timestamp::from_secs(START + i64::try_from(secs).unwrap())
}

/// 50 accounts: spaces, machinetypes, markets.
fn account(number: u64) -> Account {
    let machinetype = format!("type{}", number / 5 % 5);
    Account {
        provider: ProviderName::parse(["aws", "gcp"][(number % 2) as usize]).unwrap(),
        space: SpaceName::parse(&format!("space{}.example", number % 5)).unwrap(),
        machinetype: MachinetypeName::parse(&machinetype).unwrap(),
        community: Some(
            Community::parse(["SKA", "LSST", "DUNE"][(number / 5 % 3) as usize]).unwrap(),
        ),
        market: [Market::OnDemand, Market::Preemptible][(number / 25 % 2) as usize],
    }
}

fn reservation(number: u64, begin: u64) -> Reservation {
    let account = account(number % 50);
    let hourly = Amount::from_nanos(47_500_000 + i64::try_from(number % 97).unwrap() * 1_000_003);
    Reservation {
        intent: IntentToken::compose(
            u128::from(number).wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835),
        ),
        machine: MachineName::compose(&account.machinetype, number),
        generation: Generation(1),
        offering: OfferingId {
            flavour: "c7i.2xlarge".to_owned(),
            zone: "eu-west-2a".to_owned(),
            market: account.market,
        },
        account,
        tariff: Tariff {
            hourly,
            charged: None,
            minimum: Duration::from_secs(60),
            granularity: Duration::from_secs(1),
        },
        quoted: Money { amount: hourly, currency: Currency::GBP },
        from: time(begin),
        until: time(begin + 60 * HOUR),
    }
}

fn caps() -> Vec<Cap> {
    let cap = |name: String, scope: Scope, window: Window| Cap {
        name: CapName::parse(&name).unwrap(),
        limit: Amount::from_units(100_000_000),
        scope,
        window,
        stages: Stages::default(),
    };
    let month = Window::Month { utc_offset_hours: 0 };
    let grant = Window::Grant { from: time(0), to: time(YEAR) };
    let mut caps = vec![
        cap("hour".to_owned(), Scope::default(), Window::Hour),
        cap("day".to_owned(), Scope::default(), Window::Day { utc_offset_hours: 0 }),
        cap("week".to_owned(), Scope::default(), Window::Week { utc_offset_hours: 1 }),
        cap("grant".to_owned(), Scope::default(), grant),
    ];
    for number in 0..5 {
        let spaces = [account(number).space].into();
        let scope = Scope { spaces, ..Scope::default() };
        caps.push(cap(format!("space{number}-month"), scope.clone(), month));
        caps.push(cap(format!("space{number}-day"), scope, Window::Day { utc_offset_hours: -8 }));
        let machinetypes = [account(number * 5).machinetype].into();
        let scope = Scope { machinetypes, ..Scope::default() };
        caps.push(cap(format!("type{number}-month"), scope, month));
    }
    let spot = Scope { markets: [Market::Preemptible].into(), ..Scope::default() };
    caps.push(cap("spot".to_owned(), spot, month));
    assert_eq!(caps.len(), 20);
    caps
}

fn entry(events: Vec<Event>, number: u64) -> Entry {
    Entry {
        format: 0,
        number: 0,
        previous: String::new(),
        at: time(number * YEAR / ENTRIES),
        by: Author::Owner {
            manager: ManagerName::parse("vcycle01").unwrap(),
            space: account(number % 5).space,
            generation: Generation(1),
        },
        attempt: format!("{number:016x}"),
        events,
    }
}

/// The year: what it leaves in the state directory.
fn year(dir: &Path) {
    let log = dir.join("ledger/log");
    let packed = dir.join("ledger/packed");
    std::fs::create_dir_all(&log).unwrap();
    std::fs::create_dir_all(&packed).unwrap();
    let mut book = Book::default();
    let mut ends: BinaryHeap<Reverse<(u64, u64, u64)>> = BinaryHeap::new();
    let (mut machines, mut bytes_of_log) = (0, 0_u64);
    let (mut block, mut pack) = (String::new(), Vec::new());
    for number in 1..=ENTRIES {
        let now = number * YEAR / ENTRIES;
        let mut events = Vec::new();
        if number == 1 {
            events.push(Event::CapsSet { caps: caps(), source: String::new() });
        }
        while let Some(Reverse((end, machine, begin))) =
            ends.peek().copied().filter(|Reverse((end, ..))| *end <= now)
        {
            ends.pop();
            let reason = if machine.is_multiple_of(10) {
                SettleReason::Preempted
            } else {
                SettleReason::Worked
            };
            let intent = reservation(machine, begin).intent;
            events.push(Event::Settled { intent, begin: time(begin), end: time(end), reason });
        }
        while machines < number * MACHINES / ENTRIES {
            machines += 1;
            ends.push(Reverse((now + 30 * HOUR + machines % 28 * HOUR, machines, now)));
            events.push(Event::Reserved(reservation(machines, now)));
        }
        let (sealed, line) = book.head().seal(entry(events, number));
        book.apply(&sealed).unwrap();
        bytes_of_log += line.len() as u64;
        pack.extend_from_slice(&line);
        if number.is_multiple_of(BLOCK) {
            let file = packed.join(format!("{:06}.jsonl", (number - 1) / BLOCK));
            std::fs::write(file, std::mem::take(&mut pack)).unwrap();
        }
        let first = (number - 1).is_multiple_of(BLOCK);
        if first {
            block = format!("{:06}-{number:016x}", (number - 1) / BLOCK);
            std::fs::write(log.join(format!("{number:010}.json")), &line).unwrap();
        } else if number > ENTRIES / BLOCK * BLOCK {
            std::fs::create_dir_all(log.join(&block)).unwrap();
            std::fs::write(log.join(&block).join(format!("{number:010}.json")), &line).unwrap();
        }
        if number == ENTRIES / BLOCK * BLOCK {
            let checkpoint = book.checkpoint();
            println!("checkpoint: {:.1} MB", checkpoint.len() as f64 / 1e6);
            std::fs::create_dir_all(dir.join("ledger/checkpoints")).unwrap();
            std::fs::write(dir.join(format!("ledger/checkpoints/{number:010}.json")), checkpoint)
                .unwrap();
        }
    }
    println!(
        "entries: {:.1} MB, open reservations: {}",
        bytes_of_log as f64 / 1e6,
        book.reservations_len()
    );
}

/// Of all files below, in MB, and their number.
fn size(dir: &Path) -> (f64, u64) {
    let entries = std::fs::read_dir(dir).unwrap().map(Result::unwrap);
    entries.fold((0.0, 0), |(bytes, files), entry| {
        let kind = entry.metadata().unwrap();
        let more = if kind.is_dir() { size(&entry.path()) } else { (kind.len() as f64 / 1e6, 1) };
        (bytes + more.0, files + more.1)
    })
}

/// Memory of this process, in MB: now, and the most so far.
fn memory() -> (f64, f64) {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let of = |key: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(key)).unwrap();
        line.split_whitespace().next().unwrap().parse::<f64>().unwrap() / 1e3
    };
    (of("VmRSS:"), of("VmHWM:"))
}

/// What a process needs that does nothing but open the ledger: this one, before it has made one of its own.
fn opened_elsewhere(dir: &Path) {
    let before = memory().0;
    let clock = Arc::new(ManualClock::at(time(YEAR)));
    let store = Store::new(Arc::new(RealFs::new(dir)), clock);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let ledger = Ledger::new(&store);
    runtime.block_on(ledger.refresh()).unwrap();
    let (now, most) = memory();
    println!("memory of opening: {:.1} MB, at the most {:.1} MB", now - before, most - before);
}

/// Once: it takes minutes.
fn replayed(runtime: &tokio::runtime::Runtime, store: &Store, book: &Book) {
    let clock = SystemClock::new();
    let began = clock.monotonic();
    let replayed = runtime.block_on(Ledger::new(store).replay()).unwrap();
    assert_eq!(replayed.head(), book.head());
    println!("open without a checkpoint: {:.1} s", (clock.monotonic() - began).as_secs_f64());
}

async fn own(store: &Store) -> Ownership {
    let (space, manager) = (account(0).space, ManagerName::parse("vcycle01").unwrap());
    let ttl = Duration::from_secs(86_400);
    let look = Ownership::look(store, &space, &manager, ttl).await.unwrap();
    let Look::Vacant(vacant) = look else { panic!("it is new") };
    let terms = Terms { manager: &manager, ttl, above: Generation::default() };
    match Ownership::take_vacant(store, &space, terms, &vacant).await.unwrap() {
        Acquire::Owned(ownership) => ownership,
        Acquire::HeldBy { .. } => panic!("it is new"),
    }
}

fn of_a_year(criterion: &mut Criterion) {
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    // Made by another process, so that this one shows what opening needs.
    if let Some(dir) = std::env::var_os(MAKER) {
        year(Path::new(&dir));
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let this = std::env::current_exe().unwrap();
    let made = std::process::Command::new(this).arg("--bench").env(MAKER, dir.path()).status();
    assert!(made.unwrap().success());
    let (megabytes, files) = size(dir.path());
    println!("on disk: {megabytes:.1} MB in {files} files");
    opened_elsewhere(dir.path());
    let clock = Arc::new(ManualClock::at(time(YEAR)));
    let store = Store::new(Arc::new(RealFs::new(dir.path())), clock);
    let book = runtime.block_on(Ledger::new(&store).refresh()).unwrap();
    replayed(&runtime, &store, &book);
    let mut group = criterion.benchmark_group("ledger of a year, a million machines");
    group.sample_size(10);
    group.bench_function("open: checkpoint and 500 entries", |bencher| {
        bencher.iter(|| {
            let opened = runtime.block_on(Ledger::new(&store).refresh()).unwrap();
            assert_eq!(opened.head(), book.head());
        });
    });
    let checkpoint = std::fs::read(dir.path().join("ledger/checkpoints/0000400000.json")).unwrap();
    group.bench_function("read a checkpoint", |bencher| {
        bencher.iter(|| Book::from_checkpoint(black_box(&checkpoint)).unwrap());
    });
    group.bench_function("write a checkpoint", |bencher| {
        bencher.iter(|| black_box(&book).checkpoint())
    });
    let wave: Vec<Reservation> =
        (0..50).map(|number| reservation(MACHINES + 1 + number, YEAR)).collect();
    group.bench_function("admit a wave of 50", |bencher| {
        bencher.iter(|| assert!(book.admit(black_box(&wave)).iter().all(Result::is_ok)));
    });
    group.bench_function("apply a wave of 50", |bencher| {
        let events: Vec<Event> = wave.iter().cloned().map(Event::Reserved).collect();
        let (sealed, _) = book.head().seal(entry(events, ENTRIES));
        bencher.iter(|| {
            let mut next = Book::clone(black_box(&book));
            next.apply(&sealed).unwrap();
        });
    });
    group.bench_function("stages of 20 caps", |bencher| {
        bencher.iter(|| black_box(&book).standings(time(YEAR)));
    });
    append(&mut group, &runtime, &store);
    group.finish();
}

/// On the disk, with everything synced.
fn append(
    group: &mut criterion::BenchmarkGroup<'_, criterion::measurement::WallTime>,
    runtime: &tokio::runtime::Runtime,
    store: &Store,
) {
    let ledger = Ledger::new(store);
    let owner = runtime.block_on(own(store));
    let mut next = 2 * MACHINES;
    group.bench_function("reserve a wave of 50 and settle it", |bencher| {
        bencher.iter(|| {
            let ours = |number: u64| Reservation {
                account: Account { space: owner.space().clone(), ..account(number % 50) },
                ..reservation(number, YEAR)
            };
            let wave: Vec<Reservation> = (next..next + 50).map(ours).collect();
            next += 50;
            let settled = |reservation: &Reservation| Event::Settled {
                intent: reservation.intent,
                begin: reservation.from,
                end: reservation.from + Duration::from_secs(5 * HOUR),
                reason: SettleReason::Worked,
            };
            let events: Vec<Event> = wave.iter().map(settled).collect();
            runtime.block_on(async {
                let proof = owner.proof().unwrap();
                let answers = ledger.reserve(&proof, wave).await.unwrap();
                assert!(answers.iter().all(Result::is_ok));
                ledger.write(&proof, |_| events.clone()).await.unwrap().unwrap();
            });
        });
    });
}

criterion_group!(benches, of_a_year);
criterion_main!(benches);
