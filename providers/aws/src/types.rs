//! Instance types: how large they are, and what can be bought where. Sizes never change, so each is asked for
//! once; where a type is sold is asked for each time.
//!
//! A price is not told by EC2, so it is `Unknown`: the price book of the configuration knows.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Arc, Mutex, PoisonError};

use aws_sdk_ec2::types::{Filter, InstanceTypeInfo, LocationType, UsageClassType};
use vcycle_api::{
    Attached, Availability, Disk, Market, Megabytes, Offering, OfferingId, Price, Processors,
    ProviderError,
};

use crate::account::Account;
use crate::errors::Failure;
use crate::instance::{Seen, Size};
use crate::{PublicAddress, Settings, network};

const DESCRIBE: &str = "describe instance types";
const LIST: &str = "list instance type offerings";

/// Names in one filter: EC2 takes 200 values.
const NAMES: usize = 100;

/// Sizes of types.
pub(crate) type Sizes = HashMap<String, Size>;

/// What we know of a type.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct TypeFacts {
    pub(crate) size: Size,
    pub(crate) markets: Vec<Market>,
    /// EC2's words, for example `x86_64`.
    pub(crate) architectures: Vec<String>,
}

/// The types that EC2 has told of. One that it does not have is asked for again: it may come.
#[derive(Debug, Default)]
pub(crate) struct TypeTable(Mutex<HashMap<String, Arc<TypeFacts>>>);

impl TypeTable {
    fn missing<'a>(&self, names: impl Iterator<Item = &'a str>) -> BTreeSet<&'a str> {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        names.filter(|name| !known.contains_key(*name)).collect()
    }

    fn learn(&self, told: &[InstanceTypeInfo]) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.extend(told.iter().filter_map(|info| {
            let name = info.instance_type()?.as_str().to_owned();
            Some((name, Arc::new(facts_of(info)?)))
        }));
    }

    /// What is known of a type; `None`: there is none of that name in the region.
    pub(crate) fn get(&self, name: &str) -> Option<Arc<TypeFacts>> {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.get(name).cloned()
    }

    /// Asks for those types that are not known.
    pub(crate) async fn ensure<'a>(
        &self,
        account: &Account,
        names: impl Iterator<Item = &'a str>,
    ) -> Result<(), Failure> {
        let missing: Vec<&str> = self.missing(names).into_iter().collect();
        for names in missing.chunks(NAMES) {
            let told = describe(account, names).await?;
            self.learn(&told);
        }
        Ok(())
    }

    /// The sizes of the types of these instances, as far as they can be told: a listing does not fail for them.
    pub(crate) async fn sizes(&self, account: &Account, seen: &[Seen]) -> Sizes {
        let names: BTreeSet<&str> = seen.iter().filter_map(|it| it.flavour.as_deref()).collect();
        if let Err(failure) = self.ensure(account, names.iter().copied()).await {
            tracing::debug!(error = %failure.of_read(), "some sizes are not known");
        }
        let sizes = names.iter().filter_map(|&name| Some((name.to_owned(), self.get(name)?.size)));
        sizes.collect()
    }
}

fn filter(name: &str, values: impl Iterator<Item = impl Into<String>>) -> Filter {
    Filter::builder().name(name).set_values(Some(values.map(Into::into).collect())).build()
}

async fn describe(account: &Account, names: &[&str]) -> Result<Vec<InstanceTypeInfo>, Failure> {
    let (mut told, mut token) = (Vec::new(), None::<String>);
    loop {
        // By a filter and not by name: one name that is not there would refuse all.
        let asked = account.session.call(DESCRIBE, |clients| {
            let by_name = filter("instance-type", names.iter().copied());
            let request = clients.ec2.describe_instance_types().filters(by_name);
            request.set_next_token(token.clone()).send()
        });
        let answer = asked.await?;
        told.extend_from_slice(answer.instance_types());
        token = answer.next_token().filter(|token| !token.is_empty()).map(str::to_owned);
        if token.is_none() {
            return Ok(told);
        }
    }
}

fn facts_of(info: &InstanceTypeInfo) -> Option<TypeFacts> {
    let processors = u32::try_from(info.v_cpu_info()?.default_v_cpus()?).ok()?;
    let memory = u64::try_from(info.memory_info()?.size_in_mib()?).ok()?;
    let markets = info.supported_usage_classes().iter().filter_map(|class| match class {
        UsageClassType::OnDemand => Some(Market::OnDemand),
        UsageClassType::Spot => Some(Market::Preemptible),
        _ => None,
    });
    let architectures = info.processor_info().map(|info| info.supported_architectures());
    Some(TypeFacts {
        size: Size { processors: Processors(processors), memory: Megabytes(memory) },
        markets: markets.collect(),
        architectures: architectures
            .unwrap_or_default()
            .iter()
            .map(|word| word.as_str().to_owned())
            .collect(),
    })
}

/// Type and zone, where the type is sold.
pub(crate) type Sold = BTreeSet<(String, String)>;

/// Where the configured types are sold, asked now.
pub(crate) async fn sold(account: &Account) -> Result<Sold, Failure> {
    let (mut sold, mut token) = (Sold::new(), None::<String>);
    loop {
        let asked = account.session.call(LIST, |clients| {
            let types = filter("instance-type", account.settings.instance_types.iter());
            let request = clients.ec2.describe_instance_type_offerings().filters(types);
            let request = request.location_type(LocationType::AvailabilityZone);
            request.set_next_token(token.clone()).send()
        });
        let answer = asked.await?;
        sold.extend(answer.instance_type_offerings().iter().filter_map(|offering| {
            let name = offering.instance_type()?.as_str().to_owned();
            Some((name, offering.location()?.to_owned()))
        }));
        token = answer.next_token().filter(|token| !token.is_empty()).map(str::to_owned);
        if token.is_none() {
            return Ok(sold);
        }
    }
}

/// What can be bought now.
pub(crate) async fn offerings(account: &Account) -> Result<Vec<Offering>, ProviderError> {
    let sold = sold(account).await.map_err(Failure::of_read)?;
    let names = account.settings.instance_types.iter().map(String::as_str);
    account.types.ensure(account, names).await.map_err(Failure::of_read)?;
    let zones = network::zones(account).await?;
    let facts = |name: &str| account.types.get(name);
    Ok(offerings_of(&account.settings, &zones, &sold, facts))
}

/// Types in their order, then zones in theirs, then markets in theirs. Pure.
fn offerings_of(
    settings: &Settings,
    zones: &[String],
    sold: &Sold,
    facts: impl Fn(&str) -> Option<Arc<TypeFacts>>,
) -> Vec<Offering> {
    let mut offerings = BTreeMap::new();
    let types = settings.instance_types.iter().filter_map(|name| Some((name, facts(name)?)));
    for (name, facts) in types {
        for zone in zones.iter().filter(|zone| sold.contains(&(name.clone(), (*zone).clone()))) {
            for &market in settings.markets.iter().filter(|it| facts.markets.contains(it)) {
                let id = OfferingId { flavour: name.clone(), zone: zone.clone(), market };
                let place = offerings.len();
                offerings.entry(id).or_insert((place, facts.size));
            }
        }
    }
    let mut offerings: Vec<(OfferingId, (usize, Size))> = offerings.into_iter().collect();
    offerings.sort_by_key(|(_, (place, _))| *place);
    offerings.into_iter().map(|(id, (_, size))| offering(id, size, settings)).collect()
}

/// An offering of this size.
fn offering(id: OfferingId, size: Size, settings: &Settings) -> Offering {
    Offering {
        id,
        processors: size.processors,
        memory: size.memory,
        attached: attached(size.processors, settings),
        price: Price::Unknown,
        availability: Availability::Available,
    }
}

/// The root volume, and an address unless none is wanted: what a subnet says may change. Volumes that an image brings
/// besides are not told before it is looked up.
fn attached(processors: Processors, settings: &Settings) -> Attached {
    let root = settings.root_volume.as_ref();
    let root = Disk {
        gb: root.and_then(|root| root.size(processors)).map(u64::from),
        kind: root.and_then(|root| root.volume_type.clone()),
    };
    let public_addresses = match settings.public_address {
        PublicAddress::Yes | PublicAddress::BySubnet => 1,
        PublicAddress::No => 0,
    };
    Attached { disks: vec![root], public_addresses }
}

#[cfg(test)]
mod tests {
    use aws_sdk_ec2::types;

    use super::*;
    use crate::{Encryption, RootVolume};

    fn settings(types: &[&str], markets: &[Market]) -> Settings {
        let types = types.iter().map(|&name| name.to_owned()).collect();
        Settings { markets: markets.to_vec(), ..Settings::new("eu-west-2", types) }
    }

    fn facts(markets: &[Market]) -> Arc<TypeFacts> {
        let size = Size { processors: Processors(2), memory: Megabytes(8192) };
        Arc::new(TypeFacts { size, markets: markets.to_vec(), architectures: Vec::new() })
    }

    #[test]
    fn offerings_come_by_type_then_zone_then_market_and_only_where_they_are_sold() {
        let both = [Market::Preemptible, Market::OnDemand];
        let settings = settings(&["m6i.large", "c5.large", "nonsuch"], &both);
        let pair = |name: &str, zone: &str| (name.to_owned(), zone.to_owned());
        let sold = [pair("m6i.large", "b"), pair("c5.large", "a"), pair("c5.large", "b")].into();
        let known = |name: &str| match name {
            "m6i.large" => Some(facts(&both)),
            "c5.large" => Some(facts(&[Market::OnDemand])),
            _ => None,
        };
        let zones = ["b".to_owned(), "a".to_owned()];
        let offered = offerings_of(&settings, &zones, &sold, known);
        let names: Vec<String> = offered.iter().map(|it| it.id.to_string()).collect();
        assert_eq!(names, ["m6i.large/b/preemptible", "m6i.large/b", "c5.large/b", "c5.large/a"]);
        assert!(offered.iter().all(|it| it.price == Price::Unknown));
    }

    #[test]
    fn what_is_paid_for_besides_is_told_as_far_as_it_is_known() {
        let size = Size { processors: Processors(4), memory: Megabytes(8192) };
        let id =
            OfferingId { flavour: String::new(), zone: String::new(), market: Market::OnDemand };
        let mut settings = settings(&[], &[]);
        let told = offering(id.clone(), size, &settings).attached;
        let by_image = Attached { disks: vec![Disk { gb: None, kind: None }], public_addresses: 1 };
        assert_eq!(
            told, by_image,
            "the subnet may give an address, and the image says how large it is"
        );
        settings.public_address = PublicAddress::No;
        settings.root_volume = Some(RootVolume {
            gb: Some(10),
            gb_per_processor: Some(20),
            volume_type: Some("gp3".to_owned()),
            encrypted: Encryption::ByImage,
            device: None,
        });
        let root = Disk { gb: Some(90), kind: Some("gp3".to_owned()) };
        let told = offering(id, size, &settings).attached;
        assert_eq!(told, Attached { disks: vec![root], public_addresses: 0 });
    }

    #[test]
    fn a_type_that_is_named_twice_is_offered_once() {
        let settings = settings(&["c5.large", "c5.large"], &[Market::OnDemand]);
        let sold = [("c5.large".to_owned(), "a".to_owned())].into();
        let known = |_: &str| Some(facts(&[Market::OnDemand]));
        assert_eq!(offerings_of(&settings, &["a".to_owned()], &sold, known).len(), 1);
    }

    #[test]
    fn a_type_is_read_as_ec2_tells_it() {
        let info = types::InstanceTypeInfo::builder()
            .instance_type(types::InstanceType::from("m5.large"))
            .v_cpu_info(types::VCpuInfo::builder().default_v_cpus(2).build())
            .memory_info(types::MemoryInfo::builder().size_in_mib(8192).build())
            .supported_usage_classes(UsageClassType::OnDemand)
            .supported_usage_classes(UsageClassType::Spot)
            .supported_usage_classes(UsageClassType::CapacityBlock)
            .processor_info(
                types::ProcessorInfo::builder()
                    .supported_architectures(types::ArchitectureType::X8664)
                    .build(),
            )
            .build();
        let table = TypeTable::default();
        table.learn(&[info]);
        let facts = table.get("m5.large").unwrap();
        assert_eq!(facts.size.processors, Processors(2));
        assert_eq!(facts.markets, [Market::OnDemand, Market::Preemptible]);
        assert_eq!(facts.architectures, ["x86_64"]);
        assert_eq!(table.get("m9.nonsuch"), None);
        let missing = table.missing(["m5.large", "m9.nonsuch"].into_iter());
        assert!(missing.into_iter().eq(["m9.nonsuch"]));
    }
}
