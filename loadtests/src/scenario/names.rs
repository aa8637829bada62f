//! The names that a scenario knows, and one user's values for them.

/// Names that mean something without any data or capture.
pub(super) const BUILT_IN: [&str; 3] = ["user", "iteration", "uuid"];

/// The names that a scenario knows: first the columns of its data, then the captured values.
///
/// A name of the scenario's own hides the built-in one, and a captured value hides the column of that name.
#[derive(Clone, Debug, Default)]
pub(crate) struct Names {
    names: Vec<String>,
    /// How many of them are columns.
    columns: usize,
}

impl Names {
    /// Returns the slot of a new column. Columns are defined before captured values.
    pub(super) fn define_column(&mut self, name: &str) -> usize {
        self.names.push(name.to_owned());
        self.columns = self.names.len();
        self.columns - 1
    }

    /// Returns the slot of a captured value, defining it if it is new.
    pub(super) fn define_capture(&mut self, name: &str) -> usize {
        let known = self.names.iter().skip(self.columns).position(|known| known == name);
        known.map_or_else(
            || {
                self.names.push(name.to_owned());
                self.names.len() - 1
            },
            |position| self.columns + position,
        )
    }

    /// Returns the slot of a known name.
    pub(super) fn find(&self, name: &str) -> Option<usize> {
        self.names.iter().rposition(|known| known == name)
    }

    /// Returns the name of a slot.
    pub(crate) fn name(&self, slot: usize) -> &str {
        self.names.get(slot).map_or("", String::as_str)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &str> {
        self.names.iter().map(String::as_str)
    }
}

/// One user's values, by slot.
#[derive(Clone, Debug, Default)]
pub(crate) struct Values(Vec<Option<String>>);

impl Values {
    /// Sets the value of a slot.
    pub(crate) fn set(&mut self, slot: usize, value: String) {
        if self.0.len() <= slot {
            self.0.resize(slot + 1, None);
        }
        self.0[slot] = Some(value);
    }

    /// Returns the value of a slot; `None` if nothing has set it yet.
    pub(crate) fn at(&self, slot: usize) -> Option<&str> {
        self.0.get(slot)?.as_deref()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_capture_hides_the_column_of_its_name_for_the_steps_after_it() {
        let mut names = Names::default();
        let column = names.define_column("token");
        assert_eq!(names.find("token"), Some(column));
        let capture = names.define_capture("token");
        assert_ne!(capture, column);
        assert_eq!((names.find("token"), names.define_capture("token")), (Some(capture), capture));
        assert_eq!((names.name(capture), names.find("none")), ("token", None));
    }
}
