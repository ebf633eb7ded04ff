//! Which account the credentials are of: asked once, for an account never changes under one session.

use tokio::sync::OnceCell;
use vcycle_api::{ProviderError, TenancyId};

use crate::account::Account;

/// The answer, once there is one.
pub(crate) type TenancySlot = OnceCell<TenancyId>;

/// Account and region. `GetCallerIdentity` needs no permission, and cannot be denied (STS API reference).
pub(crate) async fn tenancy(account: &Account) -> Result<TenancyId, ProviderError> {
    account.tenancy.get_or_try_init(|| ask(account)).await.cloned()
}

async fn ask(account: &Account) -> Result<TenancyId, ProviderError> {
    const OPERATION: &str = "read identity";
    let asked = account.session.call(OPERATION, |clients| clients.sts.get_caller_identity().send());
    let answer = asked.await.map_err(|failure| failure.of_read())?;
    let Some(number) = answer.account() else {
        let kind = vcycle_api::ErrorKind::Unavailable;
        return Err(ProviderError::new(kind, OPERATION, "the answer names no account"));
    };
    let id = format!("account {number}, region {}", account.settings.region);
    Ok(TenancyId { name: id.clone(), id })
}
