//! `[spending]`, price lists, rates of exchange and caps: from text to the types of `vcycle_money`.
//!
//! Reading order: `sums` (values), `settings` (`[spending]`), `prices` and `rates` (the files that it names), `spaces`
//! (what it means for each space), `caps` (the files of the spend manager, which are no part of the configuration: a
//! mistake in them refuses nothing but themselves), `budgets` (in the same files), `scenario` (for `vcycle simulate`).

mod budgets;
mod caps;
mod known;
mod prices;
mod rates;
mod scenario;
mod settings;
mod spaces;
mod sums;
mod world;

pub(super) use caps::validate_caps_alone;
pub use caps::{
    CapFile, CapTexts, CapsAndBudgets, CapsStand, LoadedCaps, NO_CAPS_FILE, speaks_of_caps,
    validate_caps,
};
pub use scenario::validate_scenario;
pub(super) use settings::NamedFiles;
pub use settings::SpendingSettings;
pub(super) use settings::{named_files, read_spending};
pub use spaces::{Metering, OfferingPrice};
pub(super) use spaces::{check_spaces, read_community, read_metering, read_overstay};
pub use world::{Lives, SiteWorld};
