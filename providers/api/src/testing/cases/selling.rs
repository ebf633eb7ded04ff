//! Cases of `offerings` and `quota`, and of creates that the cloud cannot or may not carry out.

use std::collections::{BTreeMap, BTreeSet};

use super::creating::none_made;
use crate::testing::bench::ensure;
use crate::testing::{Bench, Fault, Outcome};
use crate::{Created, ErrorKind, Price, Processors};

/// `offerings`: each is there once, has a size, and a price that is a price.
pub(super) async fn offerings_are_sane(bench: &Bench) -> Outcome {
    let offerings = bench.provider().offerings().await?;
    ensure!(!offerings.is_empty(), "nothing can be bought");
    let ids: BTreeSet<_> = offerings.iter().map(|offering| &offering.id).collect();
    ensure!(ids.len() == offerings.len(), "an offering is there twice");
    for offering in &offerings {
        let id = &offering.id;
        ensure!(!id.flavour.is_empty(), "an offering without a flavour");
        ensure!(offering.processors.0 > 0, "{id} has no processors");
        ensure!(offering.memory.0 > 0, "{id} has no memory");
        match &offering.price {
            Price::PerHour(money) => {
                let currency = &money.currency;
                let iso = currency.len() == 3 && currency.chars().all(|c| c.is_ascii_uppercase());
                ensure!(iso, "{id} is paid in {currency:?}");
                // A price of nothing is `Unmetered`, so that nobody reads a missing one as free.
                ensure!(money.micros > 0, "{id} costs {} millionths", money.micros);
            }
            Price::Unmetered | Price::Unknown => {}
        }
    }
    Ok(())
}

/// `quota`: its use rises when a machine is made, and falls when it is gone.
pub(super) async fn quota_is_sane_and_rises_with_use(bench: &Bench) -> Outcome {
    let provider = bench.provider();
    let before = provider.quota().await?;
    let (request, id) = bench.running_machine().await?;
    let size = request.offering.processors;
    if let Some(used) = before.processors_used {
        bench
            .wait("the processors in use to rise", async || {
                Ok(provider.quota().await?.processors_used == Some(used.plus(size)))
            })
            .await?;
    }
    if let Some(used) = before.machines_used {
        bench
            .wait("the machines in use to rise", async || {
                Ok(provider.quota().await?.machines_used == Some(used + 1))
            })
            .await?;
    }
    let now = provider.quota().await?;
    ensure!(now.processors == before.processors, "a machine changed the limit of processors");
    ensure!(now.machines == before.machines, "a machine changed the limit of machines");
    bench.remove(&id).await?;
    bench
        .wait("the use to fall", async || {
            let now = provider.quota().await?;
            Ok((now.processors_used, now.machines_used)
                == (before.processors_used, before.machines_used))
        })
        .await
}

/// `quota` counts everybody in the tenancy, not only us.
pub(super) async fn quota_counts_strangers(bench: &Bench) -> Outcome {
    let provider = bench.provider();
    let before = provider.quota().await?;
    let name = "stranger".to_owned();
    bench.inject(Fault::Stranger { name, tags: BTreeMap::new() }).await?;
    bench
        .wait("the stranger to count", async || {
            let now = provider.quota().await?;
            let machines =
                before.machines_used.is_none() || now.machines_used > before.machines_used;
            let processors = before.processors_used.unwrap_or(Processors(0));
            let rose = now.processors_used.is_none_or(|now| now > processors);
            Ok(machines && rose)
        })
        .await
}

/// A create beyond the quota is `QuotaExceeded`, and made nothing.
pub(super) async fn a_full_quota_makes_nothing(bench: &Bench) -> Outcome {
    let request = bench.request().await?;
    bench.inject(Fault::QuotaFull).await?;
    let refused = bench.provider().create(&request).await;
    bench.expect_error("beyond the quota", refused, |kind| *kind == ErrorKind::QuotaExceeded)?;
    none_made(bench, &request).await
}

/// A stock-out is `InsufficientCapacity` with the offering that was asked for, and made nothing; when
/// the stock is back, the same request makes the machine.
pub(super) async fn a_stock_out_names_the_offering_and_makes_nothing(bench: &Bench) -> Outcome {
    let provider = bench.provider();
    let request = bench.request().await?;
    let offering = request.offering.id.clone();
    bench.inject(Fault::StockOut(offering.clone())).await?;
    let refused = provider.create(&request).await;
    let wanted = ErrorKind::InsufficientCapacity { offering: offering.clone() };
    bench.expect_error("out of stock", refused, |kind| *kind == wanted)?;
    none_made(bench, &request).await?;
    bench.inject(Fault::Restock(offering)).await?;
    let created = provider.create(&request).await?;
    ensure!(matches!(created, Created::New(_)), "back in stock, but {created:?}");
    Ok(())
}
