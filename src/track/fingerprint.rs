//! Fingerprints: statements without their data, the names under which queries are counted.
//!
//! A fingerprint is a statement without its literals, parameters, comments and layout, so that all executions of a
//! query have one name. It is made with a tokenizer and without a parser, so the SQL of any database has one. It never
//! guesses: where two databases would read the text differently, and one of the readings would show a literal, it ends
//! there with `…`. Of a statement that no tokenizer can read it shows the verb, and of text that begins with no verb of SQL
//! nothing ([`UNPARSABLE`]).
//!
//! The invariant that a change could break: no character of a literal or of a parameter's name is in a fingerprint,
//! whatever database the statement was written for. Identifiers are kept, because they come from the program and not
//! from its users. In statements that set something up, bare words are often data, and are not kept.
//!
//! | statement | fingerprint | why |
//! |---|---|---|
//! | `select a from t where b = 'x'` | `SELECT a FROM t WHERE b = ?` | literals go, keywords get capitals |
//! | `SELECT a FROM t -- why` | `SELECT a FROM t` | comments go |
//! | `SELECT a::text FROM t WHERE b = $1` | `SELECT a::text FROM t WHERE b = ?` | a parameter is a value, a cast is not |
//! | `SELECT -5, a - 5, true` | `SELECT ?, a - ?, TRUE` | a sign belongs to its literal; `true` is a keyword |
//! | `SELECT a FROM t WHERE b IN (1, 2, 3)` | `SELECT a FROM t WHERE b IN (...)` | lists of all lengths are one query |
//! | `SELECT a FROM t WHERE b IN (c, 1)` | `SELECT a FROM t WHERE b IN (c, ?)` | a list with a column is part of the query |
//! | `INSERT INTO t (a) VALUES (1), (2)` | `INSERT INTO t(a) VALUES (...)` | so are bulk inserts of any size |
//! | `BEGIN; SELECT 1;` | `BEGIN; SELECT ?` | statements that are sent together are one query |
//! | `SELECT a FROM t WHERE b = "eve"` | `SELECT a FROM t WHERE b = ?` | a string in MySQL |
//! | `SELECT "a" FROM "t" WHERE "b" = 1` | `SELECT "a" FROM "t" WHERE "b" = ?` | no database takes a string after `FROM` |
//! | `UPDATE "t" SET "a" = "eve"` | `UPDATE "t" SET "a" = ?` | in SQLite an operand may be a string even then |
//! | `SELECT 'it\'s', 'eve'` | `SELECT ? …` | the first string ends at the second or the third `'` |
//! | `SELECT a # it's` | `SELECT a …` | a comment in MySQL, an operator in PostgreSQL |
//! | `SELECT a /*! it's */ FROM t` | `SELECT a …` | MySQL executes such a comment |
//! | `DO $$ it's $$` | `DO ? …` | MySQL has no dollar quotes, and sees a string begin |
//! | `COPY t (a) FROM stdin; eve` | `COPY t(a) FROM stdin …` | rows follow the statement |
//! | `PRAGMA key = s3cret` | `PRAGMA key = ?` | a bare word, and SQLCipher's key |
//! | `SET ROLE tenant_42` | `SET ROLE ?` | a bare word, and a tenant's name |
//! | `CREATE USER a IDENTIFIED BY s3cret` | `CREATE USER a IDENTIFIED ?` | Oracle's passwords have no quotes |
//! | `SELECT a FROM t WHERE b = 'o'eve'` | `SELECT a FROM t WHERE b = ? …` | a word at a string's end: a quote was not escaped |
//! | `SELECT a FROM t WHERE b = eve@host.example` | `SELECT a FROM t WHERE b = ?` | a mail address without quotes |
//! | `DELETE FROM t WHERE b = 'it' s eve` | `DELETE FROM t WHERE b = ? …` | words that cannot follow a string are part of it |
//! | `SELECT a FROM t WHERE b = cus_Nf1k2l3m4n5o6p` | `SELECT a FROM t WHERE b = ?` | an id without quotes |
//! | `SAVEPOINT s1402330_x0` | `SAVEPOINT ?` | a name made up at run time |
//! | `SELECT a FROM import_1402330` | `SELECT a FROM ?` | one that no program was written with |
//! | `DELETE FROM t WHERE (a = 1 AND b = 2) OR (a = 3 AND b = 4)` | `DELETE FROM t WHERE (a = ? AND b = ?)` | chains of all lengths are one query |
//! | `SELECT CASE WHEN a = 1 THEN 2 WHEN a = 3 THEN 4 END FROM t` | `SELECT CASE WHEN a = ? THEN ? END FROM t` | so are those of a `CASE` |
//! | `SELECT a FROM t WHERE b LIKE 'x' ESCAPE '\' AND c = 1` | `SELECT a FROM t WHERE b LIKE ? ESCAPE ? AND c = ?` | one character, so no string ends later |
//! | `SELECT 'eve` | `SELECT …` | the string does not end, so only the verb is certain |
//! | `AUTH eve` | `unparsable` | no verb of SQL |
//!
//! `tests.rs` checks these rows.

mod bare;
mod chains;
#[cfg(test)]
mod folding_tests;
mod lex;
mod piece;
mod render;
#[cfg(test)]
mod secrecy_tests;
mod source;
mod statement;
mod summary;
#[cfg(test)]
mod summary_tests;
#[cfg(test)]
mod tests;
mod words;

use piece::Piece;
use sqlparser::keywords::Keyword;

use crate::context::SqlShape;

/// Longest fingerprint, in characters. It is a label: long enough to distinguish queries, short enough to be read.
const MAX_TEXT: usize = 200;
/// Fingerprint and summary of text that is not SQL.
const UNPARSABLE: &str = "unparsable";
/// Operation of a statement that begins with none of the known verbs.
const OTHER_OPERATION: &str = "OTHER";
/// Bytes of a statement that are read. Longer statements are bulk inserts and long lists, whose rest would be folded.
const MAX_READ: usize = 16 * 1024;

/// Returns fingerprint, summary and operation of a statement.
///
/// Literals and parameters become `?`, the list of an `IN` and the rows of a `VALUES` become `(...)`, comments are
/// dropped, layout and the case of keywords are unified. A fingerprint past 200 characters loses its select list, and if
/// that is not enough its end, which is replaced by a hash of the whole, so that different statements stay different.
/// The operation is the verb in capitals, one of a fixed list; of a `WITH` it is the verb of the main statement.
///
/// Double-quoted words are identifiers in standard SQL and strings in MySQL (and, where no column has that name, in
/// SQLite). They are kept only where the statement proves the first reading: next to a period, or after `FROM`, `JOIN`,
/// `INTO`, `UPDATE`, `TABLE`. A statement with such a proof keeps those that stand where a column stands too; all
/// others become `?`.
pub(crate) fn shape(sql: &str) -> SqlShape {
    let read = beginning(sql, MAX_READ);
    let lexed = lex::lex(read, read.len() < sql.len());
    let operation = operation(&lexed.pieces);
    let (text, summary) = match operation {
        OTHER_OPERATION => (UNPARSABLE.to_owned(), UNPARSABLE.to_owned()),
        // Nothing is certain but the verb. It is kept, since a fingerprint has one operation.
        verb if lexed.unreadable => (format!("{verb} …"), verb.to_owned()),
        _ => {
            let (text, pieces) = render::render(&lexed.pieces);
            let summary = summary::summarize(&pieces);
            // Of a broken `WITH`.
            (text, if summary.is_empty() { operation.to_owned() } else { summary })
        }
    };
    SqlShape { text: text.into(), summary: summary.into(), operation: operation.into() }
}

/// Returns every operation that a statement can have.
pub(crate) fn operations() -> impl Iterator<Item = &'static str> {
    statement::verbs().chain([OTHER_OPERATION])
}

/// Returns as many whole characters from the text's beginning as fit in `bytes`, like `str::floor_char_boundary`, which
/// needs Rust 1.91.
fn beginning(text: &str, bytes: usize) -> &str {
    // A character has at most 4 bytes, and 0 is a boundary.
    let end = (0..=bytes.min(text.len())).rev().find(|end| text.is_char_boundary(*end)).unwrap_or(0);
    &text[..end]
}

/// Returns the operation: the first word, or after a `WITH` the first verb outside its parentheses.
fn operation(pieces: &[Piece]) -> &'static str {
    let mut words = pieces.iter().skip_while(|piece| **piece == Piece::Open);
    let first = words.next().and_then(known_verb);
    if first != Some("WITH") {
        return first.unwrap_or(OTHER_OPERATION);
    }
    let mut depth = 0_usize;
    for piece in words {
        match piece {
            Piece::Open => depth += 1,
            Piece::Close => depth = depth.saturating_sub(1),
            Piece::Keyword(_, Keyword::SELECT | Keyword::VALUES) if depth == 0 => return "SELECT",
            Piece::Keyword(
                _,
                Keyword::INSERT | Keyword::UPDATE | Keyword::DELETE | Keyword::MERGE | Keyword::REPLACE,
            ) if depth == 0 => {
                return known_verb(piece).unwrap_or(OTHER_OPERATION);
            }
            _ => {}
        }
    }
    "WITH"
}

fn known_verb(piece: &Piece) -> Option<&'static str> {
    let (Piece::Keyword(word, _) | Piece::Word(word)) = piece else { return None };
    statement::verb(word)
}
