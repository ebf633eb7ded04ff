//! A change of any file is taken up within seconds, as a whole; a bad one is refused with its
//! reason while the old setup goes on; and mended again.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tempfile::TempDir;
use tokio::sync::watch;
use vcycle::config::Host;
use vcycle::library::Setup;
use vcycle::model::{ConfigStatus, MachinetypeName, SpaceName};
use vcycle::reload::{Reloader, Timing};
use vcycle_api::SystemClock;

/// Far more than it takes; a test that waits so long has failed.
const DEADLINE: Duration = Duration::from_secs(30);

struct Site {
    folder: TempDir,
    setup: watch::Receiver<Arc<Setup>>,
    status: watch::Receiver<ConfigStatus>,
    kick: Arc<tokio::sync::Notify>,
}

const MAIN: &str = r#"
[site]
name = "UKI-EXAMPLE"
state_dir = "state"
manager = "m1"
[library]
paths = ["library"]
[space.a]
processors_limit = 10
[space.a.local]
dir = "machines"
[space.a.machinetype.one]
entry = "plain"
target_share = 1
[space.a.machinetype.one.files]
hostcert = "secrets/hostcert.pem"
[space.b.sim]
[space.b.machinetype.two]
entry = "plain"
target_share = 1
"#;

/// For whoever watches what is spent.
const PRICES: &str = r#"
[list]
provider = "sim"
currency = "GBP"
valid_from = 2026-01-01
confirmed = 2026-01-01
source = "made up"
minimum = "60s"
granularity = "1s"
[[machine]]
type = "sim.1"
per_hour = "0.02"
"#;

fn fast() -> Timing {
    Timing {
        poll: Duration::from_millis(50),
        settle: Duration::from_millis(10),
        retry: Duration::from_secs(3600),
        inotify: false,
    }
}

/// Only inotify can be quick enough.
fn by_inotify() -> Timing {
    Timing { poll: Duration::from_secs(3600), inotify: true, ..fast() }
}

impl Site {
    fn start(timing: Timing) -> Self {
        Self::start_with(MAIN, timing)
    }

    fn start_with(main: &str, timing: Timing) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path();
        for sub in ["state", "conf.d", "secrets", "library/plain"] {
            std::fs::create_dir_all(path.join(sub)).unwrap();
        }
        for file in ["entry.toml", "user_data"] {
            let from = Path::new("tests/config-library/plain").join(file);
            std::fs::copy(from, path.join("library/plain").join(file)).unwrap();
        }
        std::fs::write(path.join("secrets/hostcert.pem"), "CERT 1\n").unwrap();
        std::fs::write(path.join("prices.toml"), PRICES).unwrap();
        std::fs::write(path.join("vcycle.toml"), main).unwrap();
        let host = Host { name: "m1.example".to_owned() };
        let clock = Arc::new(SystemClock::new());
        let (reloader, _) =
            Reloader::start(&path.join("vcycle.toml"), host, clock, timing).unwrap();
        let (setup, status, kick) = (reloader.setup(), reloader.status(), reloader.kick());
        tokio::spawn(reloader.run());
        Self { folder, setup, status, kick }
    }

    fn path(&self, file: &str) -> PathBuf {
        self.folder.path().join(file)
    }

    fn write(&self, file: &str, text: &str) {
        let path = self.path(file);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }

    fn edit(&self, file: &str, from: &str, to: &str) {
        let text = std::fs::read_to_string(self.path(file)).unwrap();
        assert!(text.contains(from), "{file} has no {from}");
        self.write(file, &text.replace(from, to));
    }

    async fn until_setup(&mut self, what: &str, predicate: impl FnMut(&Arc<Setup>) -> bool) {
        let waiting = tokio::time::timeout(DEADLINE, self.setup.wait_for(predicate));
        assert!(waiting.await.is_ok(), "{what}; status {:?}", self.status.borrow().refused);
    }

    async fn until_refused(&mut self, why: &str) {
        let refused = |status: &ConfigStatus| {
            status.refused.as_ref().is_some_and(|refused| refused.contains(why))
        };
        let waiting = tokio::time::timeout(DEADLINE, self.status.wait_for(refused));
        assert!(
            waiting.await.is_ok(),
            "not refused for {why:?}: {:?}",
            self.status.borrow().refused
        );
    }

    async fn until_mended(&mut self) {
        let mended = |status: &ConfigStatus| status.refused.is_none();
        let waiting = tokio::time::timeout(DEADLINE, self.status.wait_for(mended)).await;
        assert!(waiting.is_ok(), "still refused");
    }

    fn limit(setup: &Setup) -> Option<u32> {
        setup.spaces[&SpaceName::parse("a").unwrap()].policy.processors_limit.map(|limit| limit.0)
    }
}

async fn good_bad_mended(timing: Timing) {
    let mut site = Site::start(timing);
    site.edit("vcycle.toml", "processors_limit = 10", "processors_limit = 20");
    site.until_setup("a good change is taken up", |setup| Site::limit(setup) == Some(20)).await;
    let good = site.setup.borrow().digest.clone();
    let mut status = site.status.clone();
    // Only whether it came is kept: the value itself would lock the writer out.
    let told = tokio::time::timeout(DEADLINE, status.wait_for(|s| s.digest == good)).await.is_ok();
    assert!(told, "the status tells which one is in use");

    site.edit("vcycle.toml", "processors_limit = 20", "processor_limit = 30");
    site.until_refused("did you mean `processors_limit`?").await;
    assert_eq!(Site::limit(&site.setup.borrow()), Some(20), "the old one stays");
    assert_eq!(site.status.borrow().digest, good);

    site.edit("vcycle.toml", "processor_limit = 30", "processors_limit = 40");
    site.until_setup("the mend is taken up", |setup| Site::limit(setup) == Some(40)).await;
    site.until_mended().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_is_taken_up_a_bad_one_refused_and_the_mend_taken_up_by_polling() {
    good_bad_mended(fast()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_is_taken_up_a_bad_one_refused_and_the_mend_taken_up_by_inotify() {
    good_bad_mended(by_inotify()).await;
}

/// PEERS.md 1j, item 15: the ancestor ignored unknown options, and one invalid option made every
/// space skip its cycle. Here it is refused and named, and no running space feels it.
#[tokio::test(flavor = "multi_thread")]
async fn peers_1j_15_an_invalid_option_is_named_and_stops_no_space() {
    let mut site = Site::start(fast());
    let before = Arc::clone(&site.setup.borrow());
    site.write(
        "conf.d/a.toml",
        "[space.a.machinetype.one.options]\nslots = \"many\"\ncolour = 1\n",
    );
    site.until_refused("options.slots").await;
    site.until_refused("options.colour").await;
    let after = Arc::clone(&site.setup.borrow());
    assert!(Arc::ptr_eq(&before, &after), "both spaces go on with what they had");
    assert_eq!(after.spaces.len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn everything_that_was_read_is_watched() {
    let mut site = Site::start(fast());
    let one = MachinetypeName::parse("one").unwrap();
    let space = SpaceName::parse("a").unwrap();
    let option = |setup: &Setup, name: &str| {
        setup.spaces[&space].machinetypes[&one].options[name].text.to_string()
    };
    site.write("conf.d/new.toml", "[space.a.machinetype.one.options]\nqueue = \"a\"\n");
    site.until_setup("a new file in conf.d", |setup| option(setup, "queue") == "a").await;
    site.write("state/conf.d/new.toml", "space.a.machinetype.one.options.queue = \"b\"\n");
    site.until_setup("a new folder STATE/conf.d", |setup| option(setup, "queue") == "b").await;
    site.write("secrets/hostcert.pem", "CERT 2\n");
    site.until_setup("a secret file", |setup| option(setup, "hostcert") == "CERT 2\n").await;
    site.edit("library/plain/entry.toml", "default = 4", "default = 5");
    site.until_setup("an entry", |setup| option(setup, "slots") == "5").await;
    site.edit("library/plain/user_data", "#!/bin/sh", "#!/bin/bash");
    site.until_setup("a template", |setup| {
        setup.spaces[&space].machinetypes[&one].template.starts_with("#!/bin/bash")
    })
    .await;
    std::fs::remove_file(site.path("conf.d/new.toml")).unwrap();
    std::fs::rename(site.path("state/conf.d/new.toml"), site.path("state/conf.d/n.toml")).unwrap();
    site.write("state/conf.d/n.toml", "space.a.processors_limit = 11\n");
    site.until_setup("removed and renamed files", |setup| {
        option(setup, "queue") == "main" && Site::limit(setup) == Some(11)
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_secret_in_a_refused_file_is_not_in_the_reason() {
    let mut site = Site::start(fast());
    site.write("conf.d/a.toml", "[space.a.machinetype.one.options]\npasword = \"hunter2\"\n");
    site.until_refused("pasword").await;
    assert!(!site.status.borrow().refused.as_ref().unwrap().contains("hunter2"));
    site.write("conf.d/a.toml", "[space.a.machinetype.one.options]\npassword = \"hunter2\n");
    site.until_refused("not TOML").await;
    assert!(!site.status.borrow().refused.as_ref().unwrap().contains("hunter2"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_state_directory_that_vanished_is_not_an_empty_one() {
    let mut site = Site::start(fast());
    site.write("state/conf.d/a.toml", "space.a.processors_limit = 99\n");
    site.until_setup("the shared configuration", |setup| Site::limit(setup) == Some(99)).await;
    std::fs::rename(site.path("state"), site.path("away")).unwrap();
    site.until_refused("is not there").await;
    std::fs::create_dir(site.path("state")).unwrap();
    site.until_refused("is gone: is it mounted?").await;
    assert_eq!(Site::limit(&site.setup.borrow()), Some(99));
    std::fs::remove_dir(site.path("state")).unwrap();
    std::fs::rename(site.path("away"), site.path("state")).unwrap();
    site.until_mended().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_read_only_at_start_and_moved_tenancies_are_refused() {
    let mut site = Site::start(fast());
    site.edit("vcycle.toml", "manager = \"m1\"", "manager = \"m2\"");
    site.until_refused("read only at start: site.manager").await;
    site.edit("vcycle.toml", "manager = \"m2\"", "manager = \"m1\"");
    site.until_mended().await;
    site.edit("vcycle.toml", "dir = \"machines\"", "dir = \"elsewhere\"");
    site.until_refused("space a: another provider or tenancy").await;
    site.edit("vcycle.toml", "manager = \"m1\"", "manager = \"m1\"\nownership_ttl = \"20s\"");
    site.until_refused("read only at start: site.ownership_ttl").await;
    site.until_refused("space a: another provider or tenancy").await;
    site.edit("vcycle.toml", "\nownership_ttl = \"20s\"", "");
    site.edit("vcycle.toml", "dir = \"elsewhere\"", "dir = \"machines\"\nprocessors = 3");
    site.until_mended().await;
    site.until_setup("more of the same tenancy", |setup| {
        format!("{:?}", setup.config.spaces[&SpaceName::parse("a").unwrap()].provider)
            .contains("Processors(3)")
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_currency_of_the_ledger_does_not_change_while_the_manager_runs() {
    let spending = "[spending]\ncurrency = \"GBP\"\nprices = \"prices.toml\"\n";
    let mut site = Site::start_with(&format!("{MAIN}{spending}"), fast());
    site.edit("vcycle.toml", "\"GBP\"", "\"EUR\"");
    site.until_refused("spending.currency: GBP cannot become EUR").await;
    let currency = site.setup.borrow().config.spending.as_ref().unwrap().currency;
    assert_eq!(currency.to_string(), "GBP");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_kick_loads_at_once() {
    let timing = Timing { poll: Duration::from_secs(3600), inotify: false, ..fast() };
    let mut site = Site::start(timing);
    site.edit("vcycle.toml", "processors_limit = 10", "processors_limit = 21");
    site.kick.notify_one();
    site.until_setup("SIGHUP", |setup| Site::limit(setup) == Some(21)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_manager_does_not_start_with_a_bad_configuration() {
    let folder = tempfile::tempdir().unwrap();
    let main = folder.path().join("vcycle.toml");
    std::fs::write(&main, "[site]\n").unwrap();
    let host = Host { name: "m1".to_owned() };
    let clock = Arc::new(SystemClock::new());
    let problems = Reloader::start(&main, host, clock, fast()).unwrap_err();
    assert_eq!(problems.list().len(), 2, "{problems}");
}
