//! Cases of `delete` and of ends that nobody asked for.

use crate::testing::bench::ensure;
use crate::testing::{Bench, Fault, Halt, Outcome};
use crate::{
    Created, Deletion, ErrorKind, Idempotency, InstanceId, InstanceState, ProviderError, Timestamp,
};

/// `delete` leads to proven absence: `NotFound` (or a tombstone) on a direct get, and a complete
/// listing without it.
pub(super) async fn a_deleted_machine_is_proven_gone_in_the_end(bench: &Bench) -> Outcome {
    let (_, id) = bench.running_machine().await?;
    let deletion = bench.provider().delete(&id).await?;
    ensure!(deletion == Deletion::Accepted, "a machine that was listed is {deletion:?}");
    bench.wait("the machine to be gone", async || bench.is_gone(&id).await).await
}

/// `delete` may be repeated at any time, also while it is going on and after the end.
pub(super) async fn a_delete_may_be_repeated(bench: &Bench) -> Outcome {
    let (_, id) = bench.running_machine().await?;
    for _ in 0..3 {
        harmless(bench.provider().delete(&id).await)?;
    }
    bench.remove(&id).await?;
    let after = bench.provider().delete(&id).await;
    nothing_there(after)
}

fn harmless(deleted: Result<Deletion, ProviderError>) -> Outcome {
    match deleted {
        Ok(Deletion::Accepted | Deletion::AlreadyGone) => Ok(()),
        Err(error) if error.kind == ErrorKind::NotFound => Ok(()),
        Err(error) => Err(Halt::Failed(format!("a repeated delete is an error: {error}"))),
    }
}

fn nothing_there(deleted: Result<Deletion, ProviderError>) -> Outcome {
    match deleted {
        Ok(Deletion::AlreadyGone) => Ok(()),
        Err(error) if error.kind == ErrorKind::NotFound => Ok(()),
        other => Err(Halt::Failed(format!("delete of nothing said {other:?}"))),
    }
}

/// `delete` of what does not exist is `AlreadyGone` or `NotFound`: both prove absence.
pub(super) async fn deleting_an_unknown_id_says_that_there_is_nothing(bench: &Bench) -> Outcome {
    nothing_there(bench.provider().delete(&bench.tenancy().unknown_id()).await)
}

/// `delete` works on a machine that is still being made, and may not be listed yet.
pub(super) async fn a_fresh_machine_can_be_deleted_at_once(bench: &Bench) -> Outcome {
    let request = bench.request().await?;
    let id = bench.provider().create(&request).await?.id().clone();
    harmless(bench.provider().delete(&id).await)?;
    bench.settle().await;
    bench.remove(&id).await?;
    bench.settle().await;
    let left = bench.of_intent(&request.tags.intent).await?;
    ensure!(left.is_empty(), "it came back: {left:?}");
    Ok(())
}

/// `delete` ends the one machine that it is given.
pub(super) async fn deleting_one_machine_leaves_the_others(bench: &Bench) -> Outcome {
    let (_, stays) = bench.running_machine().await?;
    let (_, goes) = bench.running_machine().await?;
    bench.remove(&goes).await?;
    let state = bench.listed(&stays).await?.state;
    ensure!(state == InstanceState::Running, "the other machine became {state:?}");
    Ok(())
}

/// A late repetition of a create never brings a deleted machine back to life under its old id, and
/// clouds with a token or a unique request answer it without making another.
pub(super) async fn a_deleted_machine_is_never_made_again_by_its_intent(bench: &Bench) -> Outcome {
    let (request, id) = bench.running_machine().await?;
    bench.remove(&id).await?;
    match bench.provider().capabilities().idempotency {
        Idempotency::ClientToken => {}
        // The name is free again: nothing in these clouds remembers it. The core never repeats the
        // create of an intent whose machine it has seen.
        Idempotency::RequestIdAndUniqueName | Idempotency::ListAndMatch => return Ok(()),
    }
    match bench.provider().create(&request).await {
        Ok(Created::AlreadyExists(same)) => ensure!(same == id, "the intent moved to {same}"),
        Ok(Created::New(new)) => return Err(Halt::Failed(format!("made again as {new}"))),
        Err(error) => ensure!(error.kind == ErrorKind::InvalidSpec, "the wrong error: {error}"),
    }
    ensure!(bench.is_gone(&id).await?, "{id} came back to life");
    Ok(())
}

/// A machine takes its ports, volumes and disks with it.
pub(super) async fn a_deleted_machine_leaves_no_side_resource(bench: &Bench) -> Outcome {
    let (request, id) = bench.running_machine().await?;
    bench.remove(&id).await?;
    bench
        .wait("the side resources to go", async || {
            let left = bench.provider().side_resources().await?;
            Ok(left.iter().all(|resource| resource.tags.intent != request.tags.intent))
        })
        .await
}

/// No machine outlives the deadline in its tags, even if every manager is dead.
pub(super) async fn a_machine_ends_at_its_deadline_though_nobody_ends_it(bench: &Bench) -> Outcome {
    bench.tenancy().ends_at_deadline()?;
    let mut request = bench.request().await?;
    let soon = (bench.limits().patience / 4).as_secs().max(2);
    let deadline = bench.now().as_secs() + i64::try_from(soon).unwrap_or(i64::MAX);
    request.tags.deadline = Timestamp::from_secs(deadline);
    let id = bench.provider().create(&request).await?.id().clone();
    bench.listed(&id).await?;
    wait_for_end(bench, &id, &InstanceState::Stopped).await?;
    let early = bench.now() < request.tags.deadline;
    ensure!(!early, "it ended before its deadline");
    bench.remove(&id).await
}

async fn wait_for_end(bench: &Bench, id: &InstanceId, wanted: &InstanceState) -> Outcome {
    bench
        .wait("the end to show", async || match bench.provider().get(id).await {
            Ok(instance) if instance.state == *wanted => {
                ensure!(instance.ended.is_some(), "it ended, but not at any time");
                Ok(true)
            }
            Ok(instance) => Ok(instance.state == InstanceState::Gone),
            Err(error) if error.kind == ErrorKind::NotFound => Ok(true),
            Err(error) => Err(error.into()),
        })
        .await
}

/// A machine that ended by itself is `Stopped` with the time of its end, or gone where the cloud
/// removes it by itself; never `Running`. It may still cost, so it can be deleted.
pub(super) async fn a_machine_that_ended_is_stopped_and_deletable(bench: &Bench) -> Outcome {
    let (_, id) = bench.running_machine().await?;
    bench.inject(Fault::EndMachine(id.clone())).await?;
    wait_for_end(bench, &id, &InstanceState::Stopped).await?;
    bench.remove(&id).await
}

/// A machine that the provider took back is `Preempted`, so that nobody blames the machinetype.
pub(super) async fn a_preempted_machine_says_so(bench: &Bench) -> Outcome {
    let (_, id) = bench.running_machine().await?;
    bench.inject(Fault::Preempt(id.clone())).await?;
    let mut said = false;
    bench
        .wait("the preemption to show", async || {
            let notices = bench.provider().interruptions().await?;
            said |= notices.iter().any(|notice| notice.instance == id);
            Ok(match bench.provider().get(&id).await {
                Ok(instance) if instance.state == InstanceState::Preempted => {
                    said = true;
                    true
                }
                Ok(instance) => instance.state == InstanceState::Gone,
                Err(error) if error.kind == ErrorKind::NotFound => true,
                Err(error) => return Err(error.into()),
            })
        })
        .await?;
    ensure!(said, "the machine vanished, and nothing said that it was preempted");
    bench.remove(&id).await
}

/// `delete` with a lost reply is an error that proves nothing, and its repetition is harmless.
pub(super) async fn a_lost_delete_reply_may_be_repeated(bench: &Bench) -> Outcome {
    let (_, id) = bench.running_machine().await?;
    bench.inject(Fault::LoseDeleteReply).await?;
    let lost = bench.provider().delete(&id).await;
    bench.expect_error("a lost delete", lost, |kind| {
        matches!(kind, ErrorKind::Ambiguous | ErrorKind::Unavailable)
    })?;
    bench.remove(&id).await
}
