//! Where credentials lead, as Amazon itself tells.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::sync::Arc;

use vcycle_api::{Clock, ErrorKind, Observe, SystemClock, TenancyId};
use vcycle_aws::testing::{FakeCloud, On, Site, Trouble};
use vcycle_aws::{Aws, Settings};

#[tokio::test]
async fn the_tenancy_is_account_and_region_and_is_asked_for_once() {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
    let cloud = FakeCloud::start(Site::small(), Arc::clone(&clock)).await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    let mut settings = Settings::new("eu-west-2", vec!["m5.large".to_owned()]);
    settings.credentials.files.credentials = Some(cloud.write_credentials(folder.path()).unwrap());
    settings.endpoint = Some(cloud.endpoint());
    let aws = Aws::open(settings, clock).unwrap();
    cloud.befall(On::Any, 1, Trouble::LoseRequest);
    let lost = aws.tenancy().await.unwrap_err();
    assert_eq!(lost.kind, ErrorKind::Unavailable, "what cannot be told is no other tenancy");
    let id = "account 123456789012, region eu-west-2".to_owned();
    let told = Some(TenancyId { name: id.clone(), id });
    assert_eq!(aws.tenancy().await.unwrap(), told);
    let asked = cloud.requests();
    assert_eq!(aws.tenancy().await.unwrap(), told);
    assert_eq!(cloud.requests(), asked);
}
