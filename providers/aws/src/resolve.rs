//! What became of an intent. Its token is on the instance, in a tag and as the client token of the call; the
//! second stays when the tags are gone.

use aws_sdk_ec2::types::Filter;
use vcycle_api::{Identity, InstanceId, IntentToken, ProviderError, Resolution, Timestamp};

use crate::account::Account;
use crate::errors::Failure;
use crate::instance::Seen;
use crate::list::{self, Scan};

/// What became of it. `ProvenAbsent` only from a look at everything that began after it had settled.
pub(crate) async fn resolve(
    account: &Account,
    intent: &IntentToken,
    since: Timestamp,
) -> Result<Resolution, ProviderError> {
    let settled = account.intents.has_settled(intent, since);
    if let Some(id) = by_tag(account, intent).await? {
        return Ok(is_found(account, intent, id));
    }
    if !settled {
        // A look at everything would prove nothing yet.
        return Ok(Resolution::Unknown);
    }
    let Scan { seen, missing } = list::scan(account, &[]).await.map_err(Failure::of_read)?;
    if let Some(id) = of_intent(&seen, intent) {
        return Ok(is_found(account, intent, id));
    }
    if missing.is_some() {
        return Ok(Resolution::Unknown);
    }
    account.intents.resolved(intent);
    Ok(Resolution::ProvenAbsent)
}

fn is_found(account: &Account, intent: &IntentToken, id: InstanceId) -> Resolution {
    account.intents.resolved(intent);
    account.watch.made(&id);
    Resolution::Found(id)
}

/// The instance of an intent, looked for by its tag: it finds, and proves nothing.
pub(crate) async fn by_tag(
    account: &Account,
    intent: &IntentToken,
) -> Result<Option<InstanceId>, ProviderError> {
    let by = Filter::builder().name("tag:vcycle_intent").values(intent.to_string()).build();
    let scan = list::scan(account, &[by]).await.map_err(Failure::of_read)?;
    Ok(of_intent(&scan.seen, intent))
}

/// The one that carries the intent. Of several the oldest, and one that exists before a tombstone: the core
/// keeps the same one, and deletes the others.
fn of_intent(seen: &[Seen], intent: &IntentToken) -> Option<InstanceId> {
    let token = intent.to_string();
    let carries = |it: &&Seen| match &it.identity {
        Identity::Vcycle(tags) => tags.intent == *intent,
        Identity::Foreign => it.client_token.as_deref() == Some(&token),
    };
    let all = seen.iter().filter(carries);
    all.min_by_key(|it| (it.is_terminated(), it.launched, it.id.clone())).map(|it| it.id.clone())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::instance::tests::seen_of;
    use vcycle_api::DeploymentId;

    fn launched(id: &str, state: &str, at: i64) -> Seen {
        let seen = seen_of(id, state, Some(&DeploymentId::compose(1)));
        Seen { launched: Some(Timestamp::from_secs(at)), ..seen }
    }

    #[test]
    fn of_two_instances_of_one_intent_the_oldest_that_exists_is_it() {
        let mine = IntentToken::compose(1);
        let seen = [
            launched("i-gone", "terminated", 10),
            launched("i-younger", "running", 30),
            launched("i-older", "stopped", 20),
        ];
        assert_eq!(of_intent(&seen, &mine), InstanceId::parse("i-older").ok());
        assert_eq!(of_intent(&seen[..1], &mine), InstanceId::parse("i-gone").ok());
        assert_eq!(of_intent(&seen, &IntentToken::compose(2)), None);
    }

    #[test]
    fn an_instance_that_has_lost_its_tags_is_known_by_its_token() {
        let mine = IntentToken::compose(9);
        let mut bare = seen_of("i-1", "terminated", None);
        assert_eq!(of_intent(std::slice::from_ref(&bare), &mine), None);
        bare.client_token = Some(mine.to_string());
        assert_eq!(of_intent(&[bare], &mine), InstanceId::parse("i-1").ok());
    }
}
