//! Rows of a CSV file, one for each iteration or for each user.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use thiserror::Error;

use super::random::Random;
use super::template::{Names, Values};

/// Who gets a row of their own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum DataPer {
    /// Each iteration, and what a user does before its first one.
    Iteration,
    /// Each user, for all that it does: who logs in is who buys.
    User,
}

/// Which row is dealt next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum DataOrder {
    /// The one after the last, over all users, from the start again after the end.
    Sequential,
    /// Any.
    Random,
}

/// A table whose columns are names in the scenario.
#[derive(Clone, Debug)]
pub(crate) struct DataSet {
    slots: Vec<usize>,
    rows: Arc<Vec<Vec<String>>>,
    order: DataOrder,
    per: DataPer,
    next: Arc<AtomicUsize>,
}

/// A text that is no table.
#[derive(Debug, Error, PartialEq, Eq)]
pub(crate) enum DataError {
    /// Nothing in it.
    #[error("no header line; the first line names the columns")]
    NoHeader,
    /// Header only.
    #[error("no rows below the header line")]
    NoRows,
    /// A row that does not fit the header.
    #[error("line {line}: {found} fields, but the header has {expected}")]
    WrongWidth {
        /// Line of the row, from 1.
        line: usize,
        /// Its fields.
        found: usize,
        /// Columns of the header.
        expected: usize,
    },
    /// A quote that is not closed.
    #[error("line {line}: a quoted field is never closed")]
    OpenQuote {
        /// Line where the row starts, from 1.
        line: usize,
    },
}

impl DataSet {
    /// Reads a CSV text (RFC 4180, first line are the names) and defines its columns.
    pub(crate) fn parse(text: &str, order: DataOrder, per: DataPer, names: &mut Names) -> Result<Self, DataError> {
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
        Ok(Self { slots, rows: Arc::new(rows), order, per, next: Arc::default() })
    }

    /// Who gets a row of their own.
    pub(crate) fn per(&self) -> DataPer {
        self.per
    }

    /// Gives a user the next row.
    pub(crate) fn deal(&self, values: &mut Values, random: &mut Random) {
        let row = match self.order {
            DataOrder::Sequential => self.next.fetch_add(1, Ordering::Relaxed) % self.rows.len(),
            DataOrder::Random => random.index(self.rows.len()),
        };
        for (slot, field) in self.slots.iter().zip(&self.rows[row]) {
            values.set(*slot, field.clone());
        }
    }
}

/// Records of a CSV text, each with the line that it starts on; empty lines are left out.
fn records(text: &str) -> Result<Vec<(usize, Vec<String>)>, DataError> {
    let mut records = Vec::new();
    let (mut fields, mut field) = (Vec::new(), String::new());
    let (mut line, mut start, mut quoted) = (1, 1, false);
    let mut chars = text.strip_prefix('\u{feff}').unwrap_or(text).chars().peekable();
    while let Some(c) = chars.next() {
        if c == '\n' {
            line += 1;
        }
        match c {
            '"' if quoted && chars.peek() == Some(&'"') => {
                chars.next();
                field.push('"');
            }
            '"' if quoted => quoted = false,
            _ if quoted => field.push(c),
            '"' if field.is_empty() => quoted = true,
            ',' => fields.push(std::mem::take(&mut field)),
            '\r' if chars.peek() == Some(&'\n') => {}
            '\n' => {
                if !fields.is_empty() || !field.is_empty() {
                    fields.push(std::mem::take(&mut field));
                    records.push((start, std::mem::take(&mut fields)));
                }
                start = line;
            }
            _ => field.push(c),
        }
    }
    if quoted {
        return Err(DataError::OpenQuote { line: start });
    }
    if !fields.is_empty() || !field.is_empty() {
        fields.push(field);
        records.push((start, fields));
    }
    Ok(records)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn deals_rows_in_turn() {
        let mut names = Names::default();
        let text = "name,term\r\nann,\"a, \"\"b\"\"\"\r\n\nbob,c\n";
        let data = DataSet::parse(text, DataOrder::Sequential, DataPer::Iteration, &mut names).unwrap();
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
        let error = DataSet::parse(text, DataOrder::Random, DataPer::Iteration, &mut Names::default()).unwrap_err();
        assert_eq!(error.to_string(), expected);
    }

    #[test]
    fn refuses_what_is_no_table() {
        check("", "no header line; the first line names the columns");
        check("a,b\n", "no rows below the header line");
        check("a,b\n1,2\n1\n", "line 3: 1 fields, but the header has 2");
        check("a\n\"x\n\n", "line 2: a quoted field is never closed");
    }

    proptest! {
        #[test]
        fn never_panics(text in "[a,\"\r\n ]{0,40}") {
            let _ = DataSet::parse(&text, DataOrder::Random, DataPer::Iteration, &mut Names::default());
        }
    }
}
