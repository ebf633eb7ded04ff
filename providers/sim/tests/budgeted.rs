//! A provider with a request budget: calls wait for their turn, and a cloud that complains is asked
//! less.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;
use vcycle_api::budget::BudgetSettings;
use vcycle_api::{
    Act, Budgeted, ErrorKind, InstanceId, IntentToken, ManualClock, Observe, Processors, Timestamp,
};
use vcycle_api::{
    CreateRequest, DeploymentId, Generation, MachineName, MachinetypeName, SpaceName, Tags,
    UserData,
};
use vcycle_sim::{CallFault, ClientOptions, Settings, SimCloud, SimProvider, Span};

const SETTINGS: BudgetSettings = BudgetSettings {
    interval: Duration::from_millis(100),
    burst: 8,
    concurrency: 4,
    recovery: Duration::from_secs(10),
    pause: Duration::from_secs(1),
    pause_max: Duration::from_secs(60),
    // Most tests are about the pace, and wait as long as it takes.
    patience: Duration::from_secs(60),
};

struct Paced {
    cloud: SimCloud,
    client: Arc<SimProvider>,
    budgeted: Arc<Budgeted<SimProvider>>,
}

/// A cloud that takes 10 ms for each call.
fn paced() -> Paced {
    paced_by(SETTINGS)
}

fn paced_by(budget: BudgetSettings) -> Paced {
    let ten_seconds = Duration::from_secs(10);
    let settings = Settings::simple(1, Processors(10), ten_seconds, ten_seconds);
    let clock = Arc::new(ManualClock::at(start()));
    let cloud = SimCloud::new(settings, clock);
    let latency = Some(Span::exactly(Duration::from_millis(10)));
    let client = cloud.client_with(ClientOptions { latency, ..ClientOptions::default() });
    let client = Arc::new(client);
    let budgeted = Arc::new(Budgeted::new(Arc::clone(&client), budget));
    Paced { cloud, client, budgeted }
}

fn nothing() -> InstanceId {
    InstanceId::parse("i-0").expect("a plain id is valid")
}

fn start() -> Timestamp {
    Timestamp::from_secs(1_800_000_000)
}

async fn request(client: &SimProvider) -> CreateRequest {
    let machinetype = MachinetypeName::parse("worker").expect("a plain name is valid");
    let machine = MachineName::compose(&machinetype, 1);
    let space = SpaceName::parse("sim.example").expect("a plain name is valid");
    let tags = Tags {
        deployment: DeploymentId::compose(1),
        space,
        machinetype,
        machine: machine.clone(),
        intent: IntentToken::compose(1),
        generation: Generation(3),
        deadline: start() + Duration::from_secs(7200),
    };
    let offering = client.offerings().await.expect("there are offerings").remove(0);
    CreateRequest {
        machine,
        offering,
        tags,
        image: None,
        public_key: None,
        user_data: UserData::new("#!/bin/sh\n"),
        environment: Vec::new(),
    }
}

#[tokio::test(start_paused = true)]
async fn a_hundred_reads_take_as_long_as_the_rate_says() {
    let Paced { cloud, budgeted, .. } = paced();
    let began = Instant::now();
    let reads: Vec<_> = (0..100)
        .map(|_| {
            let provider = Arc::clone(&budgeted);
            tokio::spawn(async move { provider.quota().await })
        })
        .collect();
    for read in reads {
        assert!(read.await.expect("no read panics").is_ok());
    }
    let took = began.elapsed();
    // Reads leave a quarter of the bucket of eight: six at once, then ten a second.
    assert!(took >= Duration::from_millis(9_300), "took {took:?}");
    assert!(took < Duration::from_millis(10_500), "took {took:?}");
    assert_eq!(cloud.calls()["get quota"], 100);
}

#[tokio::test(start_paused = true)]
async fn a_delete_overtakes_the_reads_that_wait() {
    let Paced { budgeted, .. } = paced();
    let reads: Vec<_> = (0..100)
        .map(|_| {
            let provider = Arc::clone(&budgeted);
            tokio::spawn(async move { provider.quota().await })
        })
        .collect();
    // On the paused time of the runtime: the burst is used up, and the others stand in line.
    tokio::time::sleep(Duration::from_millis(1500)).await;
    let began = Instant::now();
    budgeted.delete(&nothing()).await.expect("deleting nothing is harmless");
    let took = began.elapsed();
    assert!(took < Duration::from_millis(50), "the delete took {took:?}");
    assert!(budgeted.budget().waiting > 50);
    for read in reads {
        read.abort();
    }
}

#[tokio::test(start_paused = true)]
async fn a_complaint_is_passed_on_and_slows_the_next_calls_down() {
    let Paced { cloud, client, budgeted } = paced();
    let after = Some(Duration::from_secs(5));
    client.inject(CallFault::Throttle { calls: 1, after });
    let refused = budgeted.list().await.expect_err("the cloud complains");
    assert_eq!(refused.kind, ErrorKind::Throttled { after });
    assert_eq!(budgeted.budget().slowed, 2);
    let began = Instant::now();
    budgeted.list().await.expect("it is calm again");
    assert!(began.elapsed() >= Duration::from_secs(5) - Duration::from_millis(20));
    assert_eq!(cloud.calls()["list machines"], 2, "nothing was repeated");
    tokio::time::sleep(Duration::from_secs(11)).await;
    assert_eq!(budgeted.budget().slowed, 1);
}

#[tokio::test(start_paused = true)]
async fn people_are_refused_without_a_call_while_the_budget_is_short() {
    let Paced { cloud, client, budgeted } = paced();
    let people = budgeted.for_people();
    people.list().await.expect("the budget is full");
    client.inject(CallFault::Throttle { calls: 1, after: None });
    budgeted.list().await.expect_err("the cloud complains");
    let refused = people.list().await.expect_err("the budget is short");
    assert!(matches!(refused.kind, ErrorKind::Throttled { after: Some(_) }));
    assert_eq!(cloud.calls()["list machines"], 2);
    assert_eq!(budgeted.budget().shed, 1);
}

#[tokio::test(start_paused = true)]
async fn whoever_gives_up_waiting_or_calling_gives_the_place_back() {
    let Paced { budgeted, .. } = paced();
    for _ in 0..20 {
        let millis = Duration::from_millis(3);
        // Too short for the call itself, and later also for the wait.
        assert!(tokio::time::timeout(millis, budgeted.quota()).await.is_err());
    }
    let state = budgeted.budget();
    assert_eq!((state.in_flight, state.waiting), (0, 0));
    budgeted.quota().await.expect("it goes on");
}

#[tokio::test(start_paused = true)]
async fn no_more_calls_are_in_flight_than_the_budget_allows() {
    let Paced { budgeted, .. } = paced();
    let calls: Vec<_> = (0..50)
        .map(|_| {
            let provider = Arc::clone(&budgeted);
            tokio::spawn(async move { provider.delete(&nothing()).await })
        })
        .collect();
    let mut most = 0;
    while !calls.iter().all(tokio::task::JoinHandle::is_finished) {
        most = most.max(budgeted.budget().in_flight);
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    assert_eq!(most, SETTINGS.concurrency);
}

/// Who may create when it asks may have lost the space when the pause is over.
#[tokio::test(start_paused = true)]
async fn a_call_behind_a_long_pause_is_refused_and_never_sent() {
    let patience = Duration::from_secs(2);
    let Paced { cloud, client, budgeted } = paced_by(BudgetSettings { patience, ..SETTINGS });
    let after = Some(Duration::from_secs(60));
    let request = request(&client).await;
    client.inject(CallFault::Throttle { calls: 1, after });
    budgeted.list().await.expect_err("the cloud complains");
    let before = cloud.calls();
    let began = Instant::now();
    let (id, intent) = (nothing(), IntentToken::compose(1));
    let calls = tokio::join!(
        budgeted.create(&request),
        budgeted.delete(&id),
        budgeted.resolve(&intent, start()),
        budgeted.list(),
    );
    assert!(began.elapsed() <= patience, "took {:?}", began.elapsed());
    let kinds = [
        calls.0.expect_err("a create waits no minute"),
        calls.1.expect_err("a delete neither"),
        calls.2.expect_err("a resolve neither"),
        calls.3.expect_err("a read neither"),
    ];
    for error in kinds {
        assert!(error.to_string().contains("nothing was sent"), "{error}");
        let ErrorKind::Throttled { after: Some(after) } = error.kind else { panic!("{error}") };
        assert!(after > Duration::from_secs(57) && after <= Duration::from_secs(60), "{after:?}");
    }
    tokio::time::sleep(Duration::from_secs(300)).await;
    assert_eq!(cloud.calls(), before, "nothing went out later");
    let state = budgeted.budget();
    assert_eq!((state.waiting, state.in_flight), (0, 0));
}

#[tokio::test(start_paused = true)]
async fn a_call_waits_for_others_in_flight_no_longer_than_its_patience() {
    let patience = Duration::from_millis(7);
    let settings = BudgetSettings { patience, concurrency: 1, ..SETTINGS };
    let Paced { cloud, client, budgeted } = paced_by(settings);
    let request = request(&client).await;
    let first = tokio::spawn({
        let provider = Arc::clone(&budgeted);
        async move { provider.delete(&nothing()).await }
    });
    tokio::task::yield_now().await;
    let began = Instant::now();
    let refused = budgeted.create(&request).await.expect_err("the only slot is taken");
    assert!(matches!(refused.kind, ErrorKind::Throttled { after: Some(_) }), "{refused}");
    assert_eq!(began.elapsed(), patience);
    first.await.expect("no panic").expect("deleting nothing is harmless");
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert_eq!(cloud.machines().len(), 0, "it was not sent later");
    budgeted.create(&request).await.expect("the slot is free again");
}

/// Tokens gather between cycles, and reads and creates leave some of them.
#[tokio::test(start_paused = true)]
async fn at_the_slowest_rate_deletes_get_through_before_reads_and_creates() {
    let minute = Duration::from_secs(60);
    let slow = BudgetSettings { recovery: minute * 600, ..BudgetSettings::DEFAULT };
    let Paced { client, budgeted, .. } = paced_by(slow);
    for _ in 0..6 {
        client.inject(CallFault::Throttle { calls: 1, after: Some(Duration::ZERO) });
        budgeted.delete(&nothing()).await.expect_err("the cloud complains");
        tokio::time::sleep(minute).await;
    }
    assert_eq!(budgeted.budget().slowed, 64);
    let intent = IntentToken::compose(1);
    for cycle in 0..20 {
        let (mut read, mut resolved) = (0, 0);
        for _ in 0..20 {
            read += u32::from(budgeted.quota().await.is_ok());
        }
        for _ in 0..20 {
            let answer = budgeted.resolve(&intent, Timestamp::from_secs(0)).await;
            resolved += u32::from(answer.is_ok());
        }
        for _ in 0..3 {
            let deleted = budgeted.delete(&nothing()).await;
            deleted.unwrap_or_else(|error| panic!("in cycle {cycle}: {error}"));
        }
        assert!((1..20).contains(&read) && (1..20).contains(&resolved), "{read} {resolved}");
        tokio::time::sleep(minute).await;
    }
    assert_eq!(budgeted.budget().slowed, 64);
}

#[tokio::test]
async fn around_an_observer_it_is_an_observer() {
    fn takes_an_observer(_: &dyn Observe) {}
    let Paced { client, .. } = paced();
    let observer: Arc<dyn Observe> = client;
    let budgeted = Budgeted::new(observer, SETTINGS);
    takes_an_observer(&budgeted);
    assert_eq!(budgeted.capabilities().provider, "sim");
}
