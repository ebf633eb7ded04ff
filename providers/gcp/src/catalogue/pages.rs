//! Asks for the catalogue, page by page. It is another API than Compute Engine's, with the same credentials; a question
//! goes out as it stands in the reference, so that prices are read from their text.

use std::sync::Arc;

use google_cloud_gax::error::Error as Google;
use google_cloud_gax::error::rpc::Status;
use reqwest::{Client, redirect, retry};
use serde::Deserialize;
use vcycle_api::ProviderError;

use super::sku::{Listed, Sku};
use crate::call::Call;
use crate::failure::Trouble;
use crate::meaning::{Attempt, error};
use crate::session::Clients;
use crate::site::Site;

/// Where the API is.
const PUBLIC: &str = "https://cloudbilling.googleapis.com";

/// Compute Engine, as every reference to its catalogue names it.
const COMPUTE_ENGINE: &str = "6F81-5844-456A";

/// The most that the API gives at once, and what it gives unasked.
const PAGE: &str = "5000";

/// Many times as many as there are: a catalogue that goes on for ever is caught here.
const MOST_PAGES: usize = 100;

/// The most that is read of a page, which has some 15 MB.
const BODY_LIMIT: usize = 128 << 20;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Answer {
    #[serde(default)]
    skus: Vec<Listed>,
    #[serde(default)]
    next_page_token: String,
}

/// All that may be a part of a machine in our region.
pub(super) async fn skus(site: &Site, currency: &str) -> Result<Vec<Sku>, ProviderError> {
    let base = site.settings().billing_endpoint.as_deref().unwrap_or(PUBLIC);
    let url = format!("{}/v1/services/{COMPUTE_ENGINE}/skus", base.trim_end_matches('/'));
    let (mut all, mut token) = (Vec::new(), String::new());
    for _ in 0..MOST_PAGES {
        let mut query = vec![("currencyCode", currency.to_owned()), ("pageSize", PAGE.to_owned())];
        if !token.is_empty() {
            query.push(("pageToken", token.clone()));
        }
        let url = url.clone();
        let ask = |clients: Arc<Clients>| async move { page(&clients, &url, &query).await };
        let answer = site.session.call(Call::ListSkus, ask).await;
        let answer = answer.map_err(|failure| error(&failure, Attempt::Read, site.clock()))?;
        let region = &site.settings().region;
        all.extend(answer.skus.into_iter().filter_map(|listed| listed.taken(region)));
        if answer.next_page_token.is_empty() {
            return Ok(all);
        }
        token = answer.next_page_token;
    }
    let message = "the pages of the catalogue do not come to an end";
    Err(ProviderError::new(vcycle_api::ErrorKind::Unavailable, Call::ListSkus.words(), message))
}

async fn page(clients: &Clients, url: &str, query: &[(&str, String)]) -> Result<Answer, Trouble> {
    let builder = Client::builder().redirect(redirect::Policy::none()).retry(retry::never());
    let client = builder.build().map_err(|why| Trouble::Call(Google::io(why)))?;
    let request = client.get(url).query(query).headers(clients.headers().await?);
    let mut response = request.timeout(clients.time()).send().await.map_err(lost)?;
    let (status, headers) = (response.status().as_u16(), response.headers().clone());
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(lost)? {
        if body.len() + chunk.len() > BODY_LIMIT {
            return Err(Google::deser("a page of the catalogue is too long").into());
        }
        body.extend_from_slice(&chunk);
    }
    if status == 200 {
        // Prices are public: the parser may quote them.
        return serde_json::from_slice(&body).map_err(|why| Google::deser(why).into());
    }
    let body = body.into();
    Err(Trouble::Call(match Status::try_from(&body) {
        Ok(said) => Google::service_with_http_metadata(said, Some(status), Some(headers)),
        Err(_) => Google::http(status, headers, body),
    }))
}

fn lost(error: reqwest::Error) -> Trouble {
    let error = error.without_url();
    Trouble::Call(match (error.is_timeout(), error.is_connect()) {
        (true, _) => Google::timeout(error),
        (false, true) => Google::connect(error),
        (false, false) => Google::io(error),
    })
}
