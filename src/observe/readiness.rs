//! What machinetypes lack, told to the log when it changes: an upload of an hour is one line, not one for each cycle.

use std::collections::BTreeMap;

use tracing::{info, warn};

use crate::model::{MachinetypeName, Readiness, SpaceName};

/// What was last told of each machinetype that was not ready.
#[derive(Debug, Default)]
pub(crate) struct ReadinessLog(BTreeMap<MachinetypeName, Readiness>);

/// Something to tell.
#[derive(Debug, PartialEq, Eq)]
struct News<'a> {
    machinetype: &'a MachinetypeName,
    readiness: &'a Readiness,
}

impl ReadinessLog {
    /// Tells what is new. An empty answer tells of no machinetype.
    pub(crate) fn tell(
        &mut self,
        space: &SpaceName,
        readiness: &BTreeMap<MachinetypeName, Readiness>,
    ) {
        for News { machinetype, readiness } in self.news(readiness) {
            match readiness {
                Readiness::Ready => info!(%space, %machinetype, "is ready to be made"),
                Readiness::NotYet { why } => {
                    info!(%space, %machinetype, why, "is not ready to be made yet");
                }
                Readiness::Cannot { why } => {
                    warn!(%space, %machinetype, why, "cannot be made ready");
                }
            }
        }
    }

    fn news<'a>(&mut self, readiness: &'a BTreeMap<MachinetypeName, Readiness>) -> Vec<News<'a>> {
        let mut news = Vec::new();
        for (machinetype, readiness) in readiness {
            let told = self.0.get(machinetype).unwrap_or(&Readiness::Ready);
            if gist(told) == gist(readiness) {
                continue;
            }
            news.push(News { machinetype, readiness });
            match readiness {
                Readiness::Ready => self.0.remove(machinetype),
                Readiness::NotYet { why: _ } | Readiness::Cannot { why: _ } => {
                    self.0.insert(machinetype.clone(), readiness.clone())
                }
            };
        }
        news
    }
}

/// What counts as a change: figures do not, as those of an upload grow with every look.
fn gist(readiness: &Readiness) -> (u8, String) {
    let without_figures = |why: &str| why.chars().filter(|c| !c.is_ascii_digit()).collect();
    match readiness {
        Readiness::Ready => (0, String::new()),
        Readiness::NotYet { why } => (1, without_figures(why)),
        Readiness::Cannot { why } => (2, without_figures(why)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_change_is_told_once_and_growing_figures_are_none() {
        let dune = MachinetypeName::parse("dune").unwrap();
        let mut log = ReadinessLog::default();
        let mut told = Vec::new();
        let not_yet = |why: &str| Readiness::NotYet { why: why.to_owned() };
        for readiness in [
            Readiness::Ready,
            not_yet("uploading: 1.0 of 9.5 GB"),
            not_yet("uploading: 2.5 of 9.5 GB"),
            not_yet("no answer"),
            not_yet("no answer"),
            Readiness::Cannot { why: "no answer".to_owned() },
            Readiness::Ready,
            Readiness::Ready,
        ] {
            let now = BTreeMap::from([(dune.clone(), readiness)]);
            told.extend(log.news(&now).into_iter().map(|news| news.readiness.clone()));
            assert_eq!(log.news(&BTreeMap::new()), [], "a cloud that was not asked tells nothing");
        }
        let wanted = [
            not_yet("uploading: 1.0 of 9.5 GB"),
            not_yet("no answer"),
            Readiness::Cannot { why: "no answer".to_owned() },
            Readiness::Ready,
        ];
        assert_eq!(told, wanted);
    }
}
