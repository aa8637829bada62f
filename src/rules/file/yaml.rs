//! YAML into types of ours; the one file that names the crate which does it.
//!
//! Rule files come through here, and what `export` writes, so that another crate is a change of this file and of `Cargo.toml`. Settings are read
//! from the tree of `located`, which has positions.

#[cfg(any(test, feature = "schema"))]
pub(super) use serde_yaml::from_str;
#[cfg(feature = "export")]
pub(crate) use serde_yaml::to_string;
pub(super) use serde_yaml::{Value, from_value};
