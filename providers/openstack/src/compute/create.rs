//! Making a server. The request is put together by a pure function, everything that must be looked up
//! is looked up before it, and once it is sent only the cloud's own refusal counts as one.

use serde::Deserialize;
use vcycle_api::{Before, CreateRequest, Created, ErrorKind, InstanceId, ProviderError};

use super::body::{self, Parts};
use super::dialect::Dialect;
use super::{faults, flavors, resolve};
use crate::session::{Arrived, Call, Failure, Service};
use crate::site::Site;
use crate::{keypair, lease, network};

pub(super) const CREATE: &str = "create server";

#[derive(Deserialize)]
struct Accepted {
    server: AcceptedServer,
}

/// The answer also holds a password, which nobody must see.
#[derive(Deserialize)]
struct AcceptedServer {
    id: String,
}

/// Makes the server of an intent, or finds it where it was made before.
pub(crate) async fn create(site: &Site, request: &CreateRequest) -> Result<Created, ProviderError> {
    body::check_user_data(&request.user_data)?;
    let dialect = site.dialect().await?;
    let intent = &request.tags.intent;
    // Nova has no idempotency key.
    if site.intents.before(intent) == Before::Perhaps
        && let Some(id) = resolve::by_name(site, &request.machine, intent).await?
    {
        return Ok(Created::AlreadyExists(id));
    }
    let body = put_together(site, dialect, request).await?;
    site.memory.remember_deployment(&request.tags.deployment);
    site.intents.sent(intent);
    let call = dialect.say(Call::post(Service::Compute, "/servers", body, CREATE));
    match site.session.call::<Accepted>(call).await {
        Ok(reply) => accepted(&reply.body.server.id, reply.request_id),
        Err(failure) => {
            // It may have been under way until now.
            site.intents.sent(intent);
            Err(refused(site, failure).await)
        }
    }
}

fn accepted(id: &str, request_id: Option<String>) -> Result<Created, ProviderError> {
    InstanceId::parse(id).map(Created::New).map_err(|error| ProviderError {
        kind: ErrorKind::Ambiguous,
        operation: CREATE,
        message: format!("it was accepted, but its id cannot be used: {error}"),
        request_id,
    })
}

/// A refusal may come from what we remember of the site: it is looked up again for the next one.
async fn refused(site: &Site, failure: Failure) -> ProviderError {
    let is_refusal = failure.arrived == Arrived::Certainly;
    if is_refusal && matches!(failure.status, Some(400 | 404)) {
        site.flavors.forget().await;
        site.networks.forget().await;
        site.images.forget_found();
        if faults::is_unknown_key(&failure) {
            site.keys.forget();
        }
    }
    failure.of_create()
}

/// Nothing of this changes the cloud but the key pair, so each failure says that nothing was made.
async fn put_together(
    site: &Site,
    dialect: Dialect,
    request: &CreateRequest,
) -> Result<serde_json::Value, ProviderError> {
    let name = &request.offering.id.flavour;
    let table = flavors::table_with(site, |table| table.by_name(name).is_some())
        .await
        .map_err(before_create)?;
    let Some(flavor) = table.by_name(name) else {
        return Err(invalid(format!("the site has no flavour {name} for us")));
    };
    let Some(reference) = &request.image else {
        return Err(invalid("there is no image to make it from: set root_image"));
    };
    let image = site.images.resolve(reference).await.map_err(before_create)?;
    let networks = network::ids(site).await.map_err(before_create)?;
    let key = match &request.public_key {
        Some(text) => Some(keypair::ensure(site, text).await.map_err(before_create)?),
        None => None,
    };
    let mut body = body::body(&Parts {
        request,
        settings: &site.settings,
        dialect,
        flavor,
        image: &image,
        networks: &networks,
        key: key.as_deref(),
    })?;
    lease::add_hint(site, &mut body).await.map_err(before_create)?;
    Ok(body)
}

/// What is not there cannot be used; everything else stays what it is. `NotFound` would be said of
/// the server.
fn before_create(error: ProviderError) -> ProviderError {
    let kind = match error.kind {
        ErrorKind::NotFound => ErrorKind::InvalidSpec,
        // Looking up makes nothing, and nothing was sent after it.
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

pub(super) fn invalid(message: impl Into<String>) -> ProviderError {
    ProviderError::new(ErrorKind::InvalidSpec, CREATE, message)
}
