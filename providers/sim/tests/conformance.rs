//! The simulated cloud passes the conformance suite, as each of the three kinds of cloud, with no
//! case skipped.

mod common;

use common::SimSubject;
use vcycle_api::{Idempotency, testing};
use vcycle_sim::Settings;

async fn passes_whole(name: &'static str, change: fn(&mut Settings)) {
    let report = testing::run(&SimSubject { name, change }).await;
    let skipped: Vec<_> = report.skipped().collect();
    assert!(skipped.is_empty(), "skipped: {skipped:?}");
}

#[tokio::test]
async fn the_sim_with_exact_listings_and_unique_names_passes() {
    passes_whole("sim, exact", |_| {}).await;
}

#[tokio::test]
async fn the_sim_as_an_eventually_consistent_cloud_with_tokens_passes() {
    passes_whole("sim, as EC2", |settings| {
        settings.idempotency = Idempotency::ClientToken;
        settings.settle = std::time::Duration::from_secs(60);
        settings.tombstone = std::time::Duration::from_secs(40);
    })
    .await;
}

#[tokio::test]
async fn the_sim_as_a_cloud_where_only_listing_can_tell_passes() {
    passes_whole("sim, as Nova", |settings| {
        settings.idempotency = Idempotency::ListAndMatch;
        settings.settle = std::time::Duration::from_secs(30);
    })
    .await;
}
