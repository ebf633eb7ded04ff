//! An instance of EC2 in our words. Pure.
//!
//! How an instance ended is in its `StateReason` (API reference, `StateReason`), and only there: a shutdown by
//! the guest, an interruption and a delete all lead to `terminated`.

use std::collections::BTreeMap;
use std::net::IpAddr;

use aws_sdk_ec2::types;
use vcycle_api::{
    Identity, Instance, InstanceId, InstanceState, LateRefusal, Market, Megabytes, OfferingId,
    Processors, Timestamp,
};

use crate::codes;
use crate::watch::Known;

/// What we read of an instance: a small part of what EC2 tells.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Seen {
    pub(crate) id: InstanceId,
    pub(crate) identity: Identity,
    pub(crate) name: String,
    /// EC2's word.
    pub(crate) state: String,
    pub(crate) reason: Option<Reason>,
    /// Words for people, with the time of the last change in them.
    pub(crate) transition: Option<String>,
    pub(crate) flavour: Option<String>,
    pub(crate) zone: Option<String>,
    pub(crate) market: Market,
    pub(crate) launched: Option<Timestamp>,
    pub(crate) processors: Option<Processors>,
    pub(crate) addresses: Vec<IpAddr>,
    /// Token of the call that made it; stays when the tags are gone.
    pub(crate) client_token: Option<String>,
}

/// Why an instance is in its state.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Reason {
    pub(crate) code: String,
    pub(crate) message: String,
}

/// How an instance came to its end.
#[derive(Debug, Clone, PartialEq, Eq)]
enum End {
    /// Somebody asked for it.
    Asked,
    /// The guest shut down.
    BySelf,
    /// Amazon took it back.
    TakenBack,
    /// It could not be made, or was lost.
    Fault { refusal: Option<LateRefusal>, fault: String },
}

impl Seen {
    /// Reads an instance; `None`: it has no id that is one.
    pub(crate) fn read(from: &types::Instance) -> Option<Self> {
        let tags = tags_of(from.tags());
        let spot = from.instance_lifecycle() == Some(&types::InstanceLifecycleType::Spot);
        let reason = from.state_reason().and_then(|reason| {
            let code = reason.code()?.to_owned();
            Some(Reason { code, message: reason.message().unwrap_or_default().to_owned() })
        });
        let state = from.state().and_then(types::InstanceState::name);
        Some(Self {
            id: InstanceId::parse(from.instance_id()?).ok()?,
            identity: Identity::from_map(&tags),
            name: tags.get("Name").cloned().unwrap_or_default(),
            state: state.map_or_else(String::new, |name| name.as_str().to_owned()),
            reason,
            transition: from.state_transition_reason().map(str::to_owned),
            flavour: from.instance_type().map(|name| name.as_str().to_owned()),
            zone: from.placement().and_then(|place| place.availability_zone()).map(str::to_owned),
            market: if spot { Market::Preemptible } else { Market::OnDemand },
            launched: from.launch_time().and_then(time),
            processors: from.cpu_options().and_then(processors),
            addresses: addresses(from),
            client_token: from.client_token().filter(|it| !it.is_empty()).map(str::to_owned),
        })
    }

    /// Whether it exists no more.
    pub(crate) fn is_terminated(&self) -> bool {
        self.state == "terminated"
    }

    /// Whether it is on the way to its end, or there.
    pub(crate) fn is_ending(&self) -> bool {
        matches!(self.state.as_str(), "shutting-down" | "terminated" | "stopping" | "stopped")
    }

    /// Whether it uses processors of the account's quota. Stopped ones do not.
    pub(crate) fn holds_processors(&self) -> bool {
        matches!(self.state.as_str(), "pending" | "running" | "stopping" | "")
    }

    fn end(&self) -> End {
        let Some(Reason { code, message }) = &self.reason else { return End::Asked };
        match code.as_str() {
            "Client.UserInitiatedShutdown" | "Client.UserInitiatedHibernate" | "pending" => {
                End::Asked
            }
            "Client.InstanceInitiatedShutdown" => End::BySelf,
            "Server.SpotInstanceTermination" | "Server.SpotInstanceShutdown" => End::TakenBack,
            code => {
                let fault = match message.as_str() {
                    "" => code.to_owned(),
                    // Some messages repeat the code.
                    message if message.starts_with(code) => message.to_owned(),
                    message => format!("{code}: {message}"),
                };
                End::Fault { refusal: codes::late_refusal(code), fault }
            }
        }
    }

    /// Whether it is gone because Amazon took it back.
    pub(crate) fn was_taken_back(&self) -> bool {
        self.is_terminated() && self.end() == End::TakenBack
    }

    /// When its state last changed, where EC2 tells.
    pub(crate) fn changed(&self) -> Option<Timestamp> {
        self.transition.as_deref().and_then(time_in)
    }

    fn state(&self, known: Option<Known>) -> InstanceState {
        let told = known.is_some_and(|known| known.asked);
        match self.state.as_str() {
            "pending" => InstanceState::Pending,
            "running" => InstanceState::Running,
            "stopping" | "stopped" => match self.end() {
                End::TakenBack => InstanceState::Preempted,
                End::Asked | End::BySelf | End::Fault { .. } => InstanceState::Stopped,
            },
            "shutting-down" if told => InstanceState::Deleting,
            "shutting-down" => self.ended(InstanceState::Deleting),
            "terminated" if told || known.is_none() => InstanceState::Gone,
            "terminated" => self.ended(InstanceState::Gone),
            word => InstanceState::Unknown { word: word.to_owned() },
        }
    }

    fn ended(&self, when_asked: InstanceState) -> InstanceState {
        match self.end() {
            End::Asked => when_asked,
            End::BySelf => InstanceState::Stopped,
            End::TakenBack => InstanceState::Preempted,
            End::Fault { refusal, fault } => InstanceState::Failed { refusal, fault },
        }
    }

    /// In our words. `known`: what this process knows of it; `memory`: of its type.
    pub(crate) fn tell(&self, known: Option<Known>, size: Option<Size>) -> Instance {
        let state = self.state(known);
        Instance {
            id: self.id.clone(),
            name: self.name.clone(),
            identity: self.identity.clone(),
            offering: self.offering(),
            processors: self.processors.or(size.map(|size| size.processors)),
            memory: size.map(|size| size.memory),
            created: self.launched,
            started: self.started(&state),
            ended: self.ended_at(&state, known),
            addresses: self.addresses.clone(),
            state,
        }
    }

    fn offering(&self) -> Option<OfferingId> {
        let (flavour, zone) = (self.flavour.clone()?, self.zone.clone()?);
        Some(OfferingId { flavour, zone, market: self.market })
    }

    /// EC2 tells when it was launched; it has power seconds later. One that failed never had any.
    fn started(&self, state: &InstanceState) -> Option<Timestamp> {
        match state {
            InstanceState::Running | InstanceState::Stopped | InstanceState::Preempted => {
                self.launched
            }
            InstanceState::Pending
            | InstanceState::Failed { refusal: _, fault: _ }
            | InstanceState::Deleting
            | InstanceState::Gone
            | InstanceState::Unknown { word: _ } => None,
        }
    }

    /// As the transition says, or else when it was first seen to be ending.
    fn ended_at(&self, state: &InstanceState, known: Option<Known>) -> Option<Timestamp> {
        match state {
            InstanceState::Stopped
            | InstanceState::Preempted
            | InstanceState::Failed { refusal: _, fault: _ }
            | InstanceState::Gone => self.changed().or_else(|| known.and_then(|known| known.ended)),
            InstanceState::Pending
            | InstanceState::Running
            | InstanceState::Deleting
            | InstanceState::Unknown { word: _ } => None,
        }
    }
}

/// Size of an instance type.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Size {
    pub(crate) processors: Processors,
    pub(crate) memory: Megabytes,
}

/// Tags as a map.
pub(crate) fn tags_of(tags: &[types::Tag]) -> BTreeMap<String, String> {
    let pairs = tags.iter().filter_map(|tag| Some((tag.key()?, tag.value()?)));
    pairs.map(|(key, value)| (key.to_owned(), value.to_owned())).collect()
}

fn processors(options: &types::CpuOptions) -> Option<Processors> {
    let cores = u32::try_from(options.core_count()?).ok()?;
    let threads = u32::try_from(options.threads_per_core().unwrap_or(1)).ok()?;
    Some(Processors(cores.checked_mul(threads)?)).filter(|processors| processors.0 > 0)
}

/// Private before public, IPv4 before IPv6.
fn addresses(from: &types::Instance) -> Vec<IpAddr> {
    let all = [from.private_ip_address(), from.public_ip_address(), from.ipv6_address()];
    all.into_iter().flatten().filter_map(|text| text.parse().ok()).collect()
}

/// A time of the SDK.
pub(crate) fn time(at: &aws_sdk_ec2::primitives::DateTime) -> Option<Timestamp> {
    at.to_millis().ok().map(Timestamp::from_millis)
}

/// `User initiated (2026-11-21 01:35:00 GMT)`.
fn time_in(transition: &str) -> Option<Timestamp> {
    let inside = transition.rsplit_once('(')?.1.split_once(')')?.0;
    let text = inside.trim_end_matches("GMT").trim_end_matches("UTC").trim();
    let at: jiff::civil::DateTime = text.parse().ok()?;
    let at = at.to_zoned(jiff::tz::TimeZone::UTC).ok()?;
    Some(Timestamp::from_millis(at.timestamp().as_millisecond()))
}

#[cfg(test)]
#[path = "instance_tests.rs"]
pub(crate) mod tests;
