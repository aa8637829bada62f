//! Statements without their data: the name under which a query is counted.
//!
//! A fingerprint is what is left of a statement when literals, parameters, comments and layout are taken out, so
//! that every execution of a query has one name. It is made with a real tokenizer and no parser, so the SQL of any
//! database has one. It refuses to guess: where two databases would read the text differently, and one of the two
//! readings would show a literal, it ends with `…` at that point, and text that cannot be read at all is
//! [`UNPARSABLE`].
//!
//! Invariant: no character of a literal or of a parameter's name is in a fingerprint, whatever database the statement
//! was written for. Identifiers are kept: they come from the program, not from its users; where a statement sets
//! something up, words are data as often and are not kept.

mod lex;
mod render;
mod source;
mod statement;
#[cfg(test)]
mod tests;

use lex::Piece;
use sqlparser::keywords::Keyword;

use crate::context::SqlShape;

/// Longest summary, in characters. It is a label: long enough for what tells queries apart, short enough to be read.
const MAX_SUMMARY: usize = 200;
/// Summary of a statement that is not SQL as any database here writes it. Nothing of its text is shown.
const UNPARSABLE: &str = "unparsable";
/// Operation of a statement that begins with none of the known verbs.
const OTHER_OPERATION: &str = "OTHER";
/// Bytes of a statement that are looked at. A bulk insert of thousands of rows has said everything by then.
const MAX_READ: usize = 16 * 1024;

/// Returns what is left of a statement without its data.
///
/// Literals and parameters become `?`, the list of an `IN` and the rows of a `VALUES` become `(...)`, comments go, layout
/// and the case of keywords are made the same. A summary past 200 characters loses its select list first, then its end;
/// the end is replaced by a hash of the whole, so that different statements stay different. The operation is the verb in
/// capitals, one of a fixed list; of a `WITH` it is that of the main statement.
///
/// Double-quoted words are identifiers in standard SQL and strings in MySQL (and, where no column has that name, in
/// SQLite). They are kept only where the statement proves the first reading: next to a period, or after `FROM`, `JOIN`,
/// `INTO`, `UPDATE`, `TABLE`. A statement with such a proof keeps those that stand where a column stands too; all
/// others become `?`.
pub(super) fn shape(sql: &str) -> SqlShape {
    let read = beginning(sql, MAX_READ);
    let lexed = lex::lex(read, read.len() < sql.len());
    let operation = operation(&lexed.pieces).into();
    let summary = if lexed.unreadable || matches!(lexed.pieces.first(), None | Some(Piece::Cut)) {
        UNPARSABLE.into()
    } else {
        render::render(&lexed.pieces).into()
    };
    SqlShape { summary, operation }
}

/// Returns as many whole characters of the text as fit in `bytes`; `str::floor_char_boundary` needs Rust 1.91.
fn beginning(text: &str, bytes: usize) -> &str {
    // A character has at most 4 bytes, and 0 is a boundary.
    let end = (0..=bytes.min(text.len())).rev().find(|end| text.is_char_boundary(*end)).unwrap_or(0);
    &text[..end]
}

/// Verbs that are operations. The list is fixed, so that the label is bounded.
const OPERATIONS: &str = "ALTER ANALYZE ATTACH BEGIN CALL CLOSE COMMENT COMMIT COPY CREATE DEALLOCATE DECLARE DELETE \
     DESCRIBE DETACH DISCARD DO DROP END EXEC EXECUTE EXPLAIN FETCH GRANT INSERT KILL LISTEN LOAD LOCK MERGE NOTIFY \
     OPTIMIZE PRAGMA PREPARE REFRESH REINDEX RELEASE REPLACE RESET REVOKE ROLLBACK SAVEPOINT SELECT SET SHOW START \
     TABLE TRUNCATE UNLISTEN UNLOCK UPDATE USE VACUUM VALUES WITH";

/// Returns the operation: the first word, and after a `WITH` the first verb outside its parentheses.
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
    OPERATIONS.split(' ').find(|known| known.eq_ignore_ascii_case(word))
}
