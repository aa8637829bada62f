//! [`Table`]: rows and columns, built once and written by each of the three writers.

/// Stands where nothing was measured: 0 would be a measurement.
pub(super) const NOTHING: &str = "–";

/// Rows with the names of their columns.
#[derive(Clone, Debug)]
pub(super) struct Table {
    pub(super) heads: Vec<Head>,
    /// Each row has a cell for each head.
    pub(super) rows: Vec<Vec<Cell>>,
}

/// The name of a column and how its cells are set.
#[derive(Clone, Copy, Debug)]
pub(super) struct Head {
    pub(super) name: &'static str,
    pub(super) align: Align,
}

/// How a column is set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Align {
    /// Words.
    Left,
    /// Numbers.
    Right,
}

/// The text of a cell.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Cell {
    pub(super) text: String,
    pub(super) tone: Tone,
    /// Whether it is a part of the row above.
    pub(super) is_part: bool,
}

/// Whether a cell is good news or bad.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Tone {
    Neutral,
    Good,
    Bad,
}

/// A column of a table whose rows are made of `T`.
pub(super) struct Column<T> {
    head: Head,
    cell: fn(&T) -> Cell,
}

impl<T> Column<T> {
    /// A column of words, set to the left.
    pub(super) fn words(name: &'static str, cell: fn(&T) -> Cell) -> Self {
        Self { head: Head { name, align: Align::Left }, cell }
    }

    /// A column of numbers, set to the right.
    pub(super) fn numbers(name: &'static str, cell: fn(&T) -> Cell) -> Self {
        Self { head: Head { name, align: Align::Right }, cell }
    }
}

impl Table {
    /// Makes a row of each of `rows`.
    pub(super) fn of<'r, T: 'r>(rows: impl IntoIterator<Item = &'r T>, columns: &[Column<T>]) -> Self {
        let row = |row: &T| columns.iter().map(|column| (column.cell)(row)).collect();
        Self { heads: columns.iter().map(|column| column.head).collect(), rows: rows.into_iter().map(row).collect() }
    }
}

impl Cell {
    /// The text, or [`NOTHING`] without one.
    pub(super) fn or_nothing(text: Option<String>) -> Self {
        text.map_or_else(|| NOTHING.into(), Self::from)
    }

    /// The same cell as good or bad news.
    pub(super) fn toned(self, tone: Tone) -> Self {
        Self { tone, ..self }
    }

    /// The name of a part of the row above, which writers indent.
    pub(super) fn part(text: &str) -> Self {
        Self { is_part: true, ..text.into() }
    }
}

impl From<String> for Cell {
    fn from(text: String) -> Self {
        Self { text, tone: Tone::Neutral, is_part: false }
    }
}

impl From<&str> for Cell {
    fn from(text: &str) -> Self {
        text.to_owned().into()
    }
}
