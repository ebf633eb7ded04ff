//! Whether the cloud that answers is the space's: the tenancy that its machines are in, as the state directory
//! keeps it, and the one that our credentials lead to. Of another nothing is believed, that something is absent least.

use vcycle_api::{Observe, ProviderError};

use crate::model::{ListingState, SpaceTenancy};

/// What the cloud tells; `None`: the provider has no notion of it.
pub(super) type Answer = Result<Option<SpaceTenancy>, ProviderError>;

/// Asks the provider where it is.
pub(super) async fn ask(provider: &dyn Observe) -> Answer {
    let name = provider.capabilities().provider;
    Ok(provider.tenancy().await?.map(|tenancy| SpaceTenancy::told(name, tenancy)))
}

/// What takes the place of all that the cloud has answered. `None`: it is the space's cloud, or the first of the space.
pub(super) fn elsewhere(home: Option<&SpaceTenancy>, told: &Answer) -> Option<ListingState> {
    let told = match told {
        Ok(told) => told.as_ref(),
        Err(error) => {
            let kind = error.kind.word().to_owned();
            return Some(ListingState::Failed { kind, message: error.to_string() });
        }
    };
    let home = home.filter(|home| told.is_none_or(|told| !home.is_same(told)))?;
    let (ours, theirs) = match told {
        // Two projects of one name are told apart by their ids.
        Some(told) if told.name == home.name => (&home.id, told.id.clone()),
        Some(told) => (&home.name, told.name.clone()),
        None => (&home.name, "a provider that tells of no tenancy".to_owned()),
    };
    Some(ListingState::Elsewhere { ours: ours.clone(), theirs })
}

#[cfg(test)]
mod tests {
    use vcycle_api::{ErrorKind, TenancyId};

    use super::*;

    fn told(id: &str, name: &str) -> SpaceTenancy {
        let tenancy = TenancyId { id: id.to_owned(), name: name.to_owned() };
        SpaceTenancy::told("openstack", tenancy)
    }

    fn words(home: &SpaceTenancy, answer: &Answer) -> Option<(String, String)> {
        match elsewhere(Some(home), answer)? {
            ListingState::Elsewhere { ours, theirs } => Some((ours, theirs)),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn another_tenancy_is_told_by_both_names_or_by_what_differs() {
        let home = told("p1", "iris");
        assert_eq!(words(&home, &Ok(Some(told("p1", "renamed")))), None);
        let pair = |a: &str, b: &str| Some((a.to_owned(), b.to_owned()));
        assert_eq!(words(&home, &Ok(Some(told("p2", "test")))), pair("iris", "test"));
        assert_eq!(words(&home, &Ok(Some(told("p2", "iris")))), pair("p1", "p2"));
        assert!(
            words(&home, &Ok(None)).is_some(),
            "a provider of another kind shows nothing of it"
        );
        assert_eq!(elsewhere(None, &Ok(Some(told("p1", "iris")))), None);
    }

    #[test]
    fn a_tenancy_that_cannot_be_told_proves_nothing() {
        let error = ProviderError::new(ErrorKind::AuthFailed, "log in", "no");
        for home in [None, Some(&told("p1", "iris"))] {
            let state = elsewhere(home, &Err(error.clone()));
            let is_failed =
                matches!(&state, Some(ListingState::Failed { kind, .. }) if kind == "auth-failed");
            assert!(is_failed, "{state:?}");
        }
    }
}
