//! The conformance suite finds what it is there for: a provider that breaks one rule fails the case
//! of that rule.

mod common;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use common::{SimSubject, Wrapped};
use vcycle_api::testing::{Subject, Tenancy, all_cases, try_cases};
use vcycle_api::{
    Act, Capabilities, CreateRequest, Created, Deletion, ErrorKind, Finding, Identity, Instance,
    InstanceId, InstanceState, IntentToken, Interruption, Listing, MachineName, Need, Observe,
    Offering, ProviderError, Quota, Readiness, Resolution, SideResource, Tags, TenancyId, Terms,
    Timestamp, UserData, Verdict,
};

/// A rule that is broken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Flaw {
    /// Keeps them all.
    None,
    NewTokenForEachCall,
    ReadsOnePage,
    SwallowsLostPages,
    EmptyListingOnError,
    NotFoundOnError,
    ConcludesAbsenceAtOnce,
    CallsLostRepliesUnavailable,
    TakesNamesForIdentity,
    DropsStrangers,
    ForgetsTheDeadline,
    MovesTheDeadline,
    CutsLongNames,
    AcceptsDeletesAndDoesNothing,
    DeletesOtherMachinesToo,
    RefusesRepeatedDeletes,
    RetriesThrottledCalls,
    ShowsEndedAsRunning,
    ShowsPreemptedAsStopped,
    CallsStockOutsQuota,
    CutsUserData,
    CountsOnlyOurs,
    ChangesTheCloudWhenObserving,
    CallsRefusedCredentialsAbsence,
    AnswersOneNeedForAll,
    FindsThatAllWorks,
    NamesItsTenancyAnew,
}

/// Each flaw, with the case that must find it.
const FLAWS: &[(Flaw, &str)] = &[
    (Flaw::NewTokenForEachCall, "the_same_request_again_makes_no_second_machine"),
    (Flaw::ReadsOnePage, "a_thousand_and_one_machines_are_listed"),
    (Flaw::SwallowsLostPages, "a_lost_page_makes_the_listing_partial"),
    (Flaw::EmptyListingOnError, "an_outage_proves_nothing"),
    (Flaw::EmptyListingOnError, "revoked_credentials_give_nothing_but_auth_failed"),
    (Flaw::NotFoundOnError, "an_outage_proves_nothing"),
    (Flaw::ConcludesAbsenceAtOnce, "an_unknown_intent_is_proven_absent_only_when_it_has_settled"),
    (Flaw::ConcludesAbsenceAtOnce, "a_fast_client_clock_proves_no_absence"),
    (Flaw::CallsLostRepliesUnavailable, "a_reply_lost_after_the_commit_is_found"),
    (Flaw::CallsLostRepliesUnavailable, "a_reply_lost_before_the_commit_is_proven_absent"),
    (Flaw::TakesNamesForIdentity, "a_stranger_with_our_name_is_foreign_and_stays"),
    (Flaw::DropsStrangers, "another_deployment_is_told_from_ours"),
    (Flaw::ForgetsTheDeadline, "a_listing_shows_the_whole_identity"),
    (Flaw::MovesTheDeadline, "a_machine_ends_at_its_deadline_though_nobody_ends_it"),
    (Flaw::CutsLongNames, "the_longest_names_come_back_unchanged"),
    (Flaw::AcceptsDeletesAndDoesNothing, "a_deleted_machine_is_proven_gone_in_the_end"),
    (Flaw::AcceptsDeletesAndDoesNothing, "a_fresh_machine_can_be_deleted_at_once"),
    (Flaw::DeletesOtherMachinesToo, "deleting_one_machine_leaves_the_others"),
    (Flaw::RefusesRepeatedDeletes, "a_delete_may_be_repeated"),
    (Flaw::RetriesThrottledCalls, "a_throttle_storm_is_told_and_passes"),
    (Flaw::ShowsEndedAsRunning, "a_machine_that_ended_is_stopped_and_deletable"),
    (Flaw::ShowsPreemptedAsStopped, "a_preempted_machine_says_so"),
    (Flaw::CallsStockOutsQuota, "a_stock_out_names_the_offering_and_makes_nothing"),
    (Flaw::CutsUserData, "user_data_up_to_the_limit_is_taken_and_beyond_it_refused"),
    (Flaw::CountsOnlyOurs, "quota_counts_strangers"),
    (Flaw::ChangesTheCloudWhenObserving, "observing_changes_nothing"),
    (Flaw::CallsRefusedCredentialsAbsence, "revoked_credentials_give_nothing_but_auth_failed"),
    (Flaw::AnswersOneNeedForAll, "each_need_gets_one_answer"),
    (Flaw::FindsThatAllWorks, "an_inspection_says_that_the_login_fails"),
    (Flaw::NamesItsTenancyAnew, "the_tenancy_stays_the_same"),
];

#[tokio::test]
async fn each_broken_rule_is_found_by_its_case() {
    for (flaw, name) in FLAWS {
        let cases: Vec<_> = all_cases().into_iter().filter(|case| case.name == *name).collect();
        assert_eq!(cases.len(), 1, "there is a case {name}");
        let report = try_cases(&FlawedSubject { flaw: *flaw }, &cases).await;
        assert!(report.failures().next().is_some(), "{flaw:?} was not found by {name}");
    }
}

#[tokio::test]
async fn the_decorator_itself_breaks_nothing() {
    let report = try_cases(&FlawedSubject { flaw: Flaw::None }, &all_cases()).await;
    let failures: Vec<_> = report.failures().collect();
    assert!(failures.is_empty(), "{failures:?}");
}

#[tokio::test]
#[should_panic(expected = "a_deleted_machine_is_proven_gone_in_the_end")]
async fn a_failure_ends_the_run_with_a_panic_that_names_the_case() {
    let subject = FlawedSubject { flaw: Flaw::AcceptsDeletesAndDoesNothing };
    vcycle_api::testing::run(&subject).await;
}

struct FlawedSubject {
    flaw: Flaw,
}

struct Flawed {
    inner: Arc<dyn Act>,
    flaw: Flaw,
    calls: AtomicU64,
}

#[async_trait]
impl Subject for FlawedSubject {
    fn name(&self) -> String {
        format!("sim with {:?}", self.flaw)
    }

    async fn open(&self) -> Box<dyn Tenancy> {
        let change = |settings: &mut vcycle_sim::Settings| {
            settings.settle = Duration::from_secs(60);
        };
        let inner = SimSubject { name: "sim", change }.open().await;
        let provider =
            Flawed { inner: inner.provider(), flaw: self.flaw, calls: AtomicU64::new(0) };
        Box::new(Wrapped { inner, provider: Arc::new(provider) })
    }
}

impl Flawed {
    fn is(&self, flaw: Flaw) -> bool {
        self.flaw == flaw
    }

    fn show(&self, mut instance: Instance) -> Instance {
        if self.is(Flaw::ShowsEndedAsRunning) && instance.state == InstanceState::Stopped {
            instance.state = InstanceState::Running;
        }
        if self.is(Flaw::ShowsPreemptedAsStopped) && instance.state == InstanceState::Preempted {
            instance.state = InstanceState::Stopped;
        }
        if self.is(Flaw::ForgetsTheDeadline)
            && let Identity::Vcycle(tags) = &mut instance.identity
        {
            tags.deadline = Timestamp::from_secs(0);
        }
        if self.is(Flaw::TakesNamesForIdentity)
            && let Ok(machine) = MachineName::parse(&instance.name)
            && instance.identity == Identity::Foreign
        {
            instance.identity = Identity::Vcycle(guessed(machine));
        }
        instance
    }
}

fn guessed(machine: MachineName) -> Tags {
    Tags {
        deployment: vcycle_api::DeploymentId::compose(1),
        space: vcycle_api::SpaceName::parse("conformance.example").expect("a plain name is valid"),
        machinetype: machine.machinetype(),
        machine,
        intent: IntentToken::compose(1),
        generation: vcycle_api::Generation(1),
        deadline: Timestamp::from_secs(0),
    }
}

#[async_trait]
impl Observe for Flawed {
    fn capabilities(&self) -> &Capabilities {
        self.inner.capabilities()
    }

    fn user_data_bytes(&self, user_data: &UserData) -> usize {
        self.inner.user_data_bytes(user_data)
    }

    async fn tenancy(&self) -> Result<Option<TenancyId>, ProviderError> {
        if self.is(Flaw::NamesItsTenancyAnew) {
            let id = format!("project {}", self.calls.fetch_add(1, Ordering::SeqCst));
            return Ok(Some(TenancyId { name: id.clone(), id }));
        }
        self.inner.tenancy().await
    }

    async fn list(&self) -> Result<Listing, ProviderError> {
        let (mut all, why) = match self.inner.list().await {
            Ok(Listing::Complete(all)) => (all, None),
            Ok(Listing::Partial { seen, why }) => (seen, Some(why)),
            Err(_) if self.is(Flaw::EmptyListingOnError) => (Vec::new(), None),
            Err(error) => return Err(error),
        };
        if self.is(Flaw::ReadsOnePage) {
            all.truncate(250);
        }
        if self.is(Flaw::DropsStrangers) {
            let ours = |tags: &Tags| tags.deployment != vcycle_api::DeploymentId::compose(77);
            all.retain(|i| matches!(&i.identity, Identity::Vcycle(tags) if ours(tags)));
        }
        let all = all.into_iter().map(|instance| self.show(instance)).collect();
        Ok(match why {
            Some(why) if !self.is(Flaw::SwallowsLostPages) => Listing::Partial { seen: all, why },
            Some(_) | None => Listing::Complete(all),
        })
    }

    async fn get(&self, id: &InstanceId) -> Result<Instance, ProviderError> {
        let mut got = self.inner.get(id).await;
        if let Err(error) = &mut got {
            let auth = error.kind == ErrorKind::AuthFailed;
            let wrong = self.is(Flaw::NotFoundOnError) && !auth
                || self.is(Flaw::CallsRefusedCredentialsAbsence) && auth;
            if wrong {
                error.kind = ErrorKind::NotFound;
            }
        }
        got.map(|instance| self.show(instance))
    }

    async fn offerings(&self) -> Result<Vec<Offering>, ProviderError> {
        self.inner.offerings().await
    }

    async fn quota(&self) -> Result<Quota, ProviderError> {
        let mut quota = self.inner.quota().await?;
        if self.is(Flaw::CountsOnlyOurs) {
            quota.machines_used = Some(0);
            quota.processors_used = Some(vcycle_api::Processors(0));
        }
        Ok(quota)
    }

    async fn interruptions(&self) -> Result<Vec<Interruption>, ProviderError> {
        if self.is(Flaw::ChangesTheCloudWhenObserving) {
            let unknown = InstanceId::parse("i-0").expect("a plain id is valid");
            self.inner.delete(&unknown).await?;
        }
        self.inner.interruptions().await
    }

    async fn side_resources(&self) -> Result<Vec<SideResource>, ProviderError> {
        self.inner.side_resources().await
    }

    async fn terms(&self) -> Result<Terms, ProviderError> {
        self.inner.terms().await
    }

    async fn inspect(&self, needs: &[Need]) -> Vec<Finding> {
        let mut findings = self.inner.inspect(needs).await;
        if self.is(Flaw::FindsThatAllWorks) {
            findings.iter_mut().for_each(|finding| finding.verdict = Verdict::Works);
        }
        findings
    }
}

#[async_trait]
impl Act for Flawed {
    async fn prepare(&self, needs: &[Need]) -> Result<Vec<Readiness>, ProviderError> {
        let mut answers = self.inner.prepare(needs).await?;
        if self.is(Flaw::AnswersOneNeedForAll) {
            answers.truncate(1);
        }
        Ok(answers)
    }

    fn turn_to_create(&self, patience: Duration) -> Result<Duration, ProviderError> {
        self.inner.turn_to_create(patience)
    }

    async fn create(&self, request: &CreateRequest) -> Result<Created, ProviderError> {
        let calls = self.calls.fetch_add(1, Ordering::SeqCst);
        let mut request = request.clone();
        if self.is(Flaw::NewTokenForEachCall) && calls > 0 {
            request.tags.intent = IntentToken::compose(u128::from(calls));
            request.machine = MachineName::compose(&request.tags.machinetype, calls);
        }
        if self.is(Flaw::MovesTheDeadline) {
            request.tags.deadline = request.tags.deadline + Duration::from_secs(86_400);
        }
        if self.is(Flaw::CutsLongNames) {
            let short: String = request.tags.space.as_str().chars().take(63).collect();
            request.tags.space = vcycle_api::SpaceName::parse(&short).expect("cut inside a word");
        }
        if self.is(Flaw::CutsUserData) {
            let limit = self.capabilities().user_data_limit;
            let text: String = request.user_data.expose().chars().take(limit).collect();
            request.user_data = UserData::new(text);
        }
        let mut created = self.inner.create(&request).await;
        while self.is(Flaw::RetriesThrottledCalls)
            && matches!(&created, Err(e) if matches!(e.kind, ErrorKind::Throttled { after: _ }))
        {
            created = self.inner.create(&request).await;
        }
        created.map_err(|mut error| {
            let stock_out = matches!(error.kind, ErrorKind::InsufficientCapacity { offering: _ });
            if self.is(Flaw::CallsStockOutsQuota) && stock_out {
                error.kind = ErrorKind::QuotaExceeded;
            }
            let lost = error.kind == ErrorKind::Ambiguous;
            if self.is(Flaw::CallsLostRepliesUnavailable) && lost {
                error.kind = ErrorKind::Unavailable;
            }
            error
        })
    }

    async fn resolve(
        &self,
        intent: &IntentToken,
        since: Timestamp,
    ) -> Result<Resolution, ProviderError> {
        let resolution = self.inner.resolve(intent, since).await?;
        if self.is(Flaw::ConcludesAbsenceAtOnce) && resolution == Resolution::Unknown {
            return Ok(Resolution::ProvenAbsent);
        }
        Ok(resolution)
    }

    async fn delete(&self, id: &InstanceId) -> Result<Deletion, ProviderError> {
        if self.is(Flaw::AcceptsDeletesAndDoesNothing) {
            return Ok(Deletion::Accepted);
        }
        if self.is(Flaw::RefusesRepeatedDeletes)
            && self.inner.get(id).await?.state == InstanceState::Deleting
        {
            let message = "it is being deleted";
            return Err(ProviderError::new(ErrorKind::InvalidSpec, "delete", message));
        }
        if self.is(Flaw::DeletesOtherMachinesToo)
            && let Listing::Complete(all) = self.inner.list().await?
        {
            for other in all {
                self.inner.delete(&other.id).await?;
            }
        }
        self.inner.delete(id).await
    }

    async fn delete_side_resource(
        &self,
        resource: &SideResource,
    ) -> Result<Deletion, ProviderError> {
        self.inner.delete_side_resource(resource).await
    }
}
