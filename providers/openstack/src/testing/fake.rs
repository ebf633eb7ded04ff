//! The handle of the fake cloud: its begin, its addresses, its books, and the troubles of requests.

use std::fmt::Write as _;
use std::io;
use std::path::Path;
use std::sync::{Arc, MutexGuard};
use std::time::Duration;

use vcycle_api::Clock;
use vcycle_api::testing::http::Server;

use super::serve::serve;
use super::site::Site;
use super::trouble::{On, Trouble};
use super::world::{Asked, World};

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

    /// Breaks all connections and refuses new ones, until [`FakeCloud::restart`]. What the cloud holds
    /// stays.
    pub fn stop(&self) {
        self.server.stop();
    }

    /// Listens again, on the same port.
    pub async fn restart(&mut self) -> io::Result<()> {
        self.server.restart(serve).await
    }

    /// Where it listens: `http://127.0.0.1:PORT`. Each service is under its own path.
    pub fn base(&self) -> String {
        format!("http://{}", self.server.address())
    }

    /// Address of Keystone.
    pub fn auth_url(&self) -> String {
        format!("{}/identity/v3", self.base())
    }

    /// A `clouds.yaml` with two entries for each project: `PROJECT` with the password, and
    /// `PROJECT-app` with the first application credential.
    pub fn clouds_yaml(&self) -> String {
        let auth_url = self.auth_url();
        let mut text = "clouds:\n".to_owned();
        for tenant in &self.world().site.tenants {
            let (project, user, password) = (&tenant.project, &tenant.user, &tenant.password);
            let entry = format!(
                "  {project}:\n    auth:\n      auth_url: {auth_url}\n      username: {user}\n      \
                 password: {password}\n      project_name: {project}\n      user_domain_id: default\n      \
                 project_domain_id: default\n"
            );
            text.push_str(&entry);
            if let Some(credential) = tenant.credentials.first() {
                let (id, secret) = (&credential.id, &credential.secret);
                write!(
                    text,
                    "  {project}-app:\n    auth_type: v3applicationcredential\n    auth:\n      \
                     auth_url: {auth_url}\n      application_credential_id: {id}\n      \
                     application_credential_secret: {secret}\n"
                )
                .expect("a string takes everything");
            }
        }
        text
    }

    /// Writes [`FakeCloud::clouds_yaml`] into a folder, and gives the file.
    pub fn write_clouds_yaml(&self, folder: &Path) -> io::Result<std::path::PathBuf> {
        let file = folder.join("clouds.yaml");
        std::fs::write(&file, self.clouds_yaml())?;
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

    /// Every request so far, in order.
    pub fn asked(&self) -> Vec<Asked> {
        self.world().asked.clone()
    }

    /// How many requests have come so far.
    pub fn requests(&self) -> usize {
        self.world().asked.len()
    }

    /// How many requests have changed a resource so far; tokens are none.
    pub fn mutations(&self) -> u64 {
        self.world().mutations
    }

    /// The most requests that were served at one time.
    pub fn peak(&self) -> usize {
        self.server.peak()
    }
}
