//! Files that were cut off, changed, exchanged or removed: it is said which, everything before the damage is known, and
//! nothing is reserved.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::path::PathBuf;

use proptest::prelude::*;
use vcycle_money::{Author, Book, Entry};

use super::*;
use crate::bench::Place;

/// A ledger of 10 entries in memory: two packed blocks would need a day, so these are all in the log.
async fn ten(bench: &Bench) -> (Ledger, Ownership) {
    let store = bench.store();
    let (ledger, owner) = (ledger(&store), own(&store, "m1").await);
    set_cap(&ledger, 9).await;
    for number in 1..=9 {
        assert!(reserve(&ledger, &owner, [number]).await.unwrap()[0].is_ok());
    }
    (ledger, owner)
}

pub(super) fn files(bench: &Bench) -> BTreeMap<PathBuf, Vec<u8>> {
    let Place::Memory(fs) = &bench.place else { unreachable!("only in memory") };
    let mut files = fs.files();
    files.retain(|path, _| path.starts_with("ledger"));
    files
}

/// The file of an entry.
fn entry_file(bench: &Bench, number: u64) -> String {
    let name = format!("{number:010}.json");
    let files = files(bench);
    let mut found =
        files.keys().filter(|path| path.starts_with("ledger/log") && path.ends_with(&name));
    found.next().unwrap().to_str().unwrap().to_owned()
}

/// A new process finds the damage at an entry, knows what is before it, and reserves nothing.
async fn damaged_at(bench: &Bench, entry: u64, why: &str) {
    let store = bench.store();
    let ledger = ledger(&store);
    let owner = own_space(&store, "m9", "fresh.example").await;
    let error = reserve(&ledger, &owner, [99]).await.unwrap_err();
    let LedgerError::Damaged(damaged) = &error else { panic!("{error}") };
    assert_eq!(damaged.entry, entry, "{error}");
    let text = error.to_string();
    assert!(text.contains(why), "{text}");
    assert!(text.contains(&format!("at entry {entry} (ledger/")), "{text}");
    assert!(text.contains("spending stops") && text.contains("deletes go on"), "{text}");
    assert_eq!(ledger.book().head().number, entry - 1, "what is before it is known");
    assert_eq!(ledger.problem(), Some(text));
    let proof = owner.proof().unwrap();
    assert!(ledger.write(&proof, |_| vec![released(reservation(&owner, 1).intent)]).await.is_err());
    owner.release().await;
}

#[tokio::test]
async fn each_damage_is_told_and_is_over_when_the_file_is_back() {
    for number in [6, 7, 8, 10] {
        let bench = Bench::memory();
        let (ledger, owner) = ten(&bench).await;
        let file = entry_file(&bench, number);
        let whole = bench.content(&file).unwrap();
        // The checkpoint after entry 8 would do without what is before it.
        bench.uproot("ledger/checkpoints/0000000008.json");

        bench.plant(&file, b"");
        damaged_at(&bench, number, "it is empty").await;
        bench.plant(&file, &whole[..whole.len() / 2]);
        damaged_at(&bench, number, "it is cut off").await;
        let mut changed = whole.clone();
        let end = changed.len() - 20;
        changed[end] ^= 1;
        bench.plant(&file, &changed);
        damaged_at(&bench, number, "it was changed").await;
        bench.plant(&file, &bench.content(&entry_file(&bench, 9)).unwrap());
        damaged_at(&bench, number, "it is entry 9").await;
        if number < 10 {
            bench.uproot(&file);
            damaged_at(&bench, number, "it is missing").await;
        }
        bench.plant(&file, &whole);
        assert_eq!(ledger.refresh().await.unwrap().head().number, 10);
        let next = super::ledger(&bench.store());
        assert_eq!(next.refresh().await.unwrap(), ledger.book());
        assert!(
            reserve(&next, &owner, [50]).await.unwrap()[0].is_err(),
            "only the cap is in the way"
        );
    }
}

#[tokio::test]
async fn nothing_is_written_where_an_entry_is_missing_and_a_later_one_is_there() {
    let bench = Bench::memory();
    let store = bench.store();
    let (writer, owner) = (ledger(&store), own(&store, "m1").await);
    set_cap(&writer, 9).await;
    let next = |number| reserve(&writer, &owner, [number]);
    while writer.book().head().number < 5 {
        assert!(next(writer.book().head().number).await.unwrap()[0].is_ok());
    }
    let other = ledger(&bench.store());
    assert_eq!(other.refresh().await.unwrap().head().number, 5);
    for number in [6, 7] {
        assert!(next(number).await.unwrap()[0].is_ok());
    }
    let file = entry_file(&bench, 6);
    let whole = bench.content(&file).unwrap();
    bench.uproot(&file);
    let error = reserve(&other, &owner, [99]).await.unwrap_err();
    let LedgerError::Damaged(damaged) = &error else { panic!("{error}") };
    assert_eq!(damaged.entry, 6, "{error}");
    assert!(bench.content(&file).is_none(), "nothing has taken its place");
    bench.plant(&file, &whole);
    assert!(reserve(&other, &owner, [99]).await.unwrap()[0].is_ok());
    assert_eq!(other.book().head().number, 8);
}

#[tokio::test]
async fn a_ledger_that_is_gone_is_not_begun_anew_unless_somebody_says_so() {
    let bench = Bench::memory();
    let (_, owner) = ten(&bench).await;
    bench.uproot("ledger");
    damaged_at(&bench, 1, "there was a ledger").await;
    assert!(files(&bench).is_empty());
    bench.uproot("ledger-begun.json");
    let anew = ledger(&bench.store());
    assert_eq!(reserve(&anew, &owner, [1]).await.unwrap().len(), 1);
    assert_eq!(anew.book().head().number, 1);
}

#[tokio::test]
async fn who_has_read_more_than_is_left_says_so() {
    let bench = Bench::memory();
    let (ledger, owner) = ten(&bench).await;
    bench.uproot(&entry_file(&bench, 10));
    // A process that comes now cannot know; one that saw it does, once it looks at more than the next entry.
    let other = super::ledger(&bench.store());
    assert_eq!(other.refresh().await.unwrap().head().number, 9);
    for number in 5..=9 {
        bench.uproot(&entry_file(&bench, number));
    }
    bench.uproot("ledger/checkpoints/0000000008.json");
    let error = reserve(&ledger, &owner, [50]).await;
    assert!(error.is_err() || error.unwrap()[0].is_err());
    assert_eq!(ledger.book().head().number, 10, "it is kept for display");
}

#[tokio::test]
async fn a_checkpoint_that_cannot_be_used_is_told_and_an_older_one_is() {
    let bench = Bench::memory();
    let (ledger, owner) = ten(&bench).await;
    let whole = bench.content("ledger/checkpoints/0000000008.json").unwrap();
    let older = bench.content("ledger/checkpoints/0000000004.json").unwrap();
    let mut changed = whole.clone();
    changed[300] ^= 1;
    for damage in [&[][..], &whole[..200], &changed, &older, b"\0\0\0"] {
        bench.plant("ledger/checkpoints/0000000008.json", damage);
        let next = super::ledger(&bench.store());
        assert_eq!(next.refresh().await.unwrap(), ledger.book());
        let [alarm] = &next.alarms()[..] else { panic!("{:?}", next.alarms()) };
        assert!(alarm.contains("0000000008.json") && alarm.contains("cannot be used"), "{alarm}");
        assert!(reserve(&next, &owner, [9]).await.unwrap()[0].is_ok(), "the log tells everything");
    }
    // Nothing to begin with but the log.
    bench.plant("ledger/checkpoints/0000000004.json", b"x");
    let next = super::ledger(&bench.store());
    assert_eq!(next.refresh().await.unwrap(), ledger.book());
    assert_eq!(next.alarms().len(), 2);
}

#[tokio::test]
async fn a_checkpoint_of_another_ledger_is_found() {
    let bench = Bench::memory();
    ten(&bench).await;
    let other = Bench::memory();
    let store = other.store();
    let foreign = ledger(&store);
    for limit in 1..=8 {
        set_cap(&foreign, limit).await;
    }
    let checkpoint = other.content("ledger/checkpoints/0000000008.json").unwrap();
    bench.plant("ledger/checkpoints/0000000008.json", &checkpoint);
    let error = ledger(&bench.store()).refresh().await.unwrap_err();
    assert!(error.to_string().contains("at entry 8"), "{error}");
}

#[tokio::test]
async fn an_entry_that_passes_a_cap_is_a_damage_however_well_it_is_sealed() {
    let bench = Bench::memory();
    let (ledger, owner) = ten(&bench).await;
    let (_, bytes) = ledger.book().head().seal(Entry {
        format: 0,
        number: 0,
        previous: String::new(),
        at: NOW,
        by: Author::Person { who: "a forger".to_owned() },
        attempt: "f".to_owned(),
        events: vec![Event::Reserved(reservation(&owner, 77))],
    });
    let path = entry_file(&bench, 10).replace("0010.json", "0011.json");
    bench.plant(&path, &bytes);
    damaged_at(&bench, 11, "passes a cap: all from 2025-12-01").await;
}

/// What happens to one file.
#[derive(Debug, Clone)]
enum Harm {
    Bytes(Vec<u8>),
    Cut(prop::sample::Index),
    Flip(prop::sample::Index, u8),
    Remove,
}

fn harms() -> impl Strategy<Value = Harm> {
    prop_oneof![
        prop::collection::vec(any::<u8>(), 0..200).prop_map(Harm::Bytes),
        any::<prop::sample::Index>().prop_map(Harm::Cut),
        (any::<prop::sample::Index>(), 0_u8..8).prop_map(|(at, bit)| Harm::Flip(at, bit)),
        Just(Harm::Remove),
    ]
}

/// A ledger with packs, checkpoints and a log, once for all cases.
fn rich() -> (BTreeMap<PathBuf, Vec<u8>>, Vec<Book>) {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(async {
        let bench = Bench::memory();
        let store = bench.store();
        let (ledger, owner) = (ledger(&store), own(&store, "m1").await);
        set_cap(&ledger, 90).await;
        fill(&ledger, &owner, 1..7).await;
        bench.clock.advance(Duration::from_secs(2 * 86_400));
        let owner = next_owner(&bench, &store).await;
        let mut books = Vec::new();
        for number in 100..105 {
            reserve(&ledger, &owner, [number]).await.unwrap();
        }
        // Every book that there ever was.
        let mut book = Book::default();
        let files = files(&bench);
        books.push(book.clone());
        for number in 1..=ledger.book().head().number {
            let line = entry_line(&files, number);
            book.apply(&book.head().open(&line).unwrap()).unwrap();
            books.push(book.clone());
        }
        assert_eq!(book, *ledger.book());
        assert!(files.keys().any(|path| path.ends_with("000001.jsonl")));
        (files, books)
    })
}

pub(super) fn entry_line(files: &BTreeMap<PathBuf, Vec<u8>>, number: u64) -> Vec<u8> {
    let pack = PathBuf::from(format!("ledger/packed/{:06}.jsonl", (number - 1) / BLOCK));
    if let Some(pack) = files.get(&pack) {
        let mut lines = pack.split_inclusive(|byte| *byte == b'\n');
        return lines.nth(((number - 1) % BLOCK) as usize).unwrap().to_vec();
    }
    let name = format!("{number:010}.json");
    let mut found = files.iter();
    let found = found.find(|(path, _)| path.starts_with("ledger/log") && path.ends_with(&name));
    found.unwrap().1.clone()
}

#[test]
fn whatever_happens_to_a_file_no_other_book_is_read_than_one_that_was() {
    let (files, books) = rich();
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let (told, unseen) = (Cell::new(0), Cell::new(0));
    let config = ProptestConfig { cases: 1500, failure_persistence: None, ..Default::default() };
    let which = (any::<prop::sample::Index>(), harms());
    proptest!(config, |((file, harm) in which)| {
        let (path, whole) = files.iter().nth(file.index(files.len())).unwrap();
        let bench = Bench::memory();
        for (path, content) in &files {
            bench.plant(path.to_str().unwrap(), content);
        }
        let mut content = whole.clone();
        match &harm {
            Harm::Bytes(bytes) => content.clone_from(bytes),
            Harm::Cut(at) => content.truncate(at.index(whole.len())),
            Harm::Flip(at, bit) => content[at.index(whole.len())] ^= 1 << bit,
            Harm::Remove => {}
        }
        match harm {
            Harm::Remove => bench.uproot(path.to_str().unwrap()),
            Harm::Bytes(_) | Harm::Cut(_) | Harm::Flip(..) => bench.plant(path.to_str().unwrap(), &content),
        }
        let last = books.last().unwrap();
        runtime.block_on(async {
            let ledger = ledger(&bench.store());
            for read in [ledger.refresh().await, ledger.replay().await] {
                match read {
                    Ok(book) => {
                        unseen.set(unseen.get() + 1);
                        let is_last_one_removed = matches!(harm, Harm::Remove) && *book == books[books.len() - 2];
                        assert!(*book == *last || is_last_one_removed, "{path:?} {harm:?}");
                    }
                    Err(LedgerError::Damaged(damaged)) => {
                        told.set(told.get() + 1);
                        assert!(damaged.entry >= 1 && damaged.entry <= last.head().number + 1);
                    }
                    Err(other) => panic!("{path:?} {harm:?}: {other}"),
                }
            }
            let shown = ledger.book();
            assert_eq!(*shown, books[shown.head().number as usize], "{path:?} {harm:?}");
        });
    });
    let (told, unseen) = (told.get(), unseen.get());
    println!("{told} damages told, {unseen} times the book was read all the same");
    assert!(told > 300 && unseen > 300);
}
