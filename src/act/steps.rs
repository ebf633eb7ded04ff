//! What each step does: the durable part first, then the proof of ownership, then the cloud, then the outcome
//! into the record. A crash between any two leaves a record from which the next cycle goes on.

use vcycle_api::{Deletion, ErrorKind};

use super::pay::Payments;
use super::{Absence, ActContext, Change, Trouble, apply, create};
use crate::model::{
    DeleteReason, Drain, EntryRef, Evidence, InstanceId, IntentToken, MachineName, MachineRecord,
    Megabytes, OfferingId, Processors, SideResource, Tags, Timestamp,
};
use crate::plan::{Fact, Step};
use crate::store::Proof;

/// The key by which a machine reads when it must have ended.
const SHUTDOWNTIME_JOB: &str = "shutdowntime_job";

/// The same for its hypervisor, which on a cloud is the machine alone; some readers (DIRAC up to 8.0) look
/// only here (FIELD.md 1.3).
const SHUTDOWNTIME: &str = "shutdowntime";

/// The note of a delete that found nothing while absence proves nothing.
const NOT_FOUND: &str =
    "the cloud found nothing to delete, but now that proves nothing: it is repeated";

/// What a step may touch: one machine, its record, and the list of what became durable.
pub(super) struct Hands<'a> {
    pub(super) context: &'a ActContext<'a>,
    pub(super) proof: &'a Proof<'a>,
    pub(super) record: &'a mut Option<MachineRecord>,
    /// Its record in the archive, if it has one there.
    pub(super) archived: Option<&'a MachineRecord>,
    /// What was reserved for the machines of this plan.
    pub(super) payments: &'a Payments,
    pub(super) changes: &'a mut Vec<Change>,
}

/// What there is to say about a step that was done.
pub(super) type Note = Option<String>;

impl Hands<'_> {
    /// The one match over what a plan can ask for.
    pub(super) async fn carry_out(&mut self, step: &Step) -> Result<Note, Trouble> {
        match step {
            Step::Learn { machine: _, fact } => self.learn(fact).await,
            Step::Adopt { tags, instance, offering, processors, memory, entry } => {
                let (processors, memory) = (*processors, *memory);
                let found = Found { tags, instance, offering, processors, memory, entry };
                self.adopt(found).await
            }
            Step::Resolve { machine: _, intent, asked } => self.resolve(intent, *asked).await,
            Step::Drain { machine: _, drain } => self.drain(drain).await,
            Step::Delete { machine: _, instance, reason } => self.delete(instance, reason).await,
            Step::Create(new) => create::create(self, new).await,
            Step::Archive { machine } => self.archive(machine).await,
            Step::Expire { machine } => {
                self.context.store.expire(self.proof, machine).await?;
                self.changes.push(Change::Expired(machine.clone()));
                Ok(None)
            }
            Step::Sweep { resource } => self.sweep(resource).await,
            Step::CloseRequest { id, because } => {
                self.context.store.close_request(self.proof, id).await?;
                Ok(Some(because.clone()))
            }
        }
    }

    fn now(&self) -> Timestamp {
        self.context.clock.now()
    }

    fn record(&self) -> Result<MachineRecord, Trouble> {
        self.record.clone().ok_or(Trouble::Senseless("there is no record of this machine"))
    }

    /// Writes a record if it says something new, and only then lets it stand in memory.
    pub(super) async fn save(&mut self, mut record: MachineRecord) -> Result<(), Trouble> {
        if self.record.as_ref() == Some(&record) {
            return Ok(());
        }
        record.written_by = self.proof.generation();
        record.manager = self.context.home.manager.clone();
        self.context.store.save_record(self.proof, &record).await?;
        self.remember(record);
        Ok(())
    }

    /// A record stands in the state directory.
    pub(super) fn remember(&mut self, record: MachineRecord) {
        *self.record = Some(record.clone());
        self.changes.push(Change::Wrote(Box::new(record)));
    }

    async fn learn(&mut self, fact: &Fact) -> Result<Note, Trouble> {
        let mut record = self.record()?;
        apply::learn(&mut record, fact);
        self.save(record).await?;
        Ok(None)
    }

    async fn adopt(&mut self, found: Found<'_>) -> Result<Note, Trouble> {
        if self.record.is_some() {
            return Err(Trouble::Senseless("there is a record of this machine already"));
        }
        let record = create::adopted(self, &found);
        let files = create::files_of_adopted(self, &record);
        self.context.store.create_machine(self.proof, &record, &files).await?;
        self.remember(record);
        Ok(None)
    }

    async fn resolve(&mut self, intent: &IntentToken, asked: Timestamp) -> Result<Note, Trouble> {
        let mut record = self.record()?;
        self.proof.check().await?;
        let answer = self.context.provider.resolve(intent, asked).await;
        let resolution = answer.map_err(Trouble::Provider)?;
        apply::resolved(&mut record, self.now(), &resolution);
        self.save(record).await?;
        Ok(Some(match resolution {
            vcycle_api::Resolution::Found(instance) => format!("it became {instance}"),
            vcycle_api::Resolution::ProvenAbsent => "it became nothing".to_owned(),
            vcycle_api::Resolution::Unknown => "not known yet".to_owned(),
        }))
    }

    /// The machine is told first: a record without the word would be silence.
    async fn drain(&mut self, drain: &Drain) -> Result<Note, Trouble> {
        let mut record = self.record()?;
        let by = drain.by.as_secs().to_string();
        let (store, machine) = (self.context.store, record.machine().clone());
        store.set_job_feature(self.proof, &machine, SHUTDOWNTIME_JOB, &by).await?;
        store.set_machine_feature(self.proof, &machine, SHUTDOWNTIME, &by).await?;
        apply::draining(&mut record, drain);
        self.save(record).await?;
        Ok(None)
    }

    async fn delete(
        &mut self,
        instance: &InstanceId,
        reason: &DeleteReason,
    ) -> Result<Note, Trouble> {
        let mut record = self.record()?;
        // A duplicate is another VM than the record's: the listing is what remembers that duty.
        let of_record = *reason != DeleteReason::Duplicate
            && record.instance.as_ref().is_none_or(|known| known == instance);
        if of_record {
            let at = self.now();
            apply::exists(&mut record, instance, at);
            apply::deleting(&mut record, at, reason);
            self.save(record.clone()).await?;
            self.leave_message(record.machine(), reason).await?;
        }
        self.proof.check().await?;
        let provider = self.context.provider;
        // Until then "there is none" may only mean that the cloud does not show it yet.
        let since = self.record()?.settling_since();
        let settled = !self.context.unsettled.contains(self.record()?.machine())
            && self.now().since(since) >= provider.capabilities().settle;
        let believed = match self.context.absence {
            Absence::CanBeProven => settled,
            Absence::ProvesNothing => false,
        };
        let gone = match provider.delete(instance).await {
            Ok(Deletion::Accepted) => None,
            Ok(Deletion::AlreadyGone) => Some(Evidence::DeleteSaidGone),
            Err(error) if error.kind == ErrorKind::NotFound => Some(Evidence::DeleteSaidGone),
            Err(error) => return Err(Trouble::Provider(error)),
        };
        if let Some(evidence) = gone.filter(|_| of_record && believed) {
            let mut record = self.record()?;
            apply::gone(&mut record, self.now(), evidence);
            self.save(record).await?;
        }
        Ok(gone.map(|_| if believed { "it was gone already" } else { NOT_FOUND }.to_owned()))
    }

    /// Nothing is written: what is still there is listed again.
    async fn sweep(&mut self, resource: &SideResource) -> Result<Note, Trouble> {
        if self.record.as_ref().is_some_and(|record| record.gone.is_none()) {
            return Err(Trouble::Senseless("its machine has a record, and is not gone"));
        }
        self.proof.check().await?;
        match self.context.provider.delete_side_resource(resource).await {
            Ok(Deletion::Accepted) => Ok(None),
            Ok(Deletion::AlreadyGone) => Ok(Some("it was gone already".to_owned())),
            Err(error) if error.kind == ErrorKind::NotFound => {
                Ok(Some("it was gone already".to_owned()))
            }
            Err(error) => Err(Trouble::Provider(error)),
        }
    }

    /// Our word for people, unless the machine had its own (trap 7.8). Only a lost ownership keeps the
    /// delete itself from being made: it is a duty, and its record is durable.
    async fn leave_message(
        &self,
        machine: &MachineName,
        reason: &DeleteReason,
    ) -> Result<(), Trouble> {
        let Some(text) = reason.shutdown_message() else { return Ok(()) };
        let left = self.context.store.leave_shutdown_message(self.proof, machine, text).await;
        match left.map_err(Trouble::from) {
            Err(Trouble::Fenced(fenced)) => Err(Trouble::Fenced(fenced)),
            Err(trouble) => {
                tracing::warn!(%machine, %trouble, "could not leave a shutdown message");
                Ok(())
            }
            Ok(_) => Ok(()),
        }
    }

    /// A machine that came back after it was archived has a folder there already: the newer one, which
    /// says how it really ended, takes its place.
    async fn archive(&mut self, machine: &MachineName) -> Result<Note, Trouble> {
        if self.archived.is_some() {
            self.context.store.expire(self.proof, machine).await?;
        }
        self.context.store.archive(self.proof, machine).await?;
        *self.record = None;
        self.changes.push(Change::Archived(machine.clone()));
        Ok(None)
    }
}

/// A VM of ours without a record.
pub(super) struct Found<'a> {
    pub(super) tags: &'a Tags,
    pub(super) instance: &'a InstanceId,
    pub(super) offering: &'a OfferingId,
    pub(super) processors: Processors,
    pub(super) memory: Megabytes,
    pub(super) entry: &'a EntryRef,
}
