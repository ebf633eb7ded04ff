//! Images that come from a file, through the provider's own doors, with a Glance that goes wrong.

use std::time::Duration;

use vcycle_api::{Act, DeploymentId, Need, Observe, Readiness};
use vcycle_openstack::testing::{ImageView, On, Refusal, Site, Trouble};

use crate::common::tenancy::Place;

/// The longest that an upload of a few bytes may take, in real time.
const PATIENCE: Duration = Duration::from_secs(60);

/// A provider that may upload, and the file that machines are made from.
async fn place_with_a_file(content: &[u8]) -> (Place, Vec<Need>, tempfile::TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("root.img");
    std::fs::write(&file, content).unwrap();
    let place = Place::with(Site::small(), "site-a", |settings| {
        settings.deployment = Some(DeploymentId::compose(7));
    })
    .await;
    let request = place.request(1).await;
    let need = Need {
        machinetype: request.tags.machinetype,
        image: Some(file.to_str().unwrap().to_owned()),
        public_key: None,
        flavors: Vec::new(),
    };
    (place, vec![need], folder)
}

/// Prepares again and again, as cycles do, until the need is ready.
async fn ready(place: &Place, needs: &[Need]) {
    let until_ready = async {
        loop {
            match place.provider.prepare(needs).await.unwrap().as_slice() {
                [Readiness::Ready] => return,
                [Readiness::NotYet { why: _ }] => place.pass(30),
                other => panic!("{other:?}"),
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(PATIENCE, until_ready).await.expect("the image becomes ready");
}

fn ours(place: &Place) -> Vec<ImageView> {
    place.fake.images().into_iter().filter(|image| image.name != "lab-tiny").collect()
}

#[tokio::test]
async fn a_file_becomes_an_image_of_ours_and_servers_are_made_from_it() {
    let content = vec![7; 300_000];
    let (place, needs, _folder) = place_with_a_file(&content).await;
    ready(&place, &needs).await;
    let images = ours(&place);
    assert_eq!(images.len(), 1, "{images:?}");
    assert!(images[0].active && images[0].size == Some(content.len()), "{images:?}");
    let mut request = place.request(1).await;
    request.image = needs[0].image.clone();
    let id = place.provider.create(&request).await.unwrap().id().clone();
    assert_eq!(place.fake.server(id.as_str()).unwrap().image, Some(images[0].id.clone()));
    // Nothing is uploaded twice, by nobody.
    let uploads = || place.fake.asked().iter().filter(|one| one.path.ends_with("/file")).count();
    let before = uploads();
    ready(&place, &needs).await;
    assert_eq!(uploads(), before);
}

#[tokio::test]
async fn an_upload_that_breaks_off_or_comes_out_wrong_is_never_used() {
    let (place, needs, _folder) = place_with_a_file(&vec![8; 300_000]).await;
    place.fake.cut_next_upload(1000);
    place.fake.corrupt_next_upload();
    ready(&place, &needs).await;
    let mut request = place.request(1).await;
    request.image = needs[0].image.clone();
    let id = place.provider.create(&request).await.unwrap().id().clone();
    let used = place.fake.server(id.as_str()).unwrap().image.unwrap();
    let image = ours(&place).into_iter().find(|image| image.id == used).unwrap();
    assert!(image.active && image.intact, "{image:?}");
    let uploads = place.fake.asked().iter().filter(|one| one.path.ends_with("/file")).count();
    assert!(uploads >= 3, "one broke off, one came out wrong: {uploads} uploads");
}

#[tokio::test]
async fn a_glance_that_is_away_stops_neither_listings_nor_other_machinetypes() {
    let (place, mut needs, _folder) = place_with_a_file(b"some content").await;
    let other = Need { image: Some("lab-tiny".into()), ..needs[0].clone() };
    place.provider.prepare(std::slice::from_ref(&other)).await.unwrap();
    needs.push(other);
    let away = Trouble::Refuse(Refusal::proxy(503));
    place.fake.befall(On::Path("v2/images".into()), u32::MAX, away);
    let answers = place.provider.prepare(&needs).await.unwrap();
    assert!(matches!(answers[0], Readiness::NotYet { why: _ }), "{answers:?}");
    assert!(!matches!(answers[1], Readiness::Cannot { why: _ }), "{answers:?}");
    assert!(place.provider.list().await.is_ok());
    place.fake.calm();
    ready(&place, &needs[..1]).await;
}
