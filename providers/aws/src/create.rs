//! Making an instance. Everything that must be looked up is looked up before, and once the request is sent only
//! EC2's own refusal counts as one.

use aws_sdk_ec2::operation::run_instances::RunInstancesOutput;
use aws_sdk_ec2::operation::run_instances::builders::RunInstancesInputBuilder;
use vcycle_api::{Before, CreateRequest, Created, ErrorKind, ProviderError};

use crate::account::Account;
use crate::codes::Meaning;
use crate::errors::Failure;
use crate::instance::Seen;
use crate::launch::{self, CREATE, Parts, invalid};
use crate::{image, keypair, network, resolve};

/// Makes the instance of an intent, or finds it where it was made before.
pub(crate) async fn create(
    account: &Account,
    request: &CreateRequest,
) -> Result<Created, ProviderError> {
    let input = put_together(account, request).await?;
    let intent = &request.tags.intent;
    account.deployment.get_or_init(|| request.tags.deployment.clone());
    let before = account.intents.before(intent);
    account.intents.sent(intent);
    account.usage.changed();
    let sent = account.session.call(CREATE, |clients| {
        let ec2 = clients.ec2.clone();
        async move { input.send_with(&ec2).await }
    });
    match sent.await {
        Ok(answer) => accepted(account, &answer, before),
        Err(failure) => {
            // It may have been under way until now.
            account.intents.sent(intent);
            refused(account, request, before, failure).await
        }
    }
}

/// EC2 does not say whether it made the instance now or before. One that is not being made was made before.
fn accepted(
    account: &Account,
    answer: &RunInstancesOutput,
    before: Before,
) -> Result<Created, ProviderError> {
    let Some(seen) = answer.instances().iter().find_map(Seen::read) else {
        let message = "it was accepted, but no instance with an id was told";
        return Err(ProviderError::new(ErrorKind::Ambiguous, CREATE, message));
    };
    account.watch.made(&seen.id);
    if let Some(owner) = answer.owner_id() {
        account.pace.is_of(owner);
    }
    let is_being_made = matches!(seen.state.as_str(), "pending" | "");
    tracing::info!(instance = %seen.id, machine = seen.name, "instance accepted");
    Ok(match before {
        Before::Never if is_being_made => Created::New(seen.id),
        Before::Never | Before::Perhaps => Created::AlreadyExists(seen.id),
    })
}

async fn refused(
    account: &Account,
    request: &CreateRequest,
    before: Before,
    failure: Failure,
) -> Result<Created, ProviderError> {
    let intent = &request.tags.intent;
    match failure.meaning() {
        Meaning::TokenOfOther | Meaning::TokenEnded => {
            let found = resolve::by_tag(account, intent).await.map_err(unclear)?;
            if let Some(id) = found {
                account.watch.made(&id);
                return Ok(Created::AlreadyExists(id));
            }
        }
        Meaning::NoSuchThing | Meaning::Invalid => forget(account, &failure).await,
        Meaning::NoSuchInstance
        | Meaning::Capacity
        | Meaning::Quota
        | Meaning::Throttled
        | Meaning::Credentials
        | Meaning::Permission
        | Meaning::SpotRole
        | Meaning::Permitted
        | Meaning::Protected
        | Meaning::InUse
        | Meaning::Unclear => {}
    }
    let error = failure.of_create(&request.offering.id, &account.settings.markets);
    if error.kind.create_made_nothing() && before == Before::Never {
        account.intents.refused(intent);
    }
    Err(error)
}

/// The intent has an instance that could not be found now: it keeps its place until it is resolved.
fn unclear(error: ProviderError) -> ProviderError {
    ProviderError { kind: ErrorKind::Ambiguous, operation: CREATE, ..error }
}

/// A refusal may come from what we remember of the region: it is looked up again for the next one.
async fn forget(account: &Account, failure: &Failure) {
    account.network.forget().await;
    account.images.forget().await;
    if failure.code.as_deref() == Some("InvalidKeyPair.NotFound") {
        account.keys.forget();
    }
}

/// Nothing of this changes the cloud but the key pair, so each failure says that no instance was made.
async fn put_together(
    account: &Account,
    request: &CreateRequest,
) -> Result<RunInstancesInputBuilder, ProviderError> {
    let Some(reference) = &request.image else {
        return Err(invalid("there is no image to make it from: set root_image"));
    };
    let image = image::resolve(account, reference).await.map_err(before_create)?;
    let network = network::network(account).await.map_err(before_create)?;
    let zone = &request.offering.id.zone;
    let subnet = network.subnet(zone, &request.tags.intent);
    let subnet = subnet.ok_or_else(|| invalid(format!("there is no subnet in the zone {zone}")))?;
    let key = match &request.public_key {
        Some(text) => Some(keypair::ensure(account, text).await.map_err(before_create)?),
        None => None,
    };
    launch::input(&Parts {
        request,
        settings: &account.settings,
        image: &image,
        subnet,
        groups: &network.groups,
        key: key.as_deref(),
    })
}

/// What is not there cannot be used; everything else stays what it is. `NotFound` would be said of the
/// instance, and looking up makes nothing.
fn before_create(error: ProviderError) -> ProviderError {
    let kind = match error.kind {
        ErrorKind::NotFound => ErrorKind::InvalidSpec,
        ErrorKind::Ambiguous => ErrorKind::Unavailable,
        ErrorKind::InsufficientCapacity { offering: _ }
        | ErrorKind::QuotaExceeded
        | ErrorKind::Throttled { after: _ }
        | ErrorKind::AuthFailed
        | ErrorKind::InvalidSpec
        | ErrorKind::Unavailable => return error,
    };
    ProviderError { kind, ..error }
}
