//! [`Cell`]: what stands in a row of a table under a column, and how each writer sets it.
//!
//! Invariant: whatever a cell shows beside its text (a link, a small graphic, a colour), the text says too.

use super::{
    escape::{code, escaped},
    html::Html,
};

/// How the cells of a column are set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Names of the service's own, and moments: as code, to the left.
    Code,
    /// To the left.
    Words,
    /// To the right.
    Number,
}

/// What stands in a row under a column.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Cell {
    pub(super) text: String,
    pub(super) tone: Tone,
    pub(super) is_part: bool,
    pub(super) href: Option<String>,
    pub(super) drawn: Option<Html>,
}

/// Whether a text is good news or bad.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Tone {
    /// Neither.
    #[default]
    Neutral,
    /// Good news.
    Good,
    /// Bad news.
    Bad,
}

impl Tone {
    /// Returns the class of the style sheet that gives the colour; empty for [`Tone::Neutral`].
    #[must_use]
    pub fn class(self) -> &'static str {
        match self {
            Self::Neutral => "",
            Self::Good => "good",
            Self::Bad => "bad",
        }
    }
}

impl Cell {
    /// Returns its text.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Returns whether it is good news or bad.
    #[must_use]
    pub fn tone(&self) -> Tone {
        self.tone
    }

    /// Returns whether it names a part of the row above.
    #[must_use]
    pub fn is_part(&self) -> bool {
        self.is_part
    }

    /// Returns the same cell as good or bad news.
    #[must_use]
    pub fn toned(self, tone: Tone) -> Self {
        Self { tone, ..self }
    }

    /// Returns the name of a part of the row above, which writers indent.
    #[must_use]
    pub fn part(text: &str) -> Self {
        Self { is_part: true, ..text.into() }
    }
}

impl From<String> for Cell {
    fn from(text: String) -> Self {
        Self { text, ..Self::default() }
    }
}

impl From<&str> for Cell {
    fn from(text: &str) -> Self {
        text.to_owned().into()
    }
}

impl Cell {
    pub(super) fn html(&self, page: &mut Html, kind: Kind) {
        page.raw(match (kind, self.tone, self.is_part) {
            (Kind::Number, Tone::Neutral, _) => "<td>",
            (Kind::Number, Tone::Good, _) => "<td class=\"good\">",
            (Kind::Number, Tone::Bad, _) => "<td class=\"bad\">",
            (_, _, true) => "<td class=\"left part\">",
            (_, Tone::Neutral, _) => "<td class=\"left\">",
            (_, Tone::Good, _) => "<td class=\"left good\">",
            (_, Tone::Bad, _) => "<td class=\"left bad\">",
        });
        if let Some(href) = &self.href {
            page.raw("<a").attribute("href", href).raw(">");
        }
        match (&self.drawn, kind) {
            (Some(drawn), _) => page.append(drawn),
            (None, Kind::Code) if !self.is_part => page.element("<code>", &self.text, "</code>"),
            (None, _) => page.text(&self.text),
        };
        page.raw(if self.href.is_some() { "</a>" } else { "" });
    }

    pub(super) fn markdown(&self, kind: Kind) -> String {
        match kind {
            // A bar ends a cell even inside code.
            Kind::Code if !self.is_part => code(&self.text).replace('|', "\\|"),
            Kind::Code | Kind::Words | Kind::Number => escaped(&self.text),
        }
    }

    pub(super) fn plain(&self) -> String {
        // A cell is one line, whatever a name holds.
        let text: String = self.text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
        if self.is_part { format!("  {text}") } else { text }
    }
}
