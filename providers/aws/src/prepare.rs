//! What machinetypes need before a machine of theirs can be made: subnets, groups, images, key pairs. Cheap when all is
//! there: each is remembered.

use vcycle_api::{ErrorKind, Need, ProviderError, Readiness};

use crate::account::Account;
use crate::{image, keypair, network};

/// One answer for each need. An error says nothing of any.
pub(crate) async fn prepare(
    account: &Account,
    needs: &[Need],
) -> Result<Vec<Readiness>, ProviderError> {
    let network = readiness(network::network(account).await)?;
    let mut answers = Vec::with_capacity(needs.len());
    for need in needs {
        let image = match &need.image {
            Some(text) => readiness(image::resolve(account, text).await)?,
            None => Readiness::Cannot { why: "set root_image".to_owned() },
        };
        let key = match &need.public_key {
            Some(text) => readiness(keypair::ensure(account, text).await)?,
            None => Readiness::Ready,
        };
        answers.push(worst([network.clone(), image, key]));
    }
    Ok(answers)
}

/// What somebody must change is told of the need; what may pass by itself is an error of the call.
fn readiness<T>(found: Result<T, ProviderError>) -> Result<Readiness, ProviderError> {
    match found {
        Ok(_) => Ok(Readiness::Ready),
        Err(error) => match error.kind {
            ErrorKind::NotFound | ErrorKind::QuotaExceeded | ErrorKind::InvalidSpec => {
                Ok(Readiness::Cannot { why: error.to_string() })
            }
            ErrorKind::Ambiguous
            | ErrorKind::InsufficientCapacity { offering: _ }
            | ErrorKind::Throttled { after: _ }
            | ErrorKind::AuthFailed
            | ErrorKind::Unavailable => Err(error),
        },
    }
}

/// The first that is not ready: nothing here is ready later by itself.
fn worst(all: [Readiness; 3]) -> Readiness {
    all.into_iter().find(|it| *it != Readiness::Ready).unwrap_or(Readiness::Ready)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_may_pass_by_itself_is_an_error_and_says_nothing_of_a_need() {
        let error = |kind| Err::<(), _>(ProviderError::new(kind, "find image", "x"));
        let told = readiness(error(ErrorKind::InvalidSpec));
        assert!(matches!(told, Ok(Readiness::Cannot { why: _ })));
        let away = readiness(error(ErrorKind::Unavailable)).unwrap_err();
        assert_eq!(away.kind, ErrorKind::Unavailable);
    }
}
