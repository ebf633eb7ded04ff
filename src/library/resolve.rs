//! Puts a machinetype's section over its entry: settings, options and files to the policy that
//! `plan` obeys and the definition that `act` makes machines of. Pure; problems are reported at
//! the place where the value was written, in the configuration or in the entry.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use super::definition::{Definition, OptionText, SpaceSetup};
use super::entry::Entry;
use super::settle::Settle;
use crate::config::public_key::key_of;
use crate::config::reader::{nearest, one_of};
use crate::config::settings::Settings;
use crate::config::{
    Collector, Finding, MachinetypeConfig, Placed, Problem, PublicKey, SpaceConfig,
    SpendingSettings, WrittenFile, WrittenOption, Wrong, defaults,
};
use crate::model::{
    Breaker, EntryName, EntryRef, HeartbeatRule, MachinetypePolicy, Ranking, Share, SpacePolicy,
};

/// Contents of the files named in `[...files]`, by path; or why one could not be read.
pub type FileContents = BTreeMap<PathBuf, Result<Arc<str>, String>>;

/// Resolves one space. Machinetypes with problems are left out, after their problems are noted.
/// `spending`: whether prices are known at all.
pub fn resolve_space(
    (space, spending): (&SpaceConfig, Option<&SpendingSettings>),
    entries: &BTreeMap<EntryName, Entry>,
    files: &FileContents,
    problems: &Collector,
) -> SpaceSetup {
    let mut policies = BTreeMap::new();
    let mut definitions = BTreeMap::new();
    for (name, machinetype) in &space.machinetypes {
        // An entry that is missing or broken has been reported where it was looked for.
        let Some(entry) = entries.get(&machinetype.entry.value) else { continue };
        let settings = machinetype.settings.over(&entry.defaults);
        let policy = policy(space, machinetype, entry, &settings);
        Settle {
            policy: &policy,
            settings: &settings,
            machinetype,
            entry,
            space,
            spending,
            problems,
        }
        .check();
        policies.insert(name.clone(), policy);
        let definition = definition(machinetype, entry, &settings, files, problems);
        definitions.insert(name.clone(), definition);
    }
    warn_shares(&policies, space, problems);
    let policy = SpacePolicy {
        space: space.name.clone(),
        processors_limit: space.processors_limit,
        machines_limit: space.machines_limit,
        pace: space.pace,
        shutdown_time: space.shutdown_time,
        cleanup: space.cleanup,
        blast_radius: space.blast_radius,
        taken_back_after: space.provider.taken_back_after(),
        delete_pause: space.delete_pause,
        delete_pause_max: space.delete_pause_max,
        hs23: space.hs23.clone(),
        machinetypes: policies,
    };
    SpaceSetup { policy, machinetypes: definitions }
}

fn warn_shares(
    policies: &BTreeMap<crate::model::MachinetypeName, MachinetypePolicy>,
    space: &SpaceConfig,
    problems: &Collector,
) {
    let sum: f64 = policies.values().map(|policy| policy.target_share.weight()).sum();
    let first = space.machinetypes.values().next();
    if let Some(first) = first.filter(|_| !policies.is_empty() && sum <= 0.0) {
        let wrong = Wrong::new(
            format!("no machinetype of {} has a share, so nothing is made", space.name),
            "`target_share` above zero for at least one",
        );
        let problem = Problem::at_value(&first.section, wrong).as_warning();
        problems.add(problem.found_by(Finding::Absence));
    }
}

fn or<T: Clone>(written: Option<&Placed<T>>, default: T) -> T {
    written.map_or(default, |written| written.value.clone())
}

fn value<T: Clone>(written: Option<&Placed<T>>) -> Option<T> {
    written.map(|written| written.value.clone())
}

fn policy(
    space: &SpaceConfig,
    machinetype: &MachinetypeConfig,
    entry: &Entry,
    s: &Settings,
) -> MachinetypePolicy {
    let fizzle = or(s.fizzle.as_ref(), defaults::FIZZLE);
    let max_wallclock = or(s.max_wallclock.as_ref(), defaults::MAX_WALLCLOCK);
    let standard = defaults::BREAKER;
    MachinetypePolicy {
        name: machinetype.name.clone(),
        entry: entry.name.clone(),
        entry_version: entry.version.clone(),
        target_share: or(
            s.target_share.as_ref(),
            Share::new(defaults::TARGET_SHARE).unwrap_or_default(),
        ),
        min_processors: or(s.min_processors.as_ref(), entry.processors.min),
        max_processors: value(s.max_processors.as_ref()).or(entry.processors.max),
        flavors: or(s.flavors.as_ref(), Vec::new()),
        markets: or(s.markets.as_ref(), space.markets.clone()),
        zones: or(s.zones.as_ref(), Vec::new()),
        ranking: ranking(s),
        mb_per_processor: or(s.mb_per_processor.as_ref(), defaults::MB_PER_PROCESSOR),
        processors_limit: value(s.processors_limit.as_ref()),
        max_starting_processors: value(s.max_starting_processors.as_ref()),
        hs06_per_processor: value(s.hs06_per_processor.as_ref()),
        backoff: or(s.backoff.as_ref(), defaults::BACKOFF),
        fizzle,
        start_timeout: or(s.start_timeout.as_ref(), defaults::START_TIMEOUT),
        max_wallclock,
        // A machine that cannot outlive `fizzle` proves nothing, so it is not worth its boot.
        min_wallclock: or(s.min_wallclock.as_ref(), fizzle.min(max_wallclock)),
        heartbeat: heartbeat(s),
        outcomes: entry.outcomes(),
        breaker: Breaker {
            failures: or(s.breaker_failures.as_ref(), standard.failures),
            pause: or(s.breaker_pause.as_ref(), standard.pause),
            pause_max: or(s.breaker_pause_max.as_ref(), standard.pause_max),
        },
        grace: or(s.grace.as_ref(), defaults::GRACE),
    }
}

fn ranking(settings: &Settings) -> Ranking {
    match or(settings.rank.as_ref(), Ranking::Listed) {
        Ranking::Listed => Ranking::Listed,
        Ranking::Price { spreading: _ } => {
            Ranking::Price { spreading: settings.spreading.as_ref().map(|own| own.value) }
        }
    }
}

/// The heartbeat: a file named in neither place, or emptied in the configuration, means none.
fn heartbeat(settings: &Settings) -> Option<HeartbeatRule> {
    let file = settings.heartbeat_file.as_ref().filter(|file| !file.value.is_empty())?;
    let every = value(settings.heartbeat.as_ref()).filter(|every| *every > Duration::ZERO);
    Some(HeartbeatRule { file: file.value.clone(), every })
}

fn definition(
    machinetype: &MachinetypeConfig,
    entry: &Entry,
    settings: &Settings,
    files: &FileContents,
    problems: &Collector,
) -> Definition {
    let options = Texts { machinetype, entry, files, problems };
    Definition {
        entry: EntryRef { name: entry.name.clone(), version: entry.version.clone() },
        image: value(settings.root_image.as_ref()),
        public_key: public_key(settings, files, problems),
        template: Arc::clone(&entry.template),
        options: options.collect(),
        https_x509dn: or(settings.https_x509dn.as_ref(), Vec::new()),
        heartbeat_file: heartbeat(settings).map(|rule| rule.file),
    }
}

/// The public key of root: its text, or the first of its file.
fn public_key(settings: &Settings, files: &FileContents, problems: &Collector) -> Option<String> {
    let written = settings.root_public_key.as_ref()?;
    let path = match &written.value {
        PublicKey::None => return None,
        PublicKey::Text(text) => return Some(text.clone()),
        PublicKey::File(path) => path,
    };
    let found = match files.get(path) {
        Some(Ok(text)) => key_of(text).ok_or("it does not begin with a public key".to_owned()),
        Some(Err(why)) => Err(why.clone()),
        None => Err("it was not read".to_owned()),
    };
    let refuse = |why: String| {
        let wrong = Wrong::new(
            format!("the file named here cannot be used: {why}"),
            "the path of a file with a public key as ssh-keygen writes it (NAME.pub)",
        );
        problems.add(Problem::at_value(written, wrong));
    };
    found.map_err(refuse).ok()
}

/// The options and files of one machinetype.
struct Texts<'a> {
    machinetype: &'a MachinetypeConfig,
    entry: &'a Entry,
    files: &'a FileContents,
    problems: &'a Collector,
}

impl Texts<'_> {
    fn collect(&self) -> BTreeMap<String, OptionText> {
        let mut texts = BTreeMap::new();
        for (name, spec) in &self.entry.options {
            texts.insert(name.clone(), spec.text_of_default());
        }
        for name in self.entry.files.keys() {
            let text = OptionText { text: "".into(), secret: true };
            texts.insert(name.clone(), text);
        }
        for (name, written) in &self.machinetype.options {
            if let Some(text) = self.option(name, written) {
                texts.insert(name.clone(), text);
            }
        }
        for (name, written) in &self.machinetype.files {
            if let Some(text) = self.file(name, written) {
                texts.insert(name.clone(), text);
            }
        }
        self.refuse_missing();
        texts
    }

    fn option(&self, name: &str, written: &WrittenOption) -> Option<OptionText> {
        let key = written.value.key.as_str();
        let Some(spec) = self.entry.options.get(name) else {
            let right = if self.entry.files.contains_key(name) {
                format!(
                    "`{name}` is a file: name its path in [{}.files]",
                    self.machinetype.section.key
                )
            } else {
                self.advice(name, "options")
            };
            let what = format!("the entry `{}` has no option of this name", self.entry.name);
            let problem = Problem::at_place(&written.name_at, key, Wrong::new(what, right));
            self.problems.add(problem);
            return None;
        };
        match spec.kind.accept(&written.value.value) {
            Ok(text) => Some(OptionText { text: text.into(), secret: spec.secret }),
            Err(wrong) => {
                let problem = Problem::at_value(&written.value, wrong);
                self.problems.add(if spec.secret { problem.hidden() } else { problem });
                None
            }
        }
    }

    /// A declared file; or a secret option, whose text is then the file's without its last newline.
    fn file(&self, name: &str, written: &WrittenFile) -> Option<OptionText> {
        let file = self.entry.files.get(name);
        let option = self.entry.options.get(name).filter(|option| option.secret);
        if file.is_none() && option.is_none() {
            let what = format!("the entry `{}` has no file of this name", self.entry.name);
            let wrong = Wrong::new(what, self.advice(name, "files"));
            self.problems.add(Problem::at_place(
                &written.name_at,
                written.path.key.as_str(),
                wrong,
            ));
            return None;
        }
        if let Some(other) = self.machinetype.options.get(name) {
            let wrong = Wrong::new("set as an option too", "one of the two");
            let problem = Problem::at_value(&written.path, wrong);
            self.problems.add(problem.and_at(&other.name_at, "the option"));
        }
        let text = match self.files.get(&written.path.value) {
            Some(Ok(text)) => text,
            Some(Err(why)) => {
                self.unreadable(written, why);
                return None;
            }
            None => {
                self.unreadable(written, "it was not read");
                return None;
            }
        };
        let secret = file.is_none_or(|file| file.secret);
        let text = match option {
            Some(_) => Arc::from(text.strip_suffix('\n').unwrap_or(text)),
            None => Arc::clone(text),
        };
        Some(OptionText { text, secret })
    }

    fn unreadable(&self, written: &WrittenFile, why: &str) {
        // The path is not repeated: what stands there may be the secret itself.
        let folder = written.path.place.source.shown_folder();
        let wrong = Wrong::new(
            format!("the file named here cannot be read: {why}"),
            format!(
                "the path of a file of UTF-8 text that this user may read; a relative one starts \
                 from {}",
                folder.display()
            ),
        );
        self.problems.add(Problem::at_value(&written.path, wrong));
    }

    fn refuse_missing(&self) {
        let MachinetypeConfig { options, files, section, .. } = self.machinetype;
        let missing_options = self.entry.options.iter().filter(|(name, spec)| {
            spec.required && !options.contains_key(*name) && !files.contains_key(*name)
        });
        for (name, spec) in missing_options {
            self.missing("option", "options", name, &spec.description, section);
        }
        let missing_files = self
            .entry
            .files
            .iter()
            .filter(|(name, spec)| spec.required && !files.contains_key(*name));
        for (name, spec) in missing_files {
            self.missing("file", "files", name, &spec.description, section);
        }
    }

    fn missing(&self, kind: &str, table: &str, name: &str, about: &str, section: &Placed<()>) {
        let what = format!("the entry `{}` needs the {kind} `{name}`", self.entry.name);
        let right = format!("`{name}` in [{}.{table}]: {about}", section.key);
        let problem = Problem::at_value(section, Wrong::new(what, right));
        self.problems.add(problem.found_by(Finding::Absence));
    }

    fn advice(&self, name: &str, table: &str) -> String {
        let known: Vec<&str> = match table {
            "options" => self.entry.options.keys().map(String::as_str).collect(),
            _ => self.entry.files.keys().map(String::as_str).collect(),
        };
        match nearest(name, &known) {
            Some(near) => format!("did you mean `{near}`?"),
            None => one_of(&known),
        }
    }
}
