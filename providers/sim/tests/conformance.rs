//! The simulated cloud passes the conformance suite, as each of the three kinds of cloud, with no
//! case skipped.

mod common;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use common::{SimSubject, Wrapped};
use vcycle_api::testing::{Subject, Tenancy};
use vcycle_api::{BudgetSettings, Budgeted, Idempotency, testing};
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
        settings.settle = Duration::from_secs(60);
        settings.tombstone = Duration::from_secs(40);
    })
    .await;
}

#[tokio::test]
async fn the_sim_as_a_cloud_where_only_listing_can_tell_passes() {
    passes_whole("sim, as Nova", |settings| {
        settings.idempotency = Idempotency::ListAndMatch;
        settings.settle = Duration::from_secs(30);
    })
    .await;
}

struct Paced;

#[async_trait]
impl Subject for Paced {
    fn name(&self) -> String {
        "sim behind a request budget".to_owned()
    }

    async fn open(&self) -> Box<dyn Tenancy> {
        let inner = SimSubject { name: "sim", change: |_| {} }.open().await;
        // The storms of the suite are waited out.
        let (interval, patience) = (Duration::from_millis(1), Duration::from_secs(3600));
        let settings = BudgetSettings { interval, patience, ..BudgetSettings::default() };
        let provider = Arc::new(Budgeted::new(inner.provider(), settings));
        Box::new(Wrapped { inner, provider })
    }
}

#[tokio::test(start_paused = true)]
async fn a_request_budget_around_the_sim_changes_no_answer() {
    let report = testing::run(&Paced).await;
    assert_eq!(report.skipped().count(), 0);
}

/// Runs one case of the suite that holds against a fault of the ancestor.
async fn keeps(case: &str) {
    let cases: Vec<_> = testing::all_cases().into_iter().filter(|c| c.name == case).collect();
    assert_eq!(cases.len(), 1, "there is a case {case}");
    testing::run_cases(&SimSubject { name: "sim", change: |_| {} }, &cases).await;
}

#[tokio::test]
async fn trap_1j_1_machines_beyond_the_first_page_are_listed() {
    keeps("a_thousand_and_one_machines_are_listed").await;
    keeps("a_lost_page_makes_the_listing_partial").await;
}

#[tokio::test]
async fn trap_1j_5_a_repeated_create_makes_no_second_machine() {
    keeps("the_same_request_again_makes_no_second_machine").await;
    keeps("a_reply_lost_after_the_commit_is_found").await;
}

#[tokio::test]
async fn trap_1j_7_a_name_is_no_proof_of_identity() {
    keeps("a_stranger_with_our_name_is_foreign_and_stays").await;
    keeps("another_deployment_is_told_from_ours").await;
}

#[tokio::test]
async fn trap_1j_8_tags_and_processors_are_there_from_the_create_call_on() {
    keeps("a_listing_shows_the_whole_identity").await;
    keeps("quota_is_sane_and_rises_with_use").await;
}
