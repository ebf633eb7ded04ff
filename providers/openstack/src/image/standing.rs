//! What is known of a source: which image creates use, and what is being done about it. Pure.

use std::sync::Arc;
use std::time::Duration;

use super::ImageId;
use super::glance::Image;
use super::ours;
use super::reference::Source;
use super::source::Stamp;
use super::tally::Tally;
use super::trouble::{Lasts, Trouble};

/// How often a web server is asked whether its file has changed.
const WEB_INTERVAL: Duration = Duration::from_secs(10 * 60);

/// The pause after a failure doubles from the first of these to the second.
const PAUSES: (Duration, Duration) = (Duration::from_secs(60), Duration::from_secs(30 * 60));

/// What a source amounts to now.
#[derive(Debug, Clone)]
pub(crate) enum Standing {
    /// This is its image.
    Ready(ImageId),
    /// Nobody has looked yet.
    Unseen,
    /// Another is being uploaded.
    Waiting,
    /// Being uploaded.
    Working(Arc<Tally>),
    /// It failed, and will be tried again.
    Failed(Trouble),
}

impl Standing {
    /// Why the image cannot be used now, for people; `None`: it can.
    pub(crate) fn why(&self) -> Option<(String, Lasts)> {
        match self {
            Self::Ready(_) => None,
            Self::Unseen => Some(("being looked for".to_owned(), Lasts::ForNow)),
            Self::Waiting => Some(("to be uploaded after another image".to_owned(), Lasts::ForNow)),
            Self::Working(tally) => Some((tally.to_string(), Lasts::ForNow)),
            Self::Failed(trouble) => Some((trouble.why.clone(), trouble.lasts)),
        }
    }
}

/// The image that creates use. It may be of an older version while a newer one is uploaded.
#[derive(Debug, Clone)]
pub(super) struct Current {
    pub(super) image: Image,
    /// The stamp of the source that it answers.
    pub(super) stamp: Stamp,
    /// Since when it is the current one, on our monotonic clock.
    pub(super) since: Duration,
}

/// What is being done about a source.
#[derive(Debug, Default)]
pub(super) enum Stage {
    /// Nobody has looked yet.
    #[default]
    Unseen,
    /// Its image is there and of its version.
    Right,
    /// It needs an upload.
    Waiting,
    /// It is being uploaded.
    Working(Arc<Tally>),
    /// It failed.
    Failed(Trouble),
}

/// What is known of one source.
#[derive(Debug, Default)]
pub(super) struct Held {
    pub(super) current: Option<Current>,
    pub(super) stage: Stage,
    /// When its version was last looked at, on our monotonic clock.
    looked: Option<Duration>,
    /// When Glance was last asked for its images.
    pub(super) listed: Option<Duration>,
    failures: u32,
    not_before: Duration,
}

/// What a look at a source has shown.
pub(super) struct Look {
    /// The image that creates use, if there is one.
    pub(super) current: Option<Current>,
    /// Whether it is of the version that the source has now.
    pub(super) is_right: bool,
    /// When Glance was asked, on our monotonic clock; `None`: it was not.
    pub(super) listed: Option<Duration>,
    /// Why the source's own version is not known.
    pub(super) wrong: Option<Trouble>,
}

impl Held {
    /// Whether it should be looked at.
    pub(super) fn is_due(&self, source: &Source, now: Duration) -> bool {
        let interval = match source {
            Source::File(_) => Duration::ZERO,
            Source::Url(_) => WEB_INTERVAL,
        };
        match self.stage {
            Stage::Waiting | Stage::Working(_) => false,
            Stage::Unseen => true,
            Stage::Failed(_) => now >= self.not_before,
            Stage::Right => self.looked.is_none_or(|at| now.saturating_sub(at) >= interval),
        }
    }

    /// What it amounts to.
    pub(super) fn standing(&self) -> Standing {
        match (&self.current, &self.stage) {
            (Some(current), _) => Standing::Ready(ImageId::of(&current.image)),
            (None, Stage::Unseen | Stage::Right) => Standing::Unseen,
            (None, Stage::Waiting) => Standing::Waiting,
            (None, Stage::Working(tally)) => Standing::Working(Arc::clone(tally)),
            (None, Stage::Failed(trouble)) => Standing::Failed(trouble.clone()),
        }
    }

    /// Takes in what a look has shown.
    pub(super) fn note_look(&mut self, seen: Result<Look, Trouble>, now: Duration) {
        self.looked = Some(now);
        let look = match seen {
            Ok(look) => look,
            Err(trouble) => return self.fail(trouble, now),
        };
        self.listed = look.listed.or(self.listed);
        self.current = look.current;
        match look.wrong {
            Some(trouble) => self.fail(trouble, now),
            None if look.is_right => {
                self.stage = Stage::Right;
                (self.failures, self.not_before) = (0, Duration::ZERO);
            }
            None => self.stage = Stage::Waiting,
        }
    }

    /// Takes in what became of an upload.
    pub(super) fn note_upload(&mut self, done: Result<Current, Trouble>, now: Duration) {
        match done {
            Ok(current) => {
                self.current = Some(current);
                self.stage = Stage::Right;
                (self.looked, self.listed) = (Some(now), Some(now));
                (self.failures, self.not_before) = (0, Duration::ZERO);
            }
            Err(trouble) => self.fail(trouble, now),
        }
    }

    fn fail(&mut self, trouble: Trouble, now: Duration) {
        let (first, longest) = PAUSES;
        let pause = first.saturating_mul(1 << self.failures.min(16)).min(longest);
        self.failures = self.failures.saturating_add(1);
        self.not_before = now + pause;
        self.stage = Stage::Failed(trouble);
    }
}

/// Which of the images of a source creates use, and whether it is of the version that the source has
/// now (`stamp`; `None`: not known). What we ourselves have found to be the same content under
/// another stamp (a file that was only touched) goes before what the images' own properties say.
pub(super) fn judge(
    known: Option<&Current>,
    stamp: Option<&Stamp>,
    images: &[Image],
    now: Duration,
) -> (Option<Current>, bool) {
    let is_now = |seen: &Stamp| stamp.is_some_and(|now| now.is_same(seen));
    let sound = || images.iter().filter(|image| ours::is_sound(image));
    let remembered = known.filter(|known| is_now(&known.stamp));
    let remembered = remembered.and_then(|k| sound().find(|image| image.id == k.image.id));
    let marked = || {
        let right = sound().filter(|image| ours::stamp_of(image).as_ref().is_some_and(is_now));
        right.max_by_key(|image| (image.created_at, &image.id))
    };
    let since = |image: &Image| match known {
        Some(known) if known.image.id == image.id => known.since,
        Some(_) | None => now,
    };
    let of =
        |image: &Image, stamp: Stamp| Current { since: since(image), image: image.clone(), stamp };
    match (remembered.or_else(marked), stamp) {
        (Some(image), Some(stamp)) => (Some(of(image, stamp.clone())), true),
        _ => {
            let newest = ours::newest_sound(images);
            (newest.and_then(|image| Some(of(image, ours::stamp_of(image)?))), false)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    const NOW: Duration = Duration::from_secs(5_000);

    fn image(id: &str, created: &str, modified: &str) -> Image {
        let value = json!({ "id": id, "status": "active", "size": 3, "created_at": created,
                            "vcycle_bytes": "3", "vcycle_modified": modified });
        serde_json::from_value(value).unwrap()
    }

    fn stamp(modified: &str) -> Stamp {
        Stamp { bytes: 3, etag: None, modified: Some(modified.to_owned()) }
    }

    fn judged(known: Option<&Current>, at: Option<&str>, images: &[Image]) -> (String, bool) {
        let stamp = at.map(stamp);
        let (current, is_right) = judge(known, stamp.as_ref(), images, NOW);
        (current.map_or("none".to_owned(), |current| current.image.id), is_right)
    }

    #[test]
    fn the_image_of_the_present_version_is_used_and_else_the_newest() {
        let old = image("old", "2026-01-01T00:00:00Z", "monday");
        let new = image("new", "2026-02-01T00:00:00Z", "tuesday");
        let images = [old, new];
        assert_eq!(judged(None, Some("monday"), &images), ("old".to_owned(), true));
        assert_eq!(judged(None, Some("friday"), &images), ("new".to_owned(), false));
        assert_eq!(judged(None, None, &images), ("new".to_owned(), false));
        assert_eq!(judged(None, Some("monday"), &[]), ("none".to_owned(), false));
    }

    #[test]
    fn a_file_that_was_only_touched_keeps_its_image() {
        let image = image("a", "2026-01-01T00:00:00Z", "monday");
        let since = Duration::from_secs(7);
        let known = Current { image: image.clone(), stamp: stamp("touched"), since };
        let images = [image];
        assert_eq!(judged(Some(&known), Some("touched"), &images), ("a".to_owned(), true));
        let (current, _) = judge(Some(&known), Some(&stamp("touched")), &images, NOW);
        assert_eq!(current.unwrap().since, since);
    }

    #[test]
    fn the_pauses_after_failures_grow_and_end_with_the_first_success() {
        let source = Source::File("/a".into());
        let mut held = Held::default();
        let mut now = Duration::ZERO;
        let mut pauses = Vec::new();
        for _ in 0..7 {
            held.note_look(Err(Trouble::for_now("no answer")), now);
            let begun = now;
            while !held.is_due(&source, now) {
                now += Duration::from_secs(60);
            }
            pauses.push((now - begun).as_secs() / 60);
        }
        assert_eq!(pauses, [1, 2, 4, 8, 16, 30, 30]);
        let (current, is_right) = judge(
            None,
            Some(&stamp("monday")),
            &[image("a", "2026-01-01T00:00:00Z", "monday")],
            now,
        );
        held.note_look(Ok(Look { current, is_right, listed: Some(now), wrong: None }), now);
        assert!(held.is_due(&source, now), "a file is looked at each time");
        let url = Source::Url("https://a.example/x".parse().unwrap());
        assert!(!held.is_due(&url, now + Duration::from_secs(599)));
        assert!(held.is_due(&url, now + Duration::from_secs(600)));
        held.note_look(Err(Trouble::for_now("no answer")), now);
        assert!(held.is_due(&source, now + Duration::from_secs(60)));
        assert!(
            held.standing().why().is_none(),
            "what was ready stays so while the source is away"
        );
    }
}
