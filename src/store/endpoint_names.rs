//! [`EndpointNames`]: a number for each endpoint, because a slot has room for a number and not for a name.

use std::{collections::HashMap, sync::Arc};

/// Name under which requests count that matched no route or were folded into `other`.
pub(crate) const NO_ENDPOINT: &str = "";

/// Endpoint numbers of an archive from this one on are ignored: no routing table has a million routes, and a damaged
/// file must not make this table allocate for billions.
#[cfg(feature = "archive")]
const LARGEST: u32 = 1 << 20;

/// The names of all endpoints that occur in a slot, each with its number.
#[derive(Clone, Debug, Default)]
pub(crate) struct EndpointNames {
    /// By number; `None` for a number that is free.
    names: Vec<Option<Arc<str>>>,
    numbers: HashMap<Arc<str>, u32>,
    free: Vec<u32>,
}

impl EndpointNames {
    /// Returns the table of an archive's names, which keep their numbers.
    #[cfg(feature = "archive")]
    pub(crate) fn from_numbered(numbered: impl IntoIterator<Item = (u32, Arc<str>)>) -> Self {
        let mut all = Self::default();
        for (number, name) in numbered.into_iter().filter(|(number, _)| *number < LARGEST) {
            let at = number as usize;
            if all.names.len() <= at {
                all.names.resize(at + 1, None);
            }
            all.names[at] = Some(name.clone());
            all.numbers.insert(name, number);
        }
        all.free = (0..).zip(&all.names).filter(|(_, name)| name.is_none()).map(|(number, _)| number).collect();
        all
    }

    /// Returns the number of a name, and whether it was given just now.
    pub(super) fn number(&mut self, name: &str) -> (u32, bool) {
        if let Some(number) = self.numbers.get(name) {
            return (*number, false);
        }
        let name: Arc<str> = name.into();
        let number = match self.free.pop() {
            Some(number) => {
                self.names[number as usize] = Some(name.clone());
                number
            }
            None => {
                self.names.push(Some(name.clone()));
                u32::try_from(self.names.len() - 1).expect("max_series bounds endpoints far below 2^32")
            }
        };
        self.numbers.insert(name, number);
        (number, true)
    }

    /// Returns the name of a number.
    pub(crate) fn name(&self, number: u32) -> Option<&Arc<str>> {
        self.names.get(number as usize)?.as_ref()
    }

    /// Returns every name with its number.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (u32, &Arc<str>)> {
        (0..).zip(&self.names).filter_map(|(number, name)| Some((number, name.as_ref()?)))
    }

    /// Returns about how many heap bytes they take: a name's text, and the entries of vector and map beside it.
    pub(super) fn bytes(&self) -> usize {
        self.iter().map(|(_, name)| name.len() + 80).sum()
    }
}

#[cfg(all(test, feature = "archive"))]
mod tests {
    use super::*;

    #[test]
    fn free_numbers_are_reused() {
        let mut names = EndpointNames::from_numbered([(0, "GET /a".into()), (2, "GET /c".into())]);
        assert_eq!(names.number("GET /c"), (2, false));
        assert_eq!(names.number("GET /b"), (1, true));
        assert_eq!(names.number("GET /d"), (3, true));
        let all: Vec<(u32, &str)> = names.iter().map(|(number, name)| (number, &**name)).collect();
        assert_eq!(all, [(0, "GET /a"), (1, "GET /b"), (2, "GET /c"), (3, "GET /d")]);
    }
}
