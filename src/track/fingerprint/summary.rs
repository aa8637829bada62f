//! [`summarize`]: what a statement does and to what, as OpenTelemetry's `db.query.summary`: `SELECT orders customers`.
//!
//! The conventions (semantic-conventions, docs/db/database-spans.md, "Generating a summary of the query") want the operations
//! and their targets in the order of the statement, in at most 255 characters and never cut within a name. They leave open
//! what follows; the choices are those of OpenTelemetry's Java agent:
//! - `WITH` is no operation, and the names that it defines are no targets.
//! - Statements that are sent together are separated by `; `.
//! - Of a definition the operation is its first words, such as `CREATE TABLE`.
//!
//! Verbs are written in capitals, where the conventions would keep them as they were given: statements that differ in
//! the case of keywords have one fingerprint, and that has one summary. The invariant that a change could break: the summary
//! depends on the pieces of the fingerprint alone, so that nothing in it was not shown there.

use super::{piece::Piece, statement::verb};

/// Longest summary, in characters; OpenTelemetry's limit.
const MAX_CHARS: usize = 255;

/// Words between an operation and its target.
const BEFORE_A_TARGET: &str =
    "ALL CONCURRENTLY DELAYED HIGH_PRIORITY IGNORE LATERAL LOW_PRIORITY ONLY OVERWRITE QUICK TABLE";
/// Words that are no target where one is expected.
const NO_TARGET: &str = "AS CROSS DEFAULT FROM FULL GROUP HAVING INNER INTO JOIN LEFT LIMIT NATURAL ON ORDER OUTER RIGHT SELECT SET \
     TOP UNION USING VALUES WHERE WITH";
/// Words after which a comma separates no tables.
const AFTER_TABLES: &str = "EXCEPT FETCH FOR GROUP HAVING INTERSECT LIMIT MINUS OFFSET OPTION ORDER PREWHERE QUALIFY RETURNING SET \
     SETTINGS UNION VALUES WHERE WINDOW";
/// Verbs of statements that define, change or lock something.
const DEFINING: &str =
    "ALTER ANALYSE ANALYZE CLUSTER COMMENT CREATE DROP LOCK OPTIMIZE REFRESH REINDEX REPAIR TRUNCATE VACUUM";
/// Those of them that name what they define by its kind.
const NAMING_A_KIND: &str = "ALTER COMMENT CREATE DROP REFRESH";
/// Those of them with a list of names.
const LISTING: &str = "DROP LOCK TRUNCATE";
/// Kinds of what is defined.
const KINDS: &str = "AGGREGATE COLLATION COLUMN CONSTRAINT DATABASE DOMAIN EVENT EXTENSION FUNCTION INDEX KEYSPACE MATERIALIZED PACKAGE \
     POLICY PROCEDURE PUBLICATION ROLE RULE SCHEMA SEQUENCE SERVER STATISTICS SUBSCRIPTION SYNONYM TABLE TABLES TABLESPACE TRIGGER \
     TYPE VIEW";
/// Kinds of accounts, whose names are left out.
const ACCOUNTS: &str = "LOGIN ROLE USER";
/// Words between the verb, the kind and the name of a definition.
const BESIDE_A_KIND: &str = "CLUSTERED CONCURRENTLY EXISTS EXTERNAL FOREIGN FREEZE FULL GLOBAL IF LOCAL NONCLUSTERED NOT ON ONLY OR PUBLIC \
     RECURSIVE REPLACE SHARED TEMP TEMPORARY UNIQUE UNLOGGED VERBOSE VIRTUAL";
/// Verbs about transactions, and the words that belong to them.
const TRANSACTIONS: &str = "ABORT BEGIN COMMIT END PREPARE RELEASE ROLLBACK SAVE START";
const OF_A_TRANSACTION: &str = "PREPARED SAVEPOINT TO TRAN TRANSACTION";
/// Verbs of statements that contain another.
const CONTAINING: &str = "BEGIN DECLARE DESC DESCRIBE DO EXPLAIN IF PREPARE SET WHILE";
/// Verbs that have a target right after them.
const WITH_A_TARGET: &str = "CALL COPY DESC DESCRIBE EXEC EXECUTE TABLE";

fn is_one_of(word: &str, words: &str) -> bool {
    words.split(' ').any(|known| known.eq_ignore_ascii_case(word))
}

/// Returns the summary of a statement's pieces, without that of text that is no SQL.
pub(super) fn summarize(pieces: &[Piece]) -> String {
    let mut summary = Summary {
        pieces,
        words: Vec::new(),
        verb: None,
        nested: false,
        tables: Vec::new(),
        groups: vec![Group::default()],
    };
    let mut at = 0;
    while at < pieces.len() {
        at = summary.read(at);
    }
    summary.text()
}

/// What was read of a statement, or of one of its parentheses.
#[derive(Clone, Debug, Default)]
struct Group {
    /// Its last operation.
    operation: &'static str,
    /// The next name is a target.
    expects: bool,
    /// It is at a list of tables, so a target follows a comma.
    lists: bool,
    /// `USING` was read after `DELETE` or `MERGE`; a later one belongs to a join.
    has_source: bool,
    has_union: bool,
    /// It is at the names of a `WITH`.
    defines: bool,
    is_recursive: bool,
    /// The name that the next parenthesis defines.
    next_defined: Option<String>,
    /// The name that this parenthesis defines.
    defined: Option<String>,
}

struct Summary<'a> {
    pieces: &'a [Piece],
    words: Vec<String>,
    /// Verb of the statement that is read.
    verb: Option<&'static str>,
    /// The statement contains another, whose operation was not read yet.
    nested: bool,
    /// Names that a `WITH` defines.
    tables: Vec<String>,
    /// Never empty.
    groups: Vec<Group>,
}

impl Summary<'_> {
    fn text(self) -> String {
        let mut text = String::new();
        let mut chars = 0;
        for word in self.words {
            let separated = usize::from(!text.is_empty() && word != ";");
            chars += separated + word.chars().count();
            if chars > MAX_CHARS {
                break;
            }
            if separated > 0 {
                text.push(' ');
            }
            text.push_str(&word);
        }
        // A statement after it did not fit.
        text.truncate(text.trim_end_matches(';').len());
        text
    }

    /// Reads what begins at `at`, and returns where to go on.
    fn read(&mut self, at: usize) -> usize {
        let expects = self.group().expects;
        match &self.pieces[at] {
            Piece::Semicolon => {
                (self.verb, self.nested, self.groups) = (None, false, vec![Group::default()]);
                self.tables.clear();
                if self.words.last().is_some_and(|word| word != ";") {
                    self.words.push(";".to_owned());
                }
            }
            Piece::Open => {
                let group = self.group();
                group.expects = false;
                let (defined, is_recursive) = (group.next_defined.take(), group.is_recursive);
                if is_recursive {
                    self.tables.extend(defined.clone());
                }
                self.groups.push(Group { expects, lists: expects, defined, ..Group::default() });
            }
            Piece::Close if self.groups.len() > 1 => {
                let closed = self.groups.pop().unwrap_or_default();
                self.tables.extend(closed.defined);
            }
            Piece::Comma => {
                let group = self.group();
                group.expects = group.lists && !group.defines;
            }
            Piece::OpenBracket if expects => return self.target(at),
            Piece::Word(_) | Piece::Keyword(..) => return self.word(at),
            Piece::Value => self.group().expects = false,
            _ => {}
        }
        at + 1
    }

    fn word(&mut self, at: usize) -> usize {
        let Some(word) = self.bare(at) else {
            return if self.group().expects { self.target(at) } else { self.quoted(at) };
        };
        if self.verb.is_none() {
            return self.begin(at, &word);
        }
        if self.group().expects {
            match &*word {
                _ if is_one_of(&word, BEFORE_A_TARGET) => return at + 1,
                // SQLite's `INSERT OR REPLACE INTO`.
                "OR" => return at + 2,
                _ if !is_one_of(&word, NO_TARGET) => return self.target(at),
                _ => self.group().expects = false,
            }
        }
        if at > 0 && self.pieces[at - 1] == Piece::Period
            || is_one_of(self.verb.unwrap_or_default(), "GRANT REVOKE DENY")
        {
            return at + 1;
        }
        self.within(at, &word)
    }

    /// Reads a word inside a statement.
    fn within(&mut self, at: usize, word: &str) -> usize {
        let before = at.checked_sub(1).and_then(|before| self.bare(before)).unwrap_or_default();
        let begins = self.begins(at, word);
        let group = self.groups.last_mut().expect("the outermost group is never popped");
        let is_query = is_one_of(group.operation, "SELECT UPDATE DELETE");
        match word {
            "SELECT" if before == "FOR" && is_one_of(self.verb.unwrap_or_default(), DEFINING) => {}
            "SELECT" => self.operation("SELECT"),
            "INSERT" | "UPDATE" | "DELETE" | "MERGE" | "REPLACE" if begins => {
                self.operation(verb(word).unwrap_or_default());
            }
            "WITH" => return self.with(at),
            "FROM" if is_query && before != "DISTINCT" => (group.expects, group.lists) = (true, true),
            "JOIN" | "STRAIGHT_JOIN" if is_query || group.lists => (group.expects, group.lists) = (true, true),
            "APPLY" if is_query && is_one_of(&before, "CROSS OUTER") => group.expects = true,
            "INTO" if is_one_of(group.operation, "INSERT REPLACE MERGE UPSERT") => group.expects = true,
            "USING" if is_one_of(group.operation, "DELETE MERGE") && !group.has_source => {
                (group.expects, group.lists, group.has_source) = (true, true, true);
            }
            _ if group.defines && group.next_defined.is_none() => return self.defined(at),
            _ if is_one_of(word, AFTER_TABLES) => {
                group.lists = false;
                group.has_union |= is_one_of(word, "EXCEPT INTERSECT UNION");
            }
            _ => {}
        }
        at + 1
    }

    /// Reads a quoted name where no target is expected: it may be that of a `WITH`.
    fn quoted(&mut self, at: usize) -> usize {
        let group = self.group();
        if group.defines && group.next_defined.is_none() { self.defined(at) } else { at + 1 }
    }

    /// Reads the first word of a statement.
    fn begin(&mut self, at: usize, word: &str) -> usize {
        let Some(verb) = verb(word) else { return at + 1 };
        self.verb = Some(verb);
        self.nested = is_one_of(verb, CONTAINING);
        match verb {
            "WITH" => return self.with(at),
            "SELECT" | "INSERT" | "UPDATE" | "DELETE" | "MERGE" | "REPLACE" | "UPSERT" => self.operation(verb),
            _ if is_one_of(verb, DEFINING) => {
                self.words.push(verb.to_owned());
                return self.definition(at + 1, verb);
            }
            _ => {
                self.words.push(verb.to_owned());
                self.group().expects = is_one_of(verb, WITH_A_TARGET);
                if is_one_of(verb, TRANSACTIONS) {
                    return self.transaction(at + 1);
                }
            }
        }
        at + 1
    }

    /// Reads the kind and the name of a definition.
    fn definition(&mut self, mut at: usize, verb: &'static str) -> usize {
        let mut has_kind = false;
        while let Some(word) = self.bare(at) {
            if is_one_of(&word, ACCOUNTS) && is_one_of(verb, NAMING_A_KIND) {
                self.words.push(word);
                return at + 1;
            }
            if is_one_of(&word, KINDS) && (!has_kind || word == "VIEW") {
                has_kind = true;
                self.words.push(word);
            } else if !(is_one_of(&word, BESIDE_A_KIND) || verb == "VACUUM" && word == "ANALYZE") {
                break;
            }
            at += 1;
        }
        if !has_kind && is_one_of(verb, NAMING_A_KIND) {
            return at;
        }
        let group = self.group();
        group.lists = is_one_of(verb, LISTING);
        group.expects = true;
        // The words of its end are read there.
        match self.bare(at) {
            Some(word) if is_one_of(&word, NO_TARGET) => self.group().expects = false,
            _ if matches!(self.pieces.get(at), Some(Piece::Word(_) | Piece::Keyword(..) | Piece::OpenBracket)) => {
                return self.target(at);
            }
            _ => self.group().expects = false,
        }
        at
    }

    fn transaction(&mut self, mut at: usize) -> usize {
        while let Some(word) = self.bare(at).filter(|word| is_one_of(word, OF_A_TRANSACTION) || word == "WORK") {
            if word != "WORK" {
                self.words.push(word);
            }
            at += 1;
        }
        at
    }

    /// Reads a `WITH` and returns where its first name begins; some have another meaning.
    fn with(&mut self, at: usize) -> usize {
        let is_recursive = self.bare(at + 1).is_some_and(|word| word == "RECURSIVE");
        let name = at + 1 + usize::from(is_recursive);
        let (_, after) = self.path(name);
        let is_name = matches!(
            self.pieces.get(name),
            Some(Piece::Word(_) | Piece::Keyword(..) | Piece::OpenBracket | Piece::Value)
        );
        let is_defined = match self.pieces.get(after) {
            Some(Piece::Open) => true,
            _ => self.bare(after).is_some_and(|word| word == "AS"),
        };
        if !is_name || !is_defined {
            return at + 1;
        }
        let group = self.group();
        (group.defines, group.is_recursive, group.next_defined) = (true, is_recursive, None);
        name
    }

    /// Reads the name that a `WITH` defines, and its columns.
    fn defined(&mut self, at: usize) -> usize {
        let (name, mut after) = self.path(at);
        if self.pieces.get(after) == Some(&Piece::Open) {
            let columns = self.pieces[after..].iter().position(|piece| *piece == Piece::Close);
            after += columns.map_or(1, |columns| columns + 1);
        }
        self.group().next_defined = Some(name.unwrap_or_default());
        after
    }

    /// Whether the word at `at` begins an operation, and is no part of another clause (`FOR UPDATE`, `ON DELETE CASCADE`,
    /// `DO UPDATE SET`, `THEN INSERT`).
    fn begins(&self, at: usize, word: &str) -> bool {
        let is_called = self.pieces.get(at + 1) == Some(&Piece::Open);
        let is_first =
            matches!(at.checked_sub(1).map(|before| &self.pieces[before]), None | Some(Piece::Open | Piece::Close));
        !is_called && (self.nested || is_first && word != "REPLACE")
    }

    fn operation(&mut self, operation: &'static str) {
        self.words.push(operation.to_owned());
        self.nested = false;
        let group = self.group();
        (group.operation, group.defines) = (operation, false);
        group.expects = operation != "SELECT";
        group.lists = is_one_of(operation, "UPDATE DELETE");
    }

    /// Reads a target.
    fn target(&mut self, at: usize) -> usize {
        let (name, after) = self.path(at);
        let group = self.group();
        group.expects = false;
        let name = name.filter(|name| !self.is_defined_here(name));
        self.words.extend(name);
        after
    }

    /// Whether a name is that of a `WITH`. In its own definition it is that only after a `UNION`, or with `RECURSIVE`.
    fn is_defined_here(&self, name: &str) -> bool {
        let bare = |name: &str| name.trim_matches(['"', '`', '[', ']']).to_lowercase();
        let is_it = |known: &String| !known.is_empty() && bare(known) == bare(name);
        let within = self.groups.iter().filter(|group| group.has_union).filter_map(|group| group.defined.as_ref());
        self.tables.iter().chain(within).any(is_it)
    }

    /// Returns the name at `at` with its schema, `None` if a part is not shown, and the index after it.
    fn path(&self, mut at: usize) -> (Option<String>, usize) {
        let mut name = Some(String::new());
        loop {
            match self.pieces.get(at) {
                Some(Piece::Word(word) | Piece::Keyword(word, _)) => {
                    name = name.map(|name| name + word);
                    at += 1;
                }
                Some(Piece::OpenBracket) => {
                    let end = self.pieces[at..].iter().position(|piece| *piece == Piece::CloseBracket).unwrap_or(0);
                    let inside: Vec<&str> =
                        self.pieces[at + 1..(at + end).max(at + 1)].iter().filter_map(shown).collect();
                    name = name.filter(|_| inside.len() + 1 == end).map(|name| name + "[" + &inside.join(" ") + "]");
                    at += end + 1;
                }
                Some(Piece::Value) => {
                    name = None;
                    at += 1;
                }
                _ => break,
            }
            let periods = self.pieces[at..].iter().take_while(|piece| **piece == Piece::Period).count();
            if periods == 0 {
                break;
            }
            name = name.map(|name| name + &".".repeat(periods));
            at += periods;
        }
        (name.filter(|name| !name.is_empty()), at)
    }

    /// Returns the word at `at` in capitals, if it has no quotes.
    fn bare(&self, at: usize) -> Option<String> {
        match self.pieces.get(at)? {
            Piece::Word(word) if word.starts_with(['"', '`', '\'', '[']) => None,
            Piece::Word(word) | Piece::Keyword(word, _) => Some(word.to_ascii_uppercase()),
            _ => None,
        }
    }

    fn group(&mut self) -> &mut Group {
        self.groups.last_mut().expect("the outermost group is never popped")
    }
}

fn shown(piece: &Piece) -> Option<&str> {
    match piece {
        Piece::Word(word) | Piece::Keyword(word, _) | Piece::Operator(word) => Some(word),
        Piece::Sign(sign) => Some(sign),
        Piece::Comma => Some(","),
        Piece::Period => Some("."),
        _ => None,
    }
}
