//! What a command is about, as people type it. Pure: whether it exists is asked later.

use std::fmt;
use std::str::FromStr;

use crate::model::{MachineName, MachinetypeName, SpaceName};

/// What can be drained.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    /// `SPACE`
    Space(SpaceName),
    /// `SPACE/MACHINETYPE`
    Machinetype(SpaceName, MachinetypeName),
    /// `MACHINE`
    Machine(MachineName),
}

/// What can be explained.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Explained {
    /// The space.
    pub space: SpaceName,
    /// One of its machinetypes; `None`: all.
    pub machinetype: Option<MachinetypeName>,
}

impl FromStr for Target {
    type Err = String;

    /// A name of the form of a machine is a machine: no space should be called
    /// `vcycle-...-0123456789`.
    fn from_str(text: &str) -> Result<Self, String> {
        if let Ok(machine) = MachineName::parse(text) {
            return Ok(Self::Machine(machine));
        }
        let Explained { space, machinetype } = text.parse()?;
        Ok(match machinetype {
            None => Self::Space(space),
            Some(machinetype) => Self::Machinetype(space, machinetype),
        })
    }
}

impl FromStr for Explained {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (space, machinetype) = match text.split_once('/') {
            None => (text, None),
            Some((space, machinetype)) => (space, Some(machinetype)),
        };
        Ok(Self {
            space: SpaceName::parse(space).map_err(|e| e.to_string())?,
            machinetype: machinetype
                .map(MachinetypeName::parse)
                .transpose()
                .map_err(|e| e.to_string())?,
        })
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Space(space) => write!(f, "space {space}"),
            Self::Machinetype(space, machinetype) => {
                write!(f, "machinetype {machinetype} of space {space}")
            }
            Self::Machine(machine) => write!(f, "machine {machine}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_target_is_told_from_its_form() {
        let read = |text: &str| text.parse::<Target>().map(|t| t.to_string());
        assert_eq!(read("iris.example"), Ok("space iris.example".into()));
        assert_eq!(read("iris.example/dune"), Ok("machinetype dune of space iris.example".into()));
        assert_eq!(read("vcycle-dune-abcdefghij"), Ok("machine vcycle-dune-abcdefghij".into()));
        assert!(read("iris.example/../x").is_err());
        assert!(read("Iris").is_err());
        assert!(read("").is_err());
    }
}
