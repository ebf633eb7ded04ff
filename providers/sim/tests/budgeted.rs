//! A provider with a request budget: calls wait for their turn, and a cloud that complains is asked
//! less.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;
use vcycle_api::budget::BudgetSettings;
use vcycle_api::{
    Act, Budgeted, ErrorKind, InstanceId, ManualClock, Observe, Processors, Timestamp,
};
use vcycle_sim::{CallFault, ClientOptions, Settings, SimCloud, SimProvider, Span};

const SETTINGS: BudgetSettings = BudgetSettings {
    interval: Duration::from_millis(100),
    burst: 8,
    concurrency: 4,
    recovery: Duration::from_secs(10),
    pause: Duration::from_secs(1),
    pause_max: Duration::from_secs(60),
};

struct Paced {
    cloud: SimCloud,
    client: Arc<SimProvider>,
    budgeted: Arc<Budgeted<SimProvider>>,
}

/// A cloud that takes 10 ms for each call.
fn paced() -> Paced {
    let ten_seconds = Duration::from_secs(10);
    let settings = Settings::simple(1, Processors(10), ten_seconds, ten_seconds);
    let clock = Arc::new(ManualClock::at(Timestamp::from_secs(1_800_000_000)));
    let cloud = SimCloud::new(settings, clock);
    let latency = Some(Span::exactly(Duration::from_millis(10)));
    let client = cloud.client_with(ClientOptions { latency, ..ClientOptions::default() });
    let client = Arc::new(client);
    let budgeted = Arc::new(Budgeted::new(Arc::clone(&client), SETTINGS));
    Paced { cloud, client, budgeted }
}

fn nothing() -> InstanceId {
    InstanceId::parse("i-0").expect("a plain id is valid")
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

#[tokio::test]
async fn around_an_observer_it_is_an_observer() {
    fn takes_an_observer(_: &dyn Observe) {}
    let Paced { client, .. } = paced();
    let observer: Arc<dyn Observe> = client;
    let budgeted = Budgeted::new(observer, SETTINGS);
    takes_an_observer(&budgeted);
    assert_eq!(budgeted.capabilities().provider, "sim");
}
