//! What words and signs are: keywords, operators, and what stands before an operand.

use sqlparser::{
    keywords::Keyword,
    tokenizer::{Token, Word},
};

use super::{piece::Piece, source::SourceToken};

/// Returns the text of an operator. Returns `None` for `#`, which begins a comment in MySQL, and for braces, a lone
/// backslash and other characters that are not SQL.
pub(super) fn operator(token: &Token) -> Option<String> {
    let text = token.to_string();
    let known = matches!(token, Token::HashArrow | Token::HashLongArrow)
        || text.chars().all(|ch| "=<>!~*/%|&^@:?+-".contains(ch));
    known.then_some(text)
}

/// Whether the word is an operator between two values that is no keyword of [`KEYWORDS`].
pub(super) fn is_operator(word: &str) -> bool {
    ["DIV", "GLOB", "MATCH", "MOD", "OVERLAPS", "RLIKE", "XOR"].iter().any(|known| known.eq_ignore_ascii_case(word))
}

/// Whether the word is no keyword of [`KEYWORDS`] and comes after a value in SQL, where it is no name of it.
pub(super) fn follows_a_value(word: &str) -> bool {
    const WORDS: &str = "ALLOW AT COLLATE COLUMNS CONNECT DAY EMPTY ERROR EXCLUDE FOLLOWING FORMAT HOUR ISNULL MEMBER MICROSECOND MINUS \
         MINUTE MONTH NOTNULL ONLY OPTION PASSING PERCENT PLACING PRECEDING PREWHERE QUALIFY QUARTER ROW ROWS SECOND SEPARATOR \
         SETTINGS SOUNDS STRAIGHT_JOIN TO UESCAPE WEEK WINDOW YEAR";
    WORDS.split(' ').any(|known| known.eq_ignore_ascii_case(word))
}

/// Whether the operator compares two values.
pub(super) fn is_comparison(operator: &str) -> bool {
    ["=", "==", "<>", "!=", "<", ">", "<=", ">=", "<=>"].contains(&operator)
}

/// Whether `pieces` end with an operand, so that a sign after them is an operator. `glued_before` and `glued_after` are whether
/// the sign has no space on its sides.
///
/// A keyword that stands where an operand does is a column's name, as in `SET offset = offset + 1`. Where SQL has its own use
/// for the keyword there too, the spaces decide: `interval - 1` and `interval-1` are differences, `INTERVAL -1 DAY` is a value.
pub(super) fn follows_an_operand(pieces: &[Piece], glued_before: bool, glued_after: bool) -> bool {
    match pieces {
        [.., Piece::Value | Piece::Word(_) | Piece::Close | Piece::CloseBracket | Piece::List(_)] => true,
        [before @ .., Piece::Keyword(_, keyword)] => {
            !precedes_an_operand(*keyword)
                || stands_before_an_operand(before.last())
                    && match keyword {
                        // Before an expression, and no name in any database.
                        Keyword::CASE | Keyword::EXISTS | Keyword::NOT | Keyword::SELECT => false,
                        Keyword::ALL | Keyword::DISTINCT => !glued_after,
                        Keyword::ANY | Keyword::INTERVAL | Keyword::SOME => !glued_after || glued_before,
                        _ => true,
                    }
        }
        _ => false,
    }
}

/// Whether an operand follows the piece, whatever the next one is.
fn stands_before_an_operand(piece: Option<&Piece>) -> bool {
    match piece {
        Some(Piece::Operator(_) | Piece::Sign(_) | Piece::Comma | Piece::Open | Piece::OpenBracket) => true,
        Some(Piece::Keyword(_, keyword)) => matches!(
            keyword,
            Keyword::AND
                | Keyword::BY
                | Keyword::HAVING
                | Keyword::ON
                | Keyword::OR
                | Keyword::RETURNING
                | Keyword::SELECT
                | Keyword::SET
                | Keyword::THEN
                | Keyword::WHEN
                | Keyword::WHERE
        ),
        _ => false,
    }
}

/// Whether an operand follows the keyword, so that a sign after it is the operand's.
fn precedes_an_operand(keyword: Keyword) -> bool {
    precedes_a_name(keyword)
        || matches!(
            keyword,
            Keyword::ALL
                | Keyword::ANY
                | Keyword::BETWEEN
                | Keyword::CASE
                | Keyword::DEFAULT
                | Keyword::ELSE
                | Keyword::ESCAPE
                | Keyword::EXISTS
                | Keyword::FETCH
                | Keyword::FOR
                | Keyword::FROM
                | Keyword::ILIKE
                | Keyword::IN
                | Keyword::INTERVAL
                | Keyword::IS
                | Keyword::LIKE
                | Keyword::LIMIT
                | Keyword::OFFSET
                | Keyword::REGEXP
                | Keyword::SIMILAR
                | Keyword::SOME
                | Keyword::THEN
                | Keyword::VALUES
                | Keyword::WHEN
        )
}

/// Whether a name, a value or a group of either follows the keyword: a quoted word there is what the group allows.
pub(super) fn precedes_a_name(keyword: Keyword) -> bool {
    matches!(
        keyword,
        Keyword::SELECT
            | Keyword::DISTINCT
            | Keyword::WHERE
            | Keyword::AND
            | Keyword::OR
            | Keyword::NOT
            | Keyword::ON
            | Keyword::SET
            | Keyword::BY
            | Keyword::HAVING
            | Keyword::AS
            | Keyword::USING
            | Keyword::RETURNING
    )
}

/// Words that are keywords everywhere, and shown in capitals. Words that are also common names of columns (`name`,
/// `status`, `date`) are not here, so that they keep their case.
const KEYWORDS: &str = "ADD ALL ALTER ANALYZE AND ANY ARRAY AS ASC BEGIN BETWEEN BY CASCADE CASE CAST CHECK COLUMN COMMIT CONFLICT \
     CONSTRAINT COPY CREATE CROSS DEFAULT DELETE DESC DISTINCT DO DROP DUPLICATE ELSE END ESCAPE EXCEPT EXISTS \
     EXPLAIN FALSE FETCH FOR FOREIGN FROM FULL GRANT GROUP HAVING IF IGNORE ILIKE IN INDEX INNER INSERT INTERSECT \
     INTERVAL INTO IS JOIN LATERAL LEFT LIKE LIMIT LOCK MERGE NATURAL NOT NOTHING NULL NULLS OFFSET ON OR ORDER OUTER \
     OVER PARTITION PRAGMA PRIMARY RECURSIVE REFERENCES REGEXP RELEASE REPLACE RETURNING RIGHT ROLLBACK SAVEPOINT \
     SELECT SET SHOW SIMILAR SOME START TABLE THEN TRANSACTION TRUE TRUNCATE UNION UNIQUE UPDATE USING VACUUM VALUES \
     VIEW WHEN WHERE WITH";

pub(super) fn is_keyword(word: &Word) -> bool {
    word.keyword != Keyword::NoKeyword && KEYWORDS.split(' ').any(|known| known.eq_ignore_ascii_case(&word.value))
}

/// Returns the operator at the beginning of `tokens` that the tokenizer reads as several, one of which would pass for a sign:
/// the distances of pgvector and pg_trgm (`<#>` has a comment of MySQL inside), and the adjacency of ranges.
pub(super) fn signed_operator(tokens: &[SourceToken]) -> Option<(&'static str, usize)> {
    const OPERATORS: [&str; 10] = ["<#>", "<<<->", "<->>>", "<<->", "<->>", "<->", "<+>", "<~>", "<%>", "-|-"];
    if !matches!(tokens.first()?.token, Token::Lt | Token::ShiftLeft | Token::Minus) {
        return None;
    }
    let text_to = |end: usize| -> String { tokens[..end].iter().map(|it| it.token.to_string()).collect() };
    // The longest first.
    let ends = (2..=tokens.len().min(5)).rev().filter(|end| tokens[1..*end].iter().all(|token| token.glued));
    ends.into_iter().find_map(|end| Some((*OPERATORS.iter().find(|known| **known == text_to(end))?, end)))
}
