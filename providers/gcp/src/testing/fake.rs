//! The handle of the fake cloud: its begin, its addresses, its books, and the troubles of requests.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, MutexGuard};
use std::time::Duration;

use serde_json::json;
use vcycle_api::Clock;
use vcycle_api::testing::http::Server;

use super::compute::tick;
use super::ledger::{Called, Entry};
use super::login::{self, private_pem};
use super::schema::Problem;
use super::serve::serve;
use super::site::Site;
use super::trouble::{On, Trouble};
use super::world::World;

/// A running cloud. It ends, and its connections with it, when this is dropped.
#[derive(Debug)]
pub struct FakeCloud {
    server: Server<World>,
}

impl FakeCloud {
    /// Listens on a free port of 127.0.0.1. The clock is the cloud's own.
    pub async fn start(site: Site, clock: Arc<dyn Clock>) -> io::Result<Self> {
        Self::start_on(0, site, clock).await
    }

    /// As [`FakeCloud::start`], on this port.
    pub async fn start_on(port: u16, site: Site, clock: Arc<dyn Clock>) -> io::Result<Self> {
        let world = |address| World::new(site, clock, format!("http://{address}"));
        Ok(Self { server: Server::start(port, world, serve).await? })
    }

    /// Breaks all connections and refuses new ones, until [`FakeCloud::restart`]. What the cloud holds
    /// stays, and goes on.
    pub fn stop(&self) {
        self.server.stop();
    }

    /// Listens again, on the same port.
    pub async fn restart(&mut self) -> io::Result<()> {
        self.server.restart(serve).await
    }

    /// Where it listens: `http://127.0.0.1:PORT`. The endpoint of the API, and of the IAM credentials API.
    pub fn base(&self) -> String {
        format!("http://{}", self.server.address())
    }

    /// Host and port, as `GCE_METADATA_HOST` wants them.
    pub fn metadata_host(&self) -> String {
        self.server.address().to_string()
    }

    /// Writes the key file of the site's service account into a folder, and gives the file.
    pub fn write_key_file(&self, folder: &Path) -> io::Result<PathBuf> {
        let world = self.world();
        let content = json!({
            "type": "service_account",
            "project_id": world.site.project,
            "private_key_id": "0123456789abcdef0123456789abcdef01234567",
            "private_key": private_pem(),
            "client_email": world.site.account,
            "client_id": "100000000000000000001",
            "token_uri": format!("{}/token", world.base),
            "universe_domain": "googleapis.com",
        });
        let file = folder.join("service-account.json");
        std::fs::write(&file, content.to_string())?;
        Ok(file)
    }

    /// Writes the credentials file of a person who has logged in, and gives the file.
    pub fn write_person_file(&self, folder: &Path) -> io::Result<PathBuf> {
        let content = json!({
            "type": "authorized_user",
            "client_id": "a-client.apps.googleusercontent.com",
            "client_secret": "of-the-client",
            "refresh_token": login::REFRESH,
            "token_uri": format!("{}/token", self.base()),
        });
        let file = folder.join("application_default_credentials.json");
        std::fs::write(&file, content.to_string())?;
        Ok(file)
    }

    /// The world, with everything that is due having happened.
    pub(crate) fn world(&self) -> MutexGuard<'_, World> {
        let mut world = self.server.world();
        tick(&mut world);
        world
    }

    /// The next `times` requests of this kind are in trouble.
    pub fn befall(&self, on: On, times: u32, trouble: Trouble) {
        self.befall_after(on, 0, times, trouble);
    }

    /// As [`FakeCloud::befall`], but the first `skip` requests of this kind go well.
    pub fn befall_after(&self, on: On, skip: u32, times: u32, trouble: Trouble) {
        self.world().troubles.order(on, skip, times, trouble);
    }

    /// No request is in trouble any more.
    pub fn calm(&self) {
        self.world().troubles.calm();
    }

    /// Time, in the runtime's clock, before each answer.
    pub fn answer_after(&self, delay: Duration) {
        self.world().troubles.delay = delay;
    }

    /// Every machine that there ever was, in the order of their inserts.
    pub fn ledger(&self) -> Vec<Entry> {
        self.world().ledger.machines.clone()
    }

    /// Every request so far, in order.
    pub fn calls(&self) -> Vec<Called> {
        self.world().ledger.calls.clone()
    }

    /// How many requests have come so far.
    pub fn requests(&self) -> usize {
        self.world().ledger.calls.len()
    }

    /// How many requests of a method, `compute.instances.insert`, have come so far.
    pub fn requests_of(&self, method: &str) -> usize {
        let world = self.world();
        world.ledger.calls.iter().filter(|call| call.method == method).count()
    }

    /// How many calls have changed something so far.
    pub fn mutations(&self) -> u64 {
        self.world().mutations
    }

    /// The most requests that were served at one time.
    pub fn peak(&self) -> usize {
        self.server.peak()
    }

    /// What was sent, by either side, that Google's description does not allow. Empty, or a test has failed.
    pub fn problems(&self) -> Vec<Problem> {
        self.world().problems.clone()
    }
}
