//! What became of an intent: looked for by its label, in all the project.

use vcycle_api::{ErrorKind, Identity, IntentToken, ProviderError, Resolution, Timestamp};

use crate::call::Call;
use crate::instance::{Evidence, read};
use crate::list::{ask_page, warnings};
use crate::meaning::{Attempt, error};
use crate::place::{last, region_of};
use crate::site::Site;
use vcycle_api::labels;

/// Finds out what became of an intent.
pub(crate) async fn resolve(
    site: &Site,
    intent: &IntentToken,
    since: Timestamp,
) -> Result<Resolution, ProviderError> {
    // Judged before the look: it must have begun after the intent had settled.
    let has_settled =
        site.settling().has_settled(intent, since, site.settings().settle, site.clock());
    let value = labels::searchable(&intent.to_string()).expect("a UUID fits into a label");
    let filter = format!("labels.vcycle_intent = \"{value}\"");
    let mut token = None;
    let mut is_whole = true;
    loop {
        let answer = ask_page(site, Some(filter.clone()), token.clone()).await;
        let answer = answer.map_err(|failure| error(&failure, Attempt::Read, site.clock()))?;
        is_whole &= warnings(site, &answer).is_empty();
        for google in answer.items.values().flat_map(|scope| &scope.instances) {
            let (Some(zone), Some(name)) = (google.zone.as_deref().map(last), &google.name) else {
                is_whole = false;
                continue;
            };
            if region_of(zone).is_none() {
                continue;
            }
            let place = site.place(zone, name);
            // The filter is Google's; the judgement is ours.
            let found = read(google, &place, None, Evidence::Untold);
            match found.identity {
                Identity::Vcycle(tags) if tags.intent == *intent => {
                    site.settling().forget(intent);
                    return Ok(Resolution::Found(found.id));
                }
                Identity::Vcycle(_) | Identity::Foreign => {}
            }
        }
        let next = answer.next_page_token.filter(|next| !next.is_empty());
        if next.is_some() && next == token {
            let why = "google gives the same page for ever";
            let operation = Call::ListInstances.words();
            return Err(ProviderError::new(ErrorKind::Unavailable, operation, why));
        }
        match next {
            Some(next) => token = Some(next),
            None => break,
        }
    }
    if !(is_whole && has_settled) {
        return Ok(Resolution::Unknown);
    }
    site.settling().forget(intent);
    site.memory().nothing_made(intent);
    Ok(Resolution::ProvenAbsent)
}
