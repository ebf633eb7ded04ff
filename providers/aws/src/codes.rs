//! What Amazon's error codes mean for us: one table, from the "Error codes" page of the EC2 API reference, the
//! lists of `docs/decisions/0012` and what other managers of instances have met.

use vcycle_api::LateRefusal;

/// What a code means, as far as it changes what we must do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Meaning {
    /// There is no such instance (now).
    NoSuchInstance,
    /// Something that the request names is not there: an image, a subnet, a volume.
    NoSuchThing,
    /// The region has none of it now.
    Capacity,
    /// A limit of the account would be passed.
    Quota,
    /// Too many requests.
    Throttled,
    /// The credentials are refused.
    Credentials,
    /// They are good, and may not do this.
    Permission,
    /// The role that Amazon runs spot instances by is missing.
    SpotRole,
    /// The request is wrong.
    Invalid,
    /// This client token has made something with other parameters.
    TokenOfOther,
    /// What this client token has made is gone.
    TokenEnded,
    /// It was a dry run, and would have been done.
    Permitted,
    /// Somebody has protected it.
    Protected,
    /// It is used by something.
    InUse,
    /// It was not said, or is a fault of Amazon's: proves nothing.
    Unclear,
}

/// Exact codes, before the rules of [`by_form`].
const TABLE: &[(&str, Meaning)] = &[
    // Instances. A malformed id is that of no instance.
    ("InvalidInstanceID.NotFound", Meaning::NoSuchInstance),
    ("InvalidInstanceID.Malformed", Meaning::NoSuchInstance),
    // Stock. Several come with status 500.
    ("InsufficientInstanceCapacity", Meaning::Capacity),
    ("InsufficientHostCapacity", Meaning::Capacity),
    ("InsufficientReservedInstanceCapacity", Meaning::Capacity),
    ("InsufficientCapacity", Meaning::Capacity),
    ("InsufficientCapacityOnHost", Meaning::Capacity),
    ("InsufficientVolumeCapacity", Meaning::Capacity),
    ("InsufficientAddressCapacity", Meaning::Capacity),
    // The subnet of the zone is full, which is all that we can have of the zone.
    ("InsufficientFreeAddressesInSubnet", Meaning::Capacity),
    ("UnfulfillableCapacity", Meaning::Capacity),
    ("ReservationCapacityExceeded", Meaning::Capacity),
    ("SpotMaxPriceTooLow", Meaning::Capacity),
    // "Your requested instance type is not supported in your requested Availability Zone."
    ("Unsupported", Meaning::Capacity),
    // Limits of the account.
    ("InstanceLimitExceeded", Meaning::Quota),
    ("VcpuLimitExceeded", Meaning::Quota),
    ("MaxSpotInstanceCountExceeded", Meaning::Quota),
    ("MaxFleetCountExceeded", Meaning::Quota),
    ("SpotInstanceCountExceeded", Meaning::Quota),
    ("AddressLimitExceeded", Meaning::Quota),
    ("NetworkInterfaceLimitExceeded", Meaning::Quota),
    ("MaxIOPSLimitExceeded", Meaning::Quota),
    ("VolumeLimitExceeded", Meaning::Quota),
    ("ResourceLimitExceeded", Meaning::Quota),
    ("ServiceQuotaExceededException", Meaning::Quota),
    // A limit of one resource is a mistake of ours.
    ("TagLimitExceeded", Meaning::Invalid),
    ("SecurityGroupsPerInstanceLimitExceeded", Meaning::Invalid),
    // Requests.
    ("RequestLimitExceeded", Meaning::Throttled),
    ("Throttling", Meaning::Throttled),
    ("ThrottlingException", Meaning::Throttled),
    ("ThrottledException", Meaning::Throttled),
    ("RequestThrottled", Meaning::Throttled),
    ("RequestThrottledException", Meaning::Throttled),
    ("EC2ThrottledException", Meaning::Throttled),
    ("TooManyRequestsException", Meaning::Throttled),
    ("BandwidthLimitExceeded", Meaning::Throttled),
    ("PriorRequestNotComplete", Meaning::Throttled),
    ("SlowDown", Meaning::Throttled),
    // Credentials.
    ("AuthFailure", Meaning::Credentials),
    ("InvalidClientTokenId", Meaning::Credentials),
    ("InvalidAccessKeyId", Meaning::Credentials),
    ("UnrecognizedClientException", Meaning::Credentials),
    ("SignatureDoesNotMatch", Meaning::Credentials),
    ("InvalidSignatureException", Meaning::Credentials),
    ("IncompleteSignature", Meaning::Credentials),
    ("IncompleteSignatureException", Meaning::Credentials),
    ("MissingAuthenticationToken", Meaning::Credentials),
    ("MissingAuthenticationTokenException", Meaning::Credentials),
    ("ExpiredToken", Meaning::Credentials),
    ("ExpiredTokenException", Meaning::Credentials),
    ("InvalidIdentityToken", Meaning::Credentials),
    ("IDPRejectedClaim", Meaning::Credentials),
    ("RegionDisabledException", Meaning::Credentials),
    ("RequestExpired", Meaning::Credentials),
    ("RequestTimeTooSkewed", Meaning::Credentials),
    ("OptInRequired", Meaning::Credentials),
    ("PendingVerification", Meaning::Credentials),
    ("Blocked", Meaning::Credentials),
    // Permissions.
    ("UnauthorizedOperation", Meaning::Permission),
    ("AccessDenied", Meaning::Permission),
    ("AccessDeniedException", Meaning::Permission),
    ("AuthFailure.ServiceLinkedRoleCreationNotPermitted", Meaning::SpotRole),
    // Tokens.
    ("IdempotentParameterMismatch", Meaning::TokenOfOther),
    ("IdempotentInstanceTerminated", Meaning::TokenEnded),
    // Others of people.
    ("DryRunOperation", Meaning::Permitted),
    ("OperationNotPermitted", Meaning::Protected),
    ("DependencyViolation", Meaning::InUse),
    ("VolumeInUse", Meaning::InUse),
    ("IncorrectState", Meaning::InUse),
    ("IncorrectInstanceState", Meaning::InUse),
    ("InvalidNetworkInterface.InUse", Meaning::InUse),
    ("InvalidIPAddress.InUse", Meaning::InUse),
    ("ResourceInUse", Meaning::InUse),
    ("NoSuchEntity", Meaning::NoSuchThing),
    // Faults of theirs.
    ("InternalError", Meaning::Unclear),
    ("InternalFailure", Meaning::Unclear),
    ("InternalServerError", Meaning::Unclear),
    ("ServiceUnavailable", Meaning::Unclear),
    ("Unavailable", Meaning::Unclear),
    ("RequestTimeout", Meaning::Unclear),
    ("IDPCommunicationError", Meaning::Unclear),
];

/// What a code means. `status`: of the answer, for codes that nobody has told us of.
pub(crate) fn meaning(code: &str, status: Option<u16>) -> Meaning {
    let row = TABLE.iter().find(|(known, _)| *known == code);
    row.map_or_else(|| by_form(code, status), |(_, meaning)| *meaning)
}

/// Whether a limit is that of one market: the other may have room. All others (addresses, volumes) are shared.
pub(crate) fn is_of_one_market(code: &str) -> bool {
    matches!(
        code,
        "VcpuLimitExceeded"
            | "InstanceLimitExceeded"
            | "MaxSpotInstanceCountExceeded"
            | "SpotInstanceCountExceeded"
    )
}

/// What an instance that was accepted could not be launched for, by the code of its state reason:
/// `Server.InsufficientInstanceCapacity` (API reference, `StateReason`).
pub(crate) fn late_refusal(code: &str) -> Option<LateRefusal> {
    let plain = code.strip_prefix("Server.").or_else(|| code.strip_prefix("Client."))?;
    match meaning(plain, None) {
        Meaning::Capacity => Some(LateRefusal::InsufficientCapacity),
        Meaning::Quota => Some(LateRefusal::QuotaExceeded),
        Meaning::NoSuchInstance
        | Meaning::NoSuchThing
        | Meaning::Throttled
        | Meaning::Credentials
        | Meaning::Permission
        | Meaning::SpotRole
        | Meaning::Invalid
        | Meaning::TokenOfOther
        | Meaning::TokenEnded
        | Meaning::Permitted
        | Meaning::Protected
        | Meaning::InUse
        | Meaning::Unclear => None,
    }
}

/// Codes are composed: `InvalidAMIID.NotFound`, `InvalidParameterValue`, `HostLimitExceeded`.
fn by_form(code: &str, status: Option<u16>) -> Meaning {
    let is_refusal = status.is_none_or(|status| (400..500).contains(&status));
    if code.starts_with("Insufficient") && code.contains("Capacity") {
        return Meaning::Capacity;
    }
    if code.ends_with(".NotFound") || code.ends_with(".Unknown") {
        return Meaning::NoSuchThing;
    }
    if code.ends_with("LimitExceeded") {
        return Meaning::Quota;
    }
    match is_refusal {
        true => Meaning::Invalid,
        false => Meaning::Unclear,
    }
}

/// What a person should do, where the code alone does not tell.
pub(crate) fn advice(code: &str) -> Option<&'static str> {
    Some(match code {
        "AuthFailure" | "InvalidClientTokenId" | "UnrecognizedClientException" => {
            "the access key is not known or is switched off: see docs/AWS.md, \"Credentials\""
        }
        "ExpiredToken" | "ExpiredTokenException" => "the session has ended: log in anew",
        "SignatureDoesNotMatch"
        | "InvalidSignatureException"
        | "RequestExpired"
        | "RequestTimeTooSkewed" => "the secret is wrong, or the clock of this host is minutes off",
        "OptInRequired" | "RegionDisabledException" => {
            "the region is not switched on for the account"
        }
        "UnauthorizedOperation" | "AccessDenied" | "AccessDeniedException" => {
            "etc/aws-policy.json has what is needed"
        }
        "AuthFailure.ServiceLinkedRoleCreationNotPermitted" => {
            "make the role once: aws iam create-service-linked-role --aws-service-name spot.amazonaws.com"
        }
        "VcpuLimitExceeded" | "MaxSpotInstanceCountExceeded" | "InstanceLimitExceeded" => {
            "ask for more in Service Quotas"
        }
        "OperationNotPermitted" => {
            "if somebody has switched termination protection on, they must switch it off"
        }
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn no_code_is_in_the_table_twice() {
        let codes: BTreeSet<&str> = TABLE.iter().map(|(code, _)| *code).collect();
        assert_eq!(codes.len(), TABLE.len());
    }

    #[test]
    fn a_code_decides_whatever_the_status_is() {
        for status in [None, Some(400), Some(500), Some(503)] {
            assert_eq!(meaning("InsufficientInstanceCapacity", status), Meaning::Capacity);
            assert_eq!(meaning("RequestLimitExceeded", status), Meaning::Throttled);
            assert_eq!(meaning("InternalError", status), Meaning::Unclear);
        }
    }

    #[test]
    fn codes_that_are_not_in_the_table_are_told_by_their_form() {
        for (code, status, wanted) in [
            ("InvalidAMIID.NotFound", 400, Meaning::NoSuchThing),
            ("InvalidSubnetID.NotFound", 400, Meaning::NoSuchThing),
            ("HostLimitExceeded", 400, Meaning::Quota),
            ("InsufficientSomethingCapacity", 500, Meaning::Capacity),
            ("InvalidUserData.Malformed", 400, Meaning::Invalid),
            ("NeverHeardOf", 400, Meaning::Invalid),
            ("NeverHeardOf", 500, Meaning::Unclear),
            ("NeverHeardOf", 200, Meaning::Unclear),
        ] {
            assert_eq!(meaning(code, Some(status)), wanted, "{code} with {status}");
        }
    }
}
