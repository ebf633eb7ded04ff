//! Tests of what failures mean.

use vcycle_api::{ManualClock, Market, Timestamp};

use super::*;
use crate::call::Call;

fn offering() -> OfferingId {
    OfferingId {
        flavour: "n2-standard-4".into(),
        zone: "europe-west2-a".into(),
        market: Market::Preemptible,
    }
}

/// A machine of a space that is written in one book of processors.
fn only(offering: &OfferingId) -> Attempt<'_> {
    Attempt::Create(Wanted { offering, books: Books::One })
}

fn failure(status: Option<u16>, reason: &str, message: &str) -> Failure {
    Failure {
        call: Call::InsertInstance,
        status,
        reasons: if reason.is_empty() { vec![] } else { vec![reason.to_owned()] },
        message: message.to_owned(),
        request_id: None,
        retry_after: None,
        arrived: if status.is_some() { Arrived::Yes } else { Arrived::Perhaps },
    }
}

fn clock() -> ManualClock {
    ManualClock::at(Timestamp::from_secs(60_000 + 45))
}

/// HTTP status, reason, sentence; what they mean to a create and to a get of `instances/x`.
const TABLE: &str = "
- | ZONE_RESOURCE_POOL_EXHAUSTED | | insufficient-capacity | unavailable
- | ZONE_RESOURCE_POOL_EXHAUSTED_WITH_DETAILS | | insufficient-capacity | unavailable
503 | INSUFFICIENT_CAPACITY | | insufficient-capacity | unavailable
503 | resource_availability | | insufficient-capacity | unavailable
503 | | The zone 'z' does not have enough resources available to fulfill the request. | insufficient-capacity | unavailable
- | QUOTA_EXCEEDED | Quota 'CPUS' exceeded. Limit: 8.0 in region us-east1. | quota-exceeded | unavailable
403 | quotaExceeded | Quota 'CPUS' exceeded. | quota-exceeded | unavailable
403 | forbidden | Quota 'CPUS' exceeded. | quota-exceeded | unavailable
- | IP_SPACE_EXHAUSTED_WITH_DETAILS | | quota-exceeded | unavailable
403 | rateLimitExceeded | Rate Limit Exceeded | throttled | throttled
403 | RATE_LIMIT_EXCEEDED | Quota exceeded for quota metric 'Queries' per minute | throttled | throttled
403 | userRateLimitExceeded | | throttled | throttled
429 | | | throttled | throttled
- | RESOURCE_OPERATION_RATE_EXCEEDED | | throttled | throttled
401 | authError | Invalid Credentials | auth-failed | auth-failed
401 | | | auth-failed | auth-failed
403 | forbidden | Required 'compute.instances.create' permission | invalid-spec | auth-failed
403 | SERVICE_DISABLED | | invalid-spec | auth-failed
- | PERMISSIONS_ERROR | | invalid-spec | auth-failed
412 | conditionNotMet | Constraint constraints/compute.vmExternalIpAccess violated | invalid-spec | auth-failed
409 | alreadyExists | The resource 'projects/p/zones/z/instances/x' already exists | invalid-spec | unavailable
- | RESOURCE_ALREADY_EXISTS | | invalid-spec | unavailable
404 | notFound | The resource 'projects/p/zones/z/instances/x' was not found | invalid-spec | not-found
404 | notFound | The resource 'projects/p/zones/z/instances/x-1' was not found | invalid-spec | unavailable
404 | notFound | The resource 'projects/p' was not found | invalid-spec | unavailable
404 | (not an answer of the API) | <html> | ambiguous | unavailable
400 | invalid | Invalid value for field 'resource.disks' | invalid-spec | unavailable
400 | resourceNotReady | | invalid-spec | unavailable
500 | internalError | | ambiguous | unavailable
503 | backendError | | ambiguous | unavailable
502 | (not an answer of the API) | <html> | ambiguous | unavailable
- | | broken pipe | ambiguous | unavailable
";

#[test]
fn each_word_of_google_has_one_meaning() {
    assert!(TABLE.contains(NOT_GOOGLE));
    for line in TABLE.lines().filter(|line| !line.is_empty()) {
        let columns: Vec<&str> = line.split('|').map(str::trim).collect();
        let [status, reason, message, create, get] = columns[..] else { panic!("{line}") };
        let failure = failure(status.parse().ok(), reason, message);
        let offering = offering();
        let word = |attempt| kind(&failure, attempt, &clock()).word();
        assert_eq!(word(only(&offering)), create, "create: {line}");
        assert_eq!(word(Attempt::One("instances/x")), get, "get: {line}");
    }
}

#[test]
fn a_stock_out_names_the_offering_and_a_full_minute_its_end() {
    let capacity = failure(None, "ZONE_RESOURCE_POOL_EXHAUSTED", "");
    let wanted = ErrorKind::InsufficientCapacity { offering: offering() };
    assert_eq!(kind(&capacity, only(&offering()), &clock()), wanted);
    let rate = failure(Some(403), "rateLimitExceeded", "");
    let wanted = ErrorKind::Throttled { after: Some(Duration::from_secs(16)) };
    assert_eq!(kind(&rate, Attempt::Read, &clock()), wanted);
}

#[test]
fn a_full_quota_of_one_market_leaves_the_other() {
    let told = |books, metric: &str| {
        let message = format!("Quota '{metric}' exceeded. Limit: 8.0 in region us-east1.");
        let (failure, offering) = (failure(None, "QUOTA_EXCEEDED", &message), offering());
        let wanted = Wanted { offering: &offering, books };
        kind(&failure, Attempt::Create(wanted), &clock()).word()
    };
    for metric in ["CPUS", "PREEMPTIBLE_CPUS", "N2_CPUS"] {
        assert_eq!(told(Books::Several, metric), "insufficient-capacity", "{metric}");
        assert_eq!(told(Books::One, metric), "quota-exceeded", "{metric}");
    }
    for metric in ["CPUS_ALL_REGIONS", "INSTANCES", "IN_USE_ADDRESSES", "DISKS_TOTAL_GB"] {
        assert_eq!(told(Books::Several, metric), "quota-exceeded", "{metric}");
    }
}

#[test]
fn a_list_never_proves_an_absence() {
    let failure = failure(Some(404), "notFound", "The resource 'instances/x' was not found");
    assert_eq!(kind(&failure, Attempt::Read, &clock()), ErrorKind::Unavailable);
}

#[test]
fn only_a_request_that_did_not_arrive_is_unavailable_to_a_create() {
    let mut failure = failure(None, "", "connection refused");
    failure.arrived = Arrived::No;
    assert_eq!(kind(&failure, only(&offering()), &clock()), ErrorKind::Unavailable);
}

#[test]
fn a_pause_that_google_names_goes_before_our_own() {
    let mut failure = failure(Some(429), "", "");
    failure.retry_after = Some(Duration::from_secs(3));
    let wanted = ErrorKind::Throttled { after: Some(Duration::from_secs(3)) };
    assert_eq!(kind(&failure, Attempt::Read, &clock()), wanted);
}

#[test]
fn an_error_says_what_to_do() {
    let failure = failure(Some(403), "accessNotConfigured", "API has not been used");
    let error = error(&failure, Attempt::Read, &clock());
    assert!(error.message.contains("enable the Compute Engine API"), "{error}");
}
