//! What machinetypes need before a machine of theirs can be made: networks, images, key pairs. Cheap when
//! all is there: ids and keys are remembered.

use vcycle_api::{ErrorKind, Need, ProviderError, Readiness};

use crate::site::Site;
use crate::{keypair, network, side};

/// One answer for each need, and then marks for what new servers of ours have. An error says nothing of any.
pub(crate) async fn prepare(site: &Site, needs: &[Need]) -> Result<Vec<Readiness>, ProviderError> {
    let answers = answers(site, needs).await;
    side::mark(site).await;
    answers
}

async fn answers(site: &Site, needs: &[Need]) -> Result<Vec<Readiness>, ProviderError> {
    let networks = readiness(network::ids(site).await)?;
    let images = site.images.prepare(needs).await?;
    let mut answers = Vec::with_capacity(needs.len());
    for (need, image) in needs.iter().zip(images) {
        let key = match &need.public_key {
            Some(text) => readiness(keypair::ensure(site, text).await)?,
            None => Readiness::Ready,
        };
        answers.push(worst([networks.clone(), image, key]));
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

/// What stands most in the way.
fn worst(all: [Readiness; 3]) -> Readiness {
    let rank = |readiness: &Readiness| match readiness {
        Readiness::Ready => 0,
        Readiness::NotYet { why: _ } => 1,
        Readiness::Cannot { why: _ } => 2,
    };
    // The first of several equally bad ones.
    all.into_iter().rev().max_by_key(rank).unwrap_or(Readiness::Ready)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_stands_most_in_the_way_is_told() {
        let not_yet = Readiness::NotYet { why: "uploading".to_owned() };
        let cannot = |why: &str| Readiness::Cannot { why: why.to_owned() };
        assert_eq!(worst([Readiness::Ready, not_yet.clone(), Readiness::Ready]), not_yet);
        let all = [not_yet, cannot("no network"), cannot("no key")];
        assert_eq!(worst(all), cannot("no network"));
        assert_eq!(worst([const { Readiness::Ready }; 3]), Readiness::Ready);
    }

    #[test]
    fn what_may_pass_by_itself_is_an_error_and_says_nothing_of_a_need() {
        let error = |kind| Err::<(), _>(ProviderError::new(kind, "find network", "x"));
        assert!(matches!(
            readiness(error(ErrorKind::InvalidSpec)),
            Ok(Readiness::Cannot { why: _ })
        ));
        let away = readiness(error(ErrorKind::Unavailable)).unwrap_err();
        assert_eq!(away.kind, ErrorKind::Unavailable);
    }
}
