//! `vcycle drain`: leaves a request for the owner of the space, or takes requests back. The owner
//! carries it out within seconds; machines read their time as `shutdowntime_job`.

use std::path::Path;
use std::time::Duration;

use super::DrainArgs;
use super::confirm::{Consent, YesFlag, ask};
use super::error::CliError;
use super::output::{clock_time, from_now, print};
use super::site::{Overview, SpaceView, StateSource};
use super::target::Target;
use crate::model::{MachineRow, OperatorRequest, RequestId, RequestWhat, SpaceName, Timestamp};

/// Carries the command out.
pub(crate) async fn run(config: &Path, args: &DrainArgs) -> Result<(), CliError> {
    let source = StateSource::open(config, args.change.state_dir.as_deref())?;
    source.must_be_in_use().await?;
    let overview = source.overview(&[]).await?;
    let view = space_of(&overview, &args.target)?;
    if args.cancel {
        return cancel(&source, view, args).await;
    }
    let affected = affected(view, &args.target);
    let by = args.by.map_or_else(
        || when_all_end_anyway(&affected, overview.now),
        |when| when.from(overview.now),
    );
    let what = what(&args.target, by);
    let consent = ask(
        &format!(
            "{}: {} told to end by {} ({}); {}",
            args.target,
            machines(affected.len()),
            clock_time(by),
            from_now(by, overview.now),
            match args.target {
                Target::Machine(_) => "it is deleted then",
                Target::Space(_) | Target::Machinetype(..) =>
                    "they are deleted then; no more are made until `--cancel`",
            }
        ),
        YesFlag::from(&args.change),
    )?;
    let id = leave(&source, &view.space, what, &consent).await?;
    print(&format!("asked the owner of {} (request {})\n", view.space, id.0))
}

/// Leaves a request under a name of its own. Also for `delete`.
pub(super) async fn leave(
    source: &StateSource,
    space: &SpaceName,
    what: RequestWhat,
    _consent: &Consent,
) -> Result<RequestId, CliError> {
    use vcycle_api::Clock;
    let at = source.clock.now();
    let id = RequestId(format!("{:013}-{}", at.as_millis(), uuid::Uuid::new_v4().simple()));
    let request = OperatorRequest { format: 1, id: id.clone(), who: who(), at, what };
    source
        .store
        .put_request(space, &request)
        .await
        .map_err(|error| CliError::failed("the request could not be left", &error))?;
    Ok(id)
}

/// `user@host`, as far as known. Also for `spend import`.
pub(super) fn who() -> String {
    let user = nix::unistd::User::from_uid(nix::unistd::getuid())
        .ok()
        .flatten()
        .map_or_else(|| format!("uid {}", nix::unistd::getuid()), |user| user.name);
    format!("{user}@{}", crate::config::Host::this().name)
}

async fn cancel(source: &StateSource, view: &SpaceView, args: &DrainArgs) -> Result<(), CliError> {
    let requests = source
        .store
        .requests(&view.space)
        .await
        .map_err(|error| CliError::failed("the requests cannot be read", &error))?;
    let ours: Vec<_> = requests.iter().filter(|r| is_drain_of(&r.what, &args.target)).collect();
    if ours.is_empty() {
        return Err(CliError::Failed(format!("there is no drain of {} to cancel", args.target)));
    }
    ask(
        &format!(
            "{}: {} taken back; machines that were told already keep their time",
            args.target,
            if ours.len() == 1 {
                "1 drain is".to_owned()
            } else {
                format!("{} drains are", ours.len())
            },
        ),
        YesFlag::from(&args.change),
    )?;
    for request in &ours {
        source
            .store
            .withdraw_request(&view.space, &request.id)
            .await
            .map_err(|error| CliError::failed("the request cannot be taken back", &error))?;
    }
    print("taken back\n")
}

/// The space in which a target is; a machine is looked for in all.
pub(super) fn space_of<'a>(
    overview: &'a Overview,
    target: &Target,
) -> Result<&'a SpaceView, CliError> {
    let found = match target {
        Target::Space(space) | Target::Machinetype(space, _) => {
            overview.spaces.iter().find(|view| view.space == *space)
        }
        Target::Machine(machine) => overview.spaces.iter().find(|view| {
            view.snapshot.iter().flat_map(|s| &s.machines).any(|row| row.name == *machine)
        }),
    };
    let view = found.ok_or_else(|| {
        CliError::Usage(format!(
            "there is no {target}; `vcycle status` and `vcycle machines` list all"
        ))
    })?;
    if let (Target::Machinetype(_, machinetype), Some(snapshot)) = (target, &view.snapshot)
        && !snapshot.machinetypes.iter().any(|row| row.name == *machinetype)
        && affected(view, target).is_empty()
    {
        return Err(CliError::Usage(format!("there is no {target}; `vcycle status` lists all")));
    }
    Ok(view)
}

fn affected<'a>(view: &'a SpaceView, target: &Target) -> Vec<&'a MachineRow> {
    let rows = view.snapshot.iter().flat_map(|snapshot| &snapshot.machines);
    rows.filter(|row| match target {
        Target::Space(_) => true,
        Target::Machinetype(_, machinetype) => row.machinetype == *machinetype,
        Target::Machine(machine) => row.name == *machine,
    })
    .collect()
}

/// Without a time nothing is cut short: the last hard end of the machines, an hour at least.
fn when_all_end_anyway(affected: &[&MachineRow], now: Timestamp) -> Timestamp {
    let last = affected.iter().map(|row| row.deadline).max();
    last.unwrap_or_default().max(now + Duration::from_secs(3600))
}

fn what(target: &Target, by: Timestamp) -> RequestWhat {
    match target {
        Target::Space(_) => RequestWhat::DrainSpace { by },
        Target::Machinetype(_, machinetype) => {
            RequestWhat::DrainMachinetype { machinetype: machinetype.clone(), by }
        }
        Target::Machine(machine) => RequestWhat::DrainMachine { machine: machine.clone(), by },
    }
}

fn is_drain_of(what: &RequestWhat, target: &Target) -> bool {
    match (what, target) {
        (RequestWhat::DrainSpace { by: _ }, Target::Space(_)) => true,
        (RequestWhat::DrainMachinetype { machinetype, by: _ }, Target::Machinetype(_, wanted)) => {
            machinetype == wanted
        }
        (RequestWhat::DrainMachine { machine, by: _ }, Target::Machine(wanted)) => {
            machine == wanted
        }
        (
            RequestWhat::DrainSpace { by: _ }
            | RequestWhat::DrainMachinetype { .. }
            | RequestWhat::DrainMachine { .. }
            | RequestWhat::DeleteMachine { .. }
            | RequestWhat::HandOver { .. },
            Target::Space(_) | Target::Machinetype(..) | Target::Machine(_),
        ) => false,
    }
}

fn machines(count: usize) -> String {
    if count == 1 { "1 machine is".to_owned() } else { format!("{count} machines are") }
}

#[cfg(test)]
mod tests {
    use super::super::site::sample;
    use super::*;

    #[test]
    fn a_drain_without_a_time_cuts_nothing_short() {
        let overview = sample::overview();
        let target = "cumulus.iris.example".parse().unwrap();
        let view = space_of(&overview, &target).ok().unwrap();
        let by = when_all_end_anyway(&affected(view, &target), overview.now);
        assert_eq!(by, overview.now + Duration::from_secs(3600));
        assert_eq!(
            when_all_end_anyway(&[], overview.now),
            overview.now + Duration::from_secs(3600)
        );
    }

    #[test]
    fn a_machine_is_found_in_whatever_space_it_is() {
        let overview = sample::overview();
        let target = "vcycle-idle-cccccccccc".parse().unwrap();
        let view = space_of(&overview, &target).ok().unwrap();
        assert_eq!(affected(view, &target).len(), 1);
        for unknown in ["vcycle-idle-dddddddddd", "other.example", "cumulus.iris.example/dune"] {
            let refused = space_of(&overview, &unknown.parse().unwrap());
            assert!(matches!(refused, Err(CliError::Usage(_))), "{unknown}");
        }
    }

    #[test]
    fn a_drain_is_cancelled_by_the_target_it_was_made_for() {
        let by = Timestamp::default();
        let dune = RequestWhat::DrainMachinetype { machinetype: "dune".parse().unwrap(), by };
        assert!(is_drain_of(&dune, &"iris.example/dune".parse().unwrap()));
        assert!(!is_drain_of(&dune, &"iris.example/lsst".parse().unwrap()));
        assert!(!is_drain_of(&dune, &"iris.example".parse().unwrap()));
        assert!(is_drain_of(&RequestWhat::DrainSpace { by }, &"iris.example".parse().unwrap()));
    }
}
