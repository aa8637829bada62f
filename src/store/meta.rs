//! [`SeriesMeta`]: name, labels and kind of a series, and [`Budget`]: which limit it counts for.

use metrics::{Key, Label};

use crate::names::{self, Kind};

/// Series that share a limit. Each budget has its own, so that one kind of series never pushes out another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Budget {
    /// Measurements of the service, and the host's own metrics.
    Service,
    /// The monitor's metrics about itself. Its alerts are registered when they fire, by when the service may have used
    /// up its own budget.
    Monitor,
    /// Series of the windows. There are up to routes times queries of them.
    Windows,
    /// Those of what each endpoint uses under the name `other`. The others are folded into them, and must not lose places to them.
    Folded,
}

impl Budget {
    /// How many there are.
    pub(super) const COUNT: usize = 4;

    pub(super) fn of(key: &Key) -> Self {
        let name = key.name();
        if names::WINDOWED.iter().any(|metric| metric.name == name) {
            let is_folded = |label: &Label| label.key() == names::WAIT_NAME && label.value() == names::OTHER;
            if key.labels().any(is_folded) { Self::Folded } else { Self::Windows }
        } else if names::MONITOR.iter().any(|metric| metric.name == name) {
            Self::Monitor
        } else {
            Self::Service
        }
    }
}

/// Name, labels and kind of a series.
#[derive(Debug)]
pub(crate) struct SeriesMeta {
    pub(crate) key: Key,
    pub(crate) kind: Kind,
    /// Whether `/metrics` shows it.
    pub(crate) exposed: bool,
}

impl SeriesMeta {
    pub(super) fn new(key: Key, kind: Kind) -> Self {
        let is_of_windows = matches!(Budget::of(&key), Budget::Windows | Budget::Folded);
        let exposed = names::metric(key.name()).is_some() || !is_of_windows;
        Self { key, kind, exposed }
    }

    pub(crate) fn name(&self) -> &str {
        self.key.name()
    }

    /// Returns the value of a label.
    pub(crate) fn label(&self, name: &str) -> Option<&str> {
        self.key.labels().find(|label| label.key() == name).map(Label::value)
    }

    /// Returns the values of some labels. Looks at each label once: a tick asks for those of thousands of series.
    pub(crate) fn labels<const N: usize>(&self, names: [&str; N]) -> [Option<&str>; N] {
        let mut values = [None; N];
        for label in self.key.labels() {
            let key = label.key();
            if let Some(place) = names.iter().position(|name| *name == key)
                && values[place].is_none()
            {
                values[place] = Some(label.value());
            }
        }
        values
    }
}

/// Returns the keys that a series is recorded under past a limit, the better one first: an endpoint's use of a name as its use of
/// `other`, and any series as the one of its metric whose labels all read `other`.
pub(super) fn folded(key: &Key) -> impl Iterator<Item = Key> {
    let of_endpoint =
        key.labels().any(|label| label.key() == names::WAIT_NAME).then_some([names::WAIT_NAME].as_slice());
    let every: Vec<&str> = key.labels().map(Label::key).collect();
    let fold = |folds: &[&str]| {
        let labels = key.labels().map(|label| match folds.contains(&label.key()) {
            true => Label::new(label.key().to_owned(), names::OTHER),
            false => label.clone(),
        });
        Key::from_parts(key.name().to_owned(), labels.collect::<Vec<_>>())
    };
    of_endpoint.map(fold).into_iter().chain([fold(&every)])
}
