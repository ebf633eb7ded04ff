//! From the files of the spend manager to the caps in force, which stand in the ledger.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;
use tracing::{info, warn};
use vcycle_money::caps_change::{Look, Stood};
use vcycle_money::plan::Budget;
use vcycle_money::{Cap, Currency};

use super::Shared;
use crate::config::{
    CapFile, CapTexts, Collector, Config, NO_CAPS_FILE, TextFile, caps_folder, validate_caps,
};
use crate::cycle::CapsRead;
use crate::store::CapsFile;

/// For how long files and ledger must have stood before a cap is raised or taken away: longer than any manager may see an
/// older file (`docs/STATE-DIR.md`).
const STAND: Duration = Duration::from_secs(120);

/// What one process has seen of the files.
#[derive(Debug, Default)]
pub(super) struct CapsKeeper {
    /// Files and ledger as they were at the last look, and since when they are so.
    last: Option<(Vec<CapsFile>, Vec<Cap>, Instant)>,
    /// They were understood once.
    was_read: bool,
    /// What they said of budgets then.
    budgets: Arc<[Budget]>,
    /// What was told of them.
    told: Option<String>,
}

impl CapsKeeper {
    /// Looks at the files, and sets what must be set.
    pub(super) async fn look(
        &mut self,
        shared: &Shared,
        (config, currency): (&Config, Currency),
    ) -> CapsRead {
        if let Err(why) = same_currency(shared, currency).await {
            return CapsRead::NotYet { why };
        }
        let problem = self.take_up(shared, (config, currency)).await.err();
        if problem != self.told {
            match &problem {
                Some(problem) => warn!(%problem, "the caps in force stay as they are"),
                None => info!("the caps of the spend manager are read"),
            }
            self.told.clone_from(&problem);
        }
        self.was_read |= problem.is_none();
        match problem {
            Some(why) if !self.was_read => CapsRead::NotYet { why },
            problem => CapsRead::Yes { problem, budgets: Arc::clone(&self.budgets) },
        }
    }

    async fn take_up(
        &mut self,
        shared: &Shared,
        (config, currency): (&Config, Currency),
    ) -> Result<(), String> {
        let files = shared.store.caps_files().await.map_err(|error| error.to_string())?;
        let in_force = shared.purse.ledger.book().caps().to_vec();
        let stood = self.stood(&files, &in_force);
        if files.is_empty() && !in_force.is_empty() {
            return Err(NO_CAPS_FILE.to_owned());
        }
        let texts = texts(config, files);
        let problems = Collector::default();
        let wanted = validate_caps(&texts, currency, config, &problems);
        problems.into_parts().0.map_err(|problems| problems.in_a_line())?;
        self.budgets = wanted.budgets.into();
        let look = Look { in_force: &in_force, wanted: &wanted.caps, stood };
        if look.due(&in_force).is_none() {
            return Ok(());
        }
        let (manager, source) = (&shared.home.manager, source(&texts));
        let due = |now: &[Cap]| look.due(now);
        let set = shared.purse.ledger.set_caps(manager, due, &source).await;
        if let Some(entry) = set.map_err(|error| error.to_string())? {
            info!(entry, %source, "other caps are in force");
        }
        Ok(())
    }

    fn stood(&mut self, files: &[CapsFile], in_force: &[Cap]) -> Stood {
        let now = Instant::now();
        let since = match &self.last {
            Some((old_files, old_caps, since)) if old_files == files && old_caps == in_force => {
                *since
            }
            Some(_) | None => now,
        };
        self.last = Some((files.to_vec(), in_force.to_vec(), since));
        if now - since >= STAND { Stood::Long } else { Stood::NotYet }
    }
}

/// Amounts of two currencies cannot stand in one ledger: nothing is spent by whoever reckons in another.
async fn same_currency(shared: &Shared, currency: Currency) -> Result<(), String> {
    let set = shared.purse.ledger.set_currency(&shared.home.manager, currency).await;
    set.map(|_| ()).map_err(|error| error.to_string())
}

fn texts(config: &Config, files: Vec<CapsFile>) -> CapTexts {
    let folder = caps_folder(&config.site.state_dir);
    let file = |CapsFile { name, text, modified, owner }: CapsFile| CapFile {
        text: TextFile { name: folder.join(name), folder: folder.clone(), text },
        modified,
        owner,
    };
    let files = files.into_iter().map(file).collect();
    CapTexts { folder, files }
}

/// Which files, whose they are, and when they were changed, for people.
fn source(texts: &CapTexts) -> String {
    let one = |file: &CapFile| {
        let name = file.text.name.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let owner = file.owner.map(|owner| format!("of user {owner}"));
        let changed = file.modified.map(|at| format!("changed at {at}"));
        let known: Vec<String> = owner.into_iter().chain(changed).collect();
        if known.is_empty() { name } else { format!("{name} ({})", known.join(", ")) }
    };
    texts.files.iter().map(one).collect::<Vec<_>>().join(", ")
}
