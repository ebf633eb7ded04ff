//! The library of VM definitions: load, validate, merge with the configuration, render (pure).
//!
//! Reading order: `entry` and `options` (what an entry says), `template` (its patterns), `resolve`
//! and `settle` (configuration over entry), `render` and `urls` (what a machine gets), `load` (the
//! only file here that reads files), `catalogue` and `sample` (for people). docs/CONFIGURATION.md is the description for people.

pub mod catalogue;
mod definition;
pub mod entry;
mod load;
pub mod options;
mod render;
pub mod resolve;
mod sample;
mod settle;
pub mod template;
mod urls;

pub use definition::{
    Definition, MachineVariables, OptionText, RenderError, Rendered, Setup, SpaceSetup,
};
pub use load::{Loaded, entry_names, load, load_all, load_entry, load_setup};
pub use sample::{LARGEST_MANAGER_CA, TooLarge, UserDataLimit, too_large};
pub use urls::MachineUrls;
