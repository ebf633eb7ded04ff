//! The files of the generation log: `NNNNNNNN` made once by put-if-absent, `NNNNNNNN.renew` written by
//! its owner alone.

use std::io;

use serde::{Deserialize, Serialize};

use super::machine::{Renewal, Seen};
use crate::model::{Generation, ManagerName, SpaceName, Timestamp};
use crate::store::error::at;
use crate::store::{Mode, PutOutcome, Store, StoreError, codec, layout};

const FORMAT: u32 = 1;

/// Old generations that are kept, for people, and so that a look that is a minute old cannot show a
/// log whose next number is free again: sixteen changes of owner take longer.
const KEPT: u64 = 16;

/// The content of `NNNNNNNN`.
#[derive(Debug, Serialize, Deserialize)]
struct Claim {
    format: u32,
    manager: ManagerName,
    /// Makes the content unique to one attempt.
    attempt: String,
    /// By the manager's clock, for people.
    at: Timestamp,
}

/// The content of `NNNNNNNN.renew`.
#[derive(Debug, Serialize, Deserialize)]
struct Life {
    format: u32,
    counter: u64,
    released: bool,
}

/// Makes the directories that an owner writes into.
pub(super) async fn prepare(store: &Store, space: &SpaceName) -> Result<(), StoreError> {
    for dir in layout::long_lived(space) {
        store.fs().make_dir(&dir).await.map_err(at("make", &dir))?;
    }
    Ok(())
}

/// The highest generation in the log.
pub(super) async fn highest(
    store: &Store,
    space: &SpaceName,
) -> Result<Option<Generation>, StoreError> {
    Ok(generations(store, space).await?.into_iter().max())
}

async fn generations(store: &Store, space: &SpaceName) -> Result<Vec<Generation>, StoreError> {
    let dir = layout::owner(space);
    let names = store.fs().list(&dir).await.map_err(at("list", &dir))?;
    let numbers = names.iter().filter(|name| name.len() >= 8).filter_map(|name| name.parse().ok());
    Ok(numbers.map(Generation).collect())
}

/// What the log shows now.
pub(super) async fn look(store: &Store, space: &SpaceName) -> Result<Option<Seen>, StoreError> {
    let Some(generation) = highest(store, space).await? else { return Ok(None) };
    let claim = store.read_optional(&layout::generation(space, generation)).await?;
    let life = store.read_optional(&layout::renewal(space, generation)).await?;
    let claim: Option<Claim> = claim.and_then(|text| codec::decode(&text, FORMAT).ok());
    let life: Option<Life> = life.and_then(|text| codec::decode(&text, FORMAT).ok());
    let renewal = match life {
        None => Renewal::None,
        Some(Life { released: true, .. }) => Renewal::Released,
        Some(Life { counter, .. }) => Renewal::Counter(counter),
    };
    Ok(Some(Seen { generation, manager: claim.map(|claim| claim.manager), renewal }))
}

/// Tries to make a generation. `false`: somebody else did.
pub(super) async fn claim(
    store: &Store,
    space: &SpaceName,
    manager: &ManagerName,
    generation: Generation,
) -> Result<bool, StoreError> {
    let path = layout::generation(space, generation);
    let content = codec::encode(&Claim {
        format: FORMAT,
        manager: manager.clone(),
        attempt: uuid::Uuid::new_v4().to_string(),
        at: store.clock().now(),
    });
    match store.fs().put_if_absent(&path, &content, Mode::Public).await {
        Ok(PutOutcome::Ours) => Ok(true),
        Ok(PutOutcome::Theirs) => Ok(false),
        // The reply was lost, perhaps not the deed.
        Err(error) => match store.fs().read(&path).await {
            Ok(there) => Ok(there == content),
            Err(_) => Err(at("claim", &path)(error)),
        },
    }
}

/// Shows that the owner lives.
pub(super) async fn renew(
    store: &Store,
    space: &SpaceName,
    generation: Generation,
    counter: u64,
) -> Result<(), StoreError> {
    write(store, space, generation, &Life { format: FORMAT, counter, released: false }).await
}

/// Gives the generation back.
pub(super) async fn release(
    store: &Store,
    space: &SpaceName,
    generation: Generation,
    counter: u64,
) -> Result<(), StoreError> {
    write(store, space, generation, &Life { format: FORMAT, counter, released: true }).await
}

async fn write(
    store: &Store,
    space: &SpaceName,
    generation: Generation,
    life: &Life,
) -> Result<(), StoreError> {
    let path = layout::renewal(space, generation);
    store.fs().write(&path, &codec::encode(life), Mode::Public).await.map_err(at("renew", &path))
}

/// Makes the next listings of the machines' folders true, however old what this host remembers of them is: no
/// client of a file server trusts its cache of a directory that it has just changed itself. A new owner that
/// misses a machine of the last one makes another in its place.
pub(super) async fn look_anew(
    store: &Store,
    space: &SpaceName,
    generation: Generation,
) -> Result<(), StoreError> {
    for dir in [layout::current(space), layout::deleted(space)] {
        let path = layout::touched(&dir);
        let content = format!("{generation}\n");
        let written = store.fs().write(&path, content.as_bytes(), Mode::Public).await;
        written.map_err(at("write", &path))?;
    }
    Ok(())
}

/// Removes generations that are long past. What cannot be removed stays: it does no harm.
pub(super) async fn clean(store: &Store, space: &SpaceName, ours: Generation) {
    let Ok(all) = generations(store, space).await else { return };
    for old in all.into_iter().filter(|old| old.0.saturating_add(KEPT) < ours.0) {
        for path in [layout::renewal(space, old), layout::generation(space, old)] {
            if let Err(error) = store.fs().remove(&path).await
                && error.kind() != io::ErrorKind::NotFound
            {
                tracing::debug!(%path, %error, "an old generation stays");
                return;
            }
        }
    }
}
