//! Asking for an instance's end. May be repeated at any time: EC2 answers with the state that the instance is in.
//! One id a call: with several, one that is not there would refuse all.

use aws_sdk_ec2::operation::terminate_instances::TerminateInstancesOutput;
use aws_sdk_ec2::types::{InstanceState, InstanceStateName};
use vcycle_api::{Deletion, ErrorKind, InstanceId, ProviderError};

use crate::account::Account;

const DELETE: &str = "terminate instance";

/// Asks for the end of one instance.
pub(crate) async fn delete(account: &Account, id: &InstanceId) -> Result<Deletion, ProviderError> {
    account.usage.changed();
    let asked = account
        .session
        .call(DELETE, |clients| clients.ec2.terminate_instances().instance_ids(id.as_str()).send());
    match asked.await {
        Ok(answer) => {
            account.watch.asked(id);
            Ok(outcome(id, &answer))
        }
        Err(failure) => not_there(account, id, failure.of_delete()),
    }
}

/// What had ended before the call is gone, whatever the answer says of now: doubles of EC2 say of all that they are
/// shutting down.
fn outcome(id: &InstanceId, answer: &TerminateInstancesOutput) -> Deletion {
    let mut changes = answer.terminating_instances().iter();
    let change = changes.find(|change| change.instance_id() == Some(id.as_str()));
    let before = change.and_then(|change| change.previous_state()).and_then(InstanceState::name);
    match before {
        Some(InstanceStateName::Terminated) => Deletion::AlreadyGone,
        Some(_) | None => Deletion::Accepted,
    }
}

/// EC2 may know nothing of an instance for minutes after it has made it: then the delete is repeated.
fn not_there(
    account: &Account,
    id: &InstanceId,
    error: ProviderError,
) -> Result<Deletion, ProviderError> {
    match error.kind {
        ErrorKind::NotFound if account.watch.is_fresh(id) => {
            tracing::debug!(instance = %id, "it was just made, and its delete must be repeated");
            Ok(Deletion::Accepted)
        }
        ErrorKind::NotFound => Ok(Deletion::AlreadyGone),
        ErrorKind::Ambiguous
        | ErrorKind::InsufficientCapacity { offering: _ }
        | ErrorKind::QuotaExceeded
        | ErrorKind::Throttled { after: _ }
        | ErrorKind::AuthFailed
        | ErrorKind::InvalidSpec
        | ErrorKind::Unavailable => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use aws_sdk_ec2::types::InstanceStateChange;

    use super::*;

    fn answer(previous: InstanceStateName, current: InstanceStateName) -> TerminateInstancesOutput {
        let state = |name| InstanceState::builder().name(name).build();
        let change = InstanceStateChange::builder()
            .instance_id("i-1")
            .previous_state(state(previous))
            .current_state(state(current));
        TerminateInstancesOutput::builder().terminating_instances(change.build()).build()
    }

    #[test]
    fn only_what_was_terminated_before_was_gone_already() {
        let id = InstanceId::parse("i-1").unwrap();
        let (running, ending, gone) = (
            InstanceStateName::Running,
            InstanceStateName::ShuttingDown,
            InstanceStateName::Terminated,
        );
        for (previous, current, wanted) in [
            (running.clone(), ending.clone(), Deletion::Accepted),
            (ending.clone(), ending.clone(), Deletion::Accepted),
            (running, gone.clone(), Deletion::Accepted),
            (gone.clone(), gone.clone(), Deletion::AlreadyGone),
            (gone, ending, Deletion::AlreadyGone),
        ] {
            assert_eq!(outcome(&id, &answer(previous, current)), wanted);
        }
        let none = TerminateInstancesOutput::builder().build();
        assert_eq!(outcome(&id, &none), Deletion::Accepted);
    }
}
