//! Files of this format and of others: old ones are read, newer ones refused, damaged ones reported.

use std::path::Path;

use vcycle::model::{
    DeleteReason, EndState, Evidence, LateRefusal, LateRejection, MachineRecord, RequestWhat,
};
use vcycle::store::testing::example_record;
use vcycle::store::{Fault, RealFs, Store};

use crate::bench::{Bench, Place, clock, in_folder, make, own, space};

/// A state directory as version 0.1.0 wrote it. Never changed: a new format gets a new folder.
pub(crate) const STATE_V1: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/state-v1");

#[tokio::test]
async fn the_state_directory_of_format_1_can_be_read() {
    let store = Store::new(std::sync::Arc::new(RealFs::new(STATE_V1)), clock());
    let deployment = store.deployment().await.unwrap().unwrap();
    assert_eq!(deployment.id.as_str(), "haaaaaaaaaaa");

    let loaded = store.load_space(&space()).await.unwrap();
    assert_eq!((loaded.corrupt.as_slice(), loaded.unfinished.as_slice()), (&[][..], &[][..]));
    let [intended, ended] = loaded.records.as_slice() else { panic!("{loaded:?}") };
    assert_eq!(intended, &example_record(1));
    let end = ended.ended.as_ref().unwrap();
    assert_eq!(end.state, EndState::Stopped);
    assert_eq!(end.message.as_ref().unwrap().to_string(), "300 Nothing to do");
    assert_eq!(ended.deletion.as_ref().unwrap().reason, DeleteReason::Ended);
    assert_eq!(ended.instance.as_ref().unwrap().as_str(), "i-0123456789");

    let [archived] = loaded.archived.as_slice() else { panic!("{loaded:?}") };
    assert_eq!(archived.record.gone.as_ref().unwrap().evidence, Evidence::NotFound);
    assert_eq!(archived.at, archived.record.gone.as_ref().unwrap().at);

    let requests = store.requests(&space()).await.unwrap();
    assert!(matches!(requests[0].what, RequestWhat::DeleteMachine { .. }));
    let snapshot = store.load_snapshot(&space()).await.unwrap().unwrap();
    assert_eq!(snapshot.machinetypes[0].why, "3 of 30 machines: full");
    let managers = store.managers().await.unwrap();
    assert_eq!((managers.len(), managers[0].version.as_str()), (2, "0.1.0"));
}

#[tokio::test]
async fn a_record_is_written_byte_for_byte_as_format_1() {
    let bench = Bench::memory();
    let store = bench.store();
    let owner = own(&store, "vcycle01").await;
    let record = make(&store, &owner, 1).await;
    let file = in_folder(&record, "record.json");
    let fixture = std::fs::read(Path::new(STATE_V1).join(&file)).unwrap();
    let written = bench.content(&file).unwrap();
    assert_eq!(String::from_utf8(written).unwrap(), String::from_utf8(fixture).unwrap());
}

/// Replaces the record of machine 1 and says how it is reported.
async fn reported(bench: &Bench, content: &[u8]) -> String {
    let store = bench.store();
    let owner = own(&store, "m1").await;
    let (one, two) = (make(&store, &owner, 1).await, make(&store, &owner, 2).await);
    owner.release().await;
    let file = in_folder(&one, "record.json");
    bench.plant(&file, content);

    let store = bench.store();
    let owner = own(&store, "m1").await;
    let loaded = store.load_space(&space()).await.unwrap();
    assert_eq!(
        loaded.records.iter().map(MachineRecord::machine).collect::<Vec<_>>(),
        [two.machine()]
    );
    assert!(loaded.unfinished.is_empty(), "unreadable is not absent");
    let [corrupt] = loaded.corrupt.as_slice() else { panic!("{loaded:?}") };
    assert_eq!(&corrupt.machine, one.machine());
    assert_eq!(bench.content(&file).unwrap(), content, "it is left as it is, also by the sweep");
    let error = store.record(&space(), one.machine()).await.unwrap_err();
    assert!(matches!(error.fault(), Fault::Corrupt | Fault::Newer), "{error}");
    assert_eq!(error.to_string(), corrupt.why);
    owner.release().await;
    corrupt.why.clone()
}

#[tokio::test]
async fn damaged_records_are_reported_and_kept() {
    let whole = serde_json::to_vec_pretty(&example_record(1)).unwrap();
    let cases: [(&[u8], &str); 6] = [
        (b"", "it is empty"),
        (&whole[..whole.len() / 2], "EOF while parsing"),
        (&[0; 512], "expected value"),
        (b"{\"format\":1}", "missing field"),
        (b"{}", "no format number"),
        (&serde_json::to_vec(&example_record(2)).unwrap(), "it is the record of vcycle-dune-"),
    ];
    for (content, words) in cases {
        for bench in Bench::both() {
            let why = reported(&bench, content).await;
            assert!(why.contains(words) && why.contains("record.json"), "{why}");
        }
    }
}

#[tokio::test]
async fn every_prefix_of_a_record_is_reported_never_misread() {
    let bench = Bench::memory();
    let whole = serde_json::to_vec(&example_record(1)).unwrap();
    for end in 0..whole.len() {
        bench.plant(&in_folder(&example_record(1), "record.json"), &whole[..end]);
        let loaded = bench.store().load_space(&space()).await.unwrap();
        assert_eq!((loaded.records.len(), loaded.corrupt.len()), (0, 1), "{end} bytes");
    }
}

#[tokio::test]
async fn a_newer_record_is_refused_with_its_version_and_what_to_do() {
    let mut newer = serde_json::to_value(example_record(1)).unwrap();
    newer["format"] = 2.into();
    let bench = Bench::memory();
    let why = reported(&bench, &serde_json::to_vec(&newer).unwrap()).await;
    assert!(why.contains("has format 2, and this version reads up to 1"), "{why}");
    assert!(why.contains("upgrade this vcycle"), "{why}");
}

#[tokio::test]
async fn a_late_refusal_is_a_field_more_at_the_top_of_a_record_of_the_same_format() {
    for bench in Bench::both() {
        let store = bench.store();
        let owner = own(&store, "m1").await;
        let mut record = make(&store, &owner, 1).await;
        let before = serde_json::to_value(&record).unwrap();
        assert!(
            before.get("refused_late").is_none(),
            "nothing is written that an older version does not write"
        );
        let (kind, message) = (LateRefusal::InsufficientCapacity, "no room".to_owned());
        record.refused_late = Some(LateRejection { kind, message });
        store.save_record(&owner.proof().unwrap(), &record).await.unwrap();
        let written: serde_json::Value =
            serde_json::from_slice(&bench.content(&in_folder(&record, "record.json")).unwrap())
                .unwrap();
        assert_eq!(written["format"], 1);
        assert_eq!(written["refused_late"]["kind"], "insufficient-capacity");
        let loaded = bench.store().load_space(&space()).await.unwrap();
        assert_eq!(loaded.records[0].refused_late, record.refused_late);
    }
}

#[tokio::test]
async fn a_newer_deployment_is_not_touched() {
    for bench in Bench::both() {
        bench.plant("deployment.json", b"{\"format\":2,\"id\":\"haaaaaaaaaaa\"}");
        let error = bench.store().open_deployment(crate::bench::fresh(1)).await.unwrap_err();
        assert_eq!(error.fault(), Fault::Newer);
        if let Place::Real(dir) = &bench.place {
            assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1);
        }
    }
}

#[tokio::test]
async fn fields_that_only_a_newer_version_knows_survive_our_rewriting() {
    for bench in Bench::both() {
        let store = bench.store();
        let owner = own(&store, "m1").await;
        let record = make(&store, &owner, 1).await;
        owner.release().await;
        let file = in_folder(&record, "record.json");
        let mut newer = serde_json::to_value(&record).unwrap();
        newer["colour"] = serde_json::json!({"r": 1});
        bench.plant(&file, &serde_json::to_vec(&newer).unwrap());

        let store = bench.store();
        let owner = own(&store, "m1").await;
        let mut loaded = store.load_space(&space()).await.unwrap().records.remove(0);
        loaded.started = Some(loaded.intended);
        store.save_record(&owner.proof().unwrap(), &loaded).await.unwrap();
        let written: serde_json::Value =
            serde_json::from_slice(&bench.content(&file).unwrap()).unwrap();
        assert_eq!(written["colour"]["r"], 1);
        assert_eq!(written["started"], "2025-12-31T16:53:20.000Z");
        assert_eq!(store.load_space(&space()).await.unwrap().records[0].started, loaded.started);
    }
}
