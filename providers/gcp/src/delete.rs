//! The end of a machine. May be asked for again and again; only Google's own word proves that it is gone.

use std::sync::Arc;

use tracing::info;
use vcycle_api::{Deletion, ErrorKind, InstanceId, ProviderError};

use crate::call::Call;
use crate::list::parse;
use crate::meaning::{Attempt, error};
use crate::operations;
use crate::place::Place;
use crate::session::Clients;
use crate::site::Site;

/// Asks for a machine's end.
pub(crate) async fn delete(site: &Site, id: &InstanceId) -> Result<Deletion, ProviderError> {
    let place = parse(site, id, Call::DeleteInstance.words())?;
    let Place { project, zone, name } = place.clone();
    let ask = |clients: Arc<Clients>| async move {
        let request = clients.instances().await?.delete().set_project(project).set_zone(zone);
        Ok(request.set_instance(name).send().await?)
    };
    let answer = site.session.call(Call::DeleteInstance, ask).await;
    let failure = match answer {
        Ok(operation) => {
            let name = operation.name.as_deref().unwrap_or_default();
            info!(machine = place.name, operation = name, "google accepted a delete");
            operations::failure_of(Call::DeleteInstance, &operation)
        }
        Err(failure) => Some(failure),
    };
    let result = match failure {
        None => Ok(Deletion::Accepted),
        Some(failure) => {
            let resource = format!("instances/{}", place.name);
            let error = error(&failure, Attempt::One(&resource), site.clock());
            match error.kind {
                ErrorKind::NotFound => Ok(Deletion::AlreadyGone),
                _ => Err(error),
            }
        }
    };
    if result.is_ok() {
        site.memory().ends(&place, site.clock().monotonic());
    }
    result
}
