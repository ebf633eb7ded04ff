//! One configuration with an OpenStack, an AWS and a Google Cloud space, and two managers on it: real processes, the
//! real program, doubles of the clouds in this process. One manager is killed while machines are being made. In the
//! end everything is drained, and the ledgers of all clouds are clean.

#![cfg(all(feature = "openstack", feature = "aws", feature = "gcp"))]
#![allow(dead_code, unreachable_pub, reason = "each test uses its part of what tests share")]
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

#[path = "clouds/books.rs"]
mod books;
#[path = "clouds/double.rs"]
mod double;
#[path = "clouds/ec2.rs"]
mod ec2;
#[path = "clouds/gce.rs"]
mod gce;
#[path = "clouds/laws.rs"]
mod laws;
#[path = "clouds/nova.rs"]
mod nova;
mod support;

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs;
use std::sync::Arc;
use std::time::Duration;

use books::Books;
use double::{Double, On, Woe};
use ec2::Ec2;
use gce::Gce;
use nova::Nova;
use support::site::{Plan, Site};
use support::{call, wait_until};
use vcycle_api::{Clock, SystemClock};

const MANAGERS: [&str; 2] = ["one", "two"];
const SPACES: [&str; 3] = ["nova.example", "ec2.example", "gce.example"];
/// Processors that each space may have: machines have two.
const LIMIT: u32 = 8;
/// More than three cycles, an ownership that must run out, and a busy host.
const LONG: Duration = Duration::from_secs(240);

/// The clouds, and a runtime on which they answer.
struct Clouds {
    runtime: tokio::runtime::Runtime,
    nova: Nova,
    ec2: Ec2,
    gce: Gce,
}

impl Clouds {
    fn start() -> Self {
        let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
        let mut runtime = tokio::runtime::Builder::new_multi_thread();
        let runtime = runtime.worker_threads(1).enable_all().build().unwrap();
        let (nova, ec2, gce) = runtime.block_on(async {
            (
                Nova::start(clock.clone()).await,
                Ec2::start(clock.clone()).await,
                Gce::start_with_login(clock).await,
            )
        });
        Self { runtime, nova, ec2, gce }
    }

    fn all(&self) -> [(&'static str, &dyn Double); 3] {
        [(SPACES[0], &self.nova), (SPACES[1], &self.ec2), (SPACES[2], &self.gce)]
    }

    /// The one configuration of all managers.
    fn configuration(&self) -> String {
        let tables = [
            ("openstack", self.nova.table(), nova::IMAGE),
            ("aws", self.ec2.table(), "ami-0aaaaaaaaaaaaaaa1"),
            ("gcp", self.gce.table(), "family/lab-tiny"),
        ];
        let mut text = String::new();
        for (space, (kind, table, image)) in SPACES.iter().zip(tables) {
            write!(
                text,
                "[space.{space:?}]\nprocessors_limit = {LIMIT}\ncreations_per_cycle = 8\ndelete_pause = \"2s\"\n\
                 [space.{space:?}.{kind}]\n{table}\n\
                 [space.{space:?}.machinetype.work]\nentry = \"example\"\ntarget_share = 1\n\
                 min_processors = 2\nmax_processors = 2\nroot_image = {image:?}\ngrace = \"1s\"\n"
            )
            .unwrap();
        }
        text
    }

    /// What must hold whenever it is looked at.
    fn check(&self, site: &Site) {
        for (space, double) in self.all() {
            let books = double.books();
            // In this order: what is made meanwhile has had its record before.
            let recorded = site.recorded(space);
            let known = |name: &str| recorded.contains(name);
            let unknown: Vec<_> =
                books.ours().filter(|(_, tags)| !known(tags.machine.as_str())).collect();
            assert!(unknown.is_empty(), "{space}: nobody knows of {unknown:?}");
            laws::none(space, &laws::made_twice(&books));
            laws::none(space, &laws::above_limit(&books, vcycle_api::Processors(LIMIT)));
            laws::none(space, &laws::strangers_ended(&books));
            laws::none(space, &double.problems());
        }
    }

    fn until(&self, site: &Site, what: &str, mut look: impl FnMut() -> Result<(), String>) {
        let look = || {
            self.check(site);
            look()
        };
        let waited = std::panic::AssertUnwindSafe(|| wait_until(what, LONG, look));
        if let Err(failed) = std::panic::catch_unwind(waited) {
            println!("{}", site.explain());
            std::panic::resume_unwind(failed);
        }
    }

    /// Every machine that is there is shown as running, and the space is full.
    fn full(&self, site: &Site) -> Result<(), String> {
        for (space, double) in self.all() {
            let books = double.books();
            let there: BTreeSet<String> = there(&books);
            let running: BTreeSet<String> = site.running(space).into_keys().collect();
            if there.len() != (LIMIT / 2) as usize || there != running {
                return Err(format!("{space}: {there:?} are there, {running:?} are shown"));
            }
        }
        Ok(())
    }
}

fn there(books: &Books) -> BTreeSet<String> {
    let there = books.ours().filter(|(made, _)| made.is_there());
    there.map(|(_, tags)| tags.machine.to_string()).collect()
}

fn site(clouds: &Clouds) -> Site {
    let state = tempfile::tempdir().unwrap().keep();
    fs::create_dir(state.join("conf.d")).unwrap();
    fs::write(state.join("conf.d/spaces.toml"), clouds.configuration()).unwrap();
    Site::new(Plan {
        managers: MANAGERS.to_vec(),
        spaces: Vec::new(),
        machines: 0,
        run_seconds: 0,
        ttl: "3s",
        cycle: "1s",
        state_dirs: vec![state],
    })
}

#[test]
fn three_clouds_side_by_side_under_two_managers_of_which_one_is_killed() {
    let clouds = Clouds::start();
    let site = site(&clouds);
    // Some creates are slow, so that the kill falls into them.
    for (_, double) in clouds.all() {
        double.befall(On::Create, (1, 2), Woe::Slow(Duration::from_secs(2)));
    }
    let one = site.start("one");
    let two = site.start("two");
    clouds.until(&site, "machines are being made everywhere", || {
        let begun = |(space, double): (&str, &dyn Double)| {
            let made = double.books().machines.len();
            if made > 1 { Ok(()) } else { Err(format!("{space}: {made} machines")) }
        };
        clouds.all().into_iter().try_for_each(begun)
    });
    one.kill_9();
    clouds.until(&site, "the other one has filled all spaces", || clouds.full(&site));
    let one = site.start("one");
    for space in SPACES {
        let config = site.config();
        let drained = call(&["drain", space, "--by", "0s", "--yes", "--config", &config]);
        assert_eq!(drained.code, Some(0), "{drained:?}\n{}", site.explain());
    }
    clouds.until(&site, "everything is gone", || {
        for (space, double) in clouds.all() {
            let (left, shown) = (laws::left_over(&double.books()), site.machines(space));
            if !left.is_empty() || !shown.is_empty() {
                return Err(format!("{space}: {left:?}, {shown:?} are shown"));
            }
        }
        Ok(())
    });
    for daemon in [one, two] {
        assert!(daemon.terminate().success(), "{}", site.explain());
    }
    drop(clouds.runtime);
}
