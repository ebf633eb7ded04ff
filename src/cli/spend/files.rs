//! What the files of the spend manager say beside what is in force: with the configuration, or with the currency of the
//! ledger alone, since who writes caps need not be an admin of the site.

use std::path::Path;

use vcycle_money::plan::Budget;
use vcycle_money::{Cap, CapName};

use super::reading::Reading;
use crate::config::{CapsStand, LoadedCaps, load_caps, load_caps_alone};
use crate::library::load_setup;

/// The files, as they stand to the caps in force.
pub(super) struct Files {
    stand: CapsStand,
    /// Why they were not held against the configuration, if so.
    pub(super) unchecked: Option<&'static str>,
    /// The budgets among them that are in force.
    pub(super) budgets: Vec<Budget>,
}

/// When what is tighter counts, and what is wider.
const WHEN: &str = "what is tighter counts within seconds of a running manager, what is wider when the files have stood for two \
     minutes";

const NAMES: &str = "names of communities, spaces and machinetypes in caps.d were not looked up, since no configuration was \
     read (vcycle check)";

impl Files {
    /// Reads them. What a configuration says counts, if one may be read and is valid.
    pub(super) fn of(config: &Path, state_dir: Option<&Path>, reading: &Reading) -> Self {
        let setup = state_dir.is_none().then(|| load_setup(config).ok()).flatten();
        let (loaded, unchecked) = match (&setup, reading.currency) {
            (Some(setup), _) if setup.config.spending.is_none() => {
                let why = "the configuration has no [spending]: nothing is counted, and a manager makes nothing where caps are";
                return Self::unknown(why);
            }
            (Some(setup), _) => (load_caps(&setup.config), None),
            (None, Some(currency)) => (load_caps_alone(reading.state_dir(), currency), Some(NAMES)),
            (None, None) => {
                return Self::unknown(
                    "nobody can tell what caps.d says: the ledger has no currency yet, and no configuration was read",
                );
            }
        };
        let LoadedCaps { caps, budgets, .. } = &loaded;
        let is_in_force = |budget: &&Budget| reading.book.cap(&budget.name) == Some(&budget.cap());
        let budgets = budgets.iter().filter(is_in_force).cloned().collect();
        let unchecked = unchecked.filter(|_| caps.as_ref().is_ok_and(|caps| !caps.is_empty()));
        let stand = match loaded.stand(reading.book.caps()) {
            // Of a ledger that is damaged nobody knows what is in force.
            CapsStand::Otherwise(_) if reading.damage.is_some() => CapsStand::InForce,
            stand => stand,
        };
        Self { stand, unchecked, budgets }
    }

    fn unknown(why: &str) -> Self {
        let stand = CapsStand::NotTakenUp { why: why.to_owned() };
        Self { stand, unchecked: None, budgets: Vec::new() }
    }

    /// That something else is in force than they say; `None`: it is what they say.
    pub(super) fn alarm(&self) -> Option<String> {
        match &self.stand {
            CapsStand::InForce => None,
            CapsStand::NotTakenUp { why } => Some(format!("not taken up: {why}")),
            CapsStand::Otherwise(_) => {
                Some(format!("caps.d says otherwise than what is in force: {WHEN}"))
            }
        }
    }

    /// That they cannot be taken up.
    pub(super) fn refused(&self) -> Option<String> {
        match &self.stand {
            CapsStand::NotTakenUp { .. } => self.alarm(),
            CapsStand::InForce | CapsStand::Otherwise(_) => None,
        }
    }

    /// What of a cap waits to come into force.
    pub(super) fn waiting(&self, name: &CapName, in_force: Option<&Cap>) -> Option<String> {
        let CapsStand::Otherwise(wanted) = &self.stand else { return None };
        let wanted = wanted.iter().find(|cap| cap.name == *name);
        let what = match (in_force, wanted) {
            (None, None) => return None,
            (Some(old), Some(new)) if old == new => return None,
            (Some(_), None) => "caps.d does not have it any more".to_owned(),
            (None, Some(new)) => format!("caps.d has it with a limit of {:.2}", new.limit),
            (Some(old), Some(new)) if old.limit != new.limit => {
                format!("caps.d has a limit of {:.2} in place of {:.2}", new.limit, old.limit)
            }
            (Some(_), Some(_)) => {
                "caps.d has it on something else, or with other stages".to_owned()
            }
        };
        Some(format!("{what}: {WHEN}"))
    }
}
