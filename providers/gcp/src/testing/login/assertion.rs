//! Assertions that a service account signs: JWTs (RFC 7519) with `RS256`.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::Value;
use vcycle_api::Timestamp;

use super::key;

/// Why an assertion is not believed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Fault(pub(crate) &'static str);

/// The scopes that suffice for Compute Engine.
const SCOPES: [&str; 2] =
    ["https://www.googleapis.com/auth/cloud-platform", "https://www.googleapis.com/auth/compute"];

fn part(text: &str) -> Option<Value> {
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(text).ok()?).ok()
}

/// Whether an assertion is this account's, for one of these audiences (of the token endpoint; none: it is used
/// as a token itself), and in time.
pub(crate) fn check(
    text: &str,
    account: &str,
    audiences: &[&str],
    now: Timestamp,
) -> Result<(), Fault> {
    let malformed = Fault(
        "Invalid JWT: Token must be a short-lived token (60 minutes) and in a \
                           reasonable timeframe.",
    );
    let (signed, signature) = text.rsplit_once('.').ok_or(malformed)?;
    let (header, claims) = signed.split_once('.').ok_or(malformed)?;
    let (header, claims) = part(header).zip(part(claims)).ok_or(malformed)?;
    let signature = URL_SAFE_NO_PAD.decode(signature).map_err(|_| malformed)?;
    if header["alg"] != "RS256" || !key::is_signed(signed.as_bytes(), &signature) {
        return Err(Fault("Invalid JWT Signature."));
    }
    if claims["iss"] != account {
        return Err(Fault("Invalid grant: account not found"));
    }
    let number = |name: &str| claims[name].as_i64().unwrap_or_default();
    let (begins, ends) = (number("iat"), number("exp"));
    // Some minutes are allowed for clocks that differ; Google's own libraries ask for twenty seconds more than the hour.
    let in_time = begins <= now.as_secs() + 300 && ends >= now.as_secs() - 300;
    if !in_time || ends - begins > 3600 + 60 {
        return Err(malformed);
    }
    let scopes = claims["scope"].as_str().unwrap_or_default();
    let scoped = scopes.split(' ').any(|scope| SCOPES.contains(&scope));
    let audience = claims["aud"].as_str().unwrap_or_default();
    match audiences {
        [] if scoped || audience == "https://compute.googleapis.com/" => Ok(()),
        [] => Err(Fault("Neither scope nor audience.")),
        _ if !audiences.contains(&audience) => Err(Fault("Invalid JWT: wrong audience.")),
        _ if !scoped => Err(Fault("Empty or missing scope not allowed.")),
        _ => Ok(()),
    }
}
