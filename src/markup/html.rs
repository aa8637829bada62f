//! [`Html`]: HTML being written.
//!
//! Markup enters as a literal of this program only, and everything else is escaped. There is no third way in, so a
//! browser shows a route called `<script>` and never runs it, and a name cannot change the order in which what stands beside
//! it is read.

use super::{escape::visible, numbers::moment};

/// HTML being written.
///
/// ```
/// use pinchpoint::markup::Html;
///
/// let mut html = Html::default();
/// html.raw("<a").attribute("href", "/a?b=\"c\"").raw(">").text("a < b").raw("</a>");
/// assert_eq!(html.finish(), "<a href=\"/a?b=&quot;c&quot;\">a &lt; b</a>");
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Html(String);

impl Html {
    /// Adds markup.
    pub fn raw(&mut self, markup: &'static str) -> &mut Self {
        self.0.push_str(markup);
        self
    }

    /// Adds text, also inside a quoted attribute. What browsers do not show, and what would reorder the text beside it, is
    /// made visible.
    pub fn text(&mut self, text: &str) -> &mut Self {
        for c in text.chars() {
            match c {
                '&' => self.0.push_str("&amp;"),
                '<' => self.0.push_str("&lt;"),
                '>' => self.0.push_str("&gt;"),
                '"' => self.0.push_str("&quot;"),
                '\'' => self.0.push_str("&#39;"),
                // Browsers do not show control characters, and a NUL is an error in HTML.
                c if c.is_control() && c != '\n' && c != '\t' => self.0.push('\u{fffd}'),
                c => match visible(c) {
                    Some(name) => self.0.push_str(name),
                    None => self.0.push(c),
                },
            }
        }
        self
    }

    /// Adds an attribute to the tag that is open: a space, its name and its quoted value.
    pub fn attribute(&mut self, name: &'static str, value: &str) -> &mut Self {
        self.raw(" ").raw(name).raw("=\"").text(value).raw("\"")
    }

    /// Adds a number as SVG takes it: two digits behind the point, and 0 for what is not finite.
    pub fn number(&mut self, value: f64) -> &mut Self {
        let value = if value.is_finite() { value } else { 0.0 };
        let text = format!("{value:.2}");
        self.0.push_str(text.trim_end_matches('0').trim_end_matches('.'));
        self
    }

    /// Adds an element with text in it; `open` is its opening tag, `close` its closing one.
    pub fn element(&mut self, open: &'static str, text: &str, close: &'static str) -> &mut Self {
        self.raw(open).text(text).raw(close)
    }

    /// Adds a word in a rounded frame; `class` gives its colour.
    pub fn badge(&mut self, class: &str, text: &str) -> &mut Self {
        self.raw("<span class=\"badge ").text(class).element("\">", text, "</span>")
    }

    /// Adds a moment of RFC 3339: as the clock of the service has it, until a script writes it in the zone of the reader.
    pub fn time(&mut self, timestamp: &str) -> &mut Self {
        self.raw("<time").attribute("datetime", timestamp).element(">", &moment(timestamp), "</time>")
    }

    /// Adds a list of sentences; nothing without one.
    pub fn list(&mut self, items: &[String]) -> &mut Self {
        if items.is_empty() {
            return self;
        }
        self.raw("<ul>");
        for item in items {
            self.element("<li class=\"small\">", item, "</li>");
        }
        self.raw("</ul>")
    }

    /// Adds what was written apart, such as a cell.
    pub fn append(&mut self, other: &Self) -> &mut Self {
        self.0.push_str(&other.0);
        self
    }

    /// Returns what was written.
    #[must_use]
    pub fn finish(self) -> String {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_never_markup() {
        let mut page = Html::default();
        page.raw("<b title=\"").text("a\"'<b>&\0").raw("\">").text("</b><script>").raw("</b>");
        assert_eq!(page.finish(), "<b title=\"a&quot;&#39;&lt;b&gt;&amp;\u{fffd}\">&lt;/b&gt;&lt;script&gt;</b>");
    }

    #[test]
    fn an_attribute_ends_where_it_should() {
        let mut page = Html::default();
        page.raw("<a").attribute("href", "?a=\"><script>&b=é").raw(">");
        assert_eq!(page.finish(), "<a href=\"?a=&quot;&gt;&lt;script&gt;&amp;b=é\">");
    }

    #[test]
    fn no_name_reorders_what_stands_beside_it() {
        let mut page = Html::default();
        page.text("GET /\u{202e}nimda\u{2069} שלום");
        assert_eq!(page.finish(), "GET /[U+202E]nimda[U+2069] שלום", "controls show, letters stay");
    }

    #[test]
    fn numbers_are_short_and_always_numbers() {
        let mut page = Html::default();
        for value in [0.0, 12.0, 12.345, 0.001, f64::NAN, f64::INFINITY, -3.5] {
            page.number(value).raw(" ");
        }
        assert_eq!(page.finish(), "0 12 12.35 0 0 0 -3.5 ");
    }
}
