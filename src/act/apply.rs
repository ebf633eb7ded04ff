//! What an outcome does to a record. Pure. Facts are only added: applying one twice changes nothing, and
//! nothing that was learned is taken back.

use crate::model::{
    DeleteReason, Deletion, Drain, EndFact, Evidence, Gone, InstanceId, MachineRecord, Rejection,
    Timestamp,
};
use crate::plan::Fact;
use vcycle_api::{ProviderError, Resolution};

/// Adds a learned fact.
pub(super) fn learn(record: &mut MachineRecord, fact: &Fact) {
    match fact {
        Fact::Created { instance, at } => exists(record, instance, *at),
        Fact::Started { at } => {
            record.started.get_or_insert(*at);
        }
        Fact::RefusedLate(refused) => {
            record.refused_late.get_or_insert_with(|| refused.clone());
        }
        Fact::Ended { at, state, message } => {
            let known = record.ended.get_or_insert_with(|| EndFact {
                at: *at,
                state: state.clone(),
                message: None,
            });
            // Last words may arrive after the end was seen.
            if known.message.is_none() {
                known.message.clone_from(message);
            }
        }
        Fact::Gone { at, evidence } => gone(record, *at, *evidence),
    }
}

/// The cloud has it.
pub(super) fn exists(record: &mut MachineRecord, instance: &InstanceId, at: Timestamp) {
    record.instance.get_or_insert_with(|| instance.clone());
    record.created.get_or_insert(at);
}

/// It is proven not to exist.
pub(super) fn gone(record: &mut MachineRecord, at: Timestamp, evidence: Evidence) {
    record.gone.get_or_insert(Gone { at, evidence });
}

/// The create call failed. Only a refusal that proves that nothing was made is written; after anything
/// else the intent stands, holds its place, and is resolved.
pub(super) fn refused(record: &mut MachineRecord, at: Timestamp, error: &ProviderError) {
    if error.kind.create_made_nothing() && record.instance.is_none() {
        record.rejected.get_or_insert_with(|| Rejection {
            at,
            kind: error.kind.word().to_owned(),
            message: error.message.clone(),
        });
    }
}

/// What became of an intent.
pub(super) fn resolved(record: &mut MachineRecord, at: Timestamp, resolution: &Resolution) {
    match resolution {
        Resolution::Found(instance) => exists(record, instance, at),
        Resolution::ProvenAbsent if record.instance.is_none() => {
            gone(record, at, Evidence::NeverMade);
        }
        Resolution::ProvenAbsent | Resolution::Unknown => {}
    }
}

/// One more delete call is about to be made: the duty, with its first reason, and the count from which the
/// pause to the next one follows.
pub(super) fn deleting(record: &mut MachineRecord, at: Timestamp, reason: &DeleteReason) {
    let deletion = record.deletion.get_or_insert_with(|| Deletion {
        reason: reason.clone(),
        since: at,
        attempts: 0,
        last: at,
    });
    deletion.attempts = deletion.attempts.saturating_add(1);
    deletion.last = at;
}

/// It is told to end. A later drain replaces an earlier one: the time is dynamic by its definition.
pub(super) fn draining(record: &mut MachineRecord, drain: &Drain) {
    record.drain = Some(drain.clone());
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{
        DeploymentId, EndState, EntryName, EntryRef, Generation, IntentToken, MachineName,
        MachinetypeName, ManagerName, Market, Megabytes, OfferingId, Processors, ShutdownMessage,
        SpaceName, Tags,
    };
    use vcycle_api::ErrorKind;

    fn record() -> MachineRecord {
        let machinetype = MachinetypeName::parse("batch").unwrap();
        let at = Timestamp::from_secs(1000);
        MachineRecord {
            format: MachineRecord::FORMAT,
            tags: Tags {
                deployment: DeploymentId::compose(1),
                space: SpaceName::parse("a.example").unwrap(),
                machine: MachineName::compose(&machinetype, 1),
                machinetype,
                intent: IntentToken::compose(1),
                generation: Generation(1),
                deadline: Timestamp::from_secs(9000),
            },
            written_by: Generation(1),
            manager: ManagerName::parse("one").unwrap(),
            entry: EntryRef { name: EntryName::parse("batch").unwrap(), version: "1".into() },
            offering: OfferingId {
                flavour: "small".into(),
                zone: String::new(),
                market: Market::OnDemand,
            },
            processors: Processors(1),
            memory: Megabytes(1),
            intended: at,
            asked: at,
            outputs_token_sha256: String::new(),
            base_url: String::new(),
            instance: None,
            created: None,
            rejected: None,
            refused_late: None,
            started: None,
            ended: None,
            drain: None,
            deletion: None,
            gone: None,
        }
    }

    fn id(text: &str) -> InstanceId {
        InstanceId::parse(text).unwrap()
    }

    fn at(secs: i64) -> Timestamp {
        Timestamp::from_secs(secs)
    }

    #[test]
    fn facts_are_only_added() {
        let message = ShutdownMessage::parse("300 Nothing to do");
        let ended = |at, message| Fact::Ended { at, state: EndState::Stopped, message };
        let mut known = record();
        for fact in [
            Fact::Created { instance: id("a"), at: at(1) },
            Fact::Started { at: at(2) },
            ended(at(3), None),
            ended(at(4), message.clone()),
            Fact::Gone { at: at(5), evidence: Evidence::NotFound },
        ] {
            learn(&mut known, &fact);
        }
        assert_eq!(known.instance, Some(id("a")));
        assert_eq!(known.ended, Some(EndFact { at: at(3), state: EndState::Stopped, message }));
        let before = known.clone();
        for fact in [
            Fact::Created { instance: id("b"), at: at(11) },
            Fact::Started { at: at(12) },
            ended(at(13), None),
            Fact::Gone { at: at(15), evidence: Evidence::Tombstone },
        ] {
            learn(&mut known, &fact);
        }
        assert_eq!(known, before);
    }

    #[test]
    fn only_a_refusal_that_proves_that_nothing_was_made_ends_an_intent() {
        let offering = record().offering;
        for (kind, ends) in [
            (ErrorKind::NotFound, false),
            (ErrorKind::Ambiguous, false),
            (ErrorKind::Unavailable, false),
            (ErrorKind::InsufficientCapacity { offering }, true),
            (ErrorKind::QuotaExceeded, true),
            (ErrorKind::Throttled { after: None }, true),
            (ErrorKind::AuthFailed, true),
            (ErrorKind::InvalidSpec, true),
        ] {
            let mut intent = record();
            refused(&mut intent, at(5), &ProviderError::new(kind.clone(), "create", "no"));
            assert_eq!(intent.rejected.is_some(), ends, "{kind:?}");
        }
        let mut made = record();
        exists(&mut made, &id("a"), at(1));
        refused(&mut made, at(5), &ProviderError::new(ErrorKind::QuotaExceeded, "create", "no"));
        assert_eq!(made.rejected, None, "what exists was not refused");
    }

    #[test]
    fn an_intent_whose_machine_is_known_cannot_be_resolved_away() {
        let mut intent = record();
        resolved(&mut intent, at(5), &Resolution::Unknown);
        assert_eq!(intent, record());
        resolved(&mut intent, at(5), &Resolution::Found(id("a")));
        resolved(&mut intent, at(6), &Resolution::ProvenAbsent);
        assert_eq!((intent.instance, intent.gone), (Some(id("a")), None));
        let mut lost = record();
        resolved(&mut lost, at(6), &Resolution::ProvenAbsent);
        assert_eq!(lost.gone, Some(Gone { at: at(6), evidence: Evidence::NeverMade }));
    }

    #[test]
    fn a_repeated_delete_keeps_its_first_reason_and_counts() {
        let mut doomed = record();
        deleting(&mut doomed, at(5), &DeleteReason::Heartbeat);
        deleting(&mut doomed, at(9), &DeleteReason::Deadline);
        let expected =
            Deletion { reason: DeleteReason::Heartbeat, since: at(5), attempts: 2, last: at(9) };
        assert_eq!(doomed.deletion, Some(expected));
    }
}
