//! Images against a small Glance: what is uploaded, when, how often, and what becomes of it when
//! something goes wrong.

mod glance;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use vcycle_api::{
    Clock, DeploymentId, ErrorKind, MachinetypeName, ManualClock, Need, Readiness, Timestamp,
};

use super::Images;
use super::reference::Source;
use super::upload::Pace;
use crate::session::Session;
use crate::{CloudRef, Credential, Settings};
use glance::{Fate, Glance, WebFile};

/// What must come is waited for that long in real time, however busy the host.
const PATIENCE: Duration = Duration::from_secs(300);

/// A folder for files, a Glance, and a clock that stands still.
struct Lab {
    folder: tempfile::TempDir,
    glance: Arc<Glance>,
    clock: Arc<ManualClock>,
}

impl Lab {
    async fn new() -> Self {
        Self::with(Glance::start().await)
    }

    fn with(glance: Arc<Glance>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let clouds = format!(
            "clouds:\n  lab:\n    auth:\n      auth_url: {}\n      username: ann\n      password: secret\n      \
             project_name: p\n      user_domain_id: default\n      project_domain_id: default\n",
            glance.auth_url()
        );
        std::fs::write(folder.path().join("clouds.yaml"), clouds).unwrap();
        let clock = Arc::new(ManualClock::at(Timestamp::from_secs(1_795_000_000)));
        Self { folder, glance, clock }
    }

    /// The images of a manager: a new one knows nothing.
    fn manager(&self) -> Images {
        let file = Some(self.folder.path().join("clouds.yaml"));
        let cloud = CloudRef::Named { cloud: "lab".to_owned(), file };
        let mut settings = Settings::new(Credential { cloud, region: None, interface: None });
        settings.deployment = Some(DeploymentId::compose(7));
        let clock: Arc<dyn Clock> = Arc::clone(&self.clock) as _;
        let session = Session::open(&settings, Arc::clone(&clock)).unwrap();
        let pace = Pace { poll: Duration::from_millis(5), stall: Duration::from_secs(20) };
        Images::with_pace(session, &settings, clock, pace)
    }

    fn file(&self, name: &str, content: &[u8]) -> PathBuf {
        let path = self.folder.path().join(name);
        std::fs::write(&path, content).unwrap();
        path
    }

    fn web(&self, content: &[u8], etag: &str) {
        let file = WebFile { content: content.to_vec(), etag: etag.to_owned() };
        self.glance.world().web = Some(file);
    }
}

fn need(image: &str) -> Need {
    Need {
        machinetype: MachinetypeName::parse("dune").unwrap(),
        image: Some(image.to_owned()),
        public_key: None,
        flavors: Vec::new(),
    }
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

async fn prepared(images: &Images, image: &str) -> Readiness {
    images.prepare(&[need(image)]).await.unwrap().remove(0)
}

/// As the cycles of a space: prepares until the answer is of this kind.
async fn until(images: &Images, image: &str, is_right: impl Fn(&Readiness) -> bool) -> Readiness {
    let cycles = async {
        loop {
            let readiness = prepared(images, image).await;
            if is_right(&readiness) {
                return readiness;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(PATIENCE, cycles).await.expect("it comes to that")
}

async fn ready(images: &Images, image: &str) -> String {
    until(images, image, |readiness| *readiness == Readiness::Ready).await;
    images.resolve(image).await.unwrap().id
}

/// As the cycles of a space: until another image is used.
async fn replaced(images: &Images, image: &str, old: &str) -> String {
    let cycles = async {
        loop {
            let id = ready(images, image).await;
            if id != old {
                return id;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(PATIENCE, cycles).await.expect("another is used")
}

fn not_yet(readiness: &Readiness) -> bool {
    matches!(readiness, Readiness::NotYet { why } if why.contains("tried") || why.contains("upload image") || why.contains("create image"))
}

async fn eventually(what: &str, is_so: impl Fn() -> bool) {
    let waiting = async {
        while !is_so() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(PATIENCE, waiting).await.expect(what);
}

#[tokio::test]
async fn a_file_becomes_an_image_that_says_whose_it_is_and_what_is_in_it() {
    let lab = Lab::new().await;
    let path = lab.file("a.qcow2", b"QFI\xfb\0\0\0\x03\0\0\0\0\0\0\0\0 and more");
    let images = lab.manager();
    let id = ready(&images, text(&path)).await;
    let world = lab.glance.world();
    let image = &world.images[&id];
    let deployment = DeploymentId::compose(7).to_string();
    assert_eq!(image["vcycle_deployment"], *deployment);
    assert_eq!(image["vcycle_from"], text(&path));
    assert_eq!(
        (&image["disk_format"], &image["container_format"]),
        (&"qcow2".into(), &"bare".into())
    );
    assert_eq!(image["visibility"], "private");
    assert_eq!(image["os_hash_value"], image["vcycle_sha512"]);
    assert!(image["name"].as_str().unwrap().starts_with("vcycle-"), "{image}");
}

#[tokio::test]
async fn the_next_manager_finds_the_image_and_uploads_nothing() {
    let lab = Lab::new().await;
    let path = lab.file("a.img", b"content");
    let id = ready(&lab.manager(), text(&path)).await;
    let next = lab.manager();
    assert_eq!(prepared(&next, text(&path)).await, Readiness::Ready, "at the first look");
    assert_eq!(next.resolve(text(&path)).await.unwrap().id, id);
    assert_eq!((lab.glance.count("POST images"), lab.glance.count("PUT file")), (1, 1));
}

#[tokio::test]
async fn a_file_that_was_only_touched_is_not_uploaded_again() {
    let lab = Lab::new().await;
    let path = lab.file("a.img", b"content");
    let images = lab.manager();
    let id = ready(&images, text(&path)).await;
    let file = std::fs::File::options().append(true).open(&path).unwrap();
    file.set_modified(std::time::UNIX_EPOCH + Duration::from_secs(5)).unwrap();
    let next = lab.manager();
    assert_eq!(ready(&next, text(&path)).await, id);
    lab.clock.advance(Duration::from_secs(3600));
    assert_eq!(ready(&images, text(&path)).await, id);
    assert_eq!(lab.glance.count("PUT file"), 1);
}

#[tokio::test]
async fn an_upload_that_a_dead_manager_left_is_gone_on_with() {
    let lab = Lab::with(Glance::start_taking(0).await);
    let path = lab.file("a.img", &[7; 1000]);
    let first = lab.manager();
    prepared(&first, text(&path)).await;
    let uploading = || lab.glance.statuses().iter().any(|(_, status)| status == "saving");
    eventually("the upload is under way", uploading).await;
    let half_made = lab.glance.statuses().remove(0).0;
    drop(first);
    lab.glance.may_take.add_permits(1 << 20);
    let id = ready(&lab.manager(), text(&path)).await;
    assert_eq!(id, half_made);
    assert_eq!(lab.glance.statuses(), [(id, "active".to_owned())]);
    assert_eq!(lab.glance.count("POST images"), 1);
}

#[tokio::test]
async fn a_create_whose_reply_was_lost_is_not_a_second_image() {
    let lab = Lab::new().await;
    let path = lab.file("a.img", b"content");
    lab.glance.world().lose_next_create = true;
    let images = lab.manager();
    until(&images, text(&path), not_yet).await;
    lab.clock.advance(Duration::from_secs(60));
    ready(&images, text(&path)).await;
    assert_eq!(lab.glance.statuses().len(), 1);
}

#[tokio::test]
async fn an_upload_that_broke_off_is_tried_again_after_a_pause_with_the_same_image() {
    let lab = Lab::new().await;
    let path = lab.file("a.img", &[1; 5000]);
    lab.glance.world().fates.push(Fate::Breaks);
    let images = lab.manager();
    until(&images, text(&path), not_yet).await;
    assert_eq!(lab.glance.count("PUT file"), 1, "not at once");
    lab.clock.advance(Duration::from_secs(60));
    let id = ready(&images, text(&path)).await;
    assert_eq!(lab.glance.statuses(), [(id, "active".to_owned())]);
}

#[tokio::test]
async fn an_upload_whose_reply_was_lost_is_seen_to_have_arrived() {
    let lab = Lab::new().await;
    let path = lab.file("a.img", b"content");
    lab.glance.world().fates.push(Fate::ReplyLost);
    ready(&lab.manager(), text(&path)).await;
    assert_eq!(lab.glance.count("PUT file"), 1);
}

#[tokio::test]
async fn an_image_that_is_not_what_was_sent_is_removed_and_never_used() {
    // The size is right. A Glance before Rocky tells only the MD5.
    for is_old in [false, true] {
        let lab = Lab::new().await;
        let path = lab.file("a.img", b"content");
        lab.glance.world().is_old = is_old;
        lab.glance.world().fates.push(Fate::Corrupt);
        let images = lab.manager();
        let is_told = |readiness: &Readiness| matches!(readiness, Readiness::NotYet { why } if why.contains("something else"));
        until(&images, text(&path), is_told).await;
        assert_eq!(lab.glance.statuses(), []);
        let error = images.resolve(text(&path)).await.unwrap_err();
        assert_eq!(error.kind, ErrorKind::Unavailable);
        lab.clock.advance(Duration::from_secs(60));
        ready(&images, text(&path)).await;
    }
}

#[tokio::test]
async fn a_deleted_image_is_made_again_although_its_id_is_used_up() {
    let lab = Lab::new().await;
    let path = lab.file("a.img", b"content");
    let first = ready(&lab.manager(), text(&path)).await;
    lab.glance.world().images.clear();
    let second = ready(&lab.manager(), text(&path)).await;
    assert_ne!(first, second);
}

#[tokio::test]
async fn after_a_refused_create_an_image_that_was_deleted_by_hand_is_missed_in_the_next_cycle() {
    let lab = Lab::new().await;
    let path = lab.file("a.img", b"content");
    let images = lab.manager();
    let first = ready(&images, text(&path)).await;
    lab.glance.world().images.clear();
    images.forget_found();
    assert_ne!(replaced(&images, text(&path), &first).await, first);
}

#[tokio::test]
async fn a_refusal_for_the_quota_is_told_to_who_can_mend_it() {
    let lab = Lab::new().await;
    let path = lab.file("a.img", b"content");
    lab.glance.world().fates.push(Fate::TooMuch);
    let images = lab.manager();
    let cannot = |readiness: &Readiness| matches!(readiness, Readiness::Cannot { .. });
    let Readiness::Cannot { why } = until(&images, text(&path), cannot).await else { return };
    assert!(why.contains("quota exceeded"), "{why}");
    let error = images.resolve(text(&path)).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::InvalidSpec);
}

#[tokio::test]
async fn the_old_version_serves_until_the_new_one_is_there_and_goes_when_no_server_uses_it() {
    let lab = Lab::with(Glance::start_taking(7).await);
    let path = lab.file("a.img", b"version");
    let images = lab.manager();
    let old = ready(&images, text(&path)).await;
    lab.file("a.img", b"another version");
    let uploading = || lab.glance.count("PUT file") == 2;
    let cycles = async {
        while !uploading() {
            assert_eq!(ready(&images, text(&path)).await, old);
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(PATIENCE, cycles).await.unwrap();
    lab.glance.may_take.add_permits(1 << 20);
    let new = replaced(&images, text(&path), &old).await;

    lab.glance.world().in_use.insert(old.clone());
    let both = || lab.glance.statuses().len() == 2;
    for _ in 0..3 {
        lab.clock.advance(Duration::from_secs(1800));
        look_at_glance(&lab, &images, &path).await;
        assert!(both(), "a server uses the old one");
    }
    lab.glance.world().in_use.clear();
    lab.clock.advance(Duration::from_secs(301));
    look_at_glance(&lab, &images, &path).await;
    assert_eq!(lab.glance.statuses(), [(new, "active".to_owned())]);
}

/// Cycles until Glance was asked for the images of a file at the present time, and what follows from the
/// answer is done.
async fn look_at_glance(lab: &Lab, images: &Images, path: &Path) {
    let (source, now) = (Source::File(path.to_owned()), lab.clock.monotonic());
    let asked = async {
        while images.keeper.last_listed(&source) != Some(now) {
            prepared(images, text(path)).await;
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(PATIENCE, asked).await.expect("Glance is asked");
}

#[tokio::test]
async fn an_image_that_was_just_replaced_is_kept_for_creates_that_name_it() {
    let lab = Lab::new().await;
    let path = lab.file("a.img", b"version");
    let images = lab.manager();
    let old = ready(&images, text(&path)).await;
    lab.file("a.img", b"another version");
    replaced(&images, text(&path), &old).await;
    lab.clock.advance(Duration::from_secs(3000));
    look_at_glance(&lab, &images, &path).await;
    assert_eq!(lab.glance.statuses().len(), 2);
    lab.clock.advance(Duration::from_secs(600));
    look_at_glance(&lab, &images, &path).await;
    assert_eq!(lab.glance.statuses().len(), 1);
}

#[tokio::test]
async fn a_url_is_uploaded_and_asked_for_changes_every_ten_minutes() {
    let lab = Lab::new().await;
    lab.web(b"first", "\"1\"");
    let (images, url) = (lab.manager(), lab.glance.web_url());
    let first = ready(&images, &url).await;
    lab.web(b"other", "\"2\"");
    for _ in 0..9 {
        lab.clock.advance(Duration::from_secs(60));
        assert_eq!(ready(&images, &url).await, first);
    }
    assert_eq!(lab.glance.count("HEAD web"), 1);
    lab.clock.advance(Duration::from_secs(60));
    replaced(&images, &url, &first).await;
    assert_eq!(lab.glance.count("HEAD web"), 2);
    assert_eq!(lab.glance.count("GET web"), 2, "read once for each version");
}

#[tokio::test]
async fn a_web_server_that_is_away_takes_no_image_away() {
    let lab = Lab::new().await;
    lab.web(b"first", "\"1\"");
    let (images, url) = (lab.manager(), lab.glance.web_url());
    let first = ready(&images, &url).await;
    lab.glance.world().web = None;
    lab.clock.advance(Duration::from_secs(3600));
    assert_eq!(ready(&images, &url).await, first);
    assert_eq!(ready(&lab.manager(), &url).await, first, "nor for the next manager");
}

#[tokio::test]
async fn no_cycle_waits_for_an_upload_and_its_progress_is_told() {
    let lab = Lab::with(Glance::start_taking(0).await);
    let path = lab.file("a.img", &vec![0; 3_000_000]);
    let images = lab.manager();
    let is_told = |readiness: &Readiness| matches!(readiness, Readiness::NotYet { why } if why.contains("of 3.0 MB"));
    let Readiness::NotYet { why } = until(&images, text(&path), is_told).await else { return };
    assert!(why.contains(text(&path)), "{why}");
    let error = images.resolve(text(&path)).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Unavailable);
    lab.glance.may_take.add_permits(1 << 30);
    ready(&images, text(&path)).await;
}

#[tokio::test]
async fn two_files_are_uploaded_one_after_the_other_and_one_file_once_for_two_machinetypes() {
    let lab = Lab::new().await;
    let (a, b) = (lab.file("a.img", &[1; 300_000]), lab.file("b.img", &[2; 300_000]));
    let images = lab.manager();
    let needs = [need(text(&a)), need(text(&b)), need(text(&a))];
    let all = async {
        while images.prepare(&needs).await.unwrap() != [const { Readiness::Ready }; 3] {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(PATIENCE, all).await.unwrap();
    assert_eq!((lab.glance.count("PUT file"), lab.glance.world().most_uploading), (2, 1));
}

#[tokio::test]
async fn a_large_file_is_never_held_in_memory_as_a_whole() {
    // Holes of a file take no room on the disk.
    const SIZE: u64 = 24 << 20;
    // What is read ahead: chunks under way in our client, and what the kernel buffers.
    const AHEAD: u64 = 10 << 20;
    let lab = Lab::with(Glance::start_taking(2 << 20).await);
    let path = lab.file("a.img", b"");
    std::fs::File::options().write(true).open(&path).unwrap().set_len(SIZE).unwrap();
    let images = lab.manager();
    prepared(&images, text(&path)).await;
    eventually("the upload is under way", || lab.glance.count("PUT file") == 1).await;
    for allowed in [2_u64 << 20, 4 << 20, 8 << 20] {
        eventually("all that is allowed is taken", || {
            lab.glance.may_take.available_permits() < 1 << 16
        })
        .await;
        let read = uploaded(&prepared(&images, text(&path)).await);
        assert!(read >= allowed - (1 << 20), "{read} of {allowed}");
        assert!(read <= allowed + AHEAD, "{read} bytes were read while Glance took {allowed}");
        lab.glance.may_take.add_permits(usize::try_from(allowed).unwrap());
    }
    lab.glance.may_take.add_permits(1 << 30);
    ready(&images, text(&path)).await;
}

/// Bytes that are told as uploaded, from `being uploaded: 12.3 MB of ...`.
fn uploaded(readiness: &Readiness) -> u64 {
    let Readiness::NotYet { why } = readiness else { panic!("{readiness:?}") };
    let (_, told) = why.split_once("being uploaded: ").expect(why);
    let tenths: String = told.split(' ').next().unwrap().replace('.', "");
    assert!(told.contains(" MB of "), "{why}");
    tenths.parse::<u64>().unwrap() * 100_000
}

#[tokio::test]
async fn a_name_is_looked_up_once_in_five_minutes_and_stays_good_while_glance_is_away() {
    let lab = Lab::new().await;
    lab.glance.put("a", "Alma Linux 9", "active");
    let images = lab.manager();
    assert_eq!(ready(&images, "Alma Linux 9").await, "a");
    lab.glance.put("b", "Alma Linux 9", "active");
    assert_eq!(images.resolve("Alma Linux 9").await.unwrap().id, "a");
    assert_eq!(lab.glance.count("GET images"), 1);
    lab.clock.advance(Duration::from_secs(300));
    assert_eq!(images.resolve("Alma Linux 9").await.unwrap().id, "b");
    assert_eq!(images.resolve("image:b").await.unwrap().id, "b");
}

#[tokio::test]
async fn an_image_that_cannot_be_used_is_told_with_the_reason() {
    let lab = Lab::new().await;
    lab.glance.put("off", "old", "deactivated");
    lab.glance.put("new", "coming", "queued");
    let images = lab.manager();
    let cannot = |readiness: &Readiness, part: &str| matches!(readiness, Readiness::Cannot { why } if why.contains(part));
    assert!(cannot(&prepared(&images, "nothing").await, "no image with name 'nothing'"));
    assert!(cannot(&prepared(&images, "old").await, "deactivated"));
    assert!(cannot(&prepared(&images, "image:nothing").await, "no image with id nothing"));
    assert!(cannot(&prepared(&images, "/nowhere/x.img").await, "/nowhere/x.img"));
    assert!(cannot(&prepared(&images, "s3://bucket/x").await, "`s3`"));
    let coming = prepared(&images, "coming").await;
    assert!(matches!(coming, Readiness::NotYet { .. }), "{coming:?}");
    let without = Need { image: None, ..need("") };
    assert!(cannot(&images.prepare(&[without]).await.unwrap()[0], "root_image"));
}
