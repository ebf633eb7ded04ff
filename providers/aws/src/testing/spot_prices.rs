//! The history of spot prices. Each type and zone has had its price for half an hour.

use std::collections::BTreeMap;
use std::time::Duration;

use super::paging::Pages;
use super::params::{Filters, Params};
use super::reply::{Answer, Said};
use super::words::{Xml, time};
use super::world::World;

/// First segments of its parameters.
pub(crate) const WORDS: [&str; 6] =
    ["InstanceType", "ProductDescription", "StartTime", "Filter", "MaxResults", "NextToken"];

const AGE: Duration = Duration::from_secs(1800);

/// Describes what spot cost. The price: two cents for a processor, and a tenth of a cent more in each further zone.
pub(crate) fn describe(world: &World, params: &Params) -> Answer {
    let filters = Filters::of(params)?;
    let (types, products) = (params.list("InstanceType"), params.list("ProductDescription"));
    let mut passed: Vec<(&str, &str, String)> = Vec::new();
    for kind in world.site.types.iter().filter(|kind| kind.spot) {
        for (nth, zone) in (0_u32..).zip(&world.site.zones) {
            let mills = kind.vcpus * 20 + nth;
            let value = |name: &str| match name {
                "instance-type" => Some(vec![kind.name.clone()]),
                "availability-zone" => Some(vec![zone.clone()]),
                _ => None,
            };
            let is_wanted = types.is_empty() || types.contains(&kind.name.as_str());
            let is_linux = products.is_empty() || products.contains(&"Linux/UNIX");
            if is_wanted
                && is_linux
                && kind.sold_in(zone)
                && filters.pass(&BTreeMap::new(), value)?
            {
                let price = format!("{}.{:03}000", mills / 1000, mills % 1000);
                passed.push((&kind.name, zone, price));
            }
        }
    }
    passed.sort_unstable();
    let key = |(name, zone, _): &(&str, &str, String)| format!("{name} {zone}");
    // "MaxResults: a value between 1 and 1000" (API reference, DescribeSpotPriceHistory).
    let (page, next) = Pages::asked(params).cut(passed, "none", key)?;
    let since = world.now() - AGE;
    let mut xml = Xml::default();
    xml.list("spotPriceHistorySet", page, |xml, (name, zone, price)| {
        xml.text("instanceType", name);
        xml.text("productDescription", "Linux/UNIX");
        xml.text("spotPrice", price);
        xml.text("timestamp", time(since));
        xml.text("availabilityZone", zone);
    });
    // The last page has an empty token.
    xml.text("nextToken", next.unwrap_or_default());
    Ok(Said::Xml(xml))
}
