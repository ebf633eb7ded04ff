//! Cases of `list` and `get`: what is there is shown, what cannot be seen is said, and whose it is
//! is told by the tags alone.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::testing::bench::ensure;
use crate::testing::{Bench, Fault, Halt, Outcome};
use crate::{
    CreateRequest, DeploymentId, ErrorKind, Generation, Identity, Instance, InstanceId, Listing,
    MachineName, MachinetypeName, Resolution, SpaceName, Tags,
};

/// `create` sets the whole identity in the call itself, and the listing gives it back unchanged.
pub(super) async fn a_listing_shows_the_whole_identity(bench: &Bench) -> Outcome {
    let before = bench.now();
    let (request, id) = bench.machine().await?;
    let instance = bench.listed(&id).await?;
    let wanted = Identity::Vcycle(request.tags.clone());
    ensure!(instance.identity == wanted, "listed as {:?}, not {wanted:?}", instance.identity);
    ensure!(instance.name == request.machine.as_str(), "listed under the name {}", instance.name);
    let offering = &request.offering.id;
    ensure!(
        instance.offering.as_ref().is_none_or(|shown| shown == offering),
        "made of {offering}, listed as {:?}",
        instance.offering
    );
    ensure!(
        instance.processors.is_none_or(|shown| shown == request.offering.processors),
        "{} processors bought, {:?} listed",
        request.offering.processors,
        instance.processors
    );
    // Some clouds tell times in whole seconds, cut off.
    let early = before - bench.limits().step - Duration::from_secs(1);
    ensure!(instance.created.is_none_or(|at| at >= early), "created at {:?}", instance.created);
    Ok(())
}

/// Tags are encoded in a way that holds the longest names and every character of their alphabets:
/// labels of some clouds are shorter than a space's name and know no dots.
pub(super) async fn the_longest_names_come_back_unchanged(bench: &Bench) -> Outcome {
    let mut request = bench.request().await?;
    let machinetype = format!("0-{}", "m".repeat(38));
    let space = format!("a_b-c.{}.9", "s".repeat(92));
    let valid = "the longest names are valid";
    request.tags.machinetype = MachinetypeName::parse(&machinetype).expect(valid);
    request.tags.space = SpaceName::parse(&space).expect(valid);
    request.tags.deployment = DeploymentId::parse(&"d9".repeat(16)).expect(valid);
    request.tags.generation = Generation(u64::MAX);
    let random = request.tags.deadline.as_millis().unsigned_abs();
    request.machine = MachineName::compose(&request.tags.machinetype, random);
    request.tags.machine = request.machine.clone();
    let id = bench.provider().create(&request).await?.id().clone();
    let instance = bench.listed(&id).await?;
    let wanted = Identity::Vcycle(request.tags);
    ensure!(instance.identity == wanted, "{:?}, not {wanted:?}", instance.identity);
    bench.remove(&id).await
}

/// `get` and `list` tell the same of a machine.
pub(super) async fn a_get_shows_the_same_machine_as_the_listing(bench: &Bench) -> Outcome {
    let (_, id) = bench.running_machine().await?;
    let listed = bench.listed(&id).await?;
    let got = bench.provider().get(&id).await?;
    ensure!(got == listed, "get says {got:?}, list says {listed:?}");
    Ok(())
}

/// `get` of an id that never was is `NotFound`, not an empty answer and not `Unavailable`.
pub(super) async fn an_unknown_id_is_not_found(bench: &Bench) -> Outcome {
    let got = bench.provider().get(&bench.tenancy().unknown_id()).await;
    bench.expect_error("get of an unknown id", got, |kind| *kind == ErrorKind::NotFound)
}

/// No call of `Observe` changes the cloud.
pub(super) async fn observing_changes_nothing(bench: &Bench) -> Outcome {
    let (_, id) = bench.running_machine().await?;
    let before = (bench.list().await?, bench.tenancy().mutations());
    let provider = bench.provider();
    for _ in 0..3 {
        provider.list().await?;
        provider.get(&id).await?;
        drop(provider.get(&bench.tenancy().unknown_id()).await);
        provider.offerings().await?;
        provider.quota().await?;
        provider.interruptions().await?;
        provider.side_resources().await?;
        provider.terms().await?;
        drop(provider.inspect(&[]).await);
    }
    let after = (bench.list().await?, bench.tenancy().mutations());
    ensure!(before == after, "observing turned {before:?} into {after:?}");
    Ok(())
}

/// `tenancy` is the same each time, whatever happens in it, and can stand in one line.
pub(super) async fn the_tenancy_stays_the_same(bench: &Bench) -> Outcome {
    let first = bench.provider().tenancy().await?;
    bench.machine().await?;
    let again = bench.provider().tenancy().await?;
    ensure!(first == again, "first {first:?}, then {again:?}");
    for text in first.iter().flat_map(|tenancy| [&tenancy.id, &tenancy.name]) {
        ensure!(!text.trim().is_empty() && !text.contains('\n'), "it is called {text:?}");
    }
    Ok(())
}

/// `list` pages to the end: 1,001 machines are one more than the longest page in common use.
/// The traps: an ancestor that read one page lost sight of all others, and made more.
pub(super) async fn a_thousand_and_one_machines_are_listed(bench: &Bench) -> Outcome {
    let made = make_many(bench, bench.limits().machines).await?;
    bench
        .wait("all machines to be listed", async || {
            let listed = bench.list().await?;
            Ok(made.keys().all(|id| listed.contains_key(id)))
        })
        .await?;
    let listed = bench.list().await?;
    let strange: Vec<_> = listed.keys().filter(|id| !made.contains_key(id)).collect();
    ensure!(strange.is_empty(), "never made, but listed: {strange:?}");
    for (id, request) in &made {
        let wanted = Identity::Vcycle(request.tags.clone());
        ensure!(listed[id].identity == wanted, "{id} is listed with another's identity");
    }
    Ok(())
}

async fn make_many(bench: &Bench, count: usize) -> Outcome<BTreeMap<InstanceId, CreateRequest>> {
    let offering = bench.offering().await?;
    let mut made = BTreeMap::new();
    for number in 1..=count {
        let request = bench.request_for(offering.clone());
        let created = bench.provider().create(&request).await;
        let id = created
            .map_err(|error| Halt::Failed(format!("machine {number} of {count}: {error}")))?
            .id()
            .clone();
        ensure!(made.insert(id, request).is_none(), "two intents were given one machine");
    }
    Ok(made)
}

/// `list`: a page that is lost in the middle makes it `Partial` (or an error), never a shorter
/// `Complete`.
pub(super) async fn a_lost_page_makes_the_listing_partial(bench: &Bench) -> Outcome {
    let Some(page) = bench.limits().page else {
        return Err(Halt::Skipped("its listings have no pages".to_owned()));
    };
    let made = make_many(bench, page * 2 + 1).await?;
    bench.wait("all to be listed", async || Ok(bench.list().await?.len() >= made.len())).await?;
    bench.inject(Fault::LosePage).await?;
    match bench.provider().list().await {
        Ok(Listing::Complete(all)) => {
            return Err(Halt::Failed(format!("complete with {} of {}", all.len(), made.len())));
        }
        Ok(Listing::Partial { seen, why }) => {
            ensure!(!why.is_empty(), "a partial listing does not say what was missing");
            ensure!(seen.iter().all(|i| made.contains_key(&i.id)), "it shows what is not there");
        }
        Err(error) => ensure!(error.kind == ErrorKind::Unavailable, "the wrong error: {error}"),
    }
    let whole = bench.list().await?;
    ensure!(whole.len() == made.len(), "afterwards {} of {}", whole.len(), made.len());
    Ok(())
}

async fn stranger(bench: &Bench, name: &str, tags: BTreeMap<String, String>) -> Outcome<Instance> {
    let before = bench.list().await?;
    bench.inject(Fault::Stranger { name: name.to_owned(), tags }).await?;
    let mut found = None;
    bench
        .wait("the stranger to be listed", async || {
            let all = bench.list().await?;
            found = all.into_values().find(|i| i.name == name && !before.contains_key(&i.id));
            Ok(found.is_some())
        })
        .await?;
    found.ok_or_else(|| Halt::Failed(format!("{name} is not listed")))
}

/// Names prove nothing: a VM with our name and without our tags is `Foreign`, is never taken for the
/// machine of an intent, and is still there when ours is gone.
pub(super) async fn a_stranger_with_our_name_is_foreign_and_stays(bench: &Bench) -> Outcome {
    let provider = bench.provider();
    let request = bench.request().await?;
    let foreign = stranger(bench, request.machine.as_str(), BTreeMap::new()).await?;
    ensure!(foreign.identity == Identity::Foreign, "it is {:?}", foreign.identity);
    let since = bench.now();
    // A cloud with unique names must refuse, since the name is taken by somebody else.
    let ours = match provider.create(&request).await {
        Ok(created) => {
            ensure!(*created.id() != foreign.id, "the stranger was taken for our machine");
            Some(created.id().clone())
        }
        Err(error) => {
            ensure!(error.kind == ErrorKind::InvalidSpec, "the wrong error: {error}");
            None
        }
    };
    let wanted = ours.clone().map_or(Resolution::ProvenAbsent, Resolution::Found);
    let resolution = bench.resolve(&request.tags.intent, since).await?;
    ensure!(resolution == wanted, "resolve says {resolution:?}, not {wanted:?}");
    if let Some(ours) = ours {
        bench.remove(&ours).await?;
    }
    let still = bench.listed(&foreign.id).await?;
    ensure!(still.state == foreign.state, "the stranger became {:?}", still.state);
    Ok(())
}

fn tags_of(bench: &Bench, request: &CreateRequest) -> Tags {
    let deployment = DeploymentId::compose(77);
    assert_ne!(deployment, *bench.deployment(), "another deployment has another id");
    Tags { deployment, ..request.tags.clone() }
}

/// A VM of another deployment is shown with that deployment's tags, so that nobody takes it for ours.
pub(super) async fn another_deployment_is_told_from_ours(bench: &Bench) -> Outcome {
    let request = bench.request().await?;
    let tags = tags_of(bench, &request);
    let other = stranger(bench, request.machine.as_str(), tags.to_map()).await?;
    let wanted = Identity::Vcycle(tags);
    ensure!(other.identity == wanted, "it is {:?}, not {wanted:?}", other.identity);
    let (_, ours) = bench.machine().await?;
    bench.remove(&ours).await?;
    bench.listed(&other.id).await?;
    Ok(())
}

/// A VM that lacks one of the tags is `Foreign`: the safe side.
pub(super) async fn half_a_set_of_tags_is_foreign(bench: &Bench) -> Outcome {
    let request = bench.request().await?;
    let mut map = request.tags.to_map();
    let last = map.keys().next_back().cloned();
    last.map(|key| map.remove(&key));
    let half = stranger(bench, "half-tagged", map).await?;
    ensure!(half.identity == Identity::Foreign, "it is {:?}", half.identity);
    Ok(())
}
