//! The library of VM definitions: load, validate, merge with the configuration, render (pure).

mod definition;

pub use definition::{Definition, MachineVariables, RenderError, Rendered, Setup, SpaceSetup};
