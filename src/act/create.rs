//! Making a machine: render, durable intent with everything that the VM will read, proof of ownership, the
//! create call, its outcome into the record. Also the record of a VM that is adopted without one.

use std::collections::BTreeMap;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest, Sha256};
use vcycle_api::{CreateRequest, Created, UserData};

use super::pay::Paid;
use super::steps::{Found, Hands, Note};
use super::{ActContext, Trouble, apply};
use crate::library::{Definition, MachineUrls, MachineVariables};
use crate::model::{EntryRef, MachineRecord, Megabytes, OfferingId, Processors, Tags};
use crate::plan::NewMachine;
use crate::store::{FeaturePolicy, MachineFiles, features};

/// The longest that a create waits for its turn among all that an account makes: as long as a few spaces of one account
/// need that make machines at the same time.
const PATIENCE: Duration = Duration::from_secs(20);

/// Makes the machine of a plan. Between the durable intent and the recorded outcome the intent holds its
/// place, whatever happens.
pub(super) async fn create(hands: &mut Hands<'_>, new: &NewMachine) -> Result<Note, Trouble> {
    if hands.record.is_some() {
        return Err(Trouble::Senseless("there is a record of this machine already"));
    }
    let context = hands.context;
    let paid = hands.payments.take(new)?;
    let machinetype = &new.tags.machinetype;
    let definition = context.space.machinetypes.get(machinetype);
    let definition = definition.ok_or(Trouble::Senseless("its machinetype is not defined"))?;
    let token = fresh_token();
    let user_data = render(context, definition, &new.tags, &token)?;
    // Waited for here, so that nothing stands between the check of the ownership and the call.
    let wait = context.provider.turn_to_create(PATIENCE).map_err(Trouble::Provider)?;
    if !wait.is_zero() {
        // A pause of the runtime, as all pauses are (those of the request budget too): a clock only tells the time.
        tokio::time::sleep(wait).await;
    }
    let record = intent(hands, new, &token);
    let files = files(context, &record, user_data.clone());
    context.store.create_machine(hands.proof, &record, &files).await?;
    hands.remember(record);
    let request = CreateRequest {
        machine: new.tags.machine.clone(),
        offering: new.offering.clone(),
        tags: new.tags.clone(),
        image: definition.image.clone(),
        public_key: definition.public_key.clone(),
        user_data,
        environment: environment(context, &new.tags),
    };
    hands.proof.check().await?;
    ask_the_cloud(hands, &request, paid).await
}

/// Asks, once what it may cost is paid for.
async fn ask_the_cloud(
    hands: &mut Hands<'_>,
    request: &CreateRequest,
    paid: Paid,
) -> Result<Note, Trouble> {
    paid.must_be_of(&request.tags.intent)?;
    let answer = hands.context.provider.create(request).await;
    let now = hands.context.clock.now();
    let mut record = hands.record.clone().expect("the intent was just written");
    let result = match answer {
        Ok(created) => {
            apply::exists(&mut record, created.id(), now);
            Ok(match created {
                Created::New(id) => Some(format!("it is {id}")),
                Created::AlreadyExists(id) => Some(format!("it was there already: {id}")),
            })
        }
        Err(error) => {
            apply::refused(&mut record, now, &error);
            Err(Trouble::Provider(error))
        }
    };
    // If this fails the intent stands, and is resolved.
    hands.save(record).await?;
    result
}

/// 32 random bytes from the system's generator: with it the VM may write its outputs.
fn fresh_token() -> String {
    URL_SAFE_NO_PAD.encode(rand::random::<[u8; 32]>())
}

fn sha256_hex(text: &str) -> String {
    Sha256::digest(text.as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect()
}

fn render(
    context: &ActContext<'_>,
    definition: &Definition,
    tags: &Tags,
    token: &str,
) -> Result<UserData, Trouble> {
    let variables = MachineVariables {
        site: &context.setup.config.site.name,
        space: &tags.space,
        machinetype: &tags.machinetype,
        machine: &tags.machine,
        manager_version: &context.home.version,
        manager_hostname: &context.home.hostname,
        base_url: &context.home.base_url,
        outputs_token: token,
        manager_ca: &context.home.manager_ca,
        deadline: tags.deadline,
    };
    let limit = context.provider.capabilities().user_data_limit;
    let count = |text: &str| context.provider.user_data_bytes(&UserData::new(text));
    Ok(definition.render_counted(&variables, limit, count)?.user_data)
}

fn intent(hands: &Hands<'_>, new: &NewMachine, token: &str) -> MachineRecord {
    let parts = Parts {
        tags: &new.tags,
        entry: &new.entry,
        offering: &new.offering.id,
        processors: new.offering.processors,
        memory: new.offering.memory,
    };
    fresh_record(hands, parts, sha256_hex(token))
}

#[derive(Clone, Copy)]
struct Parts<'a> {
    tags: &'a Tags,
    entry: &'a EntryRef,
    offering: &'a OfferingId,
    processors: Processors,
    memory: Megabytes,
}

fn fresh_record(
    hands: &Hands<'_>,
    parts: Parts<'_>,
    outputs_token_sha256: String,
) -> MachineRecord {
    let now = hands.context.clock.now();
    MachineRecord {
        format: MachineRecord::FORMAT,
        tags: parts.tags.clone(),
        written_by: hands.proof.generation(),
        manager: hands.context.home.manager.clone(),
        entry: parts.entry.clone(),
        offering: parts.offering.clone(),
        processors: parts.processors,
        memory: parts.memory,
        intended: now,
        asked: now,
        outputs_token_sha256,
        base_url: hands.context.home.base_url.clone(),
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

/// The record of a VM of ours that has none. If it was archived, it may go on writing with its token;
/// else the token is lost, and the record says that there is none ([`MachineRecord::can_write_outputs`]).
pub(super) fn adopted(hands: &Hands<'_>, found: &Found<'_>) -> MachineRecord {
    let offering = hands.context.offerings.iter().find(|o| o.id == *found.offering);
    let parts = Parts {
        tags: found.tags,
        entry: found.entry,
        offering: found.offering,
        processors: found.processors,
        memory: offering.map_or(found.memory, |o| o.memory),
    };
    let mut record = fresh_record(hands, parts, String::new());
    record.base_url.clear();
    if let Some(archived) = hands.archived.filter(|a| a.tags.intent == found.tags.intent) {
        record.outputs_token_sha256.clone_from(&archived.outputs_token_sha256);
        record.base_url.clone_from(&archived.base_url);
    }
    let at = record.intended;
    apply::exists(&mut record, found.instance, at);
    record
}

/// What an adopted machine can still read: its features; its contextualisation is lost.
pub(super) fn files_of_adopted(hands: &Hands<'_>, record: &MachineRecord) -> MachineFiles {
    files(hands.context, record, UserData::new(""))
}

fn files(context: &ActContext<'_>, record: &MachineRecord, user_data: UserData) -> MachineFiles {
    let space = &context.space.policy;
    let policy = space.machinetypes.get(record.machinetype());
    let (machinefeatures, jobfeatures) = match policy {
        Some(machinetype) => {
            let policy = FeaturePolicy::of(space, machinetype);
            features(record, &FeaturePolicy { shutdown_time: context.end, ..policy })
        }
        // Adopted, and its machinetype is not configured any more.
        None => (BTreeMap::new(), BTreeMap::new()),
    };
    MachineFiles { machinefeatures, jobfeatures, user_data }
}

fn environment(context: &ActContext<'_>, tags: &Tags) -> Vec<(String, String)> {
    let urls = MachineUrls::new(&context.home.base_url, &tags.space, &tags.machine);
    [
        ("MACHINEFEATURES", urls.machinefeatures),
        ("JOBFEATURES", urls.jobfeatures),
        ("JOBOUTPUTS", urls.joboutputs),
    ]
    .map(|(variable, url)| (variable.to_owned(), url))
    .into()
}
