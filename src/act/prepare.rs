//! Has the provider make ready what machinetypes need. It may change the cloud (images, key pairs, marks on volumes),
//! so it is called under a checked proof like every other change; what comes of it is input of the plan.

use std::collections::BTreeMap;
use std::time::Duration;

use tokio::time::timeout;
use vcycle_api::{Act, Need};

use crate::model::{MachinetypeName, Readiness};
use crate::store::{Proof, StoreError};

/// The longest that deletes wait for it. What takes longer is the provider's to do in the background.
const LONGEST: Duration = Duration::from_secs(10);

/// One answer for each need. A failure of the cloud is one too: nothing is made then, and nothing else follows.
pub async fn prepare(
    provider: &dyn Act,
    proof: &Proof<'_>,
    needs: &[Need],
) -> Result<BTreeMap<MachinetypeName, Readiness>, StoreError> {
    proof.check().await?;
    let not_yet = |why: String| vec![Readiness::NotYet { why }; needs.len()];
    let answers = match timeout(LONGEST, provider.prepare(needs)).await {
        Ok(Ok(answers)) if answers.len() == needs.len() => answers,
        Ok(Ok(answers)) => {
            not_yet(format!("the provider gave {} answers to {}", answers.len(), needs.len()))
        }
        Ok(Err(error)) => not_yet(error.to_string()),
        Err(_) => not_yet(format!("the cloud did not answer within {} s", LONGEST.as_secs())),
    };
    let machinetypes = needs.iter().map(|need| need.machinetype.clone());
    Ok(machinetypes.zip(answers).collect())
}
