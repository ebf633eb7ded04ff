//! From the name of a cloud to its merged entry: profile, then entry, then secrets.

use std::path::{Path, PathBuf};

use super::OpenError;
use super::file::{CloudsFile, Entry, read};
use super::places::Places;

/// A merged entry, and what it was made of.
pub(super) struct Found {
    /// The entry in words, for errors: `cloud 'iris' of /etc/openstack/clouds.yaml`.
    pub(super) origin: String,
    pub(super) entry: Entry,
    /// Files that were read, in their order.
    pub(super) files: Vec<PathBuf>,
    pub(super) notices: Vec<String>,
}

/// An entry of `clouds.yaml`. With `file` that one is read and no other; `secure.yaml` and
/// `clouds-public.yaml` are looked for beside it first.
pub(super) fn named(places: &Places, cloud: &str, file: Option<&Path>) -> Result<Found, OpenError> {
    let main = main_file(places, cloud, file)?;
    let beside = file.and_then(|file| file.parent());
    let origin = format!("cloud '{cloud}' of {}", main.path.display());
    let own = entry_of(&main, cloud)?;
    let mut found =
        Found { origin, entry: Entry::default(), files: Vec::new(), notices: Vec::new() };
    if let Some(profile) = own.get(&["profile", "cloud"]) {
        let (path, entry) = profile_of(places, beside, &main, profile, &found.origin)?;
        found.files.extend(path);
        found.entry = entry;
    }
    found.warn_if_open(&main, &own);
    found.files.push(main.path.clone());
    found.entry.overlay(own);
    let secure = places.candidates("secure", "OS_CLIENT_SECURE_FILE", beside);
    if let Some(secure) = first(&secure)?
        && let Some(entry) = secure.tables.clouds.as_ref().and_then(|all| all.get(cloud))
    {
        let entry = entry.clone().unwrap_or_default();
        found.warn_if_open(&secure, &entry);
        found.files.push(secure.path.clone());
        found.entry.overlay(entry);
    }
    Ok(found)
}

/// The `OS_*` environment. `OS_CLOUD` names an entry, and then decides alone, but for the region
/// and the interface.
pub(super) fn environment(places: &Places) -> Result<Found, OpenError> {
    let mut entry = Entry::default();
    for (key, value) in places.os_vars() {
        match key.as_str() {
            "region_name" => entry.regions = vec![value.to_owned()],
            "cloud" | "client_config_file" | "client_secure_file" | "client_vendor_file" => {}
            _ => {
                entry.plain.insert(key, value.into());
            }
        }
    }
    let Some(cloud) = places.var("OS_CLOUD") else {
        let origin = "the OS_* environment".to_owned();
        return Ok(Found { origin, entry, files: Vec::new(), notices: Vec::new() });
    };
    let mut found = named(places, cloud, None)?;
    if entry.get(&["auth_url"]).is_some() {
        let text =
            "OS_CLOUD is set: OS_AUTH_URL and the credential in the environment are not used";
        found.notices.push(text.to_owned());
    }
    entry.plain.retain(|key, _| key == "interface" || key == "endpoint_type");
    found.entry.overlay(entry);
    Ok(found)
}

impl Found {
    fn warn_if_open(&mut self, file: &CloudsFile, entry: &Entry) {
        if file.others_can_read && entry.has_secret() {
            let path = file.path.display();
            self.notices.push(format!("{path} holds a secret and every user can read it"));
        }
    }
}

fn main_file(places: &Places, cloud: &str, file: Option<&Path>) -> Result<CloudsFile, OpenError> {
    let searched = match file {
        Some(file) => vec![file.to_owned()],
        None => places.candidates("clouds", "OS_CLIENT_CONFIG_FILE", None),
    };
    match first(&searched)? {
        Some(found) => Ok(found),
        None => Err(OpenError::NoFile { cloud: cloud.to_owned(), searched }),
    }
}

fn first(candidates: &[PathBuf]) -> Result<Option<CloudsFile>, OpenError> {
    for path in candidates {
        if let Some(file) = read(path)? {
            return Ok(Some(file));
        }
    }
    Ok(None)
}

fn entry_of(file: &CloudsFile, cloud: &str) -> Result<Entry, OpenError> {
    let Some(clouds) = &file.tables.clouds else {
        let path = file.path.clone();
        let why = "no mapping 'clouds' at the top".to_owned();
        return Err(OpenError::Yaml { file: path, line: 1, column: 1, why });
    };
    match clouds.get(cloud) {
        Some(entry) => Ok(entry.clone().unwrap_or_default()),
        None => Err(OpenError::NoCloud {
            file: file.path.clone(),
            cloud: cloud.to_owned(),
            known: clouds.keys().cloned().collect(),
        }),
    }
}

/// A profile of `clouds-public.yaml`, or another entry of the same file (old files do so).
fn profile_of(
    places: &Places,
    beside: Option<&Path>,
    main: &CloudsFile,
    profile: &str,
    origin: &str,
) -> Result<(Option<PathBuf>, Entry), OpenError> {
    let mut searched = places.candidates("clouds-public", "OS_CLIENT_VENDOR_FILE", beside);
    if let Some(public) = first(&searched)?
        && let Some(entry) = public.tables.profiles.as_ref().and_then(|all| all.get(profile))
    {
        return Ok((Some(public.path), entry.clone().unwrap_or_default()));
    }
    if let Some(entry) = main.tables.profiles.as_ref().and_then(|all| all.get(profile)) {
        return Ok((None, entry.clone().unwrap_or_default()));
    }
    searched.push(main.path.clone());
    let (origin, profile) = (origin.to_owned(), profile.to_owned());
    Err(OpenError::NoProfile { origin, profile, searched })
}
