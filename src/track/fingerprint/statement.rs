//! [`StatementKind`]: which bare words of a statement may be shown.
//!
//! In most statements a word without quotes is a keyword or a name of the program's. In those that set something up it
//! may be data: a password, a tenant's schema, a file. There the words after certain places are hidden, up to the end
//! of the statement. The same holds for names that programs make up at run time, such as a savepoint's or a cursor's: shown,
//! each would be a fingerprint of its own.

use sqlparser::tokenizer::Token;

use super::source::SourceToken;

/// Verbs that are operations. The list is fixed, so that the label is bounded, and text that begins otherwise is not SQL: a
/// command to another kind of server, with its data in bare words.
const VERBS: &str = "ABORT ALTER ANALYSE ANALYZE ATTACH BEGIN CALL CHECKPOINT CHECKSUM CLOSE CLUSTER COMMENT COMMIT COPY CREATE DBCC \
     DEALLOCATE DECLARE DELETE DENY DESC DESCRIBE DETACH DISCARD DO DROP END EXEC EXECUTE EXPLAIN FETCH FLUSH GRANT IF INSERT \
     KILL LISTEN LOAD LOCK MERGE MOVE NOTIFY OPTIMIZE PRAGMA PREPARE PURGE REASSIGN REFRESH REINDEX RELEASE RENAME REPAIR \
     REPLACE RESET REVOKE ROLLBACK SAVE SAVEPOINT SELECT SET SHOW START SUMMARIZE TABLE TRUNCATE UNLISTEN UNLOCK UPDATE \
     UPSERT USE VACUUM VALUES WHILE WITH XA";

/// Words of the statements about a transaction, a cursor, a channel or a prepared statement that are not its name.
const SHOWN_BESIDE_A_NAME: &str = "ABSOLUTE ALL AND BACKWARD CHAIN FIRST FORWARD FROM IN INTO LAST NEXT NO ONLY PREPARE PREPARED PRIOR \
     RELATIVE RELEASE SAVEPOINT TO TRAN TRANSACTION WORK";

/// Words of an `XA` statement that are not the transaction's name.
const SHOWN_BESIDE_XA: &str =
    "BEGIN COMMIT CONVERT END FOR JOIN MIGRATE ONE PHASE PREPARE RECOVER RESUME ROLLBACK START SUSPEND XID";

/// Returns every verb of [`VERBS`].
pub(super) fn verbs() -> impl Iterator<Item = &'static str> {
    VERBS.split(' ').filter(|verb| !verb.is_empty())
}

/// Returns the verb of [`VERBS`] that the word is.
pub(super) fn verb(word: &str) -> Option<&'static str> {
    VERBS.split(' ').find(|known| known.eq_ignore_ascii_case(word))
}

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
    /// Names a savepoint, a cursor, a channel or a prepared statement.
    Labelling,
    /// Names a distributed transaction.
    Distributed,
    /// Explains a statement, which may be an `EXECUTE`.
    Explaining,
    /// Prepares a statement, which follows the made-up name and `AS` or `FROM`.
    Preparing,
    /// Declares a cursor, whose made-up name comes before `CURSOR` and its options.
    Declaring,
    /// Calls a procedure; SQL Server reads bare words as strings there.
    Executing,
    /// Creates or alters something; which, the next words say.
    Defining,
    /// Creates or alters users or settings.
    DefiningAccount,
    /// Creates or drops something temporary, whose name is made up.
    DefiningTemporary,
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
            Self::Unread
                if is("CLOSE COMMIT DEALLOCATE FETCH LISTEN MOVE NOTIFY RELEASE ROLLBACK SAVE SAVEPOINT UNLISTEN") =>
            {
                Self::Labelling
            }
            Self::Unread if is("XA") => Self::Distributed,
            Self::Unread if is("EXPLAIN") => Self::Explaining,
            Self::Explaining if is("DECLARE DELETE EXECUTE INSERT SELECT UPDATE") => Self::Unread.with(word),
            Self::Defining if is("PREPARE") => Self::Labelling,
            Self::Unread if is("PREPARE") => Self::Preparing,
            Self::Preparing if is("AS FROM") => Self::Unread,
            Self::Unread if is("DECLARE") => Self::Declaring,
            Self::Declaring if is("ASENSITIVE BINARY CURSOR INSENSITIVE NO SCROLL") => Self::Plain,
            Self::Unread if is("EXEC EXECUTE") => Self::Executing,
            Self::Unread if is("ALTER CREATE DROP") => Self::Defining,
            Self::Unread => Self::Plain,
            Self::Set if is("STATEMENT") => Self::SetForOne,
            Self::Set if is("CHARACTERISTICS CONSTRAINTS TRANSACTION") => Self::Plain,
            Self::SetForOne if is("FOR") => Self::Unread,
            Self::Defining if is("OR REPLACE IF NOT EXISTS PUBLIC SHARED GLOBAL LOCAL") => self,
            Self::Defining if is("TEMP TEMPORARY") => Self::DefiningTemporary,
            Self::DefiningTemporary if is("EXISTS IF NOT RECURSIVE SEQUENCE TABLE VIEW") => self,
            Self::DefiningTemporary => Self::Plain,
            Self::Defining if is("USER ROLE LOGIN DATABASE SYSTEM SESSION") => Self::DefiningAccount,
            Self::Defining => Self::Plain,
            _ => self,
        }
    }

    /// Whether the word is shown although the words of its group are hidden.
    pub(super) fn shows(self, word: &str) -> bool {
        match self {
            Self::Labelling => is_one_of(word, SHOWN_BESIDE_A_NAME),
            Self::Distributed => is_one_of(word, SHOWN_BESIDE_XA),
            Self::Preparing => is_one_of(word, "TRANSACTION"),
            _ => false,
        }
    }

    /// Whether the words after `word` are hidden; `following` are the tokens after it.
    pub(super) fn hides_after_word(self, word: &str, following: &[SourceToken]) -> bool {
        let is = |words: &str| is_one_of(word, words);
        let next = following.first().map(|next| &next.token);
        let next_is = |words: &str| matches!(next, Some(Token::Word(next)) if is_one_of(&next.value, words));
        // Oracle's passwords, wherever they are given.
        if is("IDENTIFIED") && next_is("BY") {
            return true;
        }
        match self {
            Self::Naming | Self::Labelling | Self::Distributed | Self::Preparing | Self::Declaring => true,
            // Of `SET name value` neither is SQL.
            Self::Set => {
                is("TO ROLE AUTHORIZATION SCHEMA CATALOG PASSWORD")
                    || !is("SET GLOBAL LOCAL PERSIST PERSIST_ONLY SESSION")
                        && !matches!(next, Some(Token::Eq | Token::Assignment | Token::Period))
                        && !next_is("TO")
            }
            Self::DefiningAccount => is("TO BY PASSWORD"),
            // PostgreSQL's prepared statements have made-up names without a schema.
            Self::Executing if is("EXECUTE") => {
                !matches!(following.get(1), Some(SourceToken { token: Token::Period, .. }))
            }
            Self::Executing => !is("EXEC") && next != Some(&Token::Period),
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
