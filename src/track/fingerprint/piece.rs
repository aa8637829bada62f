//! [`Piece`]: what a fingerprint is made of.

use sqlparser::keywords::Keyword;

/// One element of a fingerprint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Piece {
    /// A word of SQL itself, in capitals.
    Keyword(String, Keyword),
    /// An identifier, with its quotes or brackets if it had any.
    Word(String),
    /// A literal or a parameter.
    Value,
    /// A sign before an operand, not an operator between two.
    Sign(&'static str),
    /// `(`
    Open,
    /// `)`
    Close,
    /// `[`
    OpenBracket,
    /// `]`
    CloseBracket,
    /// `,`
    Comma,
    /// `.`
    Period,
    /// `;`
    Semicolon,
    /// `::`
    Cast,
    /// Any other operator.
    Operator(String),
    /// A folded list of values, with its text.
    List(&'static str),
    /// The rest of the statement is not shown.
    Cut,
}
