//! [`Place`]: where in the host's code something was tracked, as a number that an atomic can hold.
//!
//! A fixed table that is only filled: finding the number of a known place compares one address, and takes no lock.

use std::{panic::Location, sync::OnceLock};

/// Places that are told apart. A service has a few hundred at most; what is past them has no place.
const PLACES: usize = 1024;
/// Entries that are looked at before a place is given up: the table is never nearly full.
const PROBES: usize = 32;

static TABLE: [OnceLock<Known>; PLACES] = [const { OnceLock::new() }; PLACES];

#[derive(Debug)]
struct Known {
    location: &'static Location<'static>,
    /// File and line.
    text: String,
}

/// A place in the host's code, or none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Place(u16);

impl Place {
    /// No place.
    pub(crate) const NONE: Self = Self(0);

    /// Returns the number of a place; none if the table has no room for it.
    pub(crate) fn of(location: &'static Location<'static>) -> Self {
        let address = std::ptr::from_ref(location) as usize;
        // Locations are words apart, so that the lowest bits say nothing.
        let first = (address >> 3).wrapping_mul(0x9E37_79B1) >> 8;
        for place in (first..first + PROBES).map(|place| place % PLACES) {
            let text = || format!("{}:{}", location.file(), location.line());
            let known = TABLE[place].get_or_init(|| Known { location, text: text() });
            if std::ptr::eq(known.location, location) || known.location == location {
                return Self(place as u16 + 1);
            }
        }
        Self::NONE
    }

    /// Returns file and line.
    pub(crate) fn text(self) -> Option<&'static str> {
        let known = TABLE.get(usize::from(self.0.checked_sub(1)?))?.get()?;
        Some(&known.text)
    }

    pub(super) fn number(self) -> u16 {
        self.0
    }

    pub(crate) fn from_number(number: u16) -> Self {
        Self(number)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn here() -> Place {
        Place::of(Location::caller())
    }

    #[test]
    fn each_place_has_a_number_and_a_text() {
        let line = line!() + 1;
        let places: Vec<_> = (0..3).map(|_| here()).collect();
        assert!(places.iter().all(|place| *place == places[0]));
        assert_eq!(places[0].text(), Some(&*format!("{}:{line}", file!())));
        assert_ne!(here(), places[0]);
        assert_eq!(Place::NONE.text(), None);
    }
}
