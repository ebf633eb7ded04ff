//! A manager that dies, or whose wire breaks, at every point of a create, one by one: at each of its operations on the
//! state directory and the cloud, and at each request on the wire of the real provider. Another one takes over.
//! There must then be exactly the machines that there should be, each with its record.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use vcycle::model::SpaceName;

use super::double::{Double, On, Woe};
use super::ec2::Ec2;
use super::gce::Gce;
use super::post::Death;
use super::site::{self, Pace, SpaceOf};
use super::time::Time;
use super::worker::{CYCLE, Worker};
use super::world::World;
use crate::support::mortal::{Fate, Strike};
use crate::support::run;

/// On which cloud.
#[derive(Debug, Clone, Copy)]
enum Cloud {
    Ec2,
    Gce,
}

/// What happens to the first manager.
#[derive(Debug, Clone, Copy)]
enum Blow {
    Nothing,
    /// At its operation with this number, from 1.
    Operation(u64, Strike),
    /// To the request of this kind with this number, from 0; the manager lives on.
    Request(On, u32, Woe),
    /// It dies while the request with this number is answered.
    DeathAtRequest(u32),
    /// At its first create.
    Create(Death),
}

/// How far the first manager came.
#[derive(Debug, Clone, Copy)]
struct Reached {
    operations: u64,
    requests: u32,
}

const SPACE: &str = "a.example";

async fn world(cloud: Cloud, time: &Arc<Time>) -> (World, Arc<dyn Double>) {
    let double: Arc<dyn Double> = match cloud {
        Cloud::Ec2 => Arc::new(Ec2::start(time.clone()).await),
        Cloud::Gce => Arc::new(Gce::start(time.clone()).await),
    };
    let image = match cloud {
        Cloud::Ec2 => "ami-0aaaaaaaaaaaaaaa1",
        Cloud::Gce => "family/lab-tiny",
    };
    let pace = Pace { cycle: "1m", ttl: "1m", max_wallclock: "3h" };
    let setup = site::setup(&[SpaceOf { name: SPACE, limit: 4, image }], pace);
    let doubles = BTreeMap::from([(site::name(SPACE), double.clone())]);
    (World::new(time, setup, doubles), double)
}

/// Some cycles of a manager that does not live on.
async fn first(world: &World, space: &SpaceName, fate: &Arc<Fate>) {
    let mut manager = Worker::start(world, ("one", space), fate).await;
    for _ in 0..3 {
        let Some(living) = &mut manager else { break };
        if living.cycle().await.is_none() {
            manager = None;
        }
        world.check().await;
        tokio::time::sleep(CYCLE).await;
    }
}

/// Kills when the request has come.
async fn kill_at(double: &dyn Double, blow: Blow, fate: &Fate) {
    let request = match blow {
        Blow::DeathAtRequest(number) => number,
        Blow::Nothing | Blow::Operation(..) | Blow::Request(..) | Blow::Create(_) => {
            return std::future::pending().await;
        }
    };
    while double.requests() <= request as usize {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    fate.kill();
    std::future::pending().await
}

async fn fill(cloud: Cloud, blow: Blow) -> Reached {
    let time = Time::new();
    let (world, double) = world(cloud, &time).await;
    let (space, fate) = (site::name(SPACE), Fate::kind());
    match blow {
        Blow::Nothing => {}
        Blow::Operation(number, strike) => fate.decree(number, strike),
        Blow::Request(on, number, woe) => double.befall(on, (number, 1), woe),
        Blow::DeathAtRequest(number) => {
            double.befall(On::Any, (number, 1), Woe::Slow(Duration::from_secs(20)));
        }
        Blow::Create(death) => *world.places[&space].doom.lock().unwrap() = Some(death),
    }
    tokio::select! {
        () = first(&world, &space, &fate) => {}
        () = kill_at(double.as_ref(), blow, &fate) => {}
    }
    let requests = u32::try_from(double.requests()).unwrap();
    let reached = Reached { operations: fate.count(), requests };
    double.calm();
    let mut survivor = Worker::start(&world, ("two", &space), &Fate::kind()).await.unwrap();
    survivor.until_quiet(&world).await;
    let full = world.is_full(&space).await;
    assert_eq!(full, Ok(()), "on {cloud:?} after {blow:?}");
    reached
}

/// Every point, on one cloud.
fn at_every_point(cloud: Cloud) {
    let Reached { operations, requests } = run(fill(cloud, Blow::Nothing));
    assert!(operations >= 20 && requests >= 6, "{operations} operations, {requests} requests");
    // Death before an operation is death after the one before it.
    let struck = (1..=operations).map(|number| Blow::Operation(number, Strike::DieAfter));
    let lost = (1..=operations).step_by(3).map(|n| Blow::Operation(n, Strike::LoseReply));
    let woes = [Woe::LoseRequest, Woe::LoseReply, Woe::CutReply, Woe::Mask];
    let broken = (0..requests).map(|n| Blow::Request(On::Any, n, woes[n as usize % woes.len()]));
    // Both machines.
    let made = (0..2).flat_map(|n| woes.map(|woe| Blow::Request(On::Create, n, woe)));
    let dies = (0..requests).map(Blow::DeathAtRequest);
    let ways = [2, 30, 50, 100].map(|seconds| Death::Late(Duration::from_secs(seconds)));
    let deaths = [Death::Before, Death::Unread, Death::Unwritten];
    let creates = deaths.into_iter().chain(ways).map(Blow::Create);
    let all = struck.chain(lost).chain(broken).chain(made).chain(dies).chain(creates);
    let all: Vec<Blow> = all.collect();
    println!("{} points of a create on {cloud:?}", all.len());
    for blow in all {
        run(fill(cloud, blow));
    }
}

#[test]
fn a_space_on_ec2_is_filled_exactly_whatever_point_of_a_create_is_struck() {
    at_every_point(Cloud::Ec2);
}

#[test]
fn a_space_on_compute_engine_is_filled_exactly_whatever_point_of_a_create_is_struck() {
    at_every_point(Cloud::Gce);
}
