//! The instructions of all lives: two machinetypes of one processor, in one to three spaces that are alike.

use std::sync::Arc;

use vcycle::library::Setup;
use vcycle::model::{MachinetypeName, Processors, Share};
use vcycle_money::Community;

use super::pace::Pace;
use super::purse::{Prices, Purse, Spot};
use super::rules::COMMUNITIES;
use super::weather::SPACES;
use super::world::space_name;
use crate::support::site::{space, with_twin};

/// In the order of their shares.
pub const MACHINETYPES: [&str; 2] = ["batch", "other"];

/// With so many spaces.
pub fn setup(spaces: usize, pace: Pace) -> Setup {
    assert_eq!(space().as_str(), SPACES[0]);
    let mut setup = (*pace.base()).clone();
    for number in 1..spaces {
        setup = with_twin(&setup, &space_name(number));
    }
    let mut config = (*setup.config).clone();
    config.site.cycle = pace.cycle();
    config.site.ownership_ttl = pace.ttl();
    setup.config = Arc::new(config);
    setup
}

/// With another limit and other shares in a space.
pub fn configured(setup: &Setup, space: usize, (limit, shares): (u32, (u32, u32))) -> Setup {
    let mut setup = setup.clone();
    let name = space_name(space);
    let mut changed = (*setup.spaces[&name]).clone();
    changed.policy.processors_limit = Some(Processors(limit));
    for (machinetype, share) in MACHINETYPES.iter().zip([shares.0, shares.1]) {
        let name = MachinetypeName::parse(machinetype).unwrap();
        let policy = changed.policy.machinetypes.get_mut(&name).unwrap();
        policy.target_share = Share::new(f64::from(share)).unwrap();
    }
    setup.spaces.insert(name, Arc::new(changed));
    setup
}

/// With machines that may be taken back.
pub fn with_spot(setup: &Setup, spot: Spot) -> Setup {
    let mut setup = setup.clone();
    for space in setup.spaces.values_mut() {
        let mut changed = (**space).clone();
        for policy in changed.policy.machinetypes.values_mut() {
            policy.markets = spot.markets();
        }
        *space = Arc::new(changed);
    }
    setup
}

/// Where machines cost so much.
pub fn priced(setup: &Setup, purse: &Purse, prices: Prices) -> Setup {
    let mut config = (*setup.config).clone();
    config.spending = Some(purse.settings(prices));
    for space in config.spaces.values_mut() {
        for (machinetype, community) in MACHINETYPES.iter().zip(COMMUNITIES) {
            let name = MachinetypeName::parse(machinetype).unwrap();
            let machinetype = space.machinetypes.get_mut(&name).unwrap();
            machinetype.community = Some(Community::parse(community).unwrap());
        }
    }
    Setup { config: Arc::new(config), ..setup.clone() }
}
