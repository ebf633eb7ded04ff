//! What a cloud promises and what machinetypes need of it: leases, images that are not there yet, volumes that
//! outlive their machine. The simulated cloud has none of these, so a provider before it answers for them.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use vcycle::model::{
    EndKind, Generation, InstanceId, IntentToken, MachineName, Offering, Quota, Readiness,
    SideResource, Tags, TenancyId, Terms, Timestamp,
};
use vcycle::store::FeatureKind;
use vcycle_api::{
    Act, Capabilities, Clock, CreateRequest, Created, Deletion, ErrorKind, Finding, Instance,
    Interruption, Listing, Need, Observe, ProviderError, Resolution, UserData,
};
use vcycle_sim::WorldFault;

use super::support::mortal::Fate;
use super::support::site::{Site, space};
use super::support::world::{CYCLE, Manager, World, done, strict_cloud};
use super::support::{laws, run};
use super::{cycle, machine};

/// What the cloud says of itself. `Err`: it does not answer.
struct Promises {
    readiness: Result<Readiness, ErrorKind>,
    terms: Result<Terms, ErrorKind>,
    side: Vec<SideResource>,
    needs: Vec<Need>,
}

/// A provider that answers for what the one behind it does not know.
struct Promising {
    inner: Arc<dyn Act>,
    promises: Mutex<Promises>,
}

impl Promising {
    fn promises(&self) -> MutexGuard<'_, Promises> {
        self.promises.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn lost(kind: ErrorKind) -> ProviderError {
    ProviderError::new(kind, "ask", "no answer")
}

#[async_trait]
impl Observe for Promising {
    fn capabilities(&self) -> &Capabilities {
        self.inner.capabilities()
    }
    fn user_data_bytes(&self, user_data: &UserData) -> usize {
        self.inner.user_data_bytes(user_data)
    }
    async fn list(&self) -> Result<Listing, ProviderError> {
        self.inner.list().await
    }
    async fn get(&self, id: &InstanceId) -> Result<Instance, ProviderError> {
        self.inner.get(id).await
    }
    async fn offerings(&self) -> Result<Vec<Offering>, ProviderError> {
        self.inner.offerings().await
    }
    async fn quota(&self) -> Result<Quota, ProviderError> {
        self.inner.quota().await
    }
    async fn interruptions(&self) -> Result<Vec<Interruption>, ProviderError> {
        self.inner.interruptions().await
    }
    async fn side_resources(&self) -> Result<Vec<SideResource>, ProviderError> {
        Ok(self.promises().side.clone())
    }
    async fn tenancy(&self) -> Result<Option<TenancyId>, ProviderError> {
        self.inner.tenancy().await
    }
    async fn inspect(&self, needs: &[Need]) -> Vec<Finding> {
        self.inner.inspect(needs).await
    }
    async fn terms(&self) -> Result<Terms, ProviderError> {
        self.promises().terms.clone().map_err(lost)
    }
}

#[async_trait]
impl Act for Promising {
    async fn prepare(&self, needs: &[Need]) -> Result<Vec<Readiness>, ProviderError> {
        let mut promises = self.promises();
        promises.needs = needs.to_vec();
        let readiness = promises.readiness.clone().map_err(lost)?;
        Ok(vec![readiness; needs.len()])
    }
    fn turn_to_create(&self, patience: Duration) -> Result<Duration, ProviderError> {
        self.inner.turn_to_create(patience)
    }
    async fn create(&self, request: &CreateRequest) -> Result<Created, ProviderError> {
        self.inner.create(request).await
    }
    async fn resolve(
        &self,
        intent: &IntentToken,
        since: Timestamp,
    ) -> Result<Resolution, ProviderError> {
        self.inner.resolve(intent, since).await
    }
    async fn delete(&self, id: &InstanceId) -> Result<Deletion, ProviderError> {
        self.inner.delete(id).await
    }
    async fn delete_side_resource(
        &self,
        resource: &SideResource,
    ) -> Result<Deletion, ProviderError> {
        self.promises().side.retain(|other| other != resource);
        Ok(Deletion::Accepted)
    }
}

/// A manager of a space of four machines, whose cloud keeps these promises.
async fn promised(site: &Site, seed: u64) -> (World, Manager, Arc<Promising>) {
    let world = World::new(site, strict_cloud(seed));
    let mut one = world.start("one", Fate::kind()).await.unwrap();
    let promises = Promises {
        readiness: Ok(Readiness::Ready),
        terms: Ok(Terms::default()),
        side: Vec::new(),
        needs: Vec::new(),
    };
    let cloud =
        Arc::new(Promising { inner: Arc::clone(&one.provider), promises: Mutex::new(promises) });
    one.provider = Arc::clone(&cloud) as Arc<dyn Act>;
    (world, one, cloud)
}

fn site() -> Site {
    super::site().each("root_image = \"image:alma9\"")
}

fn reason(end: &super::CycleEnd) -> &str {
    &end.snapshot.machinetypes[0].reason
}

#[test]
fn what_is_not_ready_is_not_made_and_deletes_go_on() {
    run(async {
        let (mut world, mut one, cloud) = promised(&site(), 60).await;
        cloud.promises().readiness = Ok(Readiness::NotYet { why: "uploading".to_owned() });
        let end = cycle(&mut world, &mut one).await;
        assert_eq!((reason(&end), done(&end)), ("preparing", vec![]));
        assert_eq!(cloud.promises().needs[0].image.as_deref(), Some("image:alma9"));
        cloud.promises().readiness = Ok(Readiness::Ready);
        world.until_quiet(&mut one).await;
        assert_eq!(laws::at_peace(&world).await, 4);
        // It cannot be told any more, and a machine ends: it is removed all the same, and not replaced.
        cloud.promises().readiness = Err(ErrorKind::Unavailable);
        let ended = one.memory.records()[&machine(&one)].instance.clone().unwrap();
        world.cloud.inject(WorldFault::End(ended));
        for _ in 0..10 {
            let end = cycle(&mut world, &mut one).await;
            assert_eq!(reason(&end), "preparing");
        }
        assert_eq!(laws::at_peace(&world).await, 3);
        cloud.promises().readiness = Ok(Readiness::Cannot { why: "no image".to_owned() });
        let end = cycle(&mut world, &mut one).await;
        assert_eq!(reason(&end), "cannot-prepare");
        assert!(end.snapshot.alarms.iter().any(|alarm| alarm.contains("no image")));
    });
}

/// Where the log of a test goes.
#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<u8>>>);

impl std::io::Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }
    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[test]
fn what_is_not_ready_is_told_to_the_log_once_and_not_in_every_cycle() {
    run(async {
        let (mut world, mut one, cloud) = promised(&site(), 65).await;
        // With one subscriber alone, what another thread says first is decided by that thread, which has none.
        let _other = tracing::Dispatch::new(tracing::subscriber::NoSubscriber::default());
        let lines = Lines::default();
        let writer = lines.clone();
        let subscriber =
            tracing_subscriber::fmt().with_ansi(false).with_writer(move || writer.clone());
        let _guard = tracing::subscriber::set_default(subscriber.finish());
        for megabytes in 1..10 {
            let why = format!("image of dune: {megabytes} MB of 10 MB are there");
            cloud.promises().readiness = Ok(Readiness::NotYet { why });
            let end = cycle(&mut world, &mut one).await;
            let told = format!("{megabytes} MB");
            assert!(end.snapshot.machinetypes[0].why.contains(&told), "people see how it goes");
        }
        cloud.promises().readiness = Ok(Readiness::Ready);
        cycle(&mut world, &mut one).await;
        let log = String::from_utf8(lines.0.lock().unwrap().clone()).unwrap();
        let about = |words: &str| log.lines().filter(|line| line.contains(words)).count();
        assert_eq!((about("image of dune"), about("is ready to be made")), (1, 1), "{log}");
    });
}

#[test]
fn until_the_terms_are_known_nothing_is_made_and_then_the_last_ones_stand() {
    run(async {
        let (mut world, mut one, cloud) = promised(&site(), 61).await;
        cloud.promises().terms = Err(ErrorKind::Unavailable);
        let end = cycle(&mut world, &mut one).await;
        assert_eq!((reason(&end), done(&end)), ("no-offerings", vec![]));
        assert!(end.snapshot.alarms.iter().any(|alarm| alarm.contains("terms")));
        let expires = world.clock.now() + Duration::from_secs(10 * 86_400);
        let terms = Terms { credential_expires: Some(expires), ..Terms::default() };
        cloud.promises().terms = Ok(terms);
        let end = cycle(&mut world, &mut one).await;
        assert_eq!(reason(&end), "created");
        cloud.promises().terms = Err(ErrorKind::Unavailable);
        for _ in 0..30 {
            let end = cycle(&mut world, &mut one).await;
            assert_eq!(end.snapshot.credential_expires, Some(expires));
            assert_eq!(end.snapshot.alarms.len(), 1, "{:?}", end.snapshot.alarms);
        }
        assert_eq!(laws::at_peace(&world).await, 4);
    });
}

#[test]
fn a_lease_is_told_to_machines_and_nothing_of_ours_is_left_when_it_ends() {
    run(async {
        let (mut world, mut one, cloud) = promised(&site(), 62).await;
        let closes = world.clock.now() + Duration::from_secs(4 * 3600);
        cloud.promises().terms = Ok(Terms { closes: Some(closes), ..Terms::default() });
        world.until_quiet(&mut one).await;
        let end = closes - Duration::from_secs(300);
        for record in one.memory.records().values() {
            assert_eq!(record.tags.deadline, end, "it ends by itself, even without a manager");
            let (machine, key) = (record.machine(), "shutdowntime");
            let told = one.store.feature(&space(), machine, FeatureKind::Machine, key).await;
            assert_eq!(told.unwrap(), Some(end.as_secs().to_string().into_bytes()));
        }
        assert_eq!(laws::at_peace(&world).await, 4);
        while world.clock.now() < closes {
            cycle(&mut world, &mut one).await;
        }
        assert_eq!(laws::at_peace(&world).await, 0);
        let last = cycle(&mut world, &mut one).await;
        assert_eq!(reason(&last), "lease-ended");
    });
}

/// A volume of a machine, which nothing uses.
fn volume(id: &str, tags: &Tags) -> SideResource {
    let (kind, tags) = ("volume".to_owned(), tags.clone());
    SideResource { kind, id: id.to_owned(), tags, attached_to: None }
}

#[test]
fn a_volume_is_swept_when_its_machine_is_gone_and_never_before() {
    run(async {
        let (mut world, mut one, cloud) = promised(&site(), 63).await;
        world.until_quiet(&mut one).await;
        let records: Vec<_> = one.memory.records().values().cloned().collect();
        let (first, second) = (&records[0], &records[1]);
        let other = Tags {
            machine: MachineName::parse("vcycle-batch-zzzzzzzzzz").unwrap(),
            intent: IntentToken::compose(7),
            generation: Generation(1),
            ..first.tags.clone()
        };
        let others = Tags { deployment: vcycle::model::DeploymentId::compose(9), ..other.clone() };
        cloud.promises().side = vec![
            volume("of-the-first", &first.tags),
            volume("of-the-second", &second.tags),
            volume("of-none", &other),
            volume("of-others", &others),
        ];
        let left = |cloud: &Promising| -> Vec<String> {
            cloud.promises().side.iter().map(|volume| volume.id.clone()).collect()
        };
        for _ in 0..25 {
            cycle(&mut world, &mut one).await;
        }
        assert_eq!(left(&cloud), ["of-the-first", "of-the-second", "of-others"]);
        world.cloud.inject(WorldFault::End(first.instance.clone().unwrap()));
        let mut swept = 0;
        for _ in 0..45 {
            let end = cycle(&mut world, &mut one).await;
            swept += done(&end).iter().filter(|word| **word == "sweep").count();
        }
        assert_eq!((left(&cloud), swept), (vec!["of-the-second".into(), "of-others".into()], 1));
        assert_eq!(laws::at_peace(&world).await, 4);
    });
}

#[test]
fn one_look_at_a_volume_proves_nothing() {
    run(async {
        let (mut world, mut one, cloud) = promised(&site(), 64).await;
        world.until_quiet(&mut one).await;
        let tags = one.memory.records()[&machine(&one)].tags.clone();
        let (machine, intent) =
            (MachineName::parse("vcycle-batch-zzzzzzzzzz").unwrap(), IntentToken::compose(7));
        cloud.promises().side = vec![volume("v", &Tags { machine, intent, ..tags })];
        let mut seen_first = None;
        for number in 0..40 {
            let end = cycle(&mut world, &mut one).await;
            if end.snapshot.side_resources_left == 1 {
                seen_first.get_or_insert(number);
            }
            if done(&end).contains(&"sweep") {
                let since = number - seen_first.unwrap();
                assert!(since >= 10, "swept {since} cycles of {CYCLE:?} after it was first seen");
                return;
            }
        }
        panic!("never swept");
    });
}

#[test]
fn the_end_of_a_machine_that_was_taken_back_is_nobodys_fault_for_ever() {
    // The rule itself is in tests/scenarios; here: what is recorded is what was learned.
    let record = vcycle::store::testing::example_record(1);
    let ended = vcycle::model::EndFact {
        at: record.intended,
        state: vcycle::model::EndState::Preempted,
        message: None,
    };
    let record = vcycle::model::MachineRecord { ended: Some(ended), deletion: None, ..record };
    let end = record.how_it_ended(Duration::from_secs(600)).unwrap();
    assert_eq!(end.kind, EndKind::Preempted);
}
