//! Cases of `create` and `resolve`: one intent makes at most one machine, whatever is lost.

use std::time::Duration;

use crate::testing::bench::ensure;
use crate::testing::{Bench, Fault, Halt, Outcome};
use crate::{
    CreateRequest, Created, ErrorKind, Idempotency, InstanceState, IntentToken, Resolution,
    UserData,
};

/// `create` is enough: the machine gets power without a further call.
pub(super) async fn a_created_machine_comes_to_run(bench: &Bench) -> Outcome {
    let (_, id) = bench.running_machine().await?;
    let instance = bench.listed(&id).await?;
    ensure!(instance.ended.is_none(), "a running machine has ended at {:?}", instance.ended);
    Ok(())
}

/// `create`: the same request gives the same machine. Where only listing can tell
/// (`ListAndMatch`), once the first machine is listed.
pub(super) async fn the_same_request_again_makes_no_second_machine(bench: &Bench) -> Outcome {
    let provider = bench.provider();
    let request = bench.request().await?;
    let first = provider.create(&request).await?;
    ensure!(matches!(first, Created::New(_)), "the first create said {first:?}");
    match provider.capabilities().idempotency {
        Idempotency::ClientToken | Idempotency::RequestIdAndUniqueName => {}
        Idempotency::ListAndMatch => drop(bench.listed(first.id()).await?),
    }
    for _ in 0..4 {
        let again = provider.create(&request).await?;
        let wanted = Created::AlreadyExists(first.id().clone());
        ensure!(again == wanted, "the repeated create said {again:?}, not {wanted:?}");
    }
    only_one(bench, &request).await
}

/// `create`: two managers that act on one intent at once make one machine. Not asked of
/// `ListAndMatch`, which needs the fence around it.
pub(super) async fn the_same_request_at_the_same_time_makes_no_second_machine(
    bench: &Bench,
) -> Outcome {
    match bench.provider().capabilities().idempotency {
        Idempotency::ClientToken | Idempotency::RequestIdAndUniqueName => {}
        // Nothing in such a cloud could prevent it; the core never sends one intent twice at once.
        Idempotency::ListAndMatch => return Ok(()),
    }
    let provider = bench.provider();
    let request = bench.request().await?;
    let (a, b, c) = tokio::join!(
        provider.create(&request),
        provider.create(&request),
        provider.create(&request)
    );
    let answers = [a, b, c];
    let new = answers.iter().filter(|answer| matches!(answer, Ok(Created::New(_)))).count();
    ensure!(new <= 1, "{new} of three equal creates made a machine: {answers:?}");
    let intent = &request.tags.intent;
    bench
        .wait("the machine to be listed", async || Ok(!bench.of_intent(intent).await?.is_empty()))
        .await?;
    only_one(bench, &request).await
}

/// Exactly one machine carries the intent, now and when everything has settled.
async fn only_one(bench: &Bench, request: &CreateRequest) -> Outcome {
    bench.settle().await;
    let made = bench.of_intent(&request.tags.intent).await?;
    ensure!(made.len() == 1, "one intent has {} machines", made.len());
    Ok(())
}

/// No machine carries the intent, now and when everything has settled.
pub(super) async fn none_made(bench: &Bench, request: &CreateRequest) -> Outcome {
    bench.settle().await;
    let made = bench.of_intent(&request.tags.intent).await?;
    ensure!(made.is_empty(), "a refused create made {} machines", made.len());
    Ok(())
}

/// A text of exactly this many bytes that does what the template does, and cannot be made much shorter by
/// compression.
fn padded(template: &UserData, bytes: usize) -> Option<UserData> {
    let mut text = format!("{}\n#", template.expose());
    let missing = bytes.checked_sub(text.len())?;
    let mut state = 1_u64;
    text.extend((0..missing).map(|_| {
        state =
            state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        char::from(b'!' + (state >> 33) as u8 % 94)
    }));
    Some(UserData::new(text))
}

/// `Capabilities::user_data_limit` is exact: what the planner checks against is what the cloud takes. Where a provider
/// compresses what is too long, a plain text of the limit is taken, and one is refused that is longer than the
/// limit when it is compressed.
pub(super) async fn user_data_up_to_the_limit_is_taken_and_beyond_it_refused(
    bench: &Bench,
) -> Outcome {
    let provider = bench.provider();
    let limit = provider.capabilities().user_data_limit;
    let mut request = bench.request().await?;
    let full = padded(&request.user_data, limit);
    let mut lengths = std::iter::successors(Some(limit + 1), |length| Some(length + length / 8));
    let over = lengths.find_map(|length| {
        let text = padded(&request.user_data, length)?;
        (provider.user_data_bytes(&text) > limit).then_some(text)
    });
    let (Some(full), Some(over)) = (full, over) else {
        let why = format!("the limit of {limit} bytes does not even hold the template");
        return Err(Halt::Failed(why));
    };
    let counted = provider.user_data_bytes(&full);
    ensure!(counted <= limit, "{limit} bytes count as {counted}");
    request.user_data = over;
    let refused = provider.create(&request).await;
    bench.expect_error("user_data beyond the limit", refused, |kind| {
        *kind == ErrorKind::InvalidSpec
    })?;
    none_made(bench, &request).await?;
    let mut request = bench.request().await?;
    request.user_data = full;
    provider.create(&request).await?;
    Ok(())
}

/// `resolve`: an intent that never reached the cloud is `ProvenAbsent`, but never within `settle`.
pub(super) async fn an_unknown_intent_is_proven_absent_only_when_it_has_settled(
    bench: &Bench,
) -> Outcome {
    let intent = IntentToken::compose(0xdead_beef);
    let resolution = bench.resolve(&intent, bench.now()).await?;
    ensure!(resolution == Resolution::ProvenAbsent, "nothing was made, but {resolution:?}");
    Ok(())
}

/// `resolve` finds what `create` made, also long after.
pub(super) async fn a_machine_is_found_by_its_intent(bench: &Bench) -> Outcome {
    let since = bench.now();
    let (request, id) = bench.machine().await?;
    let wanted = Resolution::Found(id);
    let soon = bench.resolve(&request.tags.intent, since).await?;
    ensure!(soon == wanted, "{soon:?} instead of {wanted:?}");
    bench.tenancy().pass(bench.provider().capabilities().settle * 2).await;
    let later = bench.resolve(&request.tags.intent, since).await?;
    ensure!(later == wanted, "{later:?} instead of {wanted:?}");
    Ok(())
}

/// A create whose reply was lost is `Ambiguous`; `resolve` then finds its machine, and a repeated
/// create makes no second one.
pub(super) async fn a_reply_lost_after_the_commit_is_found(bench: &Bench) -> Outcome {
    let provider = bench.provider();
    let request = bench.request().await?;
    bench.inject(Fault::LoseReplyAfterCommit).await?;
    let since = bench.now();
    let lost = provider.create(&request).await;
    bench.expect_error("a lost reply", lost, |kind| *kind == ErrorKind::Ambiguous)?;
    let Resolution::Found(id) = bench.resolve(&request.tags.intent, since).await? else {
        let why = "a machine was made, but resolve proved its absence";
        return Err(Halt::Failed(why.to_owned()));
    };
    bench.listed(&id).await?;
    let again = provider.create(&request).await?;
    ensure!(again == Created::AlreadyExists(id), "after resolve, create said {again:?}");
    only_one(bench, &request).await
}

/// A create that never arrived is `Ambiguous` too; `resolve` then proves that it made nothing.
pub(super) async fn a_reply_lost_before_the_commit_is_proven_absent(bench: &Bench) -> Outcome {
    let provider = bench.provider();
    let request = bench.request().await?;
    bench.inject(Fault::LoseReplyBeforeCommit).await?;
    let since = bench.now();
    let lost = provider.create(&request).await;
    bench.expect_error("a lost request", lost, |kind| *kind == ErrorKind::Ambiguous)?;
    let resolution = bench.resolve(&request.tags.intent, since).await?;
    ensure!(resolution == Resolution::ProvenAbsent, "nothing was made, but {resolution:?}");
    none_made(bench, &request).await
}

/// A create that was accepted and then failed is listed, as failed or ended, with its identity, and
/// can be deleted: it may hold quota for ever otherwise.
pub(super) async fn a_failed_boot_is_visible_and_deletable(bench: &Bench) -> Outcome {
    let request = bench.request().await?;
    bench.inject(Fault::FailBoot).await?;
    let id = bench.provider().create(&request).await?.id().clone();
    bench
        .wait("the failed boot to show", async || {
            Ok(match bench.listed(&id).await?.state {
                InstanceState::Failed { refusal: _, fault: _ } | InstanceState::Stopped => true,
                InstanceState::Pending
                | InstanceState::Running
                | InstanceState::Preempted
                | InstanceState::Deleting
                | InstanceState::Gone
                | InstanceState::Unknown { word: _ } => false,
            })
        })
        .await?;
    ensure!(bench.of_intent(&request.tags.intent).await?.len() == 1, "it lost its identity");
    bench.tenancy().pass(Duration::from_secs(1)).await;
    bench.remove(&id).await
}
