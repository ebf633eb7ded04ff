//! The handle of the fake cloud: its begin, its address, its keys, its books, and the troubles of requests.

use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::{Arc, MutexGuard};
use std::time::Duration;

use vcycle_api::Clock;
use vcycle_api::testing::http::Server;

use super::ledger::Ledger;
use super::serve::serve;
use super::site::Site;
use super::trouble::{On, Trouble};
use super::world::World;
use super::{life, queue};

/// A running cloud. It ends, and its connections with it, when this is dropped.
#[derive(Debug)]
pub struct FakeCloud {
    server: Server<World>,
}

impl FakeCloud {
    /// Listens on a free port of 127.0.0.1. The clock is the cloud's own.
    pub async fn start(site: Site, clock: Arc<dyn Clock>) -> io::Result<Self> {
        let world = |address| World::new(site, clock, format!("http://{address}"));
        Ok(Self { server: Server::start(0, world, serve).await? })
    }

    /// Breaks all connections and refuses new ones, until [`FakeCloud::restart`]. What the cloud holds stays.
    pub fn stop(&self) {
        self.server.stop();
    }

    /// Listens again, on the same port.
    pub async fn restart(&mut self) -> io::Result<()> {
        self.server.restart(serve).await
    }

    /// Where all services listen: `http://127.0.0.1:PORT`.
    pub fn endpoint(&self) -> String {
        format!("http://{}", self.server.address())
    }

    /// Address of the queue of interruption notices.
    pub fn queue_url(&self) -> String {
        queue::address(&self.world())
    }

    /// ARN of a role.
    pub fn role_arn(&self, name: &str) -> String {
        format!("arn:aws:iam::{}:role/{name}", self.world().site.account)
    }

    /// A credentials file with a profile for each key: the first is `default`, all go by the name of their user.
    pub fn credentials_text(&self) -> String {
        let world = self.world();
        let mut text = String::new();
        for (number, key) in world.site.keys.iter().enumerate() {
            let names = [(number == 0).then_some("default"), Some(key.user.as_str())];
            for name in names.into_iter().flatten() {
                text.push_str(&format!(
                    "[{name}]\naws_access_key_id = {}\naws_secret_access_key = {}\n\n",
                    key.id, key.secret
                ));
            }
        }
        text
    }

    /// Writes [`FakeCloud::credentials_text`] into a folder, and gives the file.
    pub fn write_credentials(&self, folder: &Path) -> io::Result<std::path::PathBuf> {
        let file = folder.join("credentials");
        std::fs::write(&file, self.credentials_text())?;
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o600))?;
        Ok(file)
    }

    pub(crate) fn world(&self) -> MutexGuard<'_, World> {
        self.server.world()
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

    /// The books until now.
    pub fn ledger(&self) -> Ledger {
        let mut world = self.world();
        life::catch_up(&mut world);
        world.ledger.clone()
    }

    /// How many requests have come so far.
    pub fn requests(&self) -> usize {
        self.world().ledger.calls.len()
    }

    /// How many requests have changed a resource so far.
    pub fn mutations(&self) -> u64 {
        self.world().mutations
    }

    /// The most requests that were served at one time.
    pub fn peak(&self) -> usize {
        self.server.peak()
    }
}
