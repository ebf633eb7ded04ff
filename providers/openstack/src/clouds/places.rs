//! Where credentials stand: the places and the precedence of other OpenStack clients.
//!
//! Source: openstacksdk, "Configuring OpenStack SDK Applications". The first file found is read,
//! files are not merged: the working directory, `~/.config/openstack`, `/etc/xdg/openstack`,
//! `/etc/openstack`. `OS_CLIENT_CONFIG_FILE` and its like go before all.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

/// The surroundings of the process, as an input.
#[derive(Clone)]
pub(crate) struct Places {
    vars: BTreeMap<String, String>,
    dirs: Vec<PathBuf>,
}

impl Places {
    /// Those of this process.
    pub(crate) fn of_process() -> Self {
        let vars = std::env::vars_os()
            .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
            .collect();
        let dirs = standard_dirs(|name| std::env::var_os(name), std::env::current_dir().ok());
        Self { vars, dirs }
    }

    /// Others, for tests.
    #[cfg(test)]
    pub(crate) fn new(vars: &[(&str, &str)], dirs: &[&Path]) -> Self {
        Self {
            vars: vars.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect(),
            dirs: dirs.iter().map(|dir| dir.to_path_buf()).collect(),
        }
    }

    /// A variable of the environment; an empty one counts as none, as RC files leave them behind.
    pub(crate) fn var(&self, name: &str) -> Option<&str> {
        self.vars.get(name).map(String::as_str).filter(|value| !value.is_empty())
    }

    /// The `OS_*` variables, without their prefix and in lower case, when they are not empty.
    pub(crate) fn os_vars(&self) -> impl Iterator<Item = (String, &str)> {
        self.vars.iter().filter(|(_, value)| !value.is_empty()).filter_map(|(name, value)| {
            Some((name.strip_prefix("OS_")?.to_ascii_lowercase(), value.as_str()))
        })
    }

    /// Where `stem.yaml` may stand, best first. `variable` may name the file itself; `beside` is
    /// the folder of a file that was given explicitly.
    pub(crate) fn candidates(
        &self,
        stem: &str,
        variable: &str,
        beside: Option<&Path>,
    ) -> Vec<PathBuf> {
        if let Some(file) = self.var(variable) {
            return vec![self.expand(file)];
        }
        let dirs = beside.into_iter().chain(self.dirs.iter().map(PathBuf::as_path));
        dirs.flat_map(|dir| ["yaml", "yml", "json"].map(|end| dir.join(format!("{stem}.{end}"))))
            .collect()
    }

    /// `~/` is the home of the user who runs us.
    pub(crate) fn expand(&self, path: &str) -> PathBuf {
        match (path.strip_prefix("~/"), self.var("HOME")) {
            (Some(rest), Some(home)) => Path::new(home).join(rest),
            _ => PathBuf::from(path),
        }
    }
}

fn standard_dirs(var: impl Fn(&str) -> Option<OsString>, current: Option<PathBuf>) -> Vec<PathBuf> {
    let dir = |name| var(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let user = dir("XDG_CONFIG_HOME").or_else(|| dir("HOME").map(|home| home.join(".config")));
    let user = user.map(|dir| dir.join("openstack"));
    let site = [PathBuf::from("/etc/xdg/openstack"), PathBuf::from("/etc/openstack")];
    current.into_iter().chain(user).chain(site).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_standard_places_are_searched_in_the_standard_order() {
        let var = |name: &str| (name == "HOME").then(|| OsString::from("/home/a"));
        let dirs = standard_dirs(var, Some("/work".into()));
        let expected =
            ["/work", "/home/a/.config/openstack", "/etc/xdg/openstack", "/etc/openstack"];
        assert_eq!(dirs, expected.map(PathBuf::from));
    }

    #[test]
    fn a_variable_that_names_the_file_goes_before_every_place() {
        let dir = Path::new("/d");
        let named = Places::new(&[("OS_CLIENT_CONFIG_FILE", "~/c.yaml"), ("HOME", "/h")], &[dir]);
        let found = named.candidates("clouds", "OS_CLIENT_CONFIG_FILE", None);
        assert_eq!(found, [PathBuf::from("/h/c.yaml")]);
        let free = Places::new(&[("OS_CLIENT_CONFIG_FILE", "")], &[dir]);
        let found = free.candidates("clouds", "OS_CLIENT_CONFIG_FILE", Some(Path::new("/b")));
        assert_eq!(found[0], PathBuf::from("/b/clouds.yaml"));
        assert_eq!(found[3], PathBuf::from("/d/clouds.yaml"));
    }
}
