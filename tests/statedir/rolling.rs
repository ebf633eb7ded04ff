//! Managers of two versions on one directory, as during a rolling upgrade. There is one format so far, so "old" is
//! the directory that is kept as version 0.1.0 wrote it, and "new" is today's code, or today's code seen through a glass
//! that adds to each file what a later version may add. With format 2 comes `state-v2`, and each test here
//! runs with both.

use std::collections::BTreeSet;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use async_trait::async_trait;
use vcycle::model::{MachineRecord, SpaceName, Timestamp};
use vcycle::store::testing::example_record;
use vcycle::store::{Acquire, FeatureKind, Mode, PutOutcome, RealFs, SharedFs, StatePath, Store};

use crate::acquire::acquire;
use crate::bench::{Bench, TTL, clock, files, held, in_folder, manager, own, space};
use crate::formats::STATE_V1;
use crate::mortal::{Fate, MortalFs};

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let (source, target) = (entry.path(), to.join(entry.file_name()));
        if source.is_dir() {
            copy(&source, &target);
        } else {
            std::fs::copy(&source, &target).unwrap();
        }
    }
}

fn files_below(dir: &Path, top: &Path, found: &mut BTreeSet<PathBuf>) {
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files_below(&path, top, found);
        } else {
            found.insert(path.strip_prefix(top).unwrap().to_owned());
        }
    }
}

/// Everything in a space that somebody would read, but what machines have put for people.
async fn read_all(store: &Store, space: &SpaceName) -> Vec<MachineRecord> {
    let loaded = store.load_space(space).await.unwrap();
    assert_eq!((loaded.corrupt.as_slice(), loaded.unfinished.as_slice()), (&[][..], &[][..]));
    store.load_snapshot(space).await.unwrap().expect("there is a plan");
    assert_eq!(store.requests(space).await.unwrap().len(), 1, "{space}");
    for record in &loaded.records {
        let machine = record.machine();
        store.shutdown_message(space, machine).await.unwrap();
        store.user_data(space, machine).await.unwrap();
        assert!(store.heartbeat_list(space, record.machinetype()).await.unwrap().is_some());
        for kind in [FeatureKind::Machine, FeatureKind::Job] {
            for key in store.feature_keys(space, machine, kind).await.unwrap().unwrap_or_default() {
                assert!(
                    store.feature(space, machine, kind, &key).await.unwrap().is_some(),
                    "{key}"
                );
            }
        }
    }
    loaded.records
}

#[tokio::test]
async fn every_file_of_a_kept_directory_of_format_1_is_read_and_taken_over() {
    let dir = tempfile::tempdir().unwrap();
    copy(Path::new(STATE_V1), dir.path());
    let (fate, time) = (Fate::kind(), clock());
    let fs = MortalFs::new(Arc::new(RealFs::new(dir.path())), fate.clone());
    let store = Store::new(Arc::new(fs), time.clone());
    assert_eq!(store.deployment().await.unwrap().unwrap().id.as_str(), "haaaaaaaaaaa");
    assert_eq!(store.managers().await.unwrap().len(), 2);
    for space in store.spaces().await.unwrap() {
        let new = manager("new");
        let acquire = || acquire(&store, &space, &new, TTL);
        let Ok(Acquire::HeldBy { manager: old, .. }) = acquire().await else {
            panic!("{space} was never given back")
        };
        assert!(old.as_str().starts_with("vcycle0"), "{old}");
        time.advance(TTL * 2);
        let Ok(Acquire::Owned(owner)) = acquire().await else { panic!("{space} is silent") };
        assert_eq!(owner.generation().0, 2);
        for record in read_all(&store, &space).await {
            let file =
                dir.path().join(format!("spaces/{space}/current/{}/record.json", record.machine()));
            let kept = std::fs::read_to_string(&file).unwrap();
            store.save_record(&owner.proof().unwrap(), &record).await.unwrap();
            let written = std::fs::read_to_string(&file).unwrap();
            let by = |generation: u64, manager: &str| {
                format!("\"written_by\": {generation},\n  \"manager\": \"{manager}\"")
            };
            assert_eq!(written, kept.replace(&by(1, old.as_str()), &by(2, "new")));
        }
        owner.release().await;
    }
    let read: BTreeSet<PathBuf> = fate.all_looks().into_iter().map(PathBuf::from).collect();
    let mut kept = BTreeSet::new();
    files_below(Path::new(STATE_V1), Path::new(STATE_V1), &mut kept);
    // Of archived machines only the records are read, and of what a machine put only its last words.
    let of_no_interest = |path: &PathBuf| {
        let text = path.to_str().unwrap();
        let last_words = text.ends_with("/shutdown_message");
        let archived = text.contains("/deleted/") && !text.ends_with("/record.json");
        archived || (text.contains("/joboutputs/") && !last_words)
    };
    let unread: Vec<_> = kept.difference(&read).filter(|path| !of_no_interest(path)).collect();
    assert!(unread.is_empty(), "{unread:?}");
    assert!(kept.len() > 50, "{}", kept.len());
}

/// Today's code as a later version of the same format: it writes a field more at the top of each JSON file.
struct Later(Arc<dyn SharedFs>);

fn more(content: &[u8]) -> Vec<u8> {
    match serde_json::from_slice::<serde_json::Value>(content) {
        Ok(mut value) if value.is_object() => {
            value["of_a_later_version"] = serde_json::json!({"since": 2});
            serde_json::to_vec_pretty(&value).unwrap()
        }
        Ok(_) | Err(_) => content.to_vec(),
    }
}

#[async_trait]
impl SharedFs for Later {
    async fn read(&self, path: &StatePath) -> io::Result<Vec<u8>> {
        self.0.read(path).await
    }
    async fn write(&self, path: &StatePath, content: &[u8], mode: Mode) -> io::Result<()> {
        self.0.write(path, &more(content), mode).await
    }
    async fn put_if_absent(
        &self,
        path: &StatePath,
        content: &[u8],
        mode: Mode,
    ) -> io::Result<PutOutcome> {
        self.0.put_if_absent(path, &more(content), mode).await
    }
    async fn list(&self, dir: &StatePath) -> io::Result<Vec<String>> {
        self.0.list(dir).await
    }
    async fn modified(&self, paths: &[StatePath]) -> io::Result<Vec<Option<Timestamp>>> {
        self.0.modified(paths).await
    }
    async fn sizes(&self, paths: &[StatePath]) -> io::Result<Vec<Option<u64>>> {
        self.0.sizes(paths).await
    }
    async fn make_dir(&self, dir: &StatePath) -> io::Result<()> {
        self.0.make_dir(dir).await
    }
    async fn rename(&self, from: &StatePath, to: &StatePath) -> io::Result<()> {
        self.0.rename(from, to).await
    }
    async fn remove(&self, path: &StatePath) -> io::Result<()> {
        self.0.remove(path).await
    }
}

#[tokio::test]
async fn two_versions_take_turns_and_neither_loses_what_the_other_wrote() {
    for bench in Bench::both() {
        let old = bench.store();
        let later = Store::new(Arc::new(Later(bench.fs())), bench.clock.clone());
        for turn in 1..=6 {
            let (store, name) = if turn % 2 == 0 { (&later, "later") } else { (&old, "old") };
            let owner = own(store, name).await;
            assert_eq!(owner.generation().0, turn);
            let other = if turn % 2 == 0 { (&old, "old") } else { (&later, "later") };
            assert_eq!(held(other.0, other.1).await, (manager(name), turn));
            let proof = owner.proof().unwrap();
            let loaded = store.load_space(&space()).await.unwrap();
            assert_eq!((loaded.records.len() as u64, loaded.corrupt.len()), (turn - 1, 0));
            for mut record in loaded.records {
                record.started = Some(record.intended);
                store.save_record(&proof, &record).await.unwrap();
            }
            let record = example_record(turn);
            store.create_machine(&proof, &record, &files(&record)).await.unwrap();
            owner.release().await;
        }
        // What the later version wrote survived the old one's rewriting, and the old one's reached the later.
        for number in 1..=5 {
            let content =
                bench.content(&in_folder(&example_record(number), "record.json")).unwrap();
            let record: serde_json::Value = serde_json::from_slice(&content).unwrap();
            assert_eq!(record["of_a_later_version"]["since"], 2, "{number}");
            assert!(record["started"].is_string(), "{number}");
        }
    }
}

#[tokio::test]
async fn an_owner_of_a_newer_format_is_left_alone_while_it_shows_life() {
    for bench in Bench::both() {
        bench.plant("spaces/a.example/owner/00000007", b"{\"format\":2,\"who\":\"new\"}");
        let store = bench.store();
        // Longer than any patience.
        for beat in 0..100 {
            let life = format!("{{\"format\":2,\"beat\":{beat}}}");
            bench.plant("spaces/a.example/owner/00000007.renew", life.as_bytes());
            assert_eq!(held(&store, "old").await, (manager("unknown"), 7));
            bench.clock.advance(TTL / 3);
        }
        held(&store, "old").await;
        bench.clock.advance(TTL * 2);
        assert_eq!(own(&store, "old").await.generation().0, 8, "then it is dead");
    }
}
