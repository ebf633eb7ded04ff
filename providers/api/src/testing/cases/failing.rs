//! Cases of calls that fail: a failure says so, proves nothing, and changes nothing.

use std::time::Duration;

use super::creating::none_made;
use crate::testing::bench::ensure;
use crate::testing::{Bench, Fault, Halt, Outcome, Skew};
use crate::{ErrorKind, InstanceState, Resolution};

/// Calls of a storm that the suite makes.
const STORM: u32 = 20;

/// A throttled call is `Throttled`, did nothing, and is not repeated by the provider itself: as
/// many calls fail as the cloud refused, and the one after them succeeds.
pub(super) async fn a_throttle_storm_is_told_and_passes(bench: &Bench) -> Outcome {
    let provider = bench.provider();
    let (_, id) = bench.running_machine().await?;
    let request = bench.request().await?;
    let after = Some(Duration::from_secs(2));
    bench.inject(Fault::Throttle { calls: STORM, after }).await?;
    let throttled = |kind: &ErrorKind| matches!(kind, ErrorKind::Throttled { after: _ });
    for _ in 0..STORM / 4 {
        bench.expect_error("list in a storm", provider.list().await, throttled)?;
        bench.expect_error("get in a storm", provider.get(&id).await, throttled)?;
        bench.expect_error("create in a storm", provider.create(&request).await, throttled)?;
        bench.expect_error("delete in a storm", provider.delete(&id).await, throttled)?;
    }
    let state = provider.get(&id).await?.state;
    ensure!(state == InstanceState::Running, "a throttled delete left it {state:?}");
    none_made(bench, &request).await
}

/// An outage is `Unavailable` (a create perhaps `Ambiguous`), never an empty answer, never
/// `NotFound`, and never a proof.
pub(super) async fn an_outage_proves_nothing(bench: &Bench) -> Outcome {
    let provider = bench.provider();
    let (request, id) = bench.running_machine().await?;
    let fresh = bench.request().await?;
    let since = bench.now();
    bench.inject(Fault::Outage { calls: 7 }).await?;
    let away = |kind: &ErrorKind| *kind == ErrorKind::Unavailable;
    let unclear = |kind: &ErrorKind| matches!(kind, ErrorKind::Unavailable | ErrorKind::Ambiguous);
    bench.expect_error("list in an outage", provider.list().await, away)?;
    bench.expect_error("get in an outage", provider.get(&id).await, away)?;
    bench.expect_error("offerings in an outage", provider.offerings().await, away)?;
    bench.expect_error("quota in an outage", provider.quota().await, away)?;
    match provider.resolve(&request.tags.intent, since).await {
        Ok(resolution) => ensure!(resolution == Resolution::Unknown, "it says {resolution:?}"),
        Err(error) => ensure!(error.kind == ErrorKind::Unavailable, "the wrong error: {error}"),
    }
    bench.expect_error("create in an outage", provider.create(&fresh).await, unclear)?;
    bench.expect_error("delete in an outage", provider.delete(&id).await, unclear)?;
    let state = bench.listed(&id).await?.state;
    ensure!(state == InstanceState::Running, "after the outage it is {state:?}");
    Ok(())
}

/// Refused credentials are `AuthFailed` from every call: never an empty listing, never `NotFound`,
/// never a proof of absence. When they are good again, everything is as it was.
pub(super) async fn revoked_credentials_give_nothing_but_auth_failed(bench: &Bench) -> Outcome {
    let provider = bench.provider();
    let (request, id) = bench.running_machine().await?;
    let fresh = bench.request().await?;
    let since = bench.now();
    bench.inject(Fault::RevokeCredentials).await?;
    bench.settle().await;
    let auth = |kind: &ErrorKind| *kind == ErrorKind::AuthFailed;
    bench.expect_error("list", provider.list().await, auth)?;
    bench.expect_error("get", provider.get(&id).await, auth)?;
    let unknown = bench.tenancy().unknown_id();
    bench.expect_error("get of an unknown id", provider.get(&unknown).await, auth)?;
    bench.expect_error("offerings", provider.offerings().await, auth)?;
    bench.expect_error("quota", provider.quota().await, auth)?;
    bench.expect_error("create", provider.create(&fresh).await, auth)?;
    bench.expect_error("delete", provider.delete(&id).await, auth)?;
    let intent = &request.tags.intent;
    bench.expect_error("resolve", provider.resolve(intent, since).await, auth)?;
    bench.inject(Fault::RestoreCredentials).await?;
    let state = bench.listed(&id).await?.state;
    ensure!(state == InstanceState::Running, "with good credentials again it is {state:?}");
    none_made(bench, &fresh).await
}

async fn lost_create_under(bench: &Bench, skew: Skew) -> Outcome {
    let provider = bench.provider();
    bench.inject(Fault::SkewClient(skew)).await?;
    let request = bench.request().await?;
    bench.inject(Fault::LoseReplyAfterCommit).await?;
    let since = bench.now();
    let lost = provider.create(&request).await;
    bench.expect_error("a lost reply", lost, |kind| *kind == ErrorKind::Ambiguous)?;
    // `Bench::resolve` fails on a ProvenAbsent that comes too early.
    let resolution = bench.resolve(&request.tags.intent, since).await?;
    let Resolution::Found(id) = resolution else {
        return Err(Halt::Failed(format!("it was made, but {resolution:?}")));
    };
    bench
        .wait("the machine to run", async || {
            Ok(bench.listed(&id).await?.state == InstanceState::Running)
        })
        .await
}

/// A client whose clock is five minutes fast does not take a lost reply for settled, nor a young
/// machine for one past its deadline.
pub(super) async fn a_fast_client_clock_proves_no_absence(bench: &Bench) -> Outcome {
    lost_create_under(bench, Skew::Ahead(Duration::from_secs(300))).await
}

/// A client whose clock is five minutes slow still makes, finds and lists its machines.
pub(super) async fn a_slow_client_clock_harms_nothing(bench: &Bench) -> Outcome {
    lost_create_under(bench, Skew::Behind(Duration::from_secs(300))).await
}
