//! Compiles the code of the documents, so that it stays true; the examples are the programs beside this file.

#[cfg(doctest)]
#[doc = include_str!("../docs/migrating.md")]
struct Migrating;

#[cfg(doctest)]
#[doc = include_str!("../docs/platforms.md")]
struct Platforms;

#[cfg(doctest)]
#[doc = include_str!("../docs/integration.md")]
struct Integration;

/// The program in its first lines; its other code shows parts of one.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
