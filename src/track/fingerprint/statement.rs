//! [`StatementKind`]: which bare words of a statement may be shown.
//!
//! In most statements a word without quotes is a keyword or a name of the program's. In those that set something up it
//! may be data: a password, a tenant's schema, a file. There the words after certain places are hidden, up to the end
//! of the statement.

use sqlparser::tokenizer::Token;

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum StatementKind {
    /// No word was read yet.
    #[default]
    Unread,
    /// Hides no words.
    Plain,
    /// Rows follow the end of the statement.
    Copy,
    /// In ClickHouse rows follow the name of their format.
    Insert,
    /// `SELECT` is a privilege in it.
    Grant,
    Pragma,
    Set,
    /// MariaDB's settings for one statement, which follows `FOR`.
    SetForOne,
    /// Names a database, which may be a tenant's or a file.
    Naming,
    /// Calls a procedure; SQL Server reads bare words as strings there.
    Executing,
    /// Creates or alters something; which, the next words say.
    Defining,
    /// Creates or alters users or settings.
    DefiningAccount,
}

impl StatementKind {
    /// Returns the kind after a further word.
    pub(super) fn with(self, word: &str) -> Self {
        let is = |words: &str| is_one_of(word, words);
        match self {
            Self::Unread if is("COPY") => Self::Copy,
            Self::Unread if is("INSERT") => Self::Insert,
            Self::Unread if is("GRANT REVOKE DENY") => Self::Grant,
            Self::Unread if is("PRAGMA") => Self::Pragma,
            Self::Unread if is("SET") => Self::Set,
            Self::Unread if is("USE ATTACH DETACH") => Self::Naming,
            Self::Unread if is("EXEC EXECUTE") => Self::Executing,
            Self::Unread if is("CREATE ALTER") => Self::Defining,
            Self::Unread => Self::Plain,
            Self::Set if is("STATEMENT") => Self::SetForOne,
            Self::SetForOne if is("FOR") => Self::Unread,
            Self::Defining if is("OR REPLACE IF NOT EXISTS PUBLIC SHARED") => self,
            Self::Defining if is("USER ROLE LOGIN DATABASE SYSTEM SESSION") => Self::DefiningAccount,
            Self::Defining => Self::Plain,
            _ => self,
        }
    }

    /// Whether the words after `word` are hidden; `next` is the token after it.
    pub(super) fn hides_after_word(self, word: &str, next: Option<&Token>) -> bool {
        let is = |words: &str| is_one_of(word, words);
        // Oracle's passwords, wherever they are given.
        if is("IDENTIFIED") && matches!(next, Some(Token::Word(by)) if is_one_of(&by.value, "BY")) {
            return true;
        }
        match self {
            Self::Naming => true,
            Self::Set => is("TO ROLE AUTHORIZATION SCHEMA CATALOG PASSWORD"),
            Self::DefiningAccount => is("TO BY PASSWORD"),
            Self::Executing => !is("EXEC EXECUTE") && next != Some(&Token::Period),
            _ => false,
        }
    }

    /// Whether the words after a sign are hidden.
    pub(super) fn hides_after(self, token: &Token) -> bool {
        match self {
            Self::Pragma => matches!(token, Token::Eq | Token::LParen),
            Self::Set | Self::SetForOne => matches!(token, Token::Eq | Token::Assignment),
            Self::DefiningAccount => *token == Token::Eq,
            _ => false,
        }
    }
}

fn is_one_of(word: &str, words: &str) -> bool {
    words.split(' ').any(|known| known.eq_ignore_ascii_case(word))
}
