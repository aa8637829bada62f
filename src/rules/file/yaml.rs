//! YAML into types of ours; the one file that names the crate which does it.
//!
//! Rule files and settings come through here, so that another parser is a change of this file and of `Cargo.toml`.

pub(crate) use serde_yaml::{Error, Value, from_str, from_value};
