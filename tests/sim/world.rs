//! Everything that outlives a process.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::Instant;
use vcycle::model::{DeploymentId, Identity, InstanceId, MachineName, SpaceName, Tags};
use vcycle::store::Store;
use vcycle::store::testing::MemoryFs;
use vcycle_api::{Deletion, ProviderError};
use vcycle_sim::{SimCloud, SimMachine};

use super::gate::space_of;
use super::host::{Process, TrueClock};
use super::judge::Judge;
use super::purse::{BEGIN, CAPS_FILE};
use super::rules::CapsFile;
use super::trace::Trace;
use super::weather::{SPACES, Shape};

/// The world of a life.
pub struct World {
    pub shape: Shape,
    pub trace: Arc<Trace>,
    pub disk: MemoryFs,
    pub clock: Arc<TrueClock>,
    pub clouds: Vec<SimCloud>,
    pub deployment: DeploymentId,
    start: Instant,
    judge: Mutex<Judge>,
    /// The file of the spend manager, each from a time on.
    caps: Mutex<Vec<(u64, Option<String>)>>,
    /// Machines whose deletes are refused.
    held: Mutex<BTreeSet<InstanceId>>,
    calm: AtomicBool,
    ends: mpsc::UnboundedSender<u32>,
}

/// The name of a space by its position.
pub fn space_name(space: usize) -> SpaceName {
    SpaceName::parse(SPACES[space]).unwrap()
}

impl World {
    /// A new one. Ends of processes are told by their numbers.
    pub fn new(shape: Shape, ends: mpsc::UnboundedSender<u32>) -> Self {
        let (start, trace) = (Instant::now(), Arc::new(Trace::new()));
        let begin = shape.purse.as_ref().map_or(BEGIN, |purse| purse.begin);
        let clock = Arc::new(TrueClock { start, begin });
        let deployment = DeploymentId::compose(shape.seed);
        let clouds: Vec<SimCloud> = (0..shape.spaces)
            .map(|space| SimCloud::new(shape.cloud(space), clock.clone()))
            .collect();
        let judge = Mutex::new(Judge::new(&shape, &deployment, trace.clone()));
        let disk = MemoryFs::new(clock.clone());
        let calm = AtomicBool::new(false);
        let (caps, held) = (Mutex::default(), Mutex::default());
        Self { shape, trace, disk, clock, clouds, deployment, start, judge, caps, held, calm, ends }
    }

    /// The judge.
    pub fn judge(&self) -> MutexGuard<'_, Judge> {
        self.judge.lock().unwrap()
    }

    /// A store without faults, for the VMs and for people.
    pub fn store(&self) -> Store {
        Store::new(Arc::new(self.disk.clone()), self.clock.clone())
    }

    /// On the runtime's clock.
    pub fn at(&self, millis: u64) -> Instant {
        self.start + Duration::from_millis(millis)
    }

    /// Whether the trouble is over.
    pub fn is_calm(&self) -> bool {
        self.calm.load(Ordering::SeqCst)
    }

    /// It is.
    pub fn calm_down(&self) {
        self.calm.store(true, Ordering::SeqCst);
    }

    /// A process has ended, by itself or not.
    pub fn died(&self, process: u32) {
        // The life may be over.
        let _ = self.ends.send(process);
    }

    /// Looks at what has happened in a cloud since the last look. Where machines cost money, in all clouds, in the order
    /// of time: caps are on all of them.
    pub fn look(&self, space: usize) {
        let mut judge = self.judge();
        let spaces =
            if self.shape.purse.is_some() { 0..self.clouds.len() } else { space..space + 1 };
        let mut news: Vec<_> = spaces
            .flat_map(|space| {
                let entries = self.clouds[space].log_since(judge.seen(space));
                entries.into_iter().map(move |entry| (space, entry))
            })
            .collect();
        news.sort_by_key(|(space, entry)| (entry.at, *space));
        for (space, entry) in news {
            judge.cloud(space, &entry);
        }
    }

    /// The file of the spend manager is another from now on.
    pub fn write_caps(&self, file: &CapsFile) {
        let (now, text) = (self.trace.now(), file.text());
        match &text {
            Some(text) => self.disk.plant(CAPS_FILE, text.clone()),
            None => self.disk.uproot(CAPS_FILE),
        }
        self.caps.lock().unwrap_or_else(PoisonError::into_inner).push((now, text));
        self.judge().caps(file);
    }

    /// Its text at a time.
    pub fn caps_at(&self, at: u64) -> Option<String> {
        let caps = self.caps.lock().unwrap_or_else(PoisonError::into_inner);
        caps.iter().rev().find(|(from, _)| *from <= at)?.1.clone()
    }

    /// A process is about to ask for the end of a VM.
    pub fn deletes(&self, process: &Process, space: usize, id: &InstanceId) {
        let machine = self.clouds[space].machines().into_iter().find(|machine| machine.id == *id);
        let mut judge = self.judge();
        judge.acts(process, space, "deletes a machine");
        if let Some((machine, tags)) = machine.and_then(ours(&self.deployment)) {
            judge.deletes(space, &machine, &tags);
        }
    }

    /// What a delete is answered that the cloud refuses; `None`: it does not.
    pub fn refuses(
        &self,
        space: usize,
        id: &InstanceId,
    ) -> Option<Result<Deletion, ProviderError>> {
        let refusal = self.shape.refusal.as_ref().filter(|refusal| refusal.space == space)?;
        if self.is_calm() || self.trace.now() < refusal.from {
            return None;
        }
        let exists = |machine: SimMachine| machine.id == *id && machine.exists;
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        if held.len() < refusal.machines && self.clouds[space].machines().into_iter().any(exists) {
            held.insert(id.clone());
        }
        held.contains(id).then(|| refusal.answer())
    }

    /// Whether deletes of a machine are refused.
    pub fn is_held(&self, space: usize, id: &InstanceId) -> bool {
        let is_there = self.shape.refusal.as_ref().is_some_and(|refusal| refusal.space == space);
        is_there && self.held.lock().unwrap_or_else(PoisonError::into_inner).contains(id)
    }

    /// A folder was moved: to the archive, if it is a machine's.
    pub fn archived(&self, process: &Process, path: &Path) {
        let Some(space) = space_of(path).filter(|_| path.iter().nth(2) == Some("current".as_ref()))
        else {
            return;
        };
        let name = path.file_name().and_then(|name| MachineName::parse(name.to_str()?).ok());
        self.look(space);
        let all = self.clouds[space].machines().into_iter().filter_map(ours(&self.deployment));
        let exists = all.filter(|(machine, _)| machine.exists);
        for (machine, tags) in exists.filter(|(_, tags)| Some(&tags.machine) == name.as_ref()) {
            self.judge().buries(process, space, (&machine, &tags));
        }
    }
}

/// A machine with its tags, if it is of this deployment.
pub fn ours(deployment: &DeploymentId) -> impl Fn(SimMachine) -> Option<(SimMachine, Tags)> {
    |machine| match &machine.identity {
        Identity::Vcycle(tags) if tags.deployment == *deployment => {
            let tags = tags.clone();
            Some((machine, tags))
        }
        Identity::Vcycle(_) | Identity::Foreign => None,
    }
}

/// Processors of a machine.
pub fn size(machine: &SimMachine) -> u32 {
    let flavour = machine.offering.as_ref().and_then(|o| o.flavour.strip_prefix("sim."));
    flavour.and_then(|number| number.parse().ok()).expect("flavours are named by their processors")
}
