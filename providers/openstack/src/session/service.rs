//! The services that we speak to: their names in a catalogue, their versions, their addresses.

use url::Url;

/// A service of the catalogue.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Service {
    /// Keystone.
    Identity,
    /// Nova.
    Compute,
    /// Glance.
    Image,
    /// Neutron.
    Network,
    /// Cinder.
    Volume,
    /// Blazar.
    Reservation,
    /// CloudKitty.
    Rating,
}

impl Service {
    /// All.
    pub(crate) const ALL: [Self; 7] = [
        Self::Identity,
        Self::Compute,
        Self::Image,
        Self::Network,
        Self::Volume,
        Self::Reservation,
        Self::Rating,
    ];

    /// Its types in catalogues, best first. Source: the OpenStack Service Types Authority.
    pub(crate) fn types(self) -> &'static [&'static str] {
        match self {
            Self::Identity => &["identity"],
            Self::Compute => &["compute"],
            Self::Image => &["image"],
            Self::Network => &["network"],
            Self::Volume => &["volumev3", "block-storage", "block-store", "volume"],
            Self::Reservation => &["reservation"],
            Self::Rating => &["rating"],
        }
    }

    /// What the version of our calls is called in addresses.
    fn version(self) -> &'static str {
        match self {
            Self::Identity | Self::Volume => "v3",
            Self::Compute => "v2.1",
            Self::Image => "v2",
            Self::Network => "v2.0",
            Self::Reservation | Self::Rating => "v1",
        }
    }

    /// Word of the header `OpenStack-API-Version`, for services that have microversions.
    pub(crate) fn microversion_word(self) -> Option<&'static str> {
        match self {
            Self::Compute => Some("compute"),
            Self::Volume => Some("volume"),
            Self::Identity | Self::Image | Self::Network | Self::Reservation | Self::Rating => None,
        }
    }

    /// The base of our calls from what a catalogue says. Catalogues have addresses with and without
    /// version, path, port and project (CLOUDS.md, "Catalogue"): what is there is trusted, only
    /// what is missing is added.
    pub(crate) fn base(self, mut url: Url, project_id: &str) -> Url {
        let mut path = url.path().trim_end_matches('/').to_owned();
        if self == Self::Rating {
            // It has two versions for different things: the calls say which.
            let end = path
                .rsplit('/')
                .next()
                .filter(|part| is_version(part))
                .map_or(0, |it| it.len() + 1);
            path.truncate(path.len() - end);
            url.set_path(&path);
            return url;
        }
        if !path.split('/').any(is_version) {
            path = format!("{path}/{}", self.version());
        }
        // Cinder takes addresses without a project only since its microversion 3.67.
        if self == Self::Volume && path.rsplit('/').next().is_some_and(is_version) {
            path = format!("{path}/{project_id}");
        }
        url.set_path(&path);
        url
    }

    /// Where the service tells its versions: its base up to the version.
    pub(crate) fn root(base: &Url) -> Url {
        let mut url = base.clone();
        let mut path = String::new();
        for part in base.path().split('/') {
            path.push_str(part);
            path.push('/');
            if is_version(part) {
                break;
            }
        }
        url.set_path(&path);
        url
    }
}

fn is_version(part: &str) -> bool {
    let digits = part.strip_prefix('v').filter(|rest| !rest.is_empty());
    digits.is_some_and(|rest| {
        rest.starts_with(|c: char| c.is_ascii_digit())
            && rest.chars().all(|c| c.is_ascii_digit() || c == '.')
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_gets_what_it_lacks_and_nothing_twice() {
        use Service::{Compute, Image, Network, Rating, Reservation, Volume};
        for (service, listed, base) in [
            (Compute, "http://h:8774/v2.1", "http://h:8774/v2.1"),
            (Compute, "https://h/compute/v2.1/", "https://h/compute/v2.1"),
            (Compute, "https://h/compute", "https://h/compute/v2.1"),
            (Compute, "http://h:8774/v2.1/p1", "http://h:8774/v2.1/p1"),
            (Compute, "http://h:8774/v2/p1", "http://h:8774/v2/p1"),
            (Image, "http://h:9292", "http://h:9292/v2"),
            (Image, "http://h:9292/v2/", "http://h:9292/v2"),
            (Network, "http://h:9696/", "http://h:9696/v2.0"),
            (Network, "https://h/networking/v2.0", "https://h/networking/v2.0"),
            (Volume, "http://h:8776/v3", "http://h:8776/v3/p1"),
            (Volume, "http://h:8776/v3/p1", "http://h:8776/v3/p1"),
            (Volume, "https://h/volume", "https://h/volume/v3/p1"),
            (Volume, "https://h/via/v3/AUTH_p1", "https://h/via/v3/AUTH_p1"),
            (Reservation, "http://h:1234", "http://h:1234/v1"),
            (Rating, "http://h:8889", "http://h:8889/"),
            (Rating, "https://h/rating/", "https://h/rating"),
            (Rating, "https://h/rating/v1", "https://h/rating"),
        ] {
            let url = service.base(listed.parse().unwrap(), "p1");
            assert_eq!(url.as_str(), base, "{service:?} {listed}");
        }
    }

    #[test]
    fn versions_are_told_at_the_base_without_its_project() {
        for (base, root) in [
            ("http://h:8774/v2.1", "http://h:8774/v2.1/"),
            ("http://h/volume/v3/p1", "http://h/volume/v3/"),
        ] {
            assert_eq!(Service::root(&base.parse().unwrap()).as_str(), root);
        }
    }
}
