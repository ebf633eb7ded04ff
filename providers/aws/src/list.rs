//! Looking at instances: all of the region, paged to the end, and one directly.

use std::collections::HashSet;

use aws_sdk_ec2::types::Filter;
use vcycle_api::{ErrorKind, Instance, InstanceId, Listing, ProviderError};

use crate::account::Account;
use crate::errors::Failure;
use crate::instance::{Seen, Size};
use crate::types::Sizes;
use crate::usage::{Known, Usage};

const LIST: &str = "list instances";
const GET: &str = "get instance";

/// Instances asked for in one page: the most that EC2 gives (API reference, `DescribeInstances`).
const PAGE: i32 = 1000;

/// More pages than any account has: a cloud that goes on for ever is caught here.
const MOST_PAGES: usize = 10_000;

/// A look at instances.
#[derive(Debug)]
pub(crate) struct Scan {
    pub(crate) seen: Vec<Seen>,
    /// What is missing, for people; `None`: nothing.
    pub(crate) missing: Option<String>,
}

/// All instances that pass the filters; without filters all of the region, ended ones too.
///
/// # Errors
/// When the first page fails, or a later one is refused in a way that others would be, too.
pub(crate) async fn scan(account: &Account, filters: &[Filter]) -> Result<Scan, Failure> {
    let (mut seen, mut ids) = (Vec::new(), HashSet::new());
    let (mut token, mut tokens) = (None::<String>, HashSet::new());
    for page in 1..=MOST_PAGES {
        let asked = account.session.call(LIST, |clients| {
            let filters = (!filters.is_empty()).then(|| filters.to_vec());
            let request = clients.ec2.describe_instances().set_filters(filters);
            request.max_results(PAGE).set_next_token(token.clone()).send()
        });
        let answer = match asked.await {
            Ok(answer) => answer,
            Err(failure) if page > 1 && is_of_one_page(&failure) => {
                let missing = Some(format!("page {page} could not be read: {}", failure.of_read()));
                return Ok(Scan { seen, missing });
            }
            Err(failure) => return Err(failure),
        };
        if let Some(owner) = answer.reservations().iter().find_map(|it| it.owner_id()) {
            account.pace.is_of(owner);
        }
        for instance in answer.reservations().iter().flat_map(|it| it.instances()) {
            // One that moved between two pages is shown twice.
            seen.extend(Seen::read(instance).filter(|it| ids.insert(it.id.clone())));
        }
        token = answer.next_token().filter(|token| !token.is_empty()).map(str::to_owned);
        match &token {
            None => return Ok(Scan { seen, missing: None }),
            Some(next) if !tokens.insert(next.clone()) => {
                let missing = Some("the pages go round in a circle".to_owned());
                return Ok(Scan { seen, missing });
            }
            Some(_) => {}
        }
    }
    Ok(Scan { seen, missing: Some(format!("there are more than {MOST_PAGES} pages")) })
}

/// Whether it says nothing about other calls: what could be seen is still worth telling.
fn is_of_one_page(failure: &Failure) -> bool {
    match failure.clone().of_read().kind {
        ErrorKind::Throttled { after: _ } | ErrorKind::AuthFailed => false,
        ErrorKind::NotFound
        | ErrorKind::Ambiguous
        | ErrorKind::InsufficientCapacity { offering: _ }
        | ErrorKind::QuotaExceeded
        | ErrorKind::InvalidSpec
        | ErrorKind::Unavailable => true,
    }
}

/// Everything in the region, ours and foreign.
pub(crate) async fn list(account: &Account) -> Result<Listing, ProviderError> {
    let counting = account.usage.begin(|| account.clock.monotonic()).await;
    let Scan { seen, missing } = scan(account, &[]).await.map_err(Failure::of_read)?;
    let sizes = account.types.sizes(account, &seen).await;
    for it in &seen {
        account.watch.met(it);
    }
    account.watch.saw(&seen);
    match missing {
        Some(why) => Ok(Listing::Partial { seen: tell(account, &seen, &sizes), why }),
        None => {
            account.watch.saw_all(&seen.iter().map(|it| &it.id).collect());
            counting.end(usage(&seen, &sizes));
            Ok(Listing::Complete(tell(account, &seen, &sizes)))
        }
    }
}

fn tell(account: &Account, seen: &[Seen], sizes: &Sizes) -> Vec<Instance> {
    seen.iter().map(|it| it.tell(account.watch.known(&it.id), size(it, sizes))).collect()
}

fn size(seen: &Seen, sizes: &Sizes) -> Option<Size> {
    seen.flavour.as_deref().and_then(|flavour| sizes.get(flavour)).copied()
}

fn usage(seen: &[Seen], sizes: &Sizes) -> Usage {
    let mut usage = Usage::default();
    for it in seen {
        let of_type = size(it, sizes).map(|size| size.processors);
        // A type that nobody knows holds at least one processor.
        usage.add(it, it.processors.or(of_type).unwrap_or(vcycle_api::Processors(1)));
    }
    usage
}

/// What is in use now, by the listing that is under way or a young one; `None`: not all could be counted.
pub(crate) async fn count(account: &Account) -> Result<Option<Usage>, ProviderError> {
    let counting = match account.usage.young(|| account.clock.monotonic()).await {
        Known::Usage(usage) => return Ok(Some(usage)),
        Known::Failed => return Ok(None),
        Known::Nothing(counting) => counting,
    };
    let Scan { seen, missing } = scan(account, &[]).await.map_err(Failure::of_read)?;
    if missing.is_some() {
        return Ok(None);
    }
    let usage = usage(&seen, &account.types.sizes(account, &seen).await);
    counting.end(usage);
    Ok(Some(usage))
}

/// One instance, directly.
pub(crate) async fn get(account: &Account, id: &InstanceId) -> Result<Instance, ProviderError> {
    let asked = account
        .session
        .call(GET, |clients| clients.ec2.describe_instances().instance_ids(id.as_str()).send());
    let answer = match asked.await {
        Ok(answer) => answer,
        Err(failure) => return Err(not_found_yet(account, id, failure.of_read())),
    };
    let all = answer.reservations().iter().flat_map(|it| it.instances());
    let Some(seen) = all.filter_map(Seen::read).find(|it| it.id == *id) else {
        let error = ProviderError::new(ErrorKind::NotFound, GET, "an answer without it");
        return Err(not_found_yet(account, id, error));
    };
    account.watch.met(&seen);
    let seen = [seen];
    let sizes = account.types.sizes(account, &seen).await;
    Ok(seen[0].tell(account.watch.known(id), size(&seen[0], &sizes)))
}

/// EC2 may know nothing of an instance for minutes after it has made it ("Ensuring idempotency", eventual consistency).
fn not_found_yet(account: &Account, id: &InstanceId, error: ProviderError) -> ProviderError {
    match error.kind {
        ErrorKind::NotFound if account.watch.is_fresh(id) => ProviderError {
            kind: ErrorKind::Unavailable,
            message: format!("it was just made, and is not shown yet: {}", error.message),
            ..error
        },
        ErrorKind::NotFound
        | ErrorKind::Ambiguous
        | ErrorKind::InsufficientCapacity { offering: _ }
        | ErrorKind::QuotaExceeded
        | ErrorKind::Throttled { after: _ }
        | ErrorKind::AuthFailed
        | ErrorKind::InvalidSpec
        | ErrorKind::Unavailable => error,
    }
}
