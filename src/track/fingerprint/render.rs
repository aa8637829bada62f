//! [`render`]: the text of a fingerprint, with lists and chains folded, layout unified and length bounded.
//!
//! The invariant that a change could break: at most [`MAX_TEXT`] characters, and statements that differ past that
//! length still have different fingerprints.

use sqlparser::keywords::Keyword;

use super::{MAX_TEXT, chains, piece::Piece};
use crate::names;

/// Returns the text of the pieces, and the pieces that it was made of.
pub(super) fn render(pieces: &[Piece]) -> (String, Vec<Piece>) {
    let mut pieces = fold_arguments(&chains::fold(fold(pieces)));
    let whole = text(&pieces);
    if whole.chars().count() <= MAX_TEXT {
        return (whole, pieces);
    }
    // Object mappers select every column by name. The text after the select list says more about the query.
    elide_select_list(&mut pieces);
    let shorter = text(&pieces);
    if shorter.chars().count() <= MAX_TEXT {
        return (shorter, pieces);
    }
    let tail = names::tail(&whole);
    let mut kept = String::new();
    for end in 1..=pieces.len() {
        let longer = text(&pieces[..end]);
        if longer.chars().count() + tail.chars().count() > MAX_TEXT {
            break;
        }
        kept = longer;
    }
    (kept + &tail, pieces)
}

/// Replaces lists of values by `(...)` and `[...]`, and the rows of a `VALUES` by one.
fn fold(pieces: &[Piece]) -> Vec<Piece> {
    let mut out: Vec<Piece> = Vec::with_capacity(pieces.len());
    let mut at = 0;
    while at < pieces.len() {
        let end = match (out.last(), &pieces[at]) {
            (Some(Piece::Keyword(_, Keyword::IN)), Piece::Open) => {
                let end = end_of_group(pieces, at);
                is_list(&pieces[at..end]).then_some((end, "(...)"))
            }
            // The arguments of a prepared statement, whose name is not shown.
            (Some(Piece::Value), Piece::Open) if is_executed(&out) => {
                let end = end_of_group(pieces, at);
                is_list(&pieces[at..end]).then_some((end, "(...)"))
            }
            (Some(Piece::Keyword(_, Keyword::VALUES)), _) => end_of_rows(pieces, at).map(|end| (end, "(...)")),
            (before, Piece::OpenBracket) => {
                let end = end_of_group(pieces, at);
                let array = matches!(before, Some(Piece::Keyword(_, Keyword::ARRAY)));
                let folds = is_list(&pieces[at..end]) && (array || pieces[at..end].contains(&Piece::Comma));
                folds.then_some((end, "[...]"))
            }
            _ => None,
        };
        if let Some((end, list)) = end {
            out.push(Piece::List(list));
            at = end;
        } else if let ([.., Piece::Keyword(_, Keyword::THEN)], Piece::Keyword(_, Keyword::NULL)) =
            (&out[..], &pieces[at])
        {
            // What a `CASE` sets a row to.
            out.push(Piece::Value);
            at += 1;
        } else {
            out.push(pieces[at].clone());
            at += 1;
        }
    }
    out
}

fn is_executed(pieces: &[Piece]) -> bool {
    matches!(pieces, [.., Piece::Word(verb), Piece::Value] if verb.eq_ignore_ascii_case("EXECUTE"))
}

/// Replaces four values or more among the arguments of a function by `...`: no function has so many of a fixed number, while
/// `FIELD(id, ?, ?, …)` and `CONCAT(?, ?, …)` have as many as the data.
fn fold_arguments(pieces: &[Piece]) -> Vec<Piece> {
    const FEWEST: usize = 4;
    let mut out: Vec<Piece> = Vec::with_capacity(pieces.len());
    let mut depth = 0_usize;
    let mut at = 0;
    while at < pieces.len() {
        match &pieces[at] {
            Piece::Open => depth += 1,
            Piece::Close => depth = depth.saturating_sub(1),
            _ => {}
        }
        let begins = depth > 0 && matches!(out.last(), Some(Piece::Open | Piece::Comma));
        let run = if begins { values(&pieces[at..]) } else { 0 };
        if run >= FEWEST {
            out.push(Piece::List("..."));
            at += 2 * run - 1;
            // A comma after which the statement was cut.
            at += usize::from(matches!(pieces.get(at..), Some([Piece::Comma, Piece::Cut])));
        } else {
            out.push(pieces[at].clone());
            at += 1;
        }
    }
    out
}

/// Returns how many arguments at the beginning of `pieces` are values.
fn values(pieces: &[Piece]) -> usize {
    pieces
        .chunks(2)
        .take_while(|argument| {
            let ends = matches!(argument.get(1), Some(Piece::Comma | Piece::Close | Piece::Cut) | None);
            argument[0] == Piece::Value && ends
        })
        .count()
}

/// Returns the index after the bracket that closes the one at `open`, or where the statement was cut or ends.
fn end_of_group(pieces: &[Piece], open: usize) -> usize {
    let mut depth = 0_usize;
    for (at, piece) in pieces.iter().enumerate().skip(open) {
        match piece {
            Piece::Open | Piece::OpenBracket => depth += 1,
            Piece::Close | Piece::CloseBracket => {
                depth = depth.saturating_sub(1);
                if depth == 0 {
                    return at + 1;
                }
            }
            Piece::Cut => return at,
            _ => {}
        }
    }
    pieces.len()
}

/// Returns the index after the rows of a `VALUES` that begin at `at`: `(1), (2)`, and MySQL's `ROW(1), ROW(2)`.
fn end_of_rows(pieces: &[Piece], at: usize) -> Option<usize> {
    let open = |at: usize| {
        let row = matches!(pieces.get(at), Some(Piece::Word(word)) if word.eq_ignore_ascii_case("ROW"));
        let open = at + usize::from(row);
        (pieces.get(open) == Some(&Piece::Open)).then_some(open)
    };
    let mut end = end_of_group(pieces, open(at)?);
    while pieces.get(end) == Some(&Piece::Comma) {
        match open(end + 1) {
            Some(open) => end = end_of_group(pieces, open),
            // The statement was cut inside a further row.
            None if pieces[end..].len() <= 3 && pieces.last() == Some(&Piece::Cut) => end = pieces.len() - 1,
            None => break,
        }
    }
    Some(end)
}

/// Whether a group, from its opening bracket on, is a list of values, whose length does not matter: if it has only
/// values, or if all its elements are the same expression of one, such as `$1::uuid, $2::uuid`.
fn is_list(group: &[Piece]) -> bool {
    let is_query = |piece: &Piece| {
        matches!(piece, Piece::Keyword(_, Keyword::SELECT | Keyword::VALUES | Keyword::TABLE | Keyword::WITH))
    };
    let count = |sought: &[Piece]| group.iter().filter(|piece| sought.contains(piece)).count();
    let is_closed = count(&[Piece::Open, Piece::OpenBracket]) == count(&[Piece::Close, Piece::CloseBracket]);
    let mut elements = elements(&group[1..group.len() - usize::from(is_closed)]);
    if !is_closed && elements.len() > 1 {
        // The last one is incomplete.
        elements.pop();
    }
    let made = elements.iter().find(|element| !element.iter().all(is_value));
    match made {
        None => true,
        Some(made) => {
            made.contains(&Piece::Value)
                && !made.iter().any(is_query)
                && elements.iter().all(|element| element == made || element.iter().all(is_value))
        }
    }
}

/// Returns the elements of a group: the pieces between its own commas, not those of groups inside it.
fn elements(inside: &[Piece]) -> Vec<&[Piece]> {
    let mut depth = 0_usize;
    let split = inside.split(|piece| {
        match piece {
            Piece::Open | Piece::OpenBracket => depth += 1,
            Piece::Close | Piece::CloseBracket => depth = depth.saturating_sub(1),
            _ => {}
        }
        depth == 0 && *piece == Piece::Comma
    });
    split.collect()
}

fn is_value(piece: &Piece) -> bool {
    matches!(
        piece,
        Piece::Value
            | Piece::Comma
            | Piece::Open
            | Piece::Close
            | Piece::OpenBracket
            | Piece::CloseBracket
            | Piece::Keyword(_, Keyword::NULL | Keyword::TRUE | Keyword::FALSE | Keyword::DEFAULT)
    )
}

/// Replaces the pieces between the first `SELECT` and its `FROM` by [`Piece::Cut`].
fn elide_select_list(pieces: &mut Vec<Piece>) {
    let Some(select) = pieces.iter().position(|piece| matches!(piece, Piece::Keyword(_, Keyword::SELECT))) else {
        return;
    };
    let mut depth = 0_usize;
    let from = pieces.iter().skip(select).position(|piece| {
        match piece {
            Piece::Open => depth += 1,
            Piece::Close => depth = depth.saturating_sub(1),
            _ => {}
        }
        depth == 0 && matches!(piece, Piece::Keyword(_, Keyword::FROM))
    });
    if let Some(from) = from {
        pieces.splice(select + 1..select + from, [Piece::Cut]);
    }
}

fn text(pieces: &[Piece]) -> String {
    let mut text = String::new();
    let mut before: Option<&Piece> = None;
    for piece in pieces {
        if before.is_some_and(|before| is_spaced(before, piece)) {
            text.push(' ');
        }
        text.push_str(match piece {
            Piece::Keyword(word, _) | Piece::Word(word) | Piece::Operator(word) => word,
            Piece::Sign(sign) => sign,
            Piece::List(list) => list,
            Piece::Value => "?",
            Piece::Open => "(",
            Piece::Close => ")",
            Piece::OpenBracket => "[",
            Piece::CloseBracket => "]",
            Piece::Comma => ",",
            Piece::Period => ".",
            Piece::Semicolon => ";",
            Piece::Cast => "::",
            Piece::Cut => "…",
        });
        before = Some(piece);
    }
    text
}

/// Whether there is a space between two pieces. Depends on the pieces alone, not on the statement's own spaces.
fn is_spaced(before: &Piece, piece: &Piece) -> bool {
    let after_open = matches!(before, Piece::Open | Piece::OpenBracket | Piece::Period | Piece::Cast | Piece::Sign(_));
    let before_close = matches!(
        piece,
        Piece::Close | Piece::CloseBracket | Piece::Comma | Piece::Period | Piece::Cast | Piece::Semicolon
    );
    let called = matches!(before, Piece::Word(_)) && *piece == Piece::Open
        || *before == Piece::Value && *piece == Piece::List("(...)");
    let indexed = match piece {
        Piece::OpenBracket | Piece::List("[...]") => matches!(
            before,
            Piece::Word(_)
                | Piece::Close
                | Piece::CloseBracket
                | Piece::Value
                | Piece::List(_)
                | Piece::Keyword(_, Keyword::ARRAY)
        ),
        _ => false,
    };
    !(after_open || before_close || called || indexed)
}
