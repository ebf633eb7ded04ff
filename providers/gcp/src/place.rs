//! Names of Compute Engine: what identifies a machine, and the last parts of resource URLs.
//!
//! The id of a machine is `PROJECT/ZONE/NAME`. The project is a part of it: when the project of a space is changed
//! in the configuration, the machines in the old one must not be taken for absent because the new one has none.

use std::fmt;

use vcycle_api::InstanceId;

/// Where a resource of a zone is.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Place {
    pub(crate) project: String,
    pub(crate) zone: String,
    pub(crate) name: String,
}

impl Place {
    pub(crate) fn new(project: &str, zone: &str, name: &str) -> Self {
        Self { project: project.to_owned(), zone: zone.to_owned(), name: name.to_owned() }
    }

    /// Reads what [`fmt::Display`] wrote.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let mut parts = text.split('/');
        let place = Self::new(parts.next()?, parts.next()?, parts.next()?);
        let good = !place.project.is_empty() && is_name(&place.zone) && is_name(&place.name);
        (good && parts.next().is_none()).then_some(place)
    }

    /// Reads the URL, or the partial URL, of a resource of a zone:
    /// `.../projects/PROJECT/zones/ZONE/instances/NAME`.
    pub(crate) fn of_url(url: &str) -> Option<Self> {
        let mut parts = url.rsplit('/');
        let (name, _kind, zone) = (parts.next()?, parts.next()?, parts.next()?);
        let (zones, project, projects) = (parts.next()?, parts.next()?, parts.next()?);
        let good = zones == "zones" && projects == "projects" && is_name(name) && is_name(zone);
        good.then(|| Self::new(project, zone, name))
    }

    /// The id under which the core knows it.
    pub(crate) fn id(&self) -> InstanceId {
        InstanceId::parse(&self.to_string()).expect("parts of a place are short and printable")
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}/{}", self.project, self.zone, self.name)
    }
}

/// The rule of names of instances, disks and zones: `[a-z](?:[-a-z0-9]{0,61}[a-z0-9])?`.
pub(crate) fn is_name(text: &str) -> bool {
    let inner = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    (1..=63).contains(&text.len())
        && text.starts_with(|c: char| c.is_ascii_lowercase())
        && text.chars().all(inner)
        && !text.ends_with('-')
}

/// The last part of a URL or a partial URL; a plain name is itself.
pub(crate) fn last(url: &str) -> &str {
    url.rsplit('/').next().unwrap_or(url)
}

/// The region of a zone: all but the last part of its name.
pub(crate) fn region_of(zone: &str) -> Option<&str> {
    zone.rsplit_once('-').map(|(region, _)| region)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use vcycle_api::{MachineName, MachinetypeName};

    use super::*;

    proptest! {
        #[test]
        fn an_id_says_where_a_machine_is(
            project in "[a-z]([a-z0-9-]{4,28}[a-z0-9])", zone in "[a-z]{2,12}-[a-z]{4,12}[0-9]-[a-f]",
            machinetype in "[a-z0-9]([a-z0-9-]{0,38}[a-z0-9])?", random: u64,
        ) {
            let machinetype = MachinetypeName::parse(&machinetype).unwrap();
            let place = Place::new(&project, &zone, MachineName::compose(&machinetype, random).as_str());
            prop_assert_eq!(Place::parse(place.id().as_str()), Some(place.clone()));
            let url = format!("https://www.googleapis.com/compute/v1/projects/{project}/zones/{zone}/instances/{}", place.name);
            prop_assert_eq!(Place::of_url(&url), Some(place));
        }

        /// So no machine of ours is ever refused because of its name.
        #[test]
        fn every_machine_name_obeys_the_rule(
            machinetype in "[a-z0-9]([a-z0-9-]{0,38}[a-z0-9])?", random: u64,
        ) {
            let machinetype = MachinetypeName::parse(&machinetype).unwrap();
            prop_assert!(is_name(MachineName::compose(&machinetype, random).as_str()));
        }
    }

    #[test]
    fn what_is_not_a_name_is_refused() {
        for bad in ["", "A", "1a", "a-", "a.b", "-a", "a_b", &"a".repeat(64)] {
            assert!(!is_name(bad), "{bad}");
        }
        assert!(is_name("a") && is_name(&"a".repeat(63)));
    }

    #[test]
    fn an_id_of_another_cloud_is_no_place() {
        for bad in ["00000000-0000-4000-8000-000000000000", "i-0abc", "a/b", "p/z-a/n/x", "/z-a/n"]
        {
            assert_eq!(Place::parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn a_url_ends_in_the_name() {
        assert_eq!(last("zones/europe-west2-a/machineTypes/n2-standard-4"), "n2-standard-4");
        assert_eq!(last("n2-standard-4"), "n2-standard-4");
        assert_eq!(region_of("europe-west2-a"), Some("europe-west2"));
    }
}
