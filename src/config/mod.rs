//! Configuration: text -> raw -> valid `Config`; every problem of every file reported at once,
//! with file, line, column, key and what would be right.

mod types;

pub use types::{
    Config, HttpsConfig, LibraryConfig, LocalConfig, MachinetypeConfig, ProviderConfig,
    ServerConfig, ServerLimits, SimConfig, Site, SpaceConfig, TlsIdentity,
};
