//! Making a machine: one insert, and a short wait for whether Google can really do it.
//!
//! What keeps one intent from becoming two machines: the name, unique in its zone, of which only this intent knows; and
//! the request id, with which Google answers a repeated insert with the first operation. A taken name is
//! adopted only if its labels carry this intent.

use std::sync::Arc;

use google_cloud_compute_v1::model::Operation;
use tracing::info;
use vcycle_api::{
    CreateRequest, Created, ErrorKind, Identity, Instance, InstanceState, ProviderError,
};

use crate::call::Call;
use crate::failure::{Arrived, Failure};
use crate::image::{Concrete, NoImage, concrete};
use crate::meaning::{Attempt, Meaning, error, kind, meaning, names};
use crate::memory::RefusedIn;
use crate::place::Place;
use crate::session::Clients;
use crate::site::Site;
use crate::{insert, instance, list, operations};

/// What is attempted, in errors that are not Google's.
const OPERATION: &str = "insert instance";

/// Makes the machine of an intent.
pub(crate) async fn create(site: &Site, request: &CreateRequest) -> Result<Created, ProviderError> {
    if let Some(why) = insert::refusal(request, site.clock().now()) {
        return Err(ProviderError::new(ErrorKind::InvalidSpec, OPERATION, why));
    }
    let image = image(site, request).await?;
    let place = site.place(&request.offering.id.zone, request.machine.as_str());
    let intent = &request.tags.intent;
    let (refused, is_repeated) = site.memory().sending(intent, site.clock().monotonic());
    site.settling().sent_again(intent, site.clock());
    let answer = match send(site, request, &image, refused).await {
        Ok(operation) => follow(site, request, &place, operation).await,
        Err(failure) => Err((failure, RefusedIn::Answer)),
    };
    match answer {
        Ok(()) if is_repeated => Ok(Created::AlreadyExists(place.id())),
        Ok(()) => Ok(Created::New(place.id())),
        Err((failure, stage)) => refused_or_there(site, request, &place, (failure, stage)).await,
    }
}

async fn image(site: &Site, request: &CreateRequest) -> Result<Concrete, ProviderError> {
    match concrete(site, request.image.as_deref()).await {
        Ok(image) => Ok(image),
        Err(NoImage::Never(why)) => Err(ProviderError::new(ErrorKind::InvalidSpec, OPERATION, why)),
        // The insert was certainly not sent: `Unavailable` is the whole truth.
        Err(NoImage::Failed(failure)) => Err(error(&failure, Attempt::Read, site.clock())),
    }
}

async fn send(
    site: &Site,
    request: &CreateRequest,
    image: &Concrete,
    refused: u32,
) -> Result<Operation, Failure> {
    let body = insert::body(request, site.settings(), image, site.clock().now());
    let id = insert::request_id(&request.tags.intent, refused);
    info!(machine = %request.machine, request_id = id, image = image.link, "asking google for a machine");
    let (project, zone) = (site.session.project(), request.offering.id.zone.clone());
    let ask = |clients: Arc<Clients>| async move {
        let instances = clients.instances().await?;
        let insert = instances.insert().set_project(project).set_zone(zone);
        Ok(insert.set_request_id(id).set_body(body).send().await?)
    };
    site.session.call(Call::InsertInstance, ask).await
}

/// After Google has said yes: what it says a little later. One that is not decided then is followed by the listing.
async fn follow(
    site: &Site,
    request: &CreateRequest,
    place: &Place,
    operation: Operation,
) -> Result<(), (Failure, RefusedIn)> {
    let (operation, stage) = if operations::is_done(&operation) {
        (operation, RefusedIn::KnownOperation)
    } else {
        (operations::wait(site, &place.zone, operation).await, RefusedIn::Operation)
    };
    if let Some(failure) = operations::failure_of(Call::InsertInstance, &operation) {
        return Err((failure, stage));
    }
    let name = operation.name.as_deref().unwrap_or_default();
    info!(machine = %request.machine, operation = name, done = operations::is_done(&operation), "google accepted a machine");
    if !operations::is_done(&operation) {
        let now = site.clock().monotonic();
        site.memory().accepted(place, accepted(site, request, place), name, now);
    }
    Ok(())
}

/// The machine as it will be shown if it comes out that it cannot be made.
fn accepted(site: &Site, request: &CreateRequest, place: &Place) -> Instance {
    let offering = &request.offering;
    Instance {
        id: place.id(),
        name: place.name.clone(),
        identity: Identity::Vcycle(request.tags.clone()),
        state: InstanceState::Failed { refusal: None, fault: String::new() },
        offering: Some(offering.id.clone()),
        processors: Some(offering.processors),
        memory: Some(offering.memory),
        created: Some(site.clock().now()),
        started: None,
        ended: None,
        addresses: Vec::new(),
    }
}

async fn refused_or_there(
    site: &Site,
    request: &CreateRequest,
    place: &Place,
    (failure, stage): (Failure, RefusedIn),
) -> Result<Created, ProviderError> {
    let mut error =
        error(&failure, Attempt::Create(site.wanted(&request.offering.id)), site.clock());
    let said = meaning(failure.status, &failure.reasons, &failure.message);
    // An old operation says what became of its own call, not of one that another manager made after it.
    if said == Meaning::Exists || stage == RefusedIn::KnownOperation {
        match (whose(site, request, place, &failure).await, said) {
            (Taken::Ours, _) => return Ok(Created::AlreadyExists(place.id())),
            (Taken::Anothers, _) => error.message.push_str(": the name is somebody else's"),
            (Taken::Nobodys, Meaning::Exists) | (Taken::Unclear, _) => {
                error.kind = ErrorKind::Ambiguous;
            }
            (Taken::Nobodys, _) => {}
        }
    }
    if error.kind.create_made_nothing() || failure.arrived == Arrived::No {
        site.memory().refused(&request.tags.intent, stage);
    }
    Err(error)
}

enum Taken {
    Ours,
    Anothers,
    Nobodys,
    /// It could not be told: `resolve` will.
    Unclear,
}

/// Whose machine has our name.
async fn whose(site: &Site, request: &CreateRequest, place: &Place, failure: &Failure) -> Taken {
    // A disk that another machine of this name has left behind is nobody's machine.
    if names(&failure.message, &format!("disks/{}", place.name)) {
        return Taken::Anothers;
    }
    match list::ask(site, place).await {
        Ok(google) => {
            let there = instance::read(&google, place, None, instance::Evidence::Untold);
            match there.identity {
                Identity::Vcycle(tags) if tags.intent == request.tags.intent => Taken::Ours,
                Identity::Vcycle(_) | Identity::Foreign => Taken::Anothers,
            }
        }
        Err(failure) => {
            let resource = format!("instances/{}", place.name);
            match kind(&failure, Attempt::One(&resource), site.clock()) {
                ErrorKind::NotFound => Taken::Nobodys,
                _ => Taken::Unclear,
            }
        }
    }
}
