//! The parts that pages are written with.

pub(super) use crate::{
    api::report::words::{duration, percent},
    markup::{
        Html,
        numbers::{NOTHING, count},
    },
};
