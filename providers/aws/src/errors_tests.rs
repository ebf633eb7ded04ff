//! Every meaning has one kind for each use, and no secret and no encoded blob gets into a message.

use vcycle_api::Reaction;

use super::*;

fn failure(code: Option<&str>, status: u16) -> Failure {
    Failure {
        operation: "run instance",
        arrived: if code.is_some() { Arrived::Answered } else { Arrived::Perhaps },
        status: Some(status),
        code: code.map(str::to_owned),
        message: "words".to_owned(),
        request_id: Some("req-1".to_owned()),
        retry_after: None,
        no_credentials: false,
    }
}

fn offering() -> OfferingId {
    OfferingId { flavour: "m5.large".into(), zone: "eu-west-2a".into(), market: Market::OnDemand }
}

fn words_of(code: &str, status: u16) -> [&'static str; 3] {
    let failure = failure(Some(code), status);
    let create = failure.clone().of_create(&offering(), &[Market::OnDemand]).kind;
    [failure.clone().of_read().kind.word(), create.word(), failure.of_delete().kind.word()]
}

#[test]
fn each_code_has_one_kind_for_a_read_a_create_and_a_delete() {
    for (code, status, wanted) in [
        ("InvalidInstanceID.NotFound", 400, ["not-found", "invalid-spec", "not-found"]),
        ("InvalidAMIID.NotFound", 400, ["invalid-spec", "invalid-spec", "not-found"]),
        (
            "InsufficientInstanceCapacity",
            500,
            ["unavailable", "insufficient-capacity", "unavailable"],
        ),
        (
            "InsufficientFreeAddressesInSubnet",
            400,
            ["unavailable", "insufficient-capacity", "unavailable"],
        ),
        ("Unsupported", 400, ["unavailable", "insufficient-capacity", "unavailable"]),
        ("VcpuLimitExceeded", 400, ["unavailable", "quota-exceeded", "unavailable"]),
        ("MaxSpotInstanceCountExceeded", 400, ["unavailable", "quota-exceeded", "unavailable"]),
        ("RequestLimitExceeded", 503, ["throttled", "throttled", "throttled"]),
        ("AuthFailure", 401, ["auth-failed", "auth-failed", "auth-failed"]),
        ("UnauthorizedOperation", 403, ["auth-failed", "auth-failed", "auth-failed"]),
        ("InvalidParameterValue", 400, ["invalid-spec", "invalid-spec", "invalid-spec"]),
        (
            "AuthFailure.ServiceLinkedRoleCreationNotPermitted",
            403,
            ["invalid-spec", "invalid-spec", "unavailable"],
        ),
        ("IdempotentParameterMismatch", 400, ["unavailable", "ambiguous", "unavailable"]),
        ("OperationNotPermitted", 400, ["unavailable", "invalid-spec", "unavailable"]),
        ("InternalError", 500, ["unavailable", "ambiguous", "unavailable"]),
        ("Unavailable", 503, ["unavailable", "ambiguous", "unavailable"]),
        ("NeverHeardOf", 400, ["invalid-spec", "invalid-spec", "invalid-spec"]),
        ("NeverHeardOf", 500, ["unavailable", "ambiguous", "unavailable"]),
    ] {
        assert_eq!(words_of(code, status), wanted, "{code}");
    }
}

#[test]
fn an_answer_that_is_not_amazons_proves_nothing() {
    for status in [400, 403, 404, 500, 502] {
        let failure = failure(None, status);
        assert_eq!(failure.clone().of_read().kind, ErrorKind::Unavailable, "{status}");
        assert_eq!(failure.clone().of_delete().kind, ErrorKind::Unavailable, "{status}");
        let create = failure.of_create(&offering(), &[Market::OnDemand]);
        assert_eq!(create.kind, ErrorKind::Ambiguous, "{status}");
    }
    let throttled = failure(None, 429).of_read().kind;
    assert_eq!(throttled.reaction(), Reaction::SlowDown);
}

#[test]
fn a_quota_of_one_market_leaves_the_other() {
    let kind =
        |code, markets: &[Market]| failure(Some(code), 400).of_create(&offering(), markets).kind;
    let both = [Market::Preemptible, Market::OnDemand];
    let parked = ErrorKind::InsufficientCapacity { offering: offering() };
    for code in ["MaxSpotInstanceCountExceeded", "VcpuLimitExceeded"] {
        assert_eq!(kind(code, &both), parked, "{code}");
        assert_eq!(kind(code, &both[..1]), ErrorKind::QuotaExceeded, "{code}");
    }
    for code in ["VolumeLimitExceeded", "AddressLimitExceeded"] {
        assert_eq!(kind(code, &both), ErrorKind::QuotaExceeded, "{code} is of all markets");
    }
}

#[test]
fn what_was_never_sent_made_nothing_and_is_not_ambiguous() {
    let mut refused = failure(None, 0);
    (refused.arrived, refused.status) = (Arrived::Never, None);
    let error = refused.clone().of_create(&offering(), &[Market::OnDemand]);
    assert_eq!(error.kind, ErrorKind::Unavailable);
    refused.no_credentials = true;
    let error = refused.of_create(&offering(), &[Market::OnDemand]);
    assert_eq!(error.kind, ErrorKind::AuthFailed);
}

#[test]
fn an_error_says_what_came_back_and_what_to_do() {
    let error = failure(Some("VcpuLimitExceeded"), 400).of_create(&offering(), &[Market::OnDemand]);
    assert_eq!(
        error.to_string(),
        "run instance: VcpuLimitExceeded: words; ask for more in Service Quotas (quota-exceeded) \
         [request req-1]"
    );
}

#[test]
fn missing_credentials_are_told_from_a_service_that_does_not_answer() {
    let none = CredentialsError::not_loaded("no profile");
    assert_eq!(credentials_failed(&none), Some((true, "no credentials found: no profile".into())));
    let late = CredentialsError::provider_timed_out(Duration::from_secs(5));
    assert!(credentials_failed(&late).is_some_and(|(is_final, _)| !is_final));
    assert_eq!(credentials_failed(&io::Error::other("x")), None);
}

#[test]
fn only_a_refused_connection_was_certainly_never_sent() {
    assert!(was_never_sent(&io::Error::from(io::ErrorKind::ConnectionRefused)));
    assert!(!was_never_sent(&io::Error::from(io::ErrorKind::ConnectionReset)));
}
