//! What the simulated cloud does by itself and to its clients, and what its books say of it.

#![allow(clippy::unwrap_used, reason = "a test that meets the unexpected should panic")]

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use proptest::prelude::*;
use vcycle_api::{
    Act, Clock, CreateRequest, Created, Deletion, DeploymentId, ErrorKind, Generation, Idempotency,
    InstanceId, InstanceState, IntentToken, LateRefusal, Listing, MachineName, MachinetypeName,
    Market, Money, Observe, Offering, Processors, Resolution, SpaceName, Tags, Timestamp, UserData,
};
use vcycle_sim::{
    CallFault, ClientOptions, EndCause, Heartbeats, LogEvent, ManualClock, Rates, Refusing, Script,
    Settings, SimCloud, SimMachine, SimProvider, Span, Spell, Stranger, Window, WorldFault,
};

const BOOT: Duration = Duration::from_secs(30);
const LIFE: Duration = Duration::from_secs(600);
const START: Timestamp = Timestamp::from_secs(1_800_000_000);

fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// A cloud, its clock, one client, and what they sell.
struct Sim {
    clock: Arc<ManualClock>,
    cloud: SimCloud,
    client: SimProvider,
    offering: Offering,
}

fn settings() -> Settings {
    Settings::simple(7, Processors(100), BOOT, LIFE)
}

fn sim(settings: Settings) -> Sim {
    let clock = Arc::new(ManualClock::at(START));
    let offering = settings.offerings[0].offering.clone();
    let cloud = SimCloud::new(settings, clock.clone());
    let client = cloud.client();
    Sim { clock, cloud, client, offering }
}

fn request(number: u64, offering: &Offering) -> CreateRequest {
    let machinetype = MachinetypeName::parse("worker").unwrap();
    let machine = MachineName::compose(&machinetype, number);
    CreateRequest {
        machine: machine.clone(),
        offering: offering.clone(),
        tags: Tags {
            deployment: DeploymentId::compose(1),
            space: SpaceName::parse("sim.example").unwrap(),
            machinetype,
            machine,
            intent: IntentToken::compose(u128::from(number)),
            generation: Generation(3),
            deadline: START + secs(7200),
        },
        image: None,
        public_key: None,
        user_data: UserData::new("#!/bin/sh\n"),
        environment: vec![("MACHINEFEATURES".to_owned(), "/mf".to_owned())],
    }
}

impl Sim {
    fn request(&self, number: u64) -> CreateRequest {
        request(number, &self.offering)
    }

    async fn create(&self, number: u64) -> InstanceId {
        self.client.create(&self.request(number)).await.unwrap().id().clone()
    }

    async fn list(&self) -> Vec<vcycle_api::Instance> {
        match self.client.list().await.unwrap() {
            Listing::Complete(all) => all,
            Listing::Partial { seen: _, why } => panic!("partial: {why}"),
        }
    }

    async fn state(&self, id: &InstanceId) -> InstanceState {
        self.client.get(id).await.unwrap().state
    }

    fn machine(&self) -> SimMachine {
        self.cloud.machines().remove(0)
    }

    fn script(&self, script: Script) {
        let machinetype = MachinetypeName::parse("worker").unwrap();
        self.cloud.set_scripts(machinetype, vec![(1, script)]);
    }
}

fn kind<T: std::fmt::Debug>(answer: Result<T, vcycle_api::ProviderError>) -> ErrorKind {
    answer.unwrap_err().kind
}

#[tokio::test]
async fn a_machine_boots_works_beats_speaks_and_stops() {
    let sim = sim(settings());
    let id = sim.create(1).await;
    assert_eq!(sim.state(&id).await, InstanceState::Pending);
    assert_eq!(sim.machine().last_heartbeat, None);
    sim.clock.advance(BOOT);
    assert_eq!(sim.state(&id).await, InstanceState::Running);
    assert_eq!(sim.machine().last_heartbeat, Some(START + BOOT));
    sim.clock.advance(secs(150));
    assert_eq!(sim.machine().last_heartbeat, Some(START + BOOT + secs(120)));
    assert_eq!(sim.machine().shutdown_message, None);
    sim.clock.advance(LIFE);
    let machine = sim.machine();
    assert_eq!(machine.state, InstanceState::Stopped);
    assert_eq!(machine.ended, Some(START + BOOT + LIFE));
    assert_eq!(machine.shutdown_message.as_deref(), Some("200 Success"));
    assert_eq!(machine.last_heartbeat, Some(START + BOOT + LIFE));
    assert_eq!(machine.environment[0].0, "MACHINEFEATURES");
}

#[tokio::test]
async fn no_machine_outlives_its_deadline_though_nobody_ends_it() {
    let sim = sim(settings());
    sim.script(Script::never_ends());
    let id = sim.create(1).await;
    sim.clock.advance(secs(7200) - Duration::from_millis(1));
    assert_eq!(sim.state(&id).await, InstanceState::Running);
    sim.clock.advance(Duration::from_millis(1));
    assert_eq!(sim.state(&id).await, InstanceState::Stopped);
    let machine = sim.machine();
    assert_eq!((machine.cause, machine.shutdown_message), (Some(EndCause::Deadline), None));
}

#[tokio::test]
async fn a_machine_may_fall_silent_or_end_without_a_word() {
    let sim = sim(settings());
    let every = secs(60);
    let heartbeats = Some(Heartbeats { every, silent_after: Some(secs(120)) });
    sim.script(Script { heartbeats, ..Script::never_ends() });
    let silent = sim.create(1).await;
    sim.script(Script::dies_silently());
    let fizzle = sim.create(2).await;
    sim.clock.advance(BOOT + secs(300));
    let machines = sim.cloud.machines();
    assert_eq!(machines[0].id, silent);
    assert_eq!(machines[0].last_heartbeat, Some(START + BOOT + secs(120)));
    assert_eq!(machines[0].state, InstanceState::Running);
    assert_eq!(machines[1].id, fizzle);
    assert_eq!(machines[1].state, InstanceState::Stopped);
    assert_eq!(machines[1].shutdown_message, None);
}

#[tokio::test]
async fn scripts_are_drawn_by_their_weights() {
    let sim = sim(Settings { processors: None, ..settings() });
    let machinetype = MachinetypeName::parse("worker").unwrap();
    let scripts = vec![(3, Script::works_for(Span::exactly(LIFE))), (1, Script::finds_no_work())];
    sim.cloud.set_scripts(machinetype, scripts);
    for number in 0..1000 {
        sim.create(number).await;
    }
    sim.clock.advance(BOOT + LIFE);
    let idle = |m: &SimMachine| m.shutdown_message.as_deref() == Some("300 Nothing to do");
    let idle = sim.cloud.machines().iter().filter(|machine| idle(machine)).count();
    assert!((200..300).contains(&idle), "{idle} of 1000, a quarter was due");
}

#[tokio::test]
async fn a_late_create_arrives_after_its_reply_was_lost() {
    let settings =
        Settings { settle: secs(600), idempotency: Idempotency::ListAndMatch, ..settings() };
    let sim = sim(settings);
    sim.client.inject(CallFault::LoseCreateReply);
    let request = sim.request(1);
    assert_eq!(kind(sim.client.create(&request).await), ErrorKind::Ambiguous);
    assert_eq!(sim.cloud.machines_of(&request.tags.intent), 0, "it is still on its way");
    let resolution = sim.client.resolve(&request.tags.intent, START).await.unwrap();
    assert_eq!(resolution, Resolution::Unknown);
    // Who does not wait makes a second machine: what `settle` is there to prevent.
    assert!(matches!(sim.client.create(&request).await, Ok(Created::New(_))));
    sim.clock.advance(secs(600));
    assert_eq!(sim.cloud.machines_of(&request.tags.intent), 2);
}

#[tokio::test]
async fn a_client_that_takes_over_an_intent_waits_for_a_whole_settle_time() {
    let sim = sim(Settings { settle: secs(60), ..settings() });
    sim.clock.advance(secs(1000));
    let intent = IntentToken::compose(5);
    let successor = sim.cloud.client();
    // The stamp is old, perhaps only because the first manager's clock was slow.
    assert_eq!(successor.resolve(&intent, START).await.unwrap(), Resolution::Unknown);
    sim.clock.advance(secs(60));
    assert_eq!(successor.resolve(&intent, START).await.unwrap(), Resolution::ProvenAbsent);
}

#[tokio::test]
async fn a_token_for_another_request_and_a_name_of_another_intent_are_refused() {
    let tokens = sim(Settings { idempotency: Idempotency::ClientToken, ..settings() });
    tokens.create(1).await;
    let other = CreateRequest { tags: tokens.request(1).tags, ..tokens.request(2) };
    assert_eq!(kind(tokens.client.create(&other).await), ErrorKind::InvalidSpec);
    let names = sim(settings());
    names.create(1).await;
    let mut other = names.request(1);
    other.tags.intent = IntentToken::compose(99);
    assert_eq!(kind(names.client.create(&other).await), ErrorKind::InvalidSpec);
}

#[tokio::test]
async fn stock_is_given_out_once_and_comes_back_with_the_machine() {
    let mut few = settings();
    few.offerings[0].stock = Some(2);
    let sim = sim(few);
    let first = sim.create(1).await;
    sim.create(2).await;
    let refused = kind(sim.client.create(&sim.request(3)).await);
    let offering = sim.offering.id.clone();
    assert_eq!(refused, ErrorKind::InsufficientCapacity { offering });
    sim.client.delete(&first).await.unwrap();
    sim.clock.advance(secs(2));
    sim.create(3).await;
}

#[tokio::test]
async fn the_quota_counts_ours_and_strangers_until_they_are_gone() {
    let sim = sim(Settings { processors: Some(Processors(3)), ..settings() });
    let stranger = Stranger {
        name: "login-node".to_owned(),
        tags: BTreeMap::new(),
        offering: sim.offering.id.clone(),
    };
    let stranger = sim.cloud.add_stranger(stranger).unwrap();
    let id = sim.create(1).await;
    sim.create(2).await;
    assert_eq!(kind(sim.client.create(&sim.request(3)).await), ErrorKind::QuotaExceeded);
    sim.cloud.inject(WorldFault::End(id.clone()));
    assert_eq!(sim.state(&id).await, InstanceState::Stopped);
    assert_eq!(kind(sim.client.create(&sim.request(3)).await), ErrorKind::QuotaExceeded);
    assert!(sim.cloud.inject(WorldFault::Vanish(stranger)));
    sim.create(3).await;
    assert_eq!(sim.client.quota().await.unwrap().processors_used, Some(Processors(3)));
}

#[tokio::test]
async fn a_stuck_delete_needs_to_be_repeated() {
    let mut stubborn = settings();
    stubborn.faults.rates.stuck_delete = 1.0;
    let sim = sim(stubborn);
    let id = sim.create(1).await;
    sim.clock.advance(BOOT);
    assert_eq!(sim.client.delete(&id).await.unwrap(), Deletion::Accepted);
    sim.clock.advance(secs(60));
    assert_eq!(sim.state(&id).await, InstanceState::Deleting);
    for _ in 0..3 {
        sim.client.delete(&id).await.unwrap();
    }
    sim.clock.advance(secs(60));
    assert_eq!(kind(sim.client.get(&id).await), ErrorKind::NotFound);
}

#[tokio::test]
async fn a_ghost_is_listed_but_cannot_be_had_nor_counts() {
    let mut haunted = settings();
    haunted.faults.rates.ghost = 1.0;
    let sim = sim(haunted);
    let id = sim.create(1).await;
    sim.client.delete(&id).await.unwrap();
    sim.clock.advance(secs(60));
    assert_eq!(sim.list().await.len(), 1);
    assert!(!sim.machine().exists);
    assert_eq!(kind(sim.client.get(&id).await), ErrorKind::NotFound);
    assert_eq!(sim.client.delete(&id).await.unwrap(), Deletion::AlreadyGone);
    assert_eq!(sim.client.quota().await.unwrap().machines_used, Some(0));
    assert_eq!(sim.cloud.machines_of(&sim.request(1).tags.intent), 0);
    assert!(sim.cloud.inject(WorldFault::Vanish(id)));
    assert!(sim.list().await.is_empty());
}

#[tokio::test]
async fn a_machine_out_of_sight_is_unknown_and_not_gone() {
    let sim = sim(settings());
    let id = sim.create(1).await;
    sim.cloud.inject(WorldFault::LoseSight(id.clone()));
    assert!(matches!(sim.list().await[0].state, InstanceState::Unknown { word: _ }));
    sim.cloud.inject(WorldFault::Recognise(id.clone()));
    assert_eq!(sim.state(&id).await, InstanceState::Pending);
}

#[tokio::test]
async fn a_preemption_is_announced_and_then_done() {
    let sim = sim(settings());
    sim.script(Script::never_ends());
    let id = sim.create(1).await;
    sim.clock.advance(BOOT);
    sim.cloud.inject(WorldFault::AnnouncePreemption(id.clone()));
    let notices = sim.client.interruptions().await.unwrap();
    assert_eq!(notices[0].instance, id);
    assert_eq!(notices[0].at, Some(START + BOOT + secs(120)));
    sim.clock.advance(secs(120));
    assert_eq!(sim.state(&id).await, InstanceState::Preempted);
    assert!(sim.client.interruptions().await.unwrap().is_empty());
}

#[tokio::test]
async fn only_preemptible_machines_are_taken_back_by_chance() {
    let mut spot = settings().with_preemptible();
    spot.faults.rates.preempted = 1.0;
    let sim = sim(spot);
    let offerings = sim.client.offerings().await.unwrap();
    for (number, offering) in offerings.iter().enumerate() {
        sim.client.create(&request(number as u64, offering)).await.unwrap();
    }
    sim.clock.advance(BOOT + LIFE);
    for machine in sim.cloud.machines() {
        let market = machine.offering.unwrap().market;
        let preempted = machine.state == InstanceState::Preempted;
        assert_eq!(preempted, market == Market::Preemptible);
    }
}

#[tokio::test]
async fn spells_of_trouble_come_and_go_at_their_times() {
    let mut troubled = settings();
    let spells = [
        Spell::Outage,
        Spell::Throttling,
        Spell::AuthRevoked,
        Spell::PartialListings,
        Spell::StockOut(troubled.offerings[0].offering.id.clone()),
    ];
    for (spell, from) in spells.into_iter().zip([10, 20, 30, 40, 50]) {
        let window = Window { from: START + secs(from), until: START + secs(from + 10), spell };
        troubled.faults.windows.push(window);
    }
    let sim = sim(troubled);
    let mut seen = Vec::new();
    for number in 0..7 {
        let list = match sim.client.list().await {
            Ok(Listing::Complete(_)) => "complete",
            Ok(Listing::Partial { seen: _, why: _ }) => "partial",
            Err(error) => error.kind.word(),
        };
        let create = sim.client.create(&sim.request(number)).await;
        seen.push((list, create.map_or_else(|error| error.kind.word(), |_| "created")));
        sim.clock.advance(secs(10));
    }
    let wanted = [
        ("complete", "created"),
        ("unavailable", "unavailable"),
        ("throttled", "throttled"),
        ("auth-failed", "auth-failed"),
        ("partial", "created"),
        ("complete", "insufficient-capacity"),
        ("complete", "created"),
    ];
    assert_eq!(seen, wanted);
}

#[tokio::test]
async fn a_cloud_that_refuses_late_accepts_first_and_says_why_when_it_should_have_booted() {
    let sim = sim(Settings { refusing: Refusing::Late, ..settings() });
    let offering = sim.offering.id.clone();
    for (number, fault, wanted) in [
        (0, WorldFault::StockOut(offering.clone()), LateRefusal::InsufficientCapacity),
        (1, WorldFault::QuotaFull, LateRefusal::QuotaExceeded),
    ] {
        sim.cloud.inject(fault);
        let id = sim.client.create(&sim.request(number)).await.unwrap().id().clone();
        assert_eq!(sim.client.get(&id).await.unwrap().state, InstanceState::Pending);
        sim.clock.advance(secs(600));
        let shown = sim.client.get(&id).await.unwrap();
        let InstanceState::Failed { refusal, fault } = &shown.state else { panic!("{shown:?}") };
        assert_eq!(*refusal, Some(wanted), "{fault}");
        assert!(shown.started.is_none() && shown.ended.is_some());
        sim.client.delete(&id).await.unwrap();
        sim.clock.advance(secs(600));
        sim.cloud.inject(WorldFault::Restock(offering.clone()));
    }
}

#[tokio::test]
async fn clients_of_one_cloud_have_their_own_faults() {
    let sim = sim(settings());
    let broken = Rates { unavailable: 1.0, ..Rates::default() };
    let options = ClientOptions { rates: Some(broken), ..ClientOptions::default() };
    let other = sim.cloud.client_with(options);
    assert_ne!(other.number(), sim.client.number());
    assert_eq!(kind(other.list().await), ErrorKind::Unavailable);
    sim.client.inject(CallFault::RevokeCredentials);
    assert_eq!(kind(sim.client.list().await), ErrorKind::AuthFailed);
    assert!(sim.cloud.client().list().await.is_ok());
}

#[tokio::test]
async fn every_call_and_every_page_is_counted() {
    let sim = sim(Settings { page: 2, ..settings() });
    for number in 0..5 {
        sim.create(number).await;
    }
    sim.list().await;
    let calls = sim.cloud.calls();
    assert_eq!((calls["create machine"], calls["list machines"]), (5, 3));
}

#[tokio::test(start_paused = true)]
async fn a_call_that_is_dropped_on_its_way_may_have_arrived_or_not() {
    let sim = sim(settings());
    let latency = Some(Span::exactly(secs(10)));
    let slow = sim.cloud.client_with(ClientOptions { latency, ..ClientOptions::default() });
    for (number, patience, arrived) in [(1, 4, 0), (2, 6, 1)] {
        let request = sim.request(number);
        let call = tokio::time::timeout(secs(patience), slow.create(&request)).await;
        assert!(call.is_err(), "the caller died first");
        assert_eq!(sim.cloud.machines_of(&request.tags.intent), arrived);
    }
}

fn pounds(micros: i64) -> BTreeMap<String, Money> {
    let currency = "GBP".to_owned();
    BTreeMap::from([(currency.clone(), Money { micros, currency })])
}

#[tokio::test]
async fn the_bill_is_for_power_and_at_least_for_the_minimum() {
    let sim = sim(settings());
    sim.script(Script::never_ends());
    let first = sim.create(1).await;
    sim.clock.advance(BOOT);
    assert_eq!(sim.cloud.bill(sim.clock.now()), pounds(334), "a minute at 0.02 an hour");
    sim.clock.advance(secs(1800));
    assert_eq!(sim.cloud.bill(sim.clock.now()), pounds(10_000), "half an hour");
    sim.client.delete(&first).await.unwrap();
    sim.clock.advance(secs(3600));
    let removed = 10_000 + 12;
    assert_eq!(sim.cloud.bill(sim.clock.now()), pounds(removed), "until it was removed");
    sim.cloud.inject(WorldFault::FailNextBoot);
    sim.create(2).await;
    sim.clock.advance(secs(3600));
    assert_eq!(sim.cloud.bill(sim.clock.now()), pounds(removed), "a failed boot costs nothing");
    assert_eq!(sim.cloud.bill(START + BOOT + secs(1800)), pounds(10_000), "the past stays");
}

#[tokio::test]
async fn the_log_tells_who_did_what_under_which_generation() {
    let sim = sim(settings());
    let id = sim.create(1).await;
    sim.clock.advance(BOOT);
    sim.cloud.client().delete(&id).await.unwrap();
    sim.clock.advance(secs(2));
    let told: Vec<_> = sim
        .cloud
        .log()
        .into_iter()
        .map(|entry| match entry.event {
            LogEvent::Created { client, tags, .. } => format!("{client} made {}", tags.generation),
            LogEvent::PoweredOn { instance: _ } => "on".to_owned(),
            LogEvent::DeleteAsked { client, tags, .. } => {
                format!("{client} deletes {}", tags.unwrap().generation)
            }
            LogEvent::PoweredOff { instance: _, cause } => format!("off: {cause:?}"),
            LogEvent::Removed { instance: _ } => "removed".to_owned(),
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(told, ["0 made 3", "on", "1 deletes 3", "off: Deleted", "removed"]);
    assert_eq!(sim.cloud.log_since(3).len(), 2);
}

fn rough() -> Settings {
    let mut rough = settings().with_preemptible();
    rough.boot = Span::between(secs(5), secs(60));
    rough.script.life = Span::between(secs(60), secs(900));
    rough.settle = secs(40);
    rough.tombstone = secs(30);
    rough.idempotency = Idempotency::ListAndMatch;
    rough.faults.rates = Rates {
        throttled: 0.05,
        unavailable: 0.05,
        lost_before: 0.05,
        lost_after: 0.1,
        lost_page: 0.05,
        out_of_stock: 0.05,
        failed_boot: 0.1,
        stuck_boot: 0.05,
        preempted: 0.3,
        stuck_delete: 0.2,
        ghost: 0.05,
    };
    rough
}

/// Makes and deletes in a rough cloud; between any two calls the clock is moved in so many steps.
async fn live(seed: u64, steps: u32) -> (SimCloud, Vec<String>) {
    let sim = sim(Settings { seed, ..rough() });
    let mut answers = Vec::new();
    let mut made = Vec::new();
    for number in 0..60 {
        let created = sim.client.create(&sim.request(number)).await;
        answers.push(format!("{created:?}"));
        made.extend(created.ok().map(|created| created.id().clone()));
        for _ in 0..steps {
            sim.clock.advance(secs(60) / steps);
            sim.cloud.next_event();
        }
        if number % 3 == 0
            && let Some(id) = made.pop()
        {
            answers.push(format!("{:?}", sim.client.delete(&id).await));
        }
        answers.push(format!("{:?}", sim.client.list().await));
    }
    (sim.cloud, answers)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn the_same_seed_and_calls_give_the_same_history(seed: u64) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let (one, one_said) = runtime.block_on(live(seed, 1));
        let (other, other_said) = runtime.block_on(live(seed, 1));
        prop_assert_eq!(one_said, other_said);
        prop_assert_eq!(one.log(), other.log());
    }

    #[test]
    fn looking_more_often_changes_nothing(seed: u64) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let (one, one_said) = runtime.block_on(live(seed, 1));
        let (other, other_said) = runtime.block_on(live(seed, 20));
        prop_assert_eq!(one_said, other_said);
        prop_assert_eq!(one.log(), other.log());
        prop_assert_eq!(one.bill(START + secs(9999)), other.bill(START + secs(9999)));
    }

    #[test]
    fn quota_and_log_agree_whatever_goes_wrong(seed: u64) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let (cloud, _) = runtime.block_on(live(seed, 3));
        let (mut made, mut removed) = (0u32, 0u32);
        let mut last = START;
        for entry in cloud.log() {
            prop_assert!(entry.at >= last, "the log goes back in time");
            last = entry.at;
            made += u32::from(matches!(entry.event, LogEvent::Created { .. }));
            removed += u32::from(matches!(entry.event, LogEvent::Removed { .. }));
        }
        prop_assert_eq!(cloud.quota().machines_used, Some(made - removed));
    }
}

#[tokio::test]
async fn a_clock_that_is_put_back_changes_nothing() {
    let sim = sim(settings());
    let id = sim.create(1).await;
    sim.clock.advance(BOOT);
    assert_eq!(sim.state(&id).await, InstanceState::Running);
    sim.clock.step_wall(START - secs(86_400));
    assert_eq!(sim.state(&id).await, InstanceState::Running);
    assert_eq!(sim.cloud.next_event(), Some(START + BOOT + LIFE));
}

#[tokio::test]
async fn ten_thousand_machines_are_made_listed_and_ended() {
    let sim = sim(Settings { processors: None, ..settings() });
    for number in 0..10_000 {
        sim.create(number).await;
    }
    assert_eq!(sim.list().await.len(), 10_000);
    sim.clock.advance(BOOT + LIFE);
    let ended = |instance: &vcycle_api::Instance| instance.state == InstanceState::Stopped;
    assert!(sim.list().await.iter().all(ended));
}
