//! Rows of a CSV file, a new one for each iteration or one for each user.

use std::{
    io::Read as _,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use thiserror::Error;

use super::{
    names::{Names, Values},
    random::Random,
};

/// A mark behind the text. The csv crate ends an open quote at the end of the text without an error, so it is found by
/// this line being part of a field.
const END: &str = "\n\u{4}\n";

/// How long a user keeps a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RowLifetime {
    /// For an iteration; what a user does before its first iteration has a row of its own.
    Iteration,
    /// For everything that the user does: the customer who logs in is the one who buys.
    User,
}

/// Which row comes next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RowOrder {
    /// The next one of the file, counted over all users; after the last one the first.
    Sequential,
    /// Any.
    Random,
}

/// A table, and how its rows are dealt. Clones share the place of the next row.
#[derive(Clone, Debug)]
pub(crate) struct Table {
    columns: Vec<String>,
    rows: Arc<Vec<Vec<String>>>,
    order: RowOrder,
    lifetime: RowLifetime,
    next: Cursor,
}

/// The place of the next row of a file, which all scenarios that read the file share.
pub(crate) type Cursor = Arc<AtomicUsize>;

/// A table whose columns are names in a scenario.
#[derive(Clone, Debug)]
pub(crate) struct DataSet {
    slots: Vec<usize>,
    table: Table,
}

/// A text that is not a table.
#[derive(Debug, Error, PartialEq, Eq)]
pub(crate) enum DataError {
    /// It is empty.
    #[error("no header line; the first line names the columns")]
    NoHeader,
    /// It has only a header.
    #[error("no rows below the header line")]
    NoRows,
    /// A column has no name.
    #[error("line 1: column {0} has no name")]
    NoName(usize),
    /// Two columns have one name.
    #[error("line 1: two columns are called \"{0}\"")]
    SameName(String),
    /// A row does not fit the header.
    #[error("line {line}: {found} fields, but the header has {expected}")]
    WrongWidth {
        /// The line on which the row starts, from 1.
        line: usize,
        /// How many fields the row has.
        found: usize,
        /// How many columns the header has.
        expected: usize,
    },
    /// A quoted field is not closed.
    #[error("line {line}: a quoted field is never closed")]
    OpenQuote {
        /// The line on which the row starts, from 1.
        line: usize,
    },
}

impl Table {
    /// Reads a CSV text (RFC 4180, whose first line names the columns). Tables with one `cursor` take turns.
    pub(crate) fn parse(
        text: &str,
        order: RowOrder,
        lifetime: RowLifetime,
        cursor: &Cursor,
    ) -> Result<Self, DataError> {
        let mut records = records(text)?.into_iter();
        let (_, header) = records.next().ok_or(DataError::NoHeader)?;
        let columns: Vec<String> = header.iter().map(|name| name.trim().to_owned()).collect();
        for (index, name) in columns.iter().enumerate() {
            if name.is_empty() {
                return Err(DataError::NoName(index + 1));
            }
            if columns[..index].contains(name) {
                return Err(DataError::SameName(name.clone()));
            }
        }
        let mut rows = Vec::new();
        for (line, fields) in records {
            if fields.len() != columns.len() {
                return Err(DataError::WrongWidth { line, found: fields.len(), expected: columns.len() });
            }
            rows.push(fields);
        }
        if rows.is_empty() {
            return Err(DataError::NoRows);
        }
        Ok(Self { columns, rows: Arc::new(rows), order, lifetime, next: cursor.clone() })
    }

    /// Defines its columns in a scenario. Scenarios that share a table take turns: no row is dealt again before every row
    /// was.
    pub(crate) fn define(&self, names: &mut Names) -> DataSet {
        let slots = self.columns.iter().map(|name| names.define_column(name)).collect();
        DataSet { slots, table: self.clone() }
    }
}

impl DataSet {
    /// Returns how long a user keeps a row.
    pub(crate) fn row_lifetime(&self) -> RowLifetime {
        self.table.lifetime
    }

    /// Returns the slots of its columns.
    pub(crate) fn slots(&self) -> &[usize] {
        &self.slots
    }

    /// Gives a user the next row.
    pub(crate) fn deal(&self, values: &mut Values, random: &mut Random) {
        let Table { rows, order, next, .. } = &self.table;
        let row = match order {
            RowOrder::Sequential => next.fetch_add(1, Ordering::Relaxed) % rows.len(),
            RowOrder::Random => random.index(rows.len()),
        };
        for (slot, field) in self.slots.iter().zip(&rows[row]) {
            values.set(*slot, field.clone());
        }
    }
}

/// Returns the records of a CSV text, each with the line that it starts on. Empty lines are left out.
fn records(text: &str) -> Result<Vec<(usize, Vec<String>)>, DataError> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut reader =
        csv::ReaderBuilder::new().has_headers(false).flexible(true).from_reader(text.as_bytes().chain(END.as_bytes()));
    let mut records: Vec<(usize, Vec<String>)> = Vec::new();
    let mut record = csv::StringRecord::new();
    // The text is UTF-8 and in memory, and records may be of any width, so nothing is left that could fail.
    while reader.read_record(&mut record).unwrap_or(false) {
        let line = record.position().map_or(1, |position| first_line(text, position));
        records.push((line, record.iter().map(str::to_owned).collect()));
    }
    match records.pop() {
        Some((line, fields)) if fields != [END.trim()] => Err(DataError::OpenQuote { line }),
        Some(_) | None => Ok(records),
    }
}

/// Returns the line that a record starts on. Its position is that of the empty lines before it, if there are any.
fn first_line(text: &str, position: &csv::Position) -> usize {
    let start = usize::try_from(position.byte()).unwrap_or(usize::MAX);
    let skipped = text.bytes().skip(start).take_while(|byte| matches!(byte, b'\r' | b'\n'));
    let line = usize::try_from(position.line()).unwrap_or(usize::MAX);
    line + skipped.filter(|byte| *byte == b'\n').count()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn deals_rows_in_turn() {
        let mut names = Names::default();
        let text = "name,term\r\nann,\"a, \"\"b\"\"\"\r\n\nbob,c\n";
        let data = Table::parse(text, RowOrder::Sequential, RowLifetime::Iteration, &Cursor::default())
            .unwrap()
            .define(&mut names);
        let (mut values, mut random) = (Values::default(), Random::new(1));
        let mut seen = Vec::new();
        for _ in 0..3 {
            data.deal(&mut values, &mut random);
            seen.push(format!("{}/{}", values.at(0).unwrap(), values.at(1).unwrap()));
        }
        assert_eq!(seen, ["ann/a, \"b\"", "bob/c", "ann/a, \"b\""]);
        assert_eq!(names.find("term"), Some(1));
    }

    #[track_caller]
    fn check(text: &str, expected: &str) {
        let error = Table::parse(text, RowOrder::Random, RowLifetime::Iteration, &Cursor::default()).unwrap_err();
        assert_eq!(error.to_string(), expected);
    }

    #[test]
    fn refuses_what_is_no_table() {
        check("", "no header line; the first line names the columns");
        check("a,b\n", "no rows below the header line");
        check("a,b\n1,2\n1\n", "line 3: 1 fields, but the header has 2");
        check("a,,c\n1,2,3\n", "line 1: column 2 has no name");
        check("a,b, a\n1,2,3\n", "line 1: two columns are called \"a\"");
        check("a\n\"x\n\n", "line 2: a quoted field is never closed");
        check("a,b\n\n\n1,2\n1\n", "line 5: 1 fields, but the header has 2");
        check("a,b\n1,2\n\n\n1\n", "line 5: 1 fields, but the header has 2");
        check("a,b\n\"1\n1\",2\n1\n", "line 4: 1 fields, but the header has 2");
    }

    proptest! {
        #[test]
        fn never_panics(text in "[a,\"\r\n ]{0,40}") {
            let _ = Table::parse(&text, RowOrder::Random, RowLifetime::Iteration, &Cursor::default());
        }
    }
}
