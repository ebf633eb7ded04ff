//! What of an account and region works and what does not, for `vcycle check --online`. Only looks: what would change
//! something is asked as a dry run, by which EC2 tells whether we may and does nothing.
//!
//! Every finding that is not good says what to do.

mod machinetypes;
mod region;

use vcycle_api::{Finding, Need};

use crate::account::Account;
use crate::codes::Meaning;
use crate::errors::Failure;

/// Looks at everything that machines with these needs depend on.
pub(crate) async fn inspect(account: &Account, needs: &[Need]) -> Vec<Finding> {
    let login = region::login(account).await;
    if login.verdict == vcycle_api::Verdict::Fails {
        return vec![login];
    }
    let (quota, network, side, queue, end, machinetypes) = tokio::join!(
        region::quota(account),
        region::network(account),
        region::side_resources(account),
        region::queue(account),
        region::end(account),
        machinetypes::all(account, needs),
    );
    let mut findings = vec![login];
    findings.extend(quota);
    findings.extend(network);
    findings.push(side);
    findings.extend(queue);
    findings.push(end);
    findings.extend(machinetypes);
    findings
}

/// What a dry run tells: EC2 answers it with an error in any case (API reference, "Common parameters", `DryRun`).
fn permission<T>(subject: &str, action: &str, answer: Result<T, Failure>) -> Finding {
    let Err(failure) = answer else {
        return Finding::works(subject, format!("{action} is permitted"));
    };
    match failure.meaning() {
        Meaning::Permitted => Finding::works(subject, format!("{action} is permitted (dry run)")),
        Meaning::Unclear | Meaning::Throttled => {
            Finding::unknown(subject, failure.of_read().to_string())
        }
        Meaning::NoSuchInstance
        | Meaning::NoSuchThing
        | Meaning::Capacity
        | Meaning::Quota
        | Meaning::Credentials
        | Meaning::Permission
        | Meaning::SpotRole
        | Meaning::Invalid
        | Meaning::TokenOfOther
        | Meaning::TokenEnded
        | Meaning::Protected
        | Meaning::InUse => Finding::fails(subject, failure.of_read().to_string()),
    }
}
