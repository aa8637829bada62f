//! What words and signs are: keywords, operators, and what stands before an operand.

use sqlparser::{
    keywords::Keyword,
    tokenizer::{Token, Word},
};

use super::source::SourceToken;

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

/// Whether an operand follows the keyword, so that a sign after it is the operand's.
pub(super) fn precedes_an_operand(keyword: Keyword) -> bool {
    precedes_a_name(keyword)
        || begins_an_operand(keyword)
        || matches!(
            keyword,
            Keyword::ALL
                | Keyword::BETWEEN
                | Keyword::DEFAULT
                | Keyword::ELSE
                | Keyword::ESCAPE
                | Keyword::FETCH
                | Keyword::FOR
                | Keyword::FROM
                | Keyword::ILIKE
                | Keyword::IN
                | Keyword::IS
                | Keyword::LIKE
                | Keyword::LIMIT
                | Keyword::OFFSET
                | Keyword::REGEXP
                | Keyword::SIMILAR
                | Keyword::THEN
                | Keyword::VALUES
                | Keyword::WHEN
        )
}

/// Whether the keyword begins an operand and is not one itself.
pub(super) fn begins_an_operand(keyword: Keyword) -> bool {
    matches!(
        keyword,
        Keyword::ANY
            | Keyword::CASE
            | Keyword::DISTINCT
            | Keyword::EXISTS
            | Keyword::INTERVAL
            | Keyword::NOT
            | Keyword::SELECT
            | Keyword::SOME
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
/// the distances of pgvector and pg_trgm, and the adjacency of ranges.
pub(super) fn signed_operator(tokens: &[SourceToken]) -> Option<(&'static str, usize)> {
    const OPERATORS: [&str; 9] = ["<<<->", "<->>>", "<<->", "<->>", "<->", "<+>", "<~>", "<%>", "-|-"];
    if !matches!(tokens.first()?.token, Token::Lt | Token::ShiftLeft | Token::Minus) {
        return None;
    }
    let text_to = |end: usize| -> String { tokens[..end].iter().map(|it| it.token.to_string()).collect() };
    // The longest first.
    let ends = (2..=tokens.len().min(5)).rev().filter(|end| tokens[1..*end].iter().all(|token| token.glued));
    ends.into_iter().find_map(|end| Some((*OPERATORS.iter().find(|known| **known == text_to(end))?, end)))
}
