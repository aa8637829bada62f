//! Compiles the code of the documents, so that it stays true; the examples are the programs beside this file.

#[cfg(doctest)]
#[doc = include_str!("../docs/migrating.md")]
struct Migrating;

#[cfg(doctest)]
#[doc = include_str!("../docs/platforms.md")]
struct Platforms;
