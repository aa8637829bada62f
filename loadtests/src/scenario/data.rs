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
    random::Random,
    template::{Names, Values},
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

/// A table whose columns are names in the scenario.
#[derive(Clone, Debug)]
pub(crate) struct DataSet {
    slots: Vec<usize>,
    rows: Arc<Vec<Vec<String>>>,
    order: RowOrder,
    lifetime: RowLifetime,
    next: Arc<AtomicUsize>,
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

impl DataSet {
    /// Reads a CSV text (RFC 4180, whose first line names the columns) and defines its columns.
    pub(crate) fn parse(
        text: &str,
        order: RowOrder,
        lifetime: RowLifetime,
        names: &mut Names,
    ) -> Result<Self, DataError> {
        let mut records = records(text)?.into_iter();
        let (_, header) = records.next().ok_or(DataError::NoHeader)?;
        let mut rows = Vec::new();
        for (line, fields) in records {
            if fields.len() != header.len() {
                return Err(DataError::WrongWidth { line, found: fields.len(), expected: header.len() });
            }
            rows.push(fields);
        }
        if rows.is_empty() {
            return Err(DataError::NoRows);
        }
        let slots = header.iter().map(|name| names.define(name.trim())).collect();
        Ok(Self { slots, rows: Arc::new(rows), order, lifetime, next: Arc::default() })
    }

    /// Returns how long a user keeps a row.
    pub(crate) fn row_lifetime(&self) -> RowLifetime {
        self.lifetime
    }

    /// Gives a user the next row.
    pub(crate) fn deal(&self, values: &mut Values, random: &mut Random) {
        let row = match self.order {
            RowOrder::Sequential => self.next.fetch_add(1, Ordering::Relaxed) % self.rows.len(),
            RowOrder::Random => random.index(self.rows.len()),
        };
        for (slot, field) in self.slots.iter().zip(&self.rows[row]) {
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
        let data = DataSet::parse(text, RowOrder::Sequential, RowLifetime::Iteration, &mut names).unwrap();
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
        let error = DataSet::parse(text, RowOrder::Random, RowLifetime::Iteration, &mut Names::default()).unwrap_err();
        assert_eq!(error.to_string(), expected);
    }

    #[test]
    fn refuses_what_is_no_table() {
        check("", "no header line; the first line names the columns");
        check("a,b\n", "no rows below the header line");
        check("a,b\n1,2\n1\n", "line 3: 1 fields, but the header has 2");
        check("a\n\"x\n\n", "line 2: a quoted field is never closed");
        check("a,b\n\n\n1,2\n1\n", "line 5: 1 fields, but the header has 2");
        check("a,b\n1,2\n\n\n1\n", "line 5: 1 fields, but the header has 2");
        check("a,b\n\"1\n1\",2\n1\n", "line 4: 1 fields, but the header has 2");
    }

    proptest! {
        #[test]
        fn never_panics(text in "[a,\"\r\n ]{0,40}") {
            let _ = DataSet::parse(&text, RowOrder::Random, RowLifetime::Iteration, &mut Names::default());
        }
    }
}
