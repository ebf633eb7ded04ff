//! Records for tests and simulations: valid, and the same for the same number.

use vcycle_api::{
    DeploymentId, EntryName, Generation, IntentToken, MachineName, MachinetypeName, ManagerName,
    Market, Megabytes, OfferingId, Processors, SpaceName, Tags, Timestamp,
};

use crate::model::{EntryRef, MachineRecord};

fn name<T>(text: &str, parse: impl Fn(&str) -> Result<T, vcycle_api::InvalidName>) -> T {
    parse(text).expect("a valid name")
}

/// An open intent of space `a.example`, machinetype `dune`: 8 processors, 16 GiB.
pub fn example_record(number: u64) -> MachineRecord {
    let machinetype = name("dune", MachinetypeName::parse);
    let intended = Timestamp::from_secs(1_767_200_000);
    MachineRecord {
        format: MachineRecord::FORMAT,
        tags: Tags {
            deployment: DeploymentId::compose(7),
            space: name("a.example", SpaceName::parse),
            machine: MachineName::compose(&machinetype, number),
            machinetype,
            intent: IntentToken::compose(u128::from(number)),
            generation: Generation(1),
            deadline: Timestamp::from_secs(1_767_303_600),
        },
        written_by: Generation(1),
        manager: name("vcycle01", ManagerName::parse),
        entry: EntryRef { name: name("dune", EntryName::parse), version: "1.0.0".to_owned() },
        offering: OfferingId {
            flavour: "l3.small".to_owned(),
            zone: String::new(),
            market: Market::OnDemand,
        },
        processors: Processors(8),
        memory: Megabytes(16_384),
        intended,
        asked: intended,
        outputs_token_sha256: "0".repeat(64),
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
