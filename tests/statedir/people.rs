//! What people and other managers read and ask.

use std::collections::BTreeMap;

use vcycle::model::{
    Generation, MachinetypeName, OperatorRequest, Processors, RequestId, RequestWhat,
    SpaceSnapshot, Timestamp,
};
use vcycle::store::{ManagerInfo, StoreError};

use crate::bench::{Bench, manager, own, space};

fn request(id: &str, at: i64) -> OperatorRequest {
    OperatorRequest {
        format: 1,
        id: RequestId(id.to_owned()),
        who: "ann@host".to_owned(),
        at: Timestamp::from_secs(at),
        what: RequestWhat::DrainSpace { by: Timestamp::from_secs(at + 60) },
    }
}

#[tokio::test]
async fn requests_stand_until_they_are_closed() {
    for bench in Bench::both() {
        // The command line, before any manager has ever run.
        let person = bench.store();
        assert!(person.requests(&space()).await.unwrap().is_empty());
        let (late, early) = (request("b", 200), request("c", 100));
        person.put_request(&space(), &late).await.unwrap();
        person.put_request(&space(), &early).await.unwrap();
        person.put_request(&space(), &early).await.unwrap();
        person.put_request(&space(), &request("c", 101)).await.unwrap_err();
        bench.plant("spaces/a.example/requests/broken.json", b"{");
        bench.plant("spaces/a.example/requests/stolen.json", &serde_json::to_vec(&late).unwrap());
        assert_eq!(person.requests(&space()).await.unwrap(), [early.clone(), late.clone()]);

        let store = bench.store();
        let owner = own(&store, "m1").await;
        let proof = owner.proof().unwrap();
        store.close_request(&proof, &early.id).await.unwrap();
        store.close_request(&proof, &early.id).await.unwrap();
        assert_eq!(person.requests(&space()).await.unwrap(), [late]);
    }
}

#[tokio::test]
async fn a_request_id_cannot_leave_its_folder() {
    let bench = Bench::memory();
    let store = bench.store();
    let owner = own(&store, "m1").await;
    for bad in ["../plan", "", "a/b", ".x", "../../../deployment"] {
        let error = store.put_request(&space(), &request(bad, 1)).await.unwrap_err();
        assert!(matches!(error, StoreError::InvalidName { .. }), "{error}");
        let closed = store.close_request(&owner.proof().unwrap(), &RequestId(bad.to_owned())).await;
        assert!(matches!(closed, Err(StoreError::InvalidName { .. })), "{closed:?}");
    }
}

#[tokio::test]
async fn the_last_plan_and_the_heartbeat_lists_are_kept_for_readers() {
    for bench in Bench::both() {
        let store = bench.store();
        let dune = MachinetypeName::parse("dune").unwrap();
        assert_eq!(store.load_snapshot(&space()).await.unwrap(), None);
        assert_eq!(store.heartbeat_list(&space(), &dune).await.unwrap(), None);
        let owner = own(&store, "m1").await;
        let proof = owner.proof().unwrap();
        let snapshot = SpaceSnapshot {
            format: 1,
            space: space(),
            provider: "sim".to_owned(),
            manager: manager("m1"),
            generation: Generation(1),
            at: Timestamp::from_secs(1_767_200_000),
            processors_limit: None,
            processors: Processors(0),
            foreign_machines: 0,
            foreign_processors: Processors(0),
            credential_expires: None,
            side_resources_left: 0,
            listing: "complete".to_owned(),
            alarms: vec!["none".to_owned()],
            machinetypes: Vec::new(),
            machines: Vec::new(),
            decisions: Vec::new(),
        };
        store.save_snapshot(&proof, &snapshot).await.unwrap();
        store.save_heartbeat_list(&proof, &dune, "1 vcycle-x 10.0.0.1\n").await.unwrap();
        let reader = bench.store();
        assert_eq!(reader.load_snapshot(&space()).await.unwrap(), Some(snapshot));
        let list = reader.heartbeat_list(&space(), &dune).await.unwrap().unwrap();
        assert_eq!(list, b"1 vcycle-x 10.0.0.1\n");
    }
}

#[tokio::test]
async fn managers_show_themselves() {
    for bench in Bench::both() {
        let store = bench.store();
        assert!(store.managers().await.unwrap().is_empty());
        let info = |name: &str, counter| ManagerInfo {
            format: 1,
            name: manager(name),
            version: "0.1.0".to_owned(),
            started: Timestamp::from_secs(1),
            counter,
            spaces: vec![space()],
            address: Some("127.0.0.1:8080".parse().unwrap()),
            config: None,
            idle: BTreeMap::new(),
            stopped: None,
            base_url: String::new(),
            host: "h".to_owned(),
            run: "r".to_owned(),
            serves: None,
            given_back: 0,
            ttl_secs: 15,
        };
        for shown in [info("m2", 1), info("m1", 1), info("m2", 2)] {
            store.save_manager(&shown).await.unwrap();
        }
        bench.plant("managers/m3.json", b"not json");
        bench.plant("managers/m1.lock", b"");
        assert_eq!(store.managers().await.unwrap(), [info("m1", 1), info("m2", 2)]);
    }
}
